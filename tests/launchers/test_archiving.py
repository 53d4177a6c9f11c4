"""What is taken off the LaunchPad has nothing that runs, whoever opens its gates meanwhile."""

from __future__ import annotations

import threading

import pytest
from fireworks import FWorker

from sse_flows.launchers import archiving, gates
from sse_flows.launchers.archiving import archive


@pytest.mark.parametrize("running", [True, False])
def test_what_runs_is_left(bench, running):
    part = bench.part("t", {"models": []})
    if running:
        bench.start(part["models"], 5)
    else:
        bench.finish(part["models"])
    done = archive(bench.pad, bench.pad.workflows.find_one())
    assert done == (not running)
    assert bench.state(part["models"]) == ("RUNNING" if running else "ARCHIVED")


def test_a_gate_that_opens_just_then_does_not_run(bench, monkeypatch):
    part = bench.part("t", {"models": []}, needs=["gone"])
    looked = bench.pad.fireworks.find_one

    def open_and_take() -> None:
        gates.release(bench.pad)
        bench.pad.checkout_fw(FWorker(), "/")

    opener = threading.Thread(target=open_and_take)

    def then_opened(*args, **kwargs):
        found = looked(*args, **kwargs)
        if not opener.ident:
            opener.start()
            opener.join(0.5)
        return found

    monkeypatch.setattr(bench.pad.fireworks, "find_one", then_opened)
    assert archive(bench.pad, bench.pad.workflows.find_one())
    opener.join(60)
    assert bench.state(part["models"]) == bench.remembered(part["models"]) == "ARCHIVED"
    assert bench.pad.workflows.find_one()["state"] == "ARCHIVED"


def test_a_workflow_that_somebody_works_on_is_left(bench, monkeypatch):
    part = bench.part("t", {"models": []})
    bench.finish(part["models"])
    bench.pad.workflows.update_one({}, {"$set": {"locked": True}})
    monkeypatch.setattr(archiving, "LOCK_WAIT", 0)
    assert not archive(bench.pad, bench.pad.workflows.find_one())
    assert bench.state(part["models"]) == "COMPLETED"
