"""Where FireWorks' and jobflow's files are found, and what is said of wrong ones."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sse_flows.errors import SSEError
from sse_flows.launchers import settings
from sse_flows.launchers.settings import (
    address,
    find_files,
    load_fworker,
    load_qadapter,
    open_launchpad,
    read_yaml,
    shared_store,
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home, and an empty working folder, without any variable."""
    for name in ("FW_CONFIG_FILE", "JOBFLOW_CONFIG_FILE", "SSE_PROFILES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".fireworks").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_nothing_is_set_up_in_an_empty_home(home):
    files = find_files()
    assert not files
    assert files.existing() == []
    for opened in (open_launchpad, load_qadapter):
        with pytest.raises(SSEError, match="Run `sse init cluster`"):
            opened()
    assert load_fworker().category == ""


def test_the_working_folder_comes_before_the_home(home):
    mine, theirs = Path("my_launchpad.yaml"), home / ".fireworks" / "my_launchpad.yaml"
    theirs.write_text("name: theirs")
    assert find_files().launchpad == theirs
    mine.write_text("name: mine")
    assert find_files().launchpad == Path.cwd() / mine


def test_keys_of_the_configuration_come_first_and_files_beside_it_last(home, tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    config = folder / "FW_config.yaml"
    config.write_text(f"LAUNCHPAD_LOC: {folder}/other.yaml\n")
    monkeypatch.setenv("FW_CONFIG_FILE", str(config))
    with pytest.raises(SSEError, match=r"LAUNCHPAD_LOC in .*other.yaml, which does not exist"):
        find_files()
    for name in ("other.yaml", "my_launchpad.yaml", "my_fworker.yaml", "profiles.yaml"):
        (folder / name).write_text("{}")
    (home / ".fireworks" / "my_fworker.yaml").write_text("{}")
    files = find_files()
    assert files.launchpad == folder / "other.yaml"
    assert files.fworker == home / ".fireworks" / "my_fworker.yaml"
    assert files.profiles == folder / "profiles.yaml"
    monkeypatch.setenv("SSE_PROFILES", str(folder / "other.yaml"))
    assert find_files().profiles == folder / "other.yaml"


def test_our_order_is_that_of_fireworks(home, monkeypatch, tmp_path):
    """Of three configurations FireWorks itself, in a process of its own, chooses the same."""
    import subprocess
    import sys

    places = [tmp_path / "work", home / ".fireworks", tmp_path / "named"]
    places[2].mkdir()
    monkeypatch.setenv("FW_CONFIG_FILE", str(places[2] / "FW_config.yaml"))
    code = "from fireworks.fw_config import *; print(PING_TIME_SECS, LAUNCHPAD_LOC)"
    for number in (2, 1, 0):
        (places[number] / "FW_config.yaml").write_text(f"PING_TIME_SECS: {number}\n")
        if number < 2:
            (places[number] / "my_launchpad.yaml").write_text("name: x\n")
        command = [sys.executable, "-c", code]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        chosen = out.splitlines()[-1].split()
        files = find_files()
        assert chosen[0] == str(number)
        assert files.config == places[number] / "FW_config.yaml"
        assert chosen[1] == str(files.launchpad)


def test_an_empty_database_is_made_ready_once_and_one_in_use_is_left_alone(site, launchpad):
    launchpad.fw_id_assigner.delete_many({})
    assert open_launchpad(create=False).fw_id_assigner.find_one({}) is None
    pad = open_launchpad()
    open_launchpad()
    assert pad.fw_id_assigner.count_documents({}) == 1
    assert pad.get_new_fw_id() == 1
    pad.fireworks.insert_one({"fw_id": 7})
    pad.fw_id_assigner.delete_many({})
    assert open_launchpad().fw_id_assigner.find_one({}) is None


def test_a_worker_that_starts_without_its_database_waits_for_it(
    stoppable_mongo, site, monkeypatch, caplog
):
    monkeypatch.setattr(settings, "FIRST_ANSWER_MS", 300)
    stoppable_mongo.server.stop()
    with pytest.raises(SSEError, match="does not answer"):
        open_launchpad()
    threading.Timer(2.0, stoppable_mongo.server.start).start()
    assert open_launchpad(patience=30).get_new_fw_id() == 1
    assert caplog.text.count("waiting up to 30 s") == 1


SECRET = "hunter2-secret"


@pytest.mark.parametrize("uri", [True, False])
def test_a_database_that_does_not_answer_is_told_without_the_password(home, monkeypatch, uri):
    monkeypatch.setattr(settings, "FIRST_ANSWER_MS", 300)
    text = "port: 1\nname: sse\nusername: me\n"
    if uri:
        text = f"uri_mode: true\nname: sse\nhost: mongodb://me:{SECRET}@localhost:1/?x=1\n"
    Path("my_launchpad.yaml").write_text(text + f"password: {SECRET}\n")
    with pytest.raises(SSEError) as raised:
        open_launchpad()
    text = f"{raised.value} {raised.value.__cause__}"
    assert "localhost:1, database sse" in text
    assert "does not answer: nothing answers at that port" in text
    assert SECRET not in text


@pytest.mark.parametrize("text", ["[1, 2]", "a: {", "port: [1]\nname: x", f"tls: {SECRET}\n x: :"])
def test_a_launchpad_file_that_is_wrong_is_one_line_without_its_content(home, text):
    Path("my_launchpad.yaml").write_text(text)
    with pytest.raises(SSEError, match=r"my_launchpad\.yaml") as raised:
        open_launchpad()
    assert SECRET not in str(raised.value)


def test_addresses_have_neither_user_nor_password():
    assert address({}) == "localhost:27017, database fireworks"
    uri = {"host": f"mongodb+srv://me:{SECRET}@c.example.org/?tls=true", "name": "sse"}
    assert address(uri) == "c.example.org, database sse"


@pytest.mark.parametrize("key", ["name", "category", "query"])
def test_a_worker_file_without_what_qlaunch_needs_is_refused_with_the_line_to_add(home, key):
    lines = {"name": "name: x", "category": "category: ''", "query": "query: '{}'"}
    Path("my_fworker.yaml").write_text("\n".join(v for k, v in lines.items() if k != key))
    with pytest.raises(SSEError, match=f"lacks the key '{key}'. Add a line `{key}: "):
        load_fworker()


def test_the_line_to_add_to_a_worker_file_is_a_valid_one(home):
    path = Path("my_fworker.yaml")
    path.write_text("env: {}\n")
    for _ in range(3):
        with pytest.raises(SSEError) as raised:
            load_fworker()
        path.write_text(path.read_text() + raised.value.mend.split("`")[1] + "\n")
    assert load_fworker().query["$or"]


def test_an_adapter_that_qlaunch_would_refuse_is_refused(site):
    assert load_qadapter()["max_queued"] == 20
    site.edit("my_qadapter.yaml", "singleshot", "rapidfire")
    with pytest.raises(SSEError, match="rocket_launch has no singleshot"):
        load_qadapter()
    site.edit("my_qadapter.yaml", "nodes: 1", "noodes: 1")
    with pytest.raises(SSEError, match="Did you mean nodes"):
        load_qadapter()
    site.edit("my_qadapter.yaml", "_fw_q_type: SLURM", "_fw_q_type: SLUM")
    with pytest.raises(SSEError, match="is no queue adapter"):
        load_qadapter()


def test_a_store_that_jobs_cannot_share_is_refused(monkeypatch, tmp_path, job_store):
    from jobflow import SETTINGS, JobStore
    from maggma.stores import JSONStore, MemoryStore, MongoStore

    monkeypatch.delenv("JOBFLOW_CONFIG_FILE", raising=False)
    mongo = MongoStore("x", "outputs")
    file = JSONStore(str(tmp_path / "x.json"), read_only=False)
    for store, said in (
        (JobStore(MemoryStore()), "no store that the jobs of a cluster could share"),
        (JobStore(file, additional_stores={"data": mongo}), "docs_store is a JSONStore"),
        (JobStore(mongo, additional_stores={"data": MemoryStore()}), "data is a MemoryStore"),
    ):
        monkeypatch.setattr(SETTINGS, "JOB_STORE", store)
        with pytest.raises(SSEError, match=said):
            shared_store()
    monkeypatch.setattr(SETTINGS, "JOB_STORE", job_store)
    assert set(shared_store().additional_stores) == {"data"}


def test_times_stay_text_as_in_fireworks(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("walltime: 24:00:00\nempty:\n")
    assert read_yaml(path) == {"walltime": "24:00:00", "empty": None}
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SSEError, match="no valid YAML"):
        read_yaml(path)
    with pytest.raises(SSEError, match="cannot read"):
        read_yaml(tmp_path / "gone.yaml")
