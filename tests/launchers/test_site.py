"""`sse init cluster`: what it finds out, what it writes, and that no password gets about."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sse_flows.errors import SSEError
from sse_flows.launchers.discovery import Slurm, ask_slurm, parse_partitions
from sse_flows.launchers.settings import read_yaml
from sse_flows.launchers.site import (
    SECRET_FILES,
    Choices,
    Database,
    find_password,
    refuse_password,
    render_site,
    write_site,
)

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2: '\"\n#"
NODES = """\
debug*|up|1-00:00:00|2|8000|1
debug*|up|1-00:00:00|64+|250000+|7
old|down|1|2|3|4
long|up|infinite|128|500000|3
"""


def test_the_examples_are_what_it_writes_for_a_database_on_this_machine():
    for name, text in render_site(Database(), Slurm(), Choices()).items():
        folder = ROOT if name == "my_qadapter.yaml" else ROOT / "launchers"
        assert (folder / name).read_text() == text, name


def test_partitions_are_read_with_their_smallest_node():
    debug, long = parse_partitions(NODES)
    assert (debug.name, debug.default, debug.max_seconds) == ("debug", True, 86400.0)
    assert (debug.cores, debug.memory, debug.nodes) == (2, 8000, 8)
    assert (long.name, long.default, long.max_seconds) == ("long", False, None)


def test_resources_fit_partition_and_node(tmp_path):
    debug, long = parse_partitions(NODES.replace("1-00:00:00", "1:30:00"))
    for partition, walltime, cores in ((debug, "01:30:00", 2), (long, "24:00:00", 128)):
        slurm = Slurm("22.05.8", "c", (debug, long), partition, "acc")
        texts = render_site(Database(), slurm, Choices(code="dft"), tmp_path)
        (tmp_path / "profiles.yaml").write_text(texts["profiles.yaml"])
        relax = read_yaml(tmp_path / "profiles.yaml")["relax"]
        assert relax == {"walltime": walltime, "nodes": 1, "ntasks": cores, "processes": 1}
        (tmp_path / "q.yaml").write_text(texts["my_qadapter.yaml"])
        adapter = read_yaml(tmp_path / "q.yaml")
        assert (adapter["queue"], adapter["account"]) == (partition.name, "acc")


def test_a_worker_with_a_force_field_has_a_core_and_memory():
    partition = parse_partitions("a*|up|1:00:00|64|9000|1")[0]
    text = render_site(Database(), Slurm(partition=partition), Choices())["profiles.yaml"]
    assert "ntasks: 4\n  processes: 4\n" in text


def modes(folder):
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}


@pytest.mark.parametrize("force", [False, True])
def test_files_with_a_password_are_private_from_their_first_byte(tmp_path, monkeypatch, force):
    folder = tmp_path / "site"
    if force:  # files that others can read are replaced, not written into
        folder.mkdir()
        for name in SECRET_FILES:
            (folder / name).write_text("old")
            (folder / name).chmod(0o644)
    seen: list[int] = []
    opened = os.open

    def spy(path, flags, mode=0o777, **options):
        descriptor = opened(path, flags, mode, **options)
        if any(name in str(path) for name in SECRET_FILES) and flags & os.O_CREAT:
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", spy)
    before = os.umask(0)
    try:
        database = Database(username="me", password=SECRET)
        write_site(folder, database, Slurm(), Choices(), force)
    finally:
        os.umask(before)
    assert seen == [0o600, 0o600]
    found = modes(folder)
    assert {name: found[name] for name in SECRET_FILES} == dict.fromkeys(SECRET_FILES, 0o600)
    assert len(found) == 6


@pytest.mark.parametrize(
    "uri", [None, "mongodb+srv://c.example.org", "mongodb://h1:1,h2:2/?ssl=true"]
)
def test_both_files_open_the_same_database_and_nothing_else_has_the_password(tmp_path, uri):
    database = Database(
        name="mine",
        username="me",
        password=SECRET,
        auth_source="admin",
        uri=uri,
        tls_ca_file=str(tmp_path / "ca.pem"),
    )
    write_site(tmp_path, database, Slurm(), Choices())
    pad = read_yaml(tmp_path / "my_launchpad.yaml")
    stores = read_yaml(tmp_path / "jobflow.yaml")["JOB_STORE"]
    blobs = stores["additional_stores"]["data"]
    for one in (stores["docs_store"], blobs):
        options = one["mongoclient_kwargs"]
        assert (options["tls"], options["tlsCAFile"]) == (True, str(tmp_path / "ca.pem"))
        login = options if uri else one
        assert (login["username"], login["password"]) == ("me", SECRET)
        assert (one["database"], one.get("uri")) == ("mine", uri)
    login = pad["mongoclient_kwargs"] if uri else pad
    assert (login["username"], login["password"]) == ("me", SECRET)
    assert pad["host"] == (uri or "localhost")
    assert "hunter2" not in repr(database)
    for path in tmp_path.iterdir():
        assert ("hunter2" in path.read_text()) == (path.name in SECRET_FILES)


@pytest.mark.parametrize("uri", [None, "mongodb://localhost:1"])
def test_fireworks_and_jobflow_read_their_files(tmp_path, uri):
    from fireworks import LaunchPad
    from jobflow import JobStore
    from maggma.stores import GridFSStore, MongoStore

    database = Database(username="me", password="x", uri=uri, name="mine")
    write_site(tmp_path, database, Slurm(), Choices())
    pad = LaunchPad.from_file(str(tmp_path / "my_launchpad.yaml"))
    assert pad.db.name == "mine"
    assert pad.connection.options.server_selection_timeout == 120
    spec = read_yaml(tmp_path / "jobflow.yaml")["JOB_STORE"]
    store = JobStore.from_dict_spec(spec)
    assert isinstance(store.docs_store, MongoStore)
    assert isinstance(store.additional_stores["data"], GridFSStore)
    assert store.docs_store.database == "mine"
    store.docs_store.connect()
    assert "x@" not in store.docs_store.name


def test_an_existing_file_is_kept_and_nothing_else_is_written(tmp_path):
    (tmp_path / "profiles.yaml").write_text("mine")
    with pytest.raises(SSEError, match=r"has profiles\.yaml already"):
        write_site(tmp_path, Database(), Slurm(), Choices())
    assert [one.name for one in tmp_path.iterdir()] == ["profiles.yaml"]
    assert (tmp_path / "profiles.yaml").read_text() == "mine"
    assert len(write_site(tmp_path, Database(), Slurm(), Choices(), force=True)) == 6
    assert len(list(tmp_path.iterdir())) == 6


def test_a_folder_that_cannot_be_written_is_one_line(read_only_folder):
    with pytest.raises(SSEError, match="cannot write in"):
        write_site(read_only_folder / "site", Database(), Slurm(), Choices())


@pytest.mark.parametrize(
    "uri", ["mongodb://me:pw@host", "mongodb+srv://me@host/db", "http://x", "x"]
)
def test_an_address_with_a_password_is_refused_without_repeating_it(uri):
    with pytest.raises(SSEError) as raised:
        refuse_password(uri)
    assert "pw" not in str(raised.value)
    refuse_password("mongodb://host:1/?authSource=a@b")
    refuse_password(None)


def test_a_password_comes_from_a_hidden_prompt_or_a_variable(monkeypatch):
    asked = []

    def ask(text, hide_input):
        asked.append(hide_input)
        return "typed"

    monkeypatch.delenv("SSE_MONGODB_PASSWORD", raising=False)
    assert find_password(None, ask) is None
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(SSEError, match="Set SSE_MONGODB_PASSWORD"):
        find_password("me", ask)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert (find_password("me", ask), asked) == ("typed", [True])
    monkeypatch.setenv("SSE_MONGODB_PASSWORD", "set")
    assert find_password("me", ask) == "set"


def test_paths_with_blanks_and_quotes_are_safe_in_the_shell_and_in_yaml(tmp_path):
    folder = tmp_path / 'it\'s $(touch pwned) "x"'
    write_site(folder, Database(), Slurm(), Choices())
    config = read_yaml(folder / "FW_config.yaml")
    assert config["LAUNCHPAD_LOC"] == str(folder / "my_launchpad.yaml")
    lines = read_yaml(folder / "my_qadapter.yaml")["pre_rocket"].splitlines()[-2:]
    script = "\n".join([*lines, 'printf %s "$FW_CONFIG_FILE"'])
    done = subprocess.run(
        ["bash"], input=script, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == str(folder / "FW_config.yaml")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slurm
def test_a_real_slurm_is_asked_and_nothing_else_is(cluster, tmp_path):
    slurm = ask_slurm()
    assert slurm.version
    assert slurm.cluster == "sse_test"
    assert {one.name for one in slurm.partitions} == {"debug", "short"}
    assert slurm.partition.name == "debug"
    assert (slurm.partition.cores, slurm.partition.nodes) == (2, 2)
    assert slurm.account is None
    assert ask_slurm("short").walltime(4) == "00:01:00"
    with pytest.raises(SSEError, match=r"no partition fast\. There are debug, short"):
        ask_slurm("fast")


def test_without_slurm_nothing_is_found_and_the_files_have_usual_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm = ask_slurm()
    assert slurm == Slurm()
    assert slurm.summary().startswith("Slurm was not found here")
    assert slurm.walltime(24) == "24:00:00"
