"""No password leaves the two files that hold it, and no name reaches a shell or another folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import bson
import pytest
from fireworks import Firework, ScriptTask, Workflow

from sse_flows.campaign.keys import keyed
from sse_flows.launchers.settings import load_qadapter, open_launchpad, shared_store
from sse_flows.launchers.site import SECRET_FILES
from sse_flows.launchers.submit import Submitter
from sse_flows.store.archive import ArchiveWriter
from sse_flows.store.export import write_documents
from sse_flows.store.jobstore import connect
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.launchpads import drain
from sse_flows.testing.servers import MARK
from sse_flows.testing.slurm import wait_until


class Processes:
    """Looks at all processes of this machine while a block runs, and at Slurm if there is one.

    Attributes
    ----------
    seen
        What was seen where others may look: command lines, and the environment of every process
        that is younger than this one.
    """

    def __init__(self, *commands: list[str]):
        self.seen: set[str] = set()
        self._commands, self._over = commands, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._old = {path.name for path in Path("/proc").iterdir()}

    def __enter__(self) -> Processes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.2):
            for path in Path("/proc").glob("[0-9]*"):
                self._add(path / "cmdline")
                if path.name not in self._old:
                    self._add(path / "environ")
            for command in self._commands:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                self.seen.add(done.stdout)

    def _add(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            self.seen.add(f"{path}: {path.read_bytes().replace(bytes(1), b' ').decode('latin1')}")


def files_with_the_secret(folder: Path) -> list[str]:
    """Files below a folder in which the password is, but the two that hold it."""
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in SECRET_FILES
        and (MARK in path.name or MARK.encode() in path.read_bytes())
    ]


def collections_with_the_secret(secure) -> list[str]:
    """Collections in which the password is, in a document or an index."""
    found = secure.everything()
    assert {"fireworks", "launches", "workflows"} <= found.keys()
    return [
        name
        for name, documents in found.items()
        if any(MARK.encode() in bson.encode({"x": one}) for one in documents)
    ]


def run(*words: str, **environment: str) -> str:
    """All that a command of the environment says."""
    command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
    env = {**os.environ, **environment}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr


def submit(compounds: dict[str, float], folder: Path, **options) -> tuple:
    """A trivial campaign on the LaunchPad; returns LaunchPad and store."""
    launchpad, store = open_launchpad(), shared_store()
    connect(store)
    folder.mkdir(parents=True)
    flow = keyed(campaign_flow(compounds, None, **options))
    Submitter(launchpad, store, folder).submit(flow, "trivial")
    return launchpad, store


def test_a_password_is_nowhere_but_in_two_files(secure, secure_site, tmp_path):
    secure_site()
    launchpad, store = submit({"a": 1.0, "b": 2.0}, tmp_path / "results", failing=["b"])
    spec = {"_category": "postprocess"}
    launchpad.add_wf(Workflow([Firework([ScriptTask.from_str("env; sleep 1")], spec=spec)]))
    with Processes() as processes:
        said = run("sse", "worker", "rapidfire", "--processes", "2", "--idle", "0")
    states = {one["state"] for one in launchpad.fireworks.find({})}
    assert {"COMPLETED", "FIZZLED"} <= states, said
    assert "Traceback" in str(list(launchpad.launches.find({"state": "FIZZLED"})))
    assert any("sse worker rapidfire" in text for text in processes.seen)
    with ArchiveWriter(tmp_path / "out.tar") as archive:
        write_documents(store, [(one["uuid"], one["index"]) for one in store.query()], archive)
        archive.finish({})
    with tarfile.open(tmp_path / "out.tar") as packed:
        packed.extractall(tmp_path / "out", filter="data")
    assert not [text for text in (said, *processes.seen) if MARK in text]
    assert files_with_the_secret(tmp_path) == []
    assert files_with_the_secret(secure.server.folder) == []
    assert collections_with_the_secret(secure) == []


@pytest.mark.parametrize(("form", "words"), [("host", ["worker", "rapidfire"]), ("uri", ["check"])])
def test_nor_is_it_in_what_is_said_of_a_login_that_failed(secure, secure_site, form, words):
    uri = ("--uri", f"mongodb://localhost:{secure.server.port}") if form == "uri" else ()
    site = secure_site("writer", "--tls-ca-file", secure.authority, *uri)
    for name in SECRET_FILES:
        site.edit(name, "username: writer", "username: other")
    said = run("sse", *words, SSE_TRACEBACK="1")
    assert "wrong user or password" in said
    assert MARK not in said


@pytest.mark.parametrize(
    ("old", "new"), [("type: MongoStore", "type: MongodbStore"), ("database: sse_", "database: #")]
)
def test_a_configuration_that_is_wrong_is_not_repeated(secure_site, old, new):
    site = secure_site()
    site.edit("jobflow.yaml", old, new)
    said = run("sse", "check")
    assert "jobflow.yaml is no configuration of jobflow" in said
    assert MARK not in said


def test_commands_that_are_started_do_not_inherit_the_password(tmp_path, secure_site, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sinfo", "scontrol", "sacctmgr", "sbatch", "squeue"):
        (programs / name).write_text(
            f"#!/bin/sh\nenv > {tmp_path}/env.{name}\necho Submitted batch job 4\n"
        )
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    secure_site()
    monkeypatch.setenv("SSE_MONGODB_PASSWORD", secure_password := f"x{MARK}")
    assert load_qadapter().submit_to_queue("script") == "4"
    assert os.environ["SSE_MONGODB_PASSWORD"] == secure_password
    assert len(list(tmp_path.glob("env.*"))) == 5
    assert files_with_the_secret(tmp_path) == []


EVIL = ["$(touch pwned)", "../../up", "q'\"\n; touch pwned", "`touch pwned`", "<script>x</script>"]


def test_names_of_compounds_name_no_folder_and_no_command(secure, secure_site, tmp_path):
    secure_site()
    results = tmp_path / "a" / "b" / "results"
    launchpad, _ = submit({name: float(number) for number, name in enumerate(EVIL)}, results)
    names = {one["name"] for one in launchpad.workflows.find({})}
    assert set(EVIL) <= names
    adapter = load_qadapter()
    adapter.update(pre_rocket="", rocket_launch="true")
    for name in names:  # as qlaunch does, and without what it does to names before
        adapter.update(job_name=name)
        script = adapter.get_script_str(str(results))
        subprocess.run(["bash"], input=script, text=True, check=True, cwd=results)
    drain(launchpad, results)
    assert {one["state"] for one in launchpad.fireworks.find({})} == {"COMPLETED"}
    made = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert made == {"a", "home", "work", "site of writer"}
    assert not [path for path in tmp_path.rglob("*") if "pwned" in path.name or path.name == "up"]


@pytest.mark.slow
@pytest.mark.slurm
def test_nor_is_it_where_slurm_shows_and_keeps_things(cluster, secure, secure_site, monkeypatch):
    site = secure_site()
    site.edit("profiles.yaml", '  walltime: "04', '  processes: 2\n  walltime: "04')
    monkeypatch.setenv("SSE_MONGODB_PASSWORD", secure.password("writer"))
    launchpad = open_launchpad()
    spec = {"_category": "postprocess"}
    for text in ("env; sleep 3", "exit 1"):
        launchpad.add_wf(Workflow([Firework([ScriptTask.from_str(text)], spec=spec, name=text)]))
    shown = (["squeue", "-o", "%j %k %o %Z"], ["scontrol", "show", "job"])
    launch = [str(shutil.which("qlaunch")), "-r", "singleshot"]
    out = subprocess.run(launch, check=True, capture_output=True, text=True, timeout=300).stdout
    end = time.monotonic() + 300
    unfinished = {"state": {"$nin": ["COMPLETED", "FIZZLED"]}}
    with Processes(*shown) as processes:
        while launchpad.fireworks.count_documents(unfinished) and time.monotonic() < end:
            time.sleep(0.3)
    wait_until(lambda: not cluster.run("squeue", "-h"), 120, "the last lines of the job's output")
    states = sorted(one["state"] for one in launchpad.fireworks.find({}))
    assert states == ["COMPLETED", "FIZZLED"]
    names = [path.name for path in Path.cwd().rglob("*")]
    assert "FW_submit.script" in names
    assert any(name.endswith(".out") for name in names)
    assert any("sse worker singleshot --fw_id" in text for text in processes.seen)
    assert not [text for text in (out, *processes.seen) if MARK in text]
    assert files_with_the_secret(Path.cwd()) == []
    assert collections_with_the_secret(secure) == []
