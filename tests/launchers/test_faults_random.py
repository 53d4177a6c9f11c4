"""Faults at any moment, by chance: ``SSE_FAULT_SEED`` chooses another one."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import time

import pytest

from sse_flows.launchers import liveness
from sse_flows.testing import faults, jobs
from sse_flows.testing.fault_runs import end_process, is_alive, qlaunch_running, settle
from sse_flows.testing.fault_table import Row
from sse_flows.testing.jobs import executions

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

SEED = int(os.environ.get("SSE_FAULT_SEED", "1"))


@pytest.fixture
def impatient(monkeypatch):
    """What dies between its reservation and its launch is lost in seconds, not ten minutes."""
    monkeypatch.setattr(liveness, "GRACE", 15.0)


def brief(number, gate, log):
    """A relaxation that waits for nothing."""
    return jobs.add(number, 1, log, 0.2)


def test_two_launchers_and_two_workers_race(cluster, make_run, table):
    run = make_run(dict.fromkeys("abcd", brief))
    worker = [shutil.which("sse"), "worker", "rapidfire", "--idle", "3"]
    with qlaunch_running(), qlaunch_running(), contextlib.ExitStack() as stack:
        workers = [subprocess.Popen(worker, stdout=subprocess.DEVNULL) for _ in range(2)]
        for one in workers:
            stack.callback(end_process, one)
        run.wait_until_complete()
        for one in workers:
            assert one.wait(120) == 0
        settle(run)
    again = run.computed_more()
    assert not again
    fault = "two `qlaunch` and two more workers race for the same jobs"
    table.append(Row(fault, "nothing", run.did("a"), 0, not run.differences()))


def test_kills_at_any_moment(cluster, make_run, impatient, table):
    """Workers that compute are killed, wherever they are between two writes."""
    chance = random.Random(SEED)
    run = make_run(dict.fromkeys("abcd", brief))
    kills = 0
    with qlaunch_running():
        end = time.monotonic() + 400
        while kills < 10 and not run.is_complete():
            assert time.monotonic() < end, f"{kills} kills: {run.counts()} {run.recovered[-20:]}"
            if processes := _at_work(run):
                time.sleep(chance.uniform(0.0, 0.4))
                with contextlib.suppress(ProcessLookupError):
                    faults.kill_process(chance.choice(processes))
                    kills += 1
            elif rest(run, _at_work):
                run.recover()
        left = run.counts()
        come_through(run)
        settle(run)
    again = run.computed_more()
    assert kills
    assert again.total() <= kills
    fault = f"`kill -9` of {kills} workers at random moments"
    table.append(Row(fault, _states(left), run.kinds(), again.total(), not run.differences()))


def _at_work(run) -> list[int]:
    """Processes of the workers that compute."""
    query = {"state": "RUNNING", "fworker.env.pid": {"$gt": 0}}
    known = [one["fworker"]["env"]["pid"] for one in run.launchpad.launches.find(query)]
    return [process for process in known if is_alive(process)]


def _states(counts) -> str:
    return ", ".join(sorted(counts.keys() & {"RUNNING", "RESERVED", "FIZZLED", "COMPLETED"}))


def test_outages_at_any_moment(cluster, make_run, stoppable_mongo, impatient, table):
    """A database that stops while jobs are checked out, stored, completed and grown."""
    chance = random.Random(SEED)
    run = make_run(dict.fromkeys("abcdef", brief))
    outages = 0
    with qlaunch_running():
        run.wait(lambda: executions(run.log).total() > 3, "a first job")
        while outages < 6 and not run.is_complete():
            time.sleep(chance.uniform(0.2, 1.2))
            with faults.database_away(stoppable_mongo.server, chance.uniform(0.5, 3.0)):
                outages += 1
        rest(run)
        left = run.counts()
        come_through(run)
        settle(run)
    again = run.computed_more()
    assert again.total() <= 4 * outages  # workers at a time
    fault = f"the database stops {outages} times for seconds at random moments"
    table.append(Row(fault, _states(left), run.kinds(), again.total(), not run.differences()))


def rest(run, unless=lambda run: False) -> bool:
    """Wait for rest, as long as a user waits before helping: a lock left behind holds others up.

    False if `unless` came true before.
    """
    end = time.monotonic() + 40
    while not run.is_at_rest() and time.monotonic() < end:
        if unless(run):
            return False
        time.sleep(0.1)
    return True


def come_through(run) -> None:
    """Recover as often as a user would, with qlaunch between, until all is done."""
    end = time.monotonic() + 400
    while True:
        rest(run)
        if not run.recover() and run.is_complete():
            return
        assert time.monotonic() < end, f"not recovered: {run.counts()} {run.recovered[-20:]}"
