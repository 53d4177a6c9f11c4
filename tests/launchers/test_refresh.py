"""A firework that somebody changes between the look at it and its refresh is left to him."""

from __future__ import annotations

import pytest
from fireworks import FWAction, Workflow
from fireworks.core.launchpad import WFLock

from sse_flows.launchers import gates, liveness, recover, repair
from sse_flows.launchers.recover import LOST_RESERVATION, NOT_SURE
from sse_flows.launchers.refresh import refresh_unchanged
from sse_flows.launchers.scene import Scene
from sse_flows.launchers.snapshot import take_snapshot
from sse_flows.testing.launchpad_states import CHAIN, kinds


def stuck(bench) -> int:
    """A firework that waits although all that it builds on has ended."""
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"])
    bench.pad.fireworks.update_one({"fw_id": part["phonons-1"]}, {"$set": {"state": "WAITING"}})
    change = {f"fw_states.{part['phonons-1']}": "WAITING"}
    bench.pad.workflows.update_one({"nodes": part["relax"]}, {"$set": change})
    return part["phonons-1"]


def check_out(bench, fw_id: int) -> None:
    """The first write of a worker's checkout, which takes what is READY; the launch comes later."""
    found = bench.pad.fireworks.update_one(
        {"fw_id": fw_id, "state": "READY"}, {"$set": {"state": "RESERVED"}}
    )
    assert found.modified_count


def scene_of(bench) -> Scene:
    scene = Scene(bench.pad, bench.store, list(bench.ids))
    scene.snapshot = take_snapshot(bench.pad, scene.keys)
    return scene


def test_one_that_a_worker_takes_after_the_look_is_not_woken(bench, monkeypatch):
    fw_id, read = stuck(bench), repair.read_fireworks

    def then_taken(*args):
        found = read(*args)
        bench.pad._refresh_wf(fw_id)  # another `sse recover` is quicker
        check_out(bench, fw_id)
        return found

    monkeypatch.setattr(repair, "read_fireworks", then_taken)
    scene = scene_of(bench)
    repair.wake_stuck(scene)
    assert scene.findings == []
    assert bench.state(fw_id) == "RESERVED"


@pytest.mark.parametrize("taken", ["itself", "one behind it", "nothing"])
def test_one_that_changes_while_its_state_is_worked_out_is_not_written(bench, monkeypatch, taken):
    part = bench.part("a", {"relax": [], "phonons": ["relax"]})
    launch = bench.start(part["relax"], 5)
    ended = {"state": "COMPLETED", "action": FWAction().to_dict(), "time_end": "2020-01-01"}
    bench.pad.launches.update_one({"launch_id": launch}, {"$set": ended})
    changed = {"itself": part["relax"], "one behind it": part["phonons"], "nothing": 0}[taken]
    worked_out = Workflow.refresh

    def then_taken(self, fw_id, updated_ids=None):
        found = worked_out(self, fw_id, updated_ids)
        bench.pad.fireworks.update_one({"fw_id": changed}, {"$set": {"state": "PAUSED"}})
        return found

    monkeypatch.setattr(Workflow, "refresh", then_taken)
    done = refresh_unchanged(bench.pad, part["relax"], ("RUNNING", (launch,)))
    assert done == (taken != "itself")
    expected = {part["relax"]: "RUNNING", part["phonons"]: "WAITING"}
    if done:
        expected = {part["relax"]: "COMPLETED", part["phonons"]: "READY"}
    for fw_id, state in expected.items():
        assert bench.state(fw_id) == ("PAUSED" if fw_id == changed else state)
    assert not bench.pad.workflows.find_one({"locked": {"$exists": True}})


def test_an_end_that_was_taken_up_and_begun_anew_is_not_taken_up_again(bench, slurm, monkeypatch):
    part = bench.part("a", CHAIN)
    launch = bench.start(part["relax"], 5)
    ended = {"state": "FIZZLED", "created_on": "2020-01-01T00:00:00"}
    change = {"$set": {"state": "FIZZLED"}, "$push": {"state_history": ended}}
    bench.pad.launches.update_one({"launch_id": launch}, change)
    scene = scene_of(bench)
    bench.pad.rerun_fw(part["relax"])
    check_out(bench, part["relax"])
    repair.take_up_ends(scene)
    assert scene.findings == []
    assert bench.state(part["relax"]) == "RESERVED"


def test_a_worker_that_is_slow_to_check_out_keeps_what_it_took(bench, slurm, monkeypatch):
    part = bench.part("a", CHAIN)
    check_out(bench, part["relax"])
    keys = list(bench.ids)
    found = recover.recover(bench.pad, bench.store, keys, sleep=lambda seconds: None)
    assert bench.state(part["relax"]) == bench.remembered(part["relax"]) == "RESERVED"
    assert NOT_SURE in kinds(found, done=False)
    monkeypatch.setattr(liveness, "GRACE", -1.0)  # the worker died over it
    found = recover.recover(bench.pad, bench.store, keys, sleep=lambda seconds: None)
    assert LOST_RESERVATION in kinds(found)
    assert bench.state(part["relax"]) == "READY"


def test_what_builds_on_an_end_and_has_been_taken_is_not_made_ready_again(bench, slurm):
    part = bench.part("a", {"relax": [], "phonons": ["relax"]})
    bench.finish(part["relax"])
    states = {f"fw_states.{part['relax']}": "RUNNING", f"fw_states.{part['phonons']}": "WAITING"}
    bench.pad.workflows.update_one({"nodes": part["relax"]}, {"$set": states})
    check_out(bench, part["phonons"])
    recover.recover(bench.pad, bench.store, list(bench.ids), sleep=lambda seconds: None)
    assert bench.state(part["relax"]) == bench.remembered(part["relax"]) == "COMPLETED"
    assert bench.state(part["phonons"]) == bench.remembered(part["phonons"]) == "RESERVED"


def test_a_gate_that_another_makes_ready_stays_with_the_worker_that_takes_it(bench, monkeypatch):
    part = bench.part("t", {"models": []}, needs=["gone"])
    entered = WFLock.__enter__

    def then_taken(self):
        monkeypatch.setattr(WFLock, "__enter__", entered)
        bench.pad._refresh_wf(part["models"])  # `sse recover` wakes what waits for nothing
        check_out(bench, part["models"])
        return entered(self)

    monkeypatch.setattr(WFLock, "__enter__", then_taken)
    assert gates.release(bench.pad) == [part["models"]]
    assert bench.state(part["models"]) == "RESERVED"
