"""A worker that was given up for lost and comes back at the worst moment changes nothing."""

from __future__ import annotations

import os
import signal
import time

import pytest
from jobflow import Flow
from pymongo import monitoring

from sse_flows.campaign.keys import keyed
from sse_flows.launchers.submit import Submitter
from sse_flows.testing import jobs
from sse_flows.testing.jobs import executions
from sse_flows.testing.launchpads import drain_by_worker, stopped_worker

writes: list[int] = []


class StopBeforeStoring(monitoring.CommandListener):
    """Stops the process just before it writes a job's document."""

    def started(self, event) -> None:
        if event.command_name == "update" and event.command.get("update") == "outputs":
            writes.append(1)
            if len(writes) == 1:
                os.kill(os.getpid(), signal.SIGSTOP)

    def succeeded(self, event) -> None:
        pass

    def failed(self, event) -> None:
        pass


@pytest.mark.parametrize("kind", ["plain", "growing"])
def test_a_worker_stopped_between_its_last_look_and_its_write_leaves_its_successors_result(
    place, tmp_path, kind
):
    launchpad, store = place
    log = str(tmp_path / "log")
    job = jobs.add(1, 2, log) if kind == "plain" else jobs.fan_out([1, 2], log)
    flow = Flow([job])
    flow.update_metadata({"stage": "relax", "compound": "x"}, dynamic=True)
    Submitter(launchpad, store, tmp_path / "run").submit(keyed(flow), "campaign")
    zombie = stopped_worker(launchpad, store, lambda: monitoring.register(StopBeforeStoring()))
    launchpad.rerun_fw(1)  # what `sse recover` does once the worker's job is gone
    time.sleep(0.01)
    drain_by_worker(launchpad)
    before = sorted(store.query(), key=lambda doc: (doc["uuid"], doc["index"]))
    states = {doc["fw_id"]: doc["state"] for doc in launchpad.fireworks.find()}
    assert set(states.values()) == {"COMPLETED"}
    os.kill(zombie, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(zombie, 0)[1]) == 0
    assert sorted(store.query(), key=lambda doc: (doc["uuid"], doc["index"])) == before
    assert {doc["fw_id"]: doc["state"] for doc in launchpad.fireworks.find()} == states
    first = launchpad.fireworks.find_one({"fw_id": 1})["spec"]["sse"]
    ran = executions(log)
    assert ran.pop((first["uuid"], 1)) == 2
    assert set(ran.values()) <= {1}
