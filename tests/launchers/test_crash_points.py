"""A worker that dies between any two writes loses nothing, and little is done twice."""

from __future__ import annotations

import os
import random
import signal

import pytest

from sse_flows.launchers import liveness, repair
from sse_flows.launchers.recover import recover
from sse_flows.testing import jobs
from sse_flows.testing.crash_points import drain_until_write
from sse_flows.testing.fault_runs import FaultRun

SEED = int(os.environ.get("SSE_FAULT_SEED", "1"))

pytestmark = pytest.mark.slow


@pytest.fixture
def run(launchpad, job_store, site, tmp_path, monkeypatch):
    for module, name in ((repair, "TAKE_UP"), (liveness, "GRACE")):
        monkeypatch.setattr(module, name, -1.0)  # nobody else is at work
    found = FaultRun(launchpad, job_store, tmp_path / "campaign", dict.fromkeys("ab", brief))
    found.submit()
    return found


def brief(number, gate, log):
    """A relaxation that waits for nothing."""
    return jobs.add(number, 1, log)


def mend(run) -> list[str]:
    found = recover(run.launchpad, run.store, None, sleep=lambda seconds: None)
    return [one.line() for one in found]


def die_again_and_again(run, choose) -> int:
    """Drain with workers that die at the chosen writes, and recover after each; returns deaths."""
    deaths, found = 0, []
    while not run.is_complete():
        process = drain_until_write(run.launchpad, run.store, choose(deaths))
        died = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
        deaths += died
        found.append(mend(run))
        assert died or found[-1] or run.is_complete(), f"stuck: {run.counts()} {found[-5:]}"
    assert mend(run) == []
    assert run.differences() == {}
    return deaths


def test_a_worker_that_dies_at_every_write_in_turn(run):
    deaths = die_again_and_again(run, lambda deaths: 1 + (SEED + deaths) % 23)
    again = run.computed_more()
    print(f"{deaths} deaths, {sum(again.values())} computed again")
    assert deaths > 40
    assert sum(again.values()) <= deaths


def test_a_worker_that_dies_at_any_write(run):
    chance = random.Random(SEED)
    deaths = die_again_and_again(run, lambda deaths: chance.randint(1, 48))
    again = run.computed_more()
    print(f"{deaths} deaths, {sum(again.values())} computed again")
    assert deaths > 15
    assert sum(again.values()) <= deaths
