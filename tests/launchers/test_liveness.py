"""What is lost is put back, and what may be alive never is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from sse_flows.launchers import recover as module
from sse_flows.launchers.fence import LEFT
from sse_flows.launchers.workers import mark_died
from sse_flows.testing.launchpad_states import CHAIN, kinds


def launch_of(bench, fw_id: int) -> dict:
    return bench.pad.launches.find_one({"fw_id": fw_id})


def left_its_folder(bench, fw_id: int) -> bool:
    """Whether the process of the launch is known to have ended: its successor copies nothing."""
    return launch_of(bench, fw_id).get("sse", {}).get(LEFT, False)


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
    ("state", "why", "dead"),
    [
        (None, "not in the queue any more", False),
        ("CANCELLED", "ended (cancelled)", True),
        ("TIMEOUT", "ended (timeout)", True),
        ("OUT_OF_MEMORY", "ended (out of memory)", True),
        ("NODE_FAIL", "ended (node fail)", False),
        ("PENDING", "put back into the queue", False),
    ],
)
def test_a_run_whose_job_is_gone_is_put_back(bench, mend, slurm, state, why, dead):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5)
    slurm.set(**({"j5": state} if state else {}))
    found = mend()
    assert kinds(found) == [module.LOST_RUN]
    assert why in found[0].why
    assert bench.state(part["relax"]) == "READY"
    assert bench.remembered(part["relax"]) == "READY"
    assert launch_of(bench, part["relax"])["state"] == "FIZZLED"
    assert left_its_folder(bench, part["relax"]) is dead


def test_a_process_that_died_in_a_job_that_goes_on_is_put_back(bench, mend, slurm):
    part, other = bench.part("a", CHAIN), bench.part("b", CHAIN)
    bench.start(part["relax"], 5, host=socket.gethostname(), pid=77)
    bench.start(other["relax"], 5, host=socket.gethostname(), pid=78)
    slurm.set(j5="RUNNING")
    assert mend() == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_JOB_ID", "5")
        patch.delenv("SLURM_CLUSTER_NAME", raising=False)
        mark_died(bench.pad, 77, -9)
    found = mend()
    assert [(one.kind, one.who) for one in found] == [(module.LOST_RUN, "a relax")]
    assert "process 77 ended with -9" in found[0].why
    assert left_its_folder(bench, part["relax"])
    assert bench.state(other["relax"]) == "RUNNING"


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
    assert left_its_folder(bench, gone["relax"])


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
