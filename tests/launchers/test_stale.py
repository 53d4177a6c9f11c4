"""Gates open when their parts have ended, and close again where these run anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from sse_flows.launchers import recover as module
from sse_flows.launchers.recover import Options, recover
from sse_flows.testing.jobs import executions
from sse_flows.testing.launchpad_states import kinds


def test_a_gate_opens_when_what_it_waits_for_has_ended(bench, mend):
    part = bench.part("a", {"relax": []})
    tail = bench.part("tail", {"models": []}, kind="tail", needs=["a"])
    assert mend() == []
    assert bench.state(tail["models"]) == "PAUSED"
    bench.finish(part["relax"])
    assert kinds(mend()) == ["gate"]
    assert bench.state(tail["models"]) == "READY"


def test_a_tail_older_than_its_inputs_runs_again(bench, mend):
    part = bench.part("a", {"relax": []})
    tail = bench.part("tail", {"models": [], "screening": ["models"]}, "tail", ["a"])
    bench.fail(part["relax"], "a reason of its own")
    mend()
    for job in ("models", "screening"):
        bench.finish(tail[job])
    assert mend() == []
    bench.pad.rerun_fw(part["relax"])
    bench.finish(part["relax"])
    found = mend()
    assert kinds(found) == ["older than its inputs", "gate"]
    assert bench.state(tail["models"]) == "READY"
    assert bench.state(tail["screening"]) == "WAITING"
    for job in ("models", "screening"):
        bench.finish(tail[job])
    assert mend() == []


def test_a_tail_waits_for_what_is_put_back(bench, mend):
    part = bench.part("a", {"relax": []})
    tail = bench.part("tail", {"models": []}, kind="tail", needs=["a"])
    bench.fail(part["relax"], "a reason of its own")
    mend()
    bench.finish(tail["models"])
    found = mend(failed=True)
    assert kinds(found) == [module.FAILED_RUN, "older than its inputs"]
    assert bench.state(tail["models"]) == "PAUSED"
    bench.finish(part["relax"])
    assert kinds(mend()) == ["gate"]


@pytest.fixture
def real(mock_cluster):
    """Campaigns of real jobs, run in this process."""
    return mock_cluster


def put_back(real, **options) -> list:
    keys = real.submission.parts
    return recover(real.launchpad, real.store, keys, Options(**options), lambda seconds: None)


def test_a_compound_that_comes_late_gets_into_the_models(real, tmp_path):
    until = str(tmp_path / "mended")
    real.submit(failing=["b"], until=until)
    real.drain()
    assert real.tail()["models"]["count"] == 2
    assert put_back(real) == []
    Path(until).touch()
    assert kinds(put_back(real, failed=True)) == [module.FAILED_RUN, "older than its inputs"]
    assert put_back(real) == []
    real.drain()
    assert real.tail()["models"]["count"] == 3
    assert set(real.states()) == {"COMPLETED"}
    assert put_back(real) == []


def test_lost_results_are_computed_again_and_no_others(real):
    real.submit()
    real.drain()
    before, ran = real.documents(), executions(real.log)
    lost = real.launchpad.fireworks.find_one({"name": {"$regex": "^b "}, "spec.sse.stage": "relax"})
    uuids = {lost["spec"]["sse"]["uuid"]}
    last = real.launchpad.fireworks.find(
        {
            "spec.sse.compound": "b",
            "spec.sse.stage": "descriptors",
            "spec._allow_fizzled_parents": {"$ne": True},
        }
    )
    uuids |= {doc["spec"]["sse"]["uuid"] for doc in last}
    real.store.remove_docs({"uuid": {"$in": sorted(uuids)}})
    assert module.NO_RESULT in kinds(put_back(real))
    real.drain()
    assert set(real.states()) == {"COMPLETED"}
    assert real.documents().keys() == before.keys()
    again = executions(real.log) - ran
    assert uuids <= {uuid for uuid, _ in again}
    assert put_back(real) == []
