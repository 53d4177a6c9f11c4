"""Every state that a fault leaves behind is found and put right, once; nothing alive is hurt."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fireworks import FWAction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobflow import Flow

from sse_flows.campaign.flow import Plan
from sse_flows.campaign.keys import keyed
from sse_flows.launchers import firetask, repair, watch
from sse_flows.launchers import recover as module
from sse_flows.launchers.queue import Queue, QueueJob
from sse_flows.launchers.recover import Options, recover
from sse_flows.launchers.scene import Scene
from sse_flows.launchers.snapshot import take_snapshot
from sse_flows.launchers.submission import Submission
from sse_flows.launchers.submit import Submitter
from sse_flows.testing import jobs
from sse_flows.testing.jobs import executions
from sse_flows.testing.launchpad_states import Bench, FakeSlurm, memory_launchpad, memory_store
from sse_flows.testing.launchpads import MockCluster

CHAIN = {
    "relax": [],
    "phonons-1": ["relax"],
    "phonons-2": ["relax"],
    "phonons": ["phonons-1", "phonons-2"],
    "descriptors": ["phonons"],
}


@pytest.fixture
def bench():
    return Bench(memory_launchpad(), memory_store())


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    fake = FakeSlurm(tmp_path / "slurm")
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    return fake


@pytest.fixture
def mend(bench, slurm):
    """Recover, and see that a second time changes nothing more."""

    def mend(*keys: str, **options) -> list:
        keys = list(keys) or list(bench.ids)
        found = recover(bench.pad, bench.store, keys, Options(**options), lambda seconds: None)
        if not options.get("dry_run"):
            again = recover(bench.pad, bench.store, keys, Options(**options), lambda seconds: None)
            assert [one for one in again if one.did] == []
        return found

    return mend


def kinds(found, done: bool = True) -> list[str]:
    return [one.kind for one in found if bool(one.did) == done]


def launch_of(bench, fw_id: int) -> dict:
    return bench.pad.launches.find_one({"fw_id": fw_id})


def test_nothing_is_found_where_nothing_is_wrong(bench, mend, slurm):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"])
    bench.start(part["phonons-1"], 5)
    bench.reserve(part["phonons-2"], 6)
    slurm.set(j5="RUNNING", j6="PENDING")
    assert mend() == []
    assert bench.state(part["phonons-1"]) == "RUNNING"
    assert bench.state(part["phonons-2"]) == "RESERVED"


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (None, "not in the queue any more"),
        ("CANCELLED", "ended (cancelled)"),
        ("TIMEOUT", "ended (timeout)"),
        ("OUT_OF_MEMORY", "ended (out of memory)"),
        ("PENDING", "put back into the queue"),
    ],
)
def test_a_run_whose_job_is_gone_is_put_back(bench, mend, slurm, state, why):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5)
    slurm.set(**({"j5": state} if state else {}))
    found = mend()
    assert kinds(found) == [module.LOST_RUN]
    assert why in found[0].why
    assert bench.state(part["relax"]) == "READY"
    assert bench.remembered(part["relax"]) == "READY"
    assert launch_of(bench, part["relax"])["state"] == "FIZZLED"


def test_a_run_in_a_job_that_began_anew_is_put_back(bench, mend, slurm):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5)
    bench.age(part["relax"], 1)
    slurm.set(j5="RUNNING")  # since half a minute
    found = mend()
    assert "requeued" in found[0].why
    assert bench.state(part["relax"]) == "READY"


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING"])
def test_a_living_job_is_left_alone(bench, mend, slurm, state):
    part = bench.part("a", CHAIN)
    launch = bench.start(part["relax"], 5)
    slurm.set(j5=state)
    assert mend(failed=True) == []
    assert bench.state(part["relax"]) == "RUNNING"
    assert launch_of(bench, part["relax"])["launch_id"] == launch


def test_nothing_is_put_back_while_slurm_does_not_answer(bench, mend, slurm):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"])
    bench.start(part["phonons-1"], 5)
    bench.reserve(part["phonons-2"], 6)
    bench.age(part["phonons-1"], 1000)
    slurm.stop()
    found = mend()
    assert kinds(found) == []
    assert kinds(found, done=False) == [module.NOT_SURE, module.NOT_SURE]
    assert "Slurm does not answer" in found[0].why


def test_the_job_of_another_cluster_is_left_alone(bench, mend):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5, slurm_cluster="elsewhere")
    found = mend()
    assert kinds(found) == []
    assert "elsewhere" in found[0].why


def test_jobs_of_others_that_slurm_hides_are_left_alone(bench, mend, slurm, monkeypatch):
    slurm.configure(PrivateData="jobs")
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5)
    monkeypatch.setattr(os, "getuid", lambda: 123456)
    assert kinds(mend()) == []


def test_a_reservation_whose_job_is_gone_is_cancelled(bench, mend):
    part = bench.part("a", CHAIN)
    bench.reserve(part["relax"], 5)
    found = mend()
    assert kinds(found) == [module.LOST_RESERVATION]
    assert bench.state(part["relax"]) == "READY"


def test_a_reservation_that_never_reached_the_queue_is_cancelled_after_a_while(bench, mend):
    part = bench.part("a", CHAIN)
    bench.reserve(part["relax"], None)
    assert kinds(mend()) == []
    bench.age(part["relax"], 1)
    assert kinds(mend()) == [module.LOST_RESERVATION]
    assert bench.state(part["relax"]) == "READY"


def test_a_reservation_without_a_launch_is_put_back(bench, mend):
    part = bench.part("a", CHAIN)
    bench.age(part["relax"], 1)
    # qlaunch killed between two writes
    bench.pad.fireworks.update_one({"fw_id": part["relax"]}, {"$set": {"state": "RESERVED"}})
    assert module.LOST_RESERVATION in kinds(mend()) or bench.state(part["relax"]) == "READY"
    assert bench.state(part["relax"]) == "READY"


def test_processes_of_this_machine_are_looked_at(bench, mend):
    host = socket.gethostname()
    here, gone = bench.part("a", CHAIN), bench.part("b", CHAIN)
    bench.start(here["relax"], host=host, pid=os.getpid())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    bench.start(gone["relax"], host=host, pid=dead.pid)
    found = mend()
    assert [(one.kind, one.who) for one in found] == [(module.LOST_RUN, "b relax")]
    assert bench.state(here["relax"]) == "RUNNING"
    assert bench.state(gone["relax"]) == "READY"


def test_a_number_given_to_a_later_process_is_not_the_old_one(bench, mend):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], host=socket.gethostname(), pid=os.getpid())
    bench.age(part["relax"], 24 * 365 * 20)  # before this process was born
    assert kinds(mend()) == [module.LOST_RUN]


def test_what_runs_elsewhere_is_lost_when_it_was_silent_for_long(bench, mend):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], host="elsewhere", pid=7)
    assert kinds(mend(), done=False) == [module.NOT_SURE]
    bench.age(part["relax"], 5)  # FireWorks: four hours
    assert kinds(mend()) == [module.LOST_RUN]


def test_a_run_started_by_hand_is_not_judged_by_its_reservation(bench, mend, slurm):
    part = bench.part("a", CHAIN)
    bench.reserve(part["relax"], 5)
    bench.start(part["relax"], host="elsewhere", pid=7)
    assert kinds(mend()) == []
    assert bench.state(part["relax"]) == "RUNNING"


def test_a_lost_run_whose_result_is_stored_is_put_back_to_find_it(bench, mend):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5)
    bench.save(part["relax"])
    found = mend()
    assert "its result is stored" in found[0].why


def test_a_finished_job_without_a_result_runs_again(bench, mend):
    part = bench.part("a", CHAIN)
    for job in ("relax", "phonons-1"):
        bench.finish(part[job])
    bench.finish(part["phonons-2"], stored=False)
    found = mend()
    assert kinds(found) == [module.NO_RESULT]
    assert bench.state(part["phonons-2"]) == "READY"
    assert bench.state(part["phonons"]) == "WAITING"
    assert bench.state(part["phonons-1"]) == "COMPLETED"


def test_a_finished_job_without_a_result_is_tried_so_often_and_no_more(bench, mend):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"], stored=False)
    for _ in range(module.MAX_RETRIES):
        assert kinds(mend()) == [module.NO_RESULT]
        bench.finish(part["relax"], stored=False)
    assert kinds(mend()) == []
    assert kinds(mend(), done=False) == [module.NO_RESULT]


def test_only_the_last_of_a_job_that_replaced_itself_needs_a_result(bench, mend):
    part = bench.part("a", {"phonons": [], "phonons-2": ["phonons"], "descriptors": ["phonons-2"]})
    same = {"spec.sse.uuid": bench.ids["a"]["phonons"], "spec.sse.index": 2}
    bench.pad.fireworks.update_one({"fw_id": part["phonons-2"]}, {"$set": same})
    bench.finish(part["phonons"], stored=False)
    assert mend() == []
    bench.finish(part["phonons-2"], stored=False)
    assert [(one.kind, one.who) for one in mend()] == [(module.NO_RESULT, "a phonons")]
    assert bench.state(part["phonons"]) == "COMPLETED"
    assert bench.state(part["phonons-2"]) == "READY"


def test_a_store_without_any_result_is_the_wrong_one(bench, mend):
    for number in range(module.FEW):
        bench.finish(bench.part(f"a{number}", {"relax": []})["relax"], stored=False)
    found = mend()
    assert kinds(found) == []
    assert "JOBFLOW_CONFIG_FILE" in found[0].mend


def test_the_last_result_of_a_complete_part_is_enough(bench, mend):
    part = bench.part("a", {"relax": [], "phonons": ["relax"]})
    bench.finish(part["relax"], stored=False)
    bench.finish(part["phonons"])
    assert mend() == []


def test_all_that_is_missing_of_a_complete_part_runs_again(bench, mend):
    bench.finish(bench.part("b", {"relax": []})["relax"])
    part = bench.part("a", CHAIN)
    for job in CHAIN:
        bench.finish(part[job], stored=job not in ("phonons-2", "descriptors"))
    assert kinds(mend()) == [module.NO_RESULT]
    assert bench.state(part["phonons-2"]) == "READY"
    assert bench.state(part["descriptors"]) == "WAITING"


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


def test_a_rerun_never_touches_what_lives_downstream(bench, mend, slurm):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"], stored=False)
    bench.start(part["phonons-1"], 5)
    slurm.set(j5="RUNNING")
    found = mend()
    assert kinds(found) == []
    assert "may be alive" in found[0].mend
    assert bench.state(part["phonons-1"]) == "RUNNING"


@pytest.mark.parametrize(
    ("reason", "trace"),
    [
        ("the connection to the store was lost", ""),
        ("", "Traceback\n  File x\npymongo.errors.AutoReconnect: connection closed"),
        ("the calculation was killed or crashed (signal 9)", ""),
        ("MemoryError: Unable to allocate 3 GiB", ""),
        ("the calculation ended but its results are incomplete (data-file-schema.xml)", ""),
        ("EOFError: Compressed file ended before the end-of-stream marker", ""),
    ],
)
def test_passing_trouble_is_tried_again_three_times(bench, mend, reason, trace):
    part = bench.part("a", CHAIN)
    for number in range(module.MAX_RETRIES):
        bench.fail(part["relax"], reason, trace=trace)
        found = mend()
        assert kinds(found) == [module.FAILED_RUN]
        assert f"retry {number + 1} of 3" in found[0].why
        assert bench.state(part["relax"]) == "READY"
    bench.fail(part["relax"], reason, trace=trace)
    found = mend()
    assert kinds(found) == []
    assert "--failed" in found[0].mend
    assert kinds(mend(failed=True)) == [module.FAILED_RUN]


def test_what_failed_for_a_reason_of_its_own_is_left_unless_asked_for(bench, mend):
    part = bench.part("a", CHAIN)
    bench.fail(part["relax"], "the self-consistent field did not converge", "mix less")
    assert mend() == []
    assert bench.state(part["relax"]) == "FIZZLED"
    assert kinds(mend(failed=True)) == [module.FAILED_RUN]
    assert bench.state(part["relax"]) == "READY"


def test_a_failure_whose_result_came_all_the_same_is_put_back(bench, mend):
    part = bench.part("a", CHAIN)
    bench.fail(part["relax"], "a reason of its own")
    bench.save(part["relax"])
    assert kinds(mend()) == [module.FAILED_RUN]


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


def test_a_dry_run_changes_nothing(bench, mend, slurm):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5)
    other = bench.part("b", CHAIN)
    bench.fail(other["relax"], "MemoryError")
    bench.pad.workflows.update_one({"nodes": other["relax"]}, {"$set": {"locked": True}})

    def everything() -> list:
        names = ("fireworks", "launches", "workflows")
        return [list(getattr(bench.pad, name).find()) for name in names]

    before = everything()
    found = mend(dry_run=True)
    assert kinds(found) == [repair.LOCK, module.LOST_RUN, module.FAILED_RUN]
    assert everything() == before
    assert kinds(mend()) == [repair.LOCK, module.LOST_RUN, module.FAILED_RUN]


def test_parts_of_other_campaigns_are_left_alone(bench, mend):
    mine, others = bench.part("a", CHAIN), bench.part("b", CHAIN)
    bench.start(mine["relax"], 5)
    bench.start(others["relax"], 5)
    mend("a")
    assert bench.state(mine["relax"]) == "READY"
    assert bench.state(others["relax"]) == "RUNNING"
    recover(bench.pad, bench.store, None, sleep=lambda seconds: None)
    assert bench.state(others["relax"]) == "READY"


def test_a_job_that_ended_while_slurm_was_asked_is_left_alone(bench, mend, monkeypatch):
    part = bench.part("a", CHAIN)
    launch = bench.start(part["relax"], 5)

    def ask(job_ids):
        if bench.state(part["relax"]) == "RUNNING":
            bench.finish(part["relax"], launch)
        return Queue(answers=True)

    monkeypatch.setattr(watch, "ask_slurm", ask)
    assert mend() == []
    assert bench.state(part["relax"]) == "COMPLETED"


TOLERANT = ("phonons-1", "descriptors")
LIVING = ("alive", "reserved", "unknown")
MOVES = (*LIVING, "waits", "done", "lost result", "gone", "requeued", "unreserved", "passing")
MOVES += ("failed", "half-written")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(st.sampled_from(MOVES), min_size=1, max_size=5), min_size=1, max_size=3))
def test_any_mixture_is_put_right_once_and_the_living_are_left(rows):
    bench = Bench(memory_launchpad(), memory_store())
    jobs: dict[str, QueueJob] = {}
    living = [
        fw_id
        for number, moves in enumerate(rows)
        for fw_id in _play(bench, bench.part(f"c{number}", CHAIN, tolerant=TOLERANT), moves, jobs)
    ]
    before = {fw_id: _launches(bench, fw_id) for fw_id in living}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "ask_slurm", lambda ids: Queue(True, "", jobs))
        recover(bench.pad, bench.store, list(bench.ids), sleep=lambda seconds: None)
        again = recover(bench.pad, bench.store, list(bench.ids), sleep=lambda seconds: None)
    assert [one for one in again if one.did] == []
    assert {fw_id: _launches(bench, fw_id) for fw_id in living} == before
    for fw_id in living:
        assert bench.state(fw_id) == bench.remembered(fw_id)
        assert bench.state(fw_id) in ("RUNNING", "RESERVED")


def _launches(bench: Bench, fw_id: int) -> list[int]:
    return bench.pad.fireworks.find_one({"fw_id": fw_id})["launches"]


def _play(bench: Bench, part: dict[str, int], moves: list[str], jobs: dict) -> list[int]:
    """Move the fireworks of a part one by one, as far as they are ready; those that live."""
    living = []
    for fw_id, move in zip(part.values(), moves, strict=False):
        if bench.state(fw_id) != "READY":
            continue
        if _move(bench, fw_id, move, jobs, 100 + fw_id):
            living.append(fw_id)
    return living


def _move(bench: Bench, fw_id: int, move: str, jobs: dict, number: int) -> bool:
    if move in ("alive", "gone", "requeued"):
        bench.start(fw_id, number)
    elif move == "unknown":
        bench.start(fw_id, host="elsewhere", pid=3)
    elif move in ("reserved", "unreserved"):
        bench.reserve(fw_id, number)
    elif move in ("done", "lost result", "half-written"):
        bench.finish(fw_id, stored=move != "lost result")
    elif move in ("passing", "failed"):
        bench.fail(fw_id, "MemoryError" if move == "passing" else "of its own")
    if move == "half-written":
        change = {"$set": {f"fw_states.{fw_id}": "RUNNING"}}
        bench.pad.workflows.update_one({"nodes": fw_id}, change)
    state = {"alive": "RUNNING", "reserved": "PENDING", "requeued": "PENDING"}.get(move)
    if state:
        jobs[str(number)] = QueueJob(str(number), state)
    return move in LIVING


@pytest.fixture
def real(tmp_path, monkeypatch):
    """Campaigns of real jobs, run in this process."""
    real = MockCluster(tmp_path / "run")
    monkeypatch.setattr(firetask, "open_store", lambda: real.store)
    yield real
    real.store.close()


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


@pytest.mark.slurm
def test_a_cancelled_job_is_shown_put_back_and_done(cluster, launchpad, job_store, site, tmp_path):
    submitted = lone_job(launchpad, job_store, tmp_path)
    [fw_id] = launchpad.get_fw_ids()
    qlaunch()
    wait_for(lambda: launchpad.get_fw_dict_by_id(fw_id)["state"] == "RUNNING")
    status = watch.watch(*submitted, launchpad, job_store)
    assert status.stages["a"]["order"] == "running"
    assert status.notes["a"]["order"].startswith("n")
    assert recover(launchpad, job_store, None) == []
    job = launchpad.launches.find_one({})["fworker"]["env"]["slurm_job_id"]
    cluster.run("scancel", job)
    cluster.wait_for_state(job, "CANCELLED")
    status = watch.watch(*submitted, launchpad, job_store)
    assert status.stages["a"]["order"] == "lost"
    assert status.lost[0].reason == f"job {job} ended (cancelled)"
    assert kinds(recover(launchpad, job_store, None)) == [module.LOST_RUN]
    assert recover(launchpad, job_store, None) == []
    qlaunch()
    wait_for(lambda: launchpad.get_fw_dict_by_id(fw_id)["state"] == "COMPLETED")
    status = watch.watch(*submitted, launchpad, job_store)
    assert status.stages["a"]["order"] == "done"
    assert status.complete


def lone_job(launchpad, job_store, folder) -> tuple[Plan, Submission]:
    """Submit one job that takes some seconds."""
    job = jobs.add(1, 2, seconds=8)
    job.update_metadata({"stage": "order", "compound": "a"})
    submitter = Submitter(launchpad, job_store, folder)
    flow = keyed(Flow([job]))
    submitter.submit(flow, "lone")
    [one] = flow.jobs()
    plan = Plan(name="lone", roles={"a": ["train"]}, jobs={"a": {"order": one["uuid"]}})
    return plan, submitter.submission


def qlaunch() -> None:
    command = [shutil.which("qlaunch"), "-s", "-r", "singleshot"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)
