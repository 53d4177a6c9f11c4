"""Fixtures of the launchers; servers for all stages come from sse_flows.testing.servers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fireworks import LaunchPad
from jobflow import SETTINGS, JobStore
from jobflow.settings import JobflowSettings

from sse_flows.launchers import firetask, stop
from sse_flows.launchers.recover import Options, recover
from sse_flows.store.durable import durable
from sse_flows.store.indexes import ensure_indexes
from sse_flows.testing.fault_runs import FaultRun
from sse_flows.testing.fault_table import Row, write_table
from sse_flows.testing.launchpad_states import Bench, FakeSlurm, memory_launchpad, memory_store
from sse_flows.testing.launchpads import MockCluster


@dataclass(frozen=True)
class SiteFolder:
    """Files of `sse init cluster` for the servers of a test."""

    folder: Path
    environment: dict[str, str]

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that must be in one of the files."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def site(mongo, launchpad, job_store, tmp_path, monkeypatch) -> Any:
    """A home of its own with the files of `sse init cluster`; works in an empty folder.

    A test that wants Slurm names the fixture `cluster` before this one.
    """
    from jobflow import SETTINGS

    from sse_flows.launchers.discovery import ask_slurm
    from sse_flows.launchers.site import Choices, Database, write_site

    folder, home, work = tmp_path / "site", tmp_path / "home", tmp_path / "work"
    for one in (home, work):
        one.mkdir()
    database = Database(host=mongo.host, port=mongo.port, name=mongo.name)
    write_site(folder, database, ask_slurm(), Choices())
    root = str(Path(__file__).resolve().parents[2])
    environment = {
        "HOME": str(home),
        "FW_CONFIG_FILE": str(folder / "FW_config.yaml"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
        "PYTHONPATH": root,
        "PYTHONWARNINGS": "ignore",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    for name in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME", "SSE_PROFILES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(SETTINGS, "JOB_STORE", job_store)
    monkeypatch.chdir(work)
    return SiteFolder(folder, environment)


@pytest.fixture
def secure_site(secure, tmp_path, monkeypatch) -> Any:
    """A function: what `sse init cluster` writes for a user of the server with TLS and logins.

    Its files are then those of this process and of those that it starts. A test that wants Slurm
    names the fixture `cluster` before this one.
    """
    home, work = tmp_path / "home", tmp_path / "work"
    for one in (home, work):
        one.mkdir()
    for name in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME", "SSE_PROFILES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.chdir(work)

    def write(user: str = "writer", *options: str) -> SiteFolder:
        from typer.testing import CliRunner

        from sse_flows.cli.main import app

        folder = tmp_path / f"site of {user}"
        place = ["--host", "localhost", "--port", str(secure.server.port), "--tls"]
        place += ["--database", secure.name, "--auth-source", "admin", "--username", user]
        words = ["init", "cluster", str(folder), "--force", *place]
        monkeypatch.setenv("SSE_MONGODB_PASSWORD", secure.password(user))
        options = options or ("--tls-ca-file", secure.authority)
        result = CliRunner().invoke(app, [*words, *options])
        assert result.exit_code == 0, result.output
        environment = {
            "HOME": str(home),
            "FW_CONFIG_FILE": str(folder / "FW_config.yaml"),
            "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "PYTHONWARNINGS": "ignore",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        configured = JobflowSettings().JOB_STORE
        monkeypatch.setattr("jobflow.SETTINGS.JOB_STORE", configured)
        return SiteFolder(folder, environment)

    return write


@pytest.fixture
def mock_cluster(tmp_path, monkeypatch) -> Iterator[MockCluster]:
    """A LaunchPad and a store of this process, which its jobs find."""
    cluster = MockCluster(tmp_path / "run")
    monkeypatch.setattr(firetask, "open_store", lambda: cluster.store)
    yield cluster
    cluster.store.close()


@pytest.fixture
def place(launchpad, job_store, tmp_path, monkeypatch) -> tuple[LaunchPad, JobStore]:
    """A LaunchPad and a store that processes share, and nothing of Slurm."""
    ensure_indexes(job_store)
    for name in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(SETTINGS, "JOB_STORE", durable(job_store))
    monkeypatch.setattr(firetask, "_connected", None)
    monkeypatch.setattr(stop, "_present", None)
    monkeypatch.chdir(tmp_path)
    return launchpad, job_store


@pytest.fixture
def bench() -> Bench:
    """A LaunchPad and a store in memory, whose jobs a test moves by hand."""
    return Bench(memory_launchpad(), memory_store())


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    """Slurm's commands as scripts that say what a test wants."""
    fake = FakeSlurm(tmp_path / "slurm")
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    return fake


@pytest.fixture
def mend(bench, slurm) -> Any:
    """Recover, and see that a second time changes nothing more."""

    def mend(*keys: str, **options) -> list:
        keys = list(keys) or list(bench.ids)
        found = recover(bench.pad, bench.store, keys, Options(**options), lambda seconds: None)
        if not options.get("dry_run"):
            again = recover(bench.pad, bench.store, keys, Options(**options), lambda seconds: None)
            assert [one for one in again if one.did] == []
        return found

    return mend


ALL = " --category relax --category supercell --category postprocess --category models"


@pytest.fixture(scope="session")
def table() -> Iterator[list[Row]]:
    """Rows of the table of faults, written at the end if that was asked for."""
    rows: list[Row] = []
    yield rows
    path = os.environ.get("SSE_WRITE_FAULT_TABLE")
    if path and rows:
        write_table(Path(path), rows)


@pytest.fixture
def make_run(cluster, stoppable_mongo, launchpad, job_store, site, tmp_path) -> Any:
    """A function that submits a trivial campaign; its workers take jobs of all categories."""

    def make(relaxations, options: str = "", idle: float = 3.0) -> FaultRun:
        (site.folder / "profiles.yaml").write_text("")  # resources of my_qadapter.yaml for all
        site.edit("my_qadapter.yaml", "singleshot", f"singleshot --idle {idle:g}{options}{ALL}")
        site.edit("my_qadapter.yaml", "max_queued: 20", "max_queued: 4")
        site.edit("FW_config.yaml", "QUEUE_UPDATE_INTERVAL: 1", "QUEUE_UPDATE_INTERVAL: 0")
        run = FaultRun(launchpad, job_store, tmp_path / "campaign", relaxations)
        run.submit()
        return run

    return make
