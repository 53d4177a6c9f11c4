"""A worker that dies between any two writes loses nothing, and nothing is done twice."""

from __future__ import annotations

import os
import signal

import pytest

from sse_flows.launchers import liveness, repair
from sse_flows.launchers.recover import recover
from sse_flows.testing import jobs
from sse_flows.testing.crash_points import drain_until_write
from sse_flows.testing.fault_runs import FaultRun

SEED = int(os.environ.get("SSE_FAULT_SEED", "1"))


@pytest.fixture
def run(launchpad, job_store, site, tmp_path, monkeypatch):
    for module, name in ((repair, "TAKE_UP"), (repair, "GRACE"), (liveness, "GRACE")):
        monkeypatch.setattr(module, name, -1.0)  # nobody else is at work
    found = FaultRun(launchpad, job_store, tmp_path / "campaign", dict.fromkeys("ab", brief))
    found.submit()
    return found


def brief(number, gate, log):
    return jobs.add(number, 1, log)


def mend(run) -> list[str]:
    found = recover(run.launchpad, run.store, None, sleep=lambda seconds: None)
    return [one.line() for one in found]


@pytest.mark.slow
def test_a_worker_that_dies_at_every_write_in_turn(run):
    deaths, findings = 0, []
    while not run.is_complete():
        number = 1 + (SEED + deaths) % 23
        process = drain_until_write(run.launchpad, run.store, number)
        died = os.waitpid(process, 0)[1] == signal.SIGKILL
        deaths += died
        nodes = {n for wf in run.launchpad.workflows.find({}) for n in wf["nodes"]}
        orphans = [(fw["fw_id"], fw["state"]) for fw in run.launchpad.fireworks.find({"state": {"$ne": "ARCHIVED"}}) if fw["fw_id"] not in nodes]
        if orphans: print("ORPHANS", number, orphans)
        found = mend(run)
        findings += [(number, *found)]
        assert deaths < 300, findings[-10:]
        if not died and not found and not run.is_complete():
            from pprint import pprint
            from sse_flows.launchers import gates
            for one in findings: print(one)
            for fw in run.launchpad.fireworks.find({}):
                sse = fw["spec"]["sse"]
                print(fw["fw_id"], fw["state"], fw["name"], sse["uuid"][:8], sse["index"], sse.get("needs"), fw["launches"], fw["archived_launches"] if "archived_launches" in fw else "")
            for wf in run.launchpad.workflows.find({}):
                print(wf["metadata"]["sse"]["part"], wf["state"], wf["fw_states"], wf["links"], gates.settled_parts(run.launchpad, [wf["metadata"]["sse"]["part"]]))
            print(run.differences())
            raise AssertionError(f"stuck: {run.counts()} {findings[-10:]}")
    assert mend(run) == []
    again = run.computed_more()
    print(deaths, len([one for one in findings if one[1:]]), sum(again.values()), max(again.values(), default=0))
    for one in findings: print(one)
    assert run.differences() == {}
    assert sum(again.values()) <= deaths
