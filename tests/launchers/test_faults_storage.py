"""A database that is away, disks that are full, files that are damaged, results that vanish."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

from sse_flows.testing import faults, jobs
from sse_flows.testing.fault_runs import qlaunch_running, settle
from sse_flows.testing.fault_table import Row
from sse_flows.testing.jobs import executions

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

AWAY = 8.0
"""Seconds that the database is away, in which jobs end."""


@pytest.fixture
def disk():
    """A function that mounts a small disk; skips where that is not allowed."""
    with contextlib.ExitStack() as stack:

        def mount(folder: Path, options: str) -> Path:
            try:
                return stack.enter_context(faults.mounted(folder, options))
            except (OSError, subprocess.SubprocessError) as error:
                pytest.skip(f"nothing can be mounted here: {error}")

        yield mount


def full(number, gate, log):
    """A relaxation that writes more than the disk has left."""
    return jobs.write_output(number, 200_000, log)


def test_an_absent_database_full_disks_and_damaged_files(
    cluster, make_run, disk, stoppable_mongo, job_store, table
):
    held = dict.fromkeys(("away-1", "away-2"), jobs.hold)
    run = make_run({**held, "cut": jobs.read_back, "full": full})
    disk(run.results / "work", "size=600k")
    _database_and_disk(run, stoppable_mongo, table)
    _lost_results(run, job_store, table)


def _database_and_disk(run, mongo, table):
    ballast = run.results / "work" / "ballast"
    ballast.write_bytes(bytes(500_000))
    with qlaunch_running():
        run.wait_until_begun("away-1", "away-2", "cut")
        work = Path(run.firework("cut")["spec"]["sse"]["work"])
        run.wait((work / "output.gz").is_file, "an output")
        run.wait(lambda: run.state("full") == "FIZZLED", "a full disk")
        faults.cut_short(work / "output.gz")
        run.open_gates("cut")
        run.wait(lambda: run.state("cut") == "FIZZLED", "a damaged file")
        run.wait(lambda: run.counts().keys() & ACTIVE == {"RUNNING"}, "the held ones alone")
        with faults.database_away(mongo.server, AWAY):
            run.open_gates()
        run.wait_until_at_rest()
        left = {name: run.state(name) for name in ("away-1", "away-2", "cut", "full")}
        status = run.command("status")
        assert "No space left" in status, status
        run.recover()
        run.wait_until_at_rest()
        assert run.state("cut") == "COMPLETED", run.recovered
        assert run.state("full") == "FIZZLED"
        ballast.unlink()
        run.recover("--failed")
        settle(run)
    same, again = not run.differences(), run.computed_more()
    twice = {name: again[run.relaxation_of(name)] for name in left}
    fault = f"the database is away for {AWAY:g} s while jobs end"
    both = twice["away-1"] + twice["away-2"]
    table.append(Row(fault, left["away-1"], run.did("away-1"), both, same))
    table.append(Row("a truncated output file", left["cut"], run.did("cut"), twice["cut"], same))
    did = run.did("full") + " (`--failed`, once there is space)"
    table.append(Row("a full disk", left["full"], did, twice["full"], same))
    assert twice == {"away-1": 0, "away-2": 0, "cut": 1, "full": 1}


ACTIVE = {"READY", "RESERVED", "RUNNING"}


def _lost_results(run, store, table):
    uuids = {
        one["spec"]["sse"]["uuid"]
        for one in run.launchpad.fireworks.find({"spec.sse.compound": "away-1"})
    }
    before = executions(run.log)
    store.remove_docs({"uuid": {"$in": sorted(uuids)}})
    run.recovered.clear()
    with qlaunch_running():
        for _ in range(10):
            if not run.recover():
                break
            run.wait_until_complete()
        assert run.recover() == []
    again = executions(run.log) - before
    lost = {key: pair for key, pair in run.differences().items() if pair != (None, "no document")}
    assert lost == {}  # a job that replaced itself had left a document without output
    fault = "results of a compound vanish from the store"
    table.append(Row(fault, "COMPLETED", run.did("away-1"), sum(again.values()), not lost))


def test_the_disk_of_the_launches_is_full(cluster, make_run, disk, tmp_path, table):
    """Jobs begin whose folders were made before, and qlaunch wants to make more."""
    run = make_run({"a": jobs.hold})
    run.open_gates()
    folder = disk(tmp_path / "launches", "size=2m,nr_inodes=200")
    cluster.set_partition("State=DOWN")
    with qlaunch_running(folder=folder):
        run.wait(lambda: run.waiting_in_slurm() == 3, "jobs that wait")
        files = faults.fill(folder)
    cluster.set_partition("State=UP")
    run.wait(lambda: not cluster.run("squeue", "-h"), "all jobs to end")
    left = run.counts()
    print(left)
    run.recover()
    with qlaunch_running(folder=folder) as launcher:
        assert launcher.wait(120) == 1
    last = Path("qlaunch.log").read_text().splitlines()[-1]
    assert last.startswith("qlaunch ends: OSError: [Errno 28] No space left on device")
    assert run.recover() == []
    for one in files:
        one.unlink()
    with qlaunch_running(folder=folder):
        settle(run)
    assert not run.computed_more()
    fault = "the disk of the launch folders is full: jobs cannot begin, and `qlaunch` says so"
    states = ", ".join(sorted(left.keys() & (ACTIVE | {"FIZZLED", "COMPLETED"})))
    table.append(Row(fault, states, run.kinds(), 0, not run.differences()))
