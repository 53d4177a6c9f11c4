"""Locks, half-written workflows and other things that a killed process leaves behind."""

from __future__ import annotations

from fireworks import FWAction

from sse_flows.launchers import recover as module
from sse_flows.launchers import repair
from sse_flows.launchers.recover import recover
from sse_flows.launchers.scene import Scene
from sse_flows.launchers.snapshot import take_snapshot
from sse_flows.testing.launchpad_states import CHAIN, kinds


def test_one_that_cannot_be_read_stops_no_other_and_is_then_run_again(bench, slurm):
    part, other = bench.part("a", CHAIN), bench.part("b", CHAIN)
    launch = bench.start(part["relax"], 5)
    ended = {"state": "COMPLETED", "created_on": "2020-01-01T00:00:00"}  # and no action
    change = {"$set": {"state": "COMPLETED"}, "$push": {"state_history": ended}}
    bench.pad.launches.update_one({"launch_id": launch}, change)
    bench.start(other["relax"], 6)
    found = recover(bench.pad, bench.store, list(bench.ids), sleep=lambda seconds: None)
    assert "cannot be refreshed" in kinds(found, done=False)
    assert bench.state(other["relax"]) == "READY"
    assert bench.state(part["relax"]) == "FIZZLED"
    found = recover(bench.pad, bench.store, list(bench.ids), sleep=lambda seconds: None)
    assert kinds(found) == [module.FAILED_RUN]
    assert bench.state(part["relax"]) == "READY"


def test_an_end_that_was_not_taken_up_is(bench, mend):
    part = bench.part("a", CHAIN)
    launch = bench.start(part["relax"], 5)
    bench.save(part["relax"])
    bench.pad.launches.update_one(
        {"launch_id": launch},
        {
            "$set": {"state": "COMPLETED", "action": FWAction().to_dict()},
            "$push": {"state_history": {"state": "COMPLETED", "created_on": "2020-01-01T00:00:00"}},
        },
    )
    found = mend()
    assert kinds(found) == [repair.NOT_TAKEN_UP]
    assert bench.state(part["relax"]) == "COMPLETED"
    assert bench.state(part["phonons-1"]) == "READY"


def test_a_lock_left_behind_is_dropped(bench, mend):
    part = bench.part("a", CHAIN)
    bench.pad.workflows.update_one({"nodes": part["relax"]}, {"$set": {"locked": True}})
    bench.part("b", CHAIN)
    found = mend()
    assert [(one.kind, one.who) for one in found] == [(repair.LOCK, "a")]
    assert not bench.pad.workflows.find_one({"locked": True})


def test_a_lock_in_use_is_left(bench, mend, slurm):
    part = bench.part("a", CHAIN)
    flows = bench.pad.workflows
    flows.update_one({"nodes": part["relax"]}, {"$set": {"locked": True}})
    moments = iter(range(1000))

    def work(seconds: float) -> None:  # somebody changes the workflow all the time
        change = {"$set": {"updated_on": f"moment {next(moments)}"}}
        flows.update_one({"nodes": part["relax"]}, change)

    assert recover(bench.pad, bench.store, ["a"], sleep=work) == []
    assert flows.find_one({"locked": True})


def test_a_half_written_end_is_taken_up_again(bench, mend):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"])
    # killed after the fireworks were written, before the workflow was
    node = {"nodes": part["relax"]}
    for job, state in (("relax", "RUNNING"), ("phonons-1", "WAITING"), ("phonons-2", "WAITING")):
        bench.pad.workflows.update_one(node, {"$set": {f"fw_states.{part[job]}": state}})
    bench.pad.fireworks.update_one({"fw_id": part["phonons-2"]}, {"$set": {"state": "WAITING"}})
    found = mend()
    assert kinds(found) == [repair.HALF_WRITTEN]
    for job, state in (("relax", "COMPLETED"), ("phonons-1", "READY"), ("phonons-2", "READY")):
        assert bench.state(part[job]) == bench.remembered(part[job]) == state


def test_an_outdated_state_of_a_workflow_is_written_anew(bench, mend):
    part = bench.part("a", CHAIN)
    bench.pad.workflows.update_one({"nodes": part["relax"]}, {"$set": {"state": "FIZZLED"}})
    assert kinds(mend()) == [repair.HALF_WRITTEN]
    assert bench.pad.workflows.find_one({"nodes": part["relax"]})["state"] == "READY"


def test_the_state_of_a_workflow_that_tolerates_a_failure_is_right(bench, mend):
    part = bench.part("a", {"order": [], "relax": ["order"]}, tolerant=["relax"])
    bench.fail(part["order"], "a reason of its own")
    assert bench.pad.workflows.find_one()["state"] == "RUNNING"
    assert mend() == []


def test_a_workflow_without_some_fireworks_is_told_of(bench, mend):
    part = bench.part("a", CHAIN)
    bench.pad.fireworks.delete_one({"fw_id": part["descriptors"]})
    found = mend()
    assert kinds(found) == []
    assert "sse submit" in found[0].mend


def test_a_job_that_waits_for_nothing_is_woken(bench, mend):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"])
    for fw_id in (part["phonons-1"], part["phonons-2"]):
        bench.pad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": "WAITING"}})
        change = {"$set": {f"fw_states.{fw_id}": "WAITING", "state": "RUNNING"}}
        bench.pad.workflows.update_one({"nodes": fw_id}, change)
    found = mend()
    assert repair.STUCK in kinds(found)
    assert bench.state(part["phonons-1"]) == bench.state(part["phonons-2"]) == "READY"


def test_fireworks_without_a_workflow_are_archived(bench, mend):
    part = bench.part("a", CHAIN)
    doc = bench.pad.fireworks.find_one({"fw_id": part["relax"]})
    doc.pop("_id")
    for number, state in ((997, "WAITING"), (998, "RUNNING"), (999, "READY")):
        bench.pad.fireworks.insert_one({**doc, "fw_id": number, "state": state})
    bench.pad.workflows.update_one({"nodes": part["relax"]}, {"$set": {"locked": True}})
    scene = Scene(bench.pad, bench.store, list(bench.ids))
    scene.snapshot = take_snapshot(bench.pad, None)
    repair.archive_orphans(scene)
    assert scene.findings == []  # somebody lets the workflow grow just now
    bench.pad.workflows.update_one({"nodes": part["relax"]}, {"$unset": {"locked": True}})
    assert kinds(mend()) == [repair.ORPHAN] * 3
    assert {bench.state(number) for number in (997, 998, 999)} == {"ARCHIVED"}


def test_an_orphan_that_a_worker_takes_after_the_look_is_not_called_archived(bench, monkeypatch):
    part = bench.part("a", CHAIN)
    doc = bench.pad.fireworks.find_one({"fw_id": part["relax"]})
    doc.pop("_id")
    bench.pad.fireworks.insert_one({**doc, "fw_id": 999})
    looked = repair._is_orphan

    def then_taken(*args):
        bench.pad.fireworks.update_one({"fw_id": 999}, {"$set": {"state": "RESERVED"}})
        return looked(*args)

    monkeypatch.setattr(repair, "_is_orphan", then_taken)
    scene = Scene(bench.pad, bench.store, list(bench.ids))
    scene.snapshot = take_snapshot(bench.pad, None)
    repair.archive_orphans(scene)
    assert scene.findings == []
    assert bench.state(999) == "RESERVED"


def test_a_complete_workflow_with_a_firework_that_is_not_is_mended(bench, mend):
    part = bench.part("a", {"relax": []})
    bench.finish(part["relax"])
    bench.pad.fireworks.update_one({"fw_id": part["relax"]}, {"$set": {"state": "READY"}})
    assert kinds(mend()) == [repair.HALF_WRITTEN]
    assert bench.state(part["relax"]) == bench.remembered(part["relax"]) == "COMPLETED"


def test_an_end_that_asked_for_more_jobs_is_taken_up_by_one_of_two(bench, slurm):
    from fireworks import Firework, FWAction, Workflow

    from sse_flows.testing.launchpad_states import NoTask

    part = bench.part("a", CHAIN)
    sse = bench.pad.fireworks.find_one({"fw_id": part["relax"]})["spec"]["sse"]
    more = Firework([NoTask(job="")], {"sse": {**sse, "uuid": "more"}}, "more")
    launch = bench.start(part["relax"], 5)
    action = FWAction(detours=[Workflow([more])])
    bench.save(part["relax"])
    node = {"nodes": part["relax"]}
    ended = {"state": "COMPLETED", "action": action.to_dict(), "time_end": "2020-01-01T00:00:00"}
    bench.pad.launches.update_one({"launch_id": launch}, {"$set": ended})
    bench.pad.fireworks.update_one({"fw_id": part["relax"]}, {"$set": {"state": "COMPLETED"}})
    assert bench.pad.workflows.find_one(node)["fw_states"][str(part["relax"])] == "RUNNING"
    inner = []

    def meanwhile(seconds: float) -> None:
        if not inner:
            inner.append(1)
            inner.append(recover(bench.pad, bench.store, None, sleep=lambda seconds: None))

    found = recover(bench.pad, bench.store, None, sleep=meanwhile)
    assert repair.HALF_WRITTEN in kinds(inner[1])
    assert repair.HALF_WRITTEN not in kinds(found)
    assert bench.pad.fireworks.count_documents({"spec.sse.uuid": "more"}) == 1
