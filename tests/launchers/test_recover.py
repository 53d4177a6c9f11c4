"""Results that are missing, failures that pass, and any mixture of faults, put right once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobflow import Flow

from sse_flows.campaign.flow import Plan
from sse_flows.campaign.keys import keyed
from sse_flows.launchers import recover as module
from sse_flows.launchers import repair, reservation, watch, worker, workers
from sse_flows.launchers.listing import read_open
from sse_flows.launchers.queue import Queue, QueueJob
from sse_flows.launchers.recover import recover
from sse_flows.launchers.snapshot import take_snapshot
from sse_flows.launchers.submission import Submission
from sse_flows.launchers.submit import Submitter
from sse_flows.testing import jobs
from sse_flows.testing.launchpad_states import CHAIN, Bench, kinds, memory_launchpad, memory_store


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


def test_a_reservation_that_a_worker_takes_over_is_left_to_it_for_a_while(
    bench, mend, slurm, monkeypatch
):
    part = bench.part("a", CHAIN)
    launch = bench.reserve(part["relax"], 5)  # its job is gone: the worker has cancelled it
    assert reservation.claim(bench.pad, part["relax"], [launch])
    (left,) = mend()
    assert (left.did, left.mend) == ("", "another worker has just taken it over")
    assert bench.state(part["relax"]) == "RESERVED"
    monkeypatch.setattr(reservation, "STALE", timedelta(0))
    time.sleep(0.01)
    assert kinds(mend()) == [module.LOST_RESERVATION]
    assert bench.state(part["relax"]) == "READY"


@pytest.mark.parametrize("end", ["job", "process", "a process of a job that goes on"])
def test_a_claim_of_who_is_gone_does_not_hold(bench, mend, slurm, monkeypatch, end):
    """A worker that takes a reservation over may be killed before it begins."""
    part = bench.part("a", CHAIN)
    launch = bench.reserve(part["relax"], 5)
    slurm.set(j6="FAILED" if end == "job" else "RUNNING")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    place = {**worker.this_process(), "slurm_job_id": None if end == "process" else "6"}
    with monkeypatch.context() as patch:
        patch.setattr(worker, "this_process", lambda: {**place, "pid": gone.pid})
        assert reservation.claim(bench.pad, part["relax"], [launch])
    if end.startswith("a process"):
        (left,) = mend()
        assert left.did == ""
        assert bench.state(part["relax"]) == "RESERVED"
        monkeypatch.setattr(workers, "this_process", lambda: place)
        workers.mark_died(bench.pad, gone.pid, -9)
    assert [one.did for one in mend()] == ["reservation cancelled"]
    assert bench.state(part["relax"]) == "READY"


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


@pytest.mark.slurm
def test_a_cancelled_job_is_shown_put_back_and_done(cluster, launchpad, job_store, site, tmp_path):
    gate = tmp_path / "gate"
    submitted = lone_job(launchpad, job_store, tmp_path, gate)
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
    gate.touch()
    qlaunch()
    wait_for(lambda: launchpad.get_fw_dict_by_id(fw_id)["state"] == "COMPLETED")
    status = watch.watch(*submitted, launchpad, job_store)
    assert status.stages["a"]["order"] == "done"
    assert status.complete


def lone_job(launchpad, job_store, folder, gate) -> tuple[Plan, Submission]:
    """Submit one job that waits for a file."""
    job = jobs.hold(1, str(gate))
    job.update_metadata({"stage": "order", "compound": "a"})
    submitter = Submitter(launchpad, job_store, folder)
    flow = keyed(Flow([job]))
    submitter.submit(flow, "lone")
    [one] = flow.jobs()
    plan = Plan(name="lone", roles={"a": ["train"]}, jobs={"a": {"order": one["uuid"]}})
    return plan, submitter.submission


def qlaunch() -> None:
    command = [shutil.which("qlaunch"), "-s", "-r", "singleshot"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def wait_for(condition, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


def reads(monkeypatch) -> list[str]:
    """Notes each time that the LaunchPad is read as a whole."""
    noted: list[str] = []
    real = module.take_snapshot

    def noting(*arguments):
        noted.append("read")
        return real(*arguments)

    monkeypatch.setattr(module, "take_snapshot", noting)
    return noted


def test_the_launchpad_is_read_once_where_nothing_is_repaired(bench, slurm, monkeypatch):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5)
    noted = reads(monkeypatch)
    assert kinds(recover(bench.pad, bench.store, None)) == [module.LOST_RUN]
    assert noted == ["read"]


def test_the_launchpad_is_read_again_after_a_repair(bench, monkeypatch):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"])
    node = {"nodes": part["relax"]}
    change = {"$set": {f"fw_states.{part['relax']}": "RUNNING"}}
    noted = reads(monkeypatch)
    for dry_run in (True, False):
        bench.pad.workflows.update_one(node, change)
        noted.clear()
        options = module.Options(dry_run=dry_run)
        found = recover(bench.pad, bench.store, None, options, lambda seconds: None)
        assert kinds(found) == [repair.HALF_WRITTEN]
        assert len(noted) == (1 if dry_run else 2)


def test_what_is_done_is_not_read_firework_by_firework(bench):
    for name in "abc":
        part = bench.part(name, CHAIN)
        for job in CHAIN if name != "c" else ["relax"]:
            bench.finish(part[job])
    found = read_open(bench.pad, None, take_snapshot(bench.pad, None))
    assert {one.part for one in found} == {"c"}
    assert len(found) == len(CHAIN)
    bench.pad.fireworks.update_one({"fw_id": 1}, {"$set": {"state": "READY"}})
    for keys in (None, ["a", "b", "c"]):
        found = read_open(bench.pad, keys, take_snapshot(bench.pad, keys))
        assert {one.part for one in found} == {"a", "c"}
