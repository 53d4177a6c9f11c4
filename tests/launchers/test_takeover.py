"""Fireworks reserved for jobs that still wait: taken over by one process, and by no two."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from sse_flows.launchers import reservation
from sse_flows.launchers.reservation import CLAIM, claim, give_up_claim, right_to_run
from sse_flows.launchers.stop import Stop
from sse_flows.launchers.takeover import Takeover
from sse_flows.launchers.worker import Limits, Worker
from sse_flows.testing.fault_runs import qlaunch_running
from sse_flows.testing.slurm import wait_until

ANY = {"spec._category": "postprocess"}
TASK = "fireworks.user_objects.firetasks.script_task"


def add(launchpad, count=1, category="postprocess", priority=0, task=None):
    """Put fireworks without links on the LaunchPad; returns their ids."""
    from fireworks import Firework, PyTask, Workflow

    spec = {"_category": category, "_priority": priority}
    task = task or PyTask(func="time.sleep", args=[0.0])
    flow = Workflow([Firework([task], spec=dict(spec)) for _ in range(count)])
    return sorted(launchpad.add_wf(flow).values())


def reserve(launchpad, fw_id, job, folder="."):
    """Reserve a firework as qlaunch does."""
    from fireworks import FWorker

    launch = launchpad.reserve_fw(FWorker(), str(folder), fw_id=fw_id)[1]
    if job:
        launchpad.set_reservation_id(launch, job)
    return launch


def state(launchpad, fw_id):
    return launchpad.fireworks.find_one({"fw_id": fw_id})["state"]


class Queue:
    """A queue in which jobs wait, each sent from a folder."""

    def __init__(self, waiting):
        self.waiting, self.cancelled, self.asked = waiting, [], 0

    def ask(self):
        self.asked += 1
        return self.waiting

    def takeover(self, launchpad):
        return Takeover(launchpad, self.ask, self.cancelled.append)


@pytest.fixture(autouse=True)
def known_tasks(monkeypatch):
    """FireWorks finds a task by importing all its modules, also tests with marks unknown here."""
    from fireworks.utilities import fw_serializers

    monkeypatch.setitem(fw_serializers.SAVED_FW_MODULES, "PyTask", TASK)


def test_what_waits_is_claimed_by_priority_once_and_its_job_cancelled(launchpad, tmp_path):
    (low,), (high,) = add(launchpad, priority=1), add(launchpad, priority=2)
    for fw_id, job in ((low, "7"), (high, "8")):
        reserve(launchpad, fw_id, job, tmp_path)
    queue = Queue({"7": str(tmp_path), "8": str(tmp_path)})
    takeover = queue.takeover(launchpad)
    assert [takeover.claim_one(ANY) for _ in range(3)] == [high, low, None]
    assert queue.cancelled == ["8", "7"]
    assert queue.takeover(launchpad).claim_one(ANY) is None
    assert queue.asked == 1  # the second had no reservation to ask for


@pytest.mark.parametrize(
    "waiting",
    [None, {}, {"7": "/somewhere/else"}, {"70": "."}],
    ids=["no answer", "started or gone", "a job of another cluster", "another job"],
)
def test_what_is_not_known_to_wait_is_not_touched(launchpad, tmp_path, waiting):
    (fw_id,) = add(launchpad)
    reserve(launchpad, fw_id, "7", tmp_path)
    queue = Queue(waiting)
    assert queue.takeover(launchpad).claim_one(ANY) is None
    assert queue.cancelled == []
    assert CLAIM.split(".", maxsplit=1)[0] not in launchpad.fireworks.find_one({"fw_id": fw_id})


def test_other_categories_and_reservations_without_a_job_are_left(launchpad, tmp_path):
    (other,), (unsent,) = add(launchpad, category="relax"), add(launchpad)
    reserve(launchpad, other, "7", tmp_path)
    reserve(launchpad, unsent, None, tmp_path)
    queue = Queue({"7": str(tmp_path)})
    assert queue.takeover(launchpad).claim_one(ANY) is None
    assert queue.asked == 0


def test_slurm_is_asked_seldom_and_the_seldomer_in_vain(launchpad, tmp_path, monkeypatch):
    (fw_id,) = add(launchpad)
    reserve(launchpad, fw_id, "7", tmp_path)
    queue = Queue({})
    takeover = queue.takeover(launchpad)
    clock = [0.0]
    monkeypatch.setattr("sse_flows.launchers.takeover.time.monotonic", lambda: clock[0])
    asked = []
    for second in range(1, 100):
        clock[0] = second
        takeover.claim_one(ANY)
        asked.append(queue.asked)
    assert asked[1] == 1
    assert asked[-1] == 6  # after 3, 6, 12, 24, 30 s ...


def test_a_claim_holds_until_it_is_given_up_or_old(launchpad, tmp_path, monkeypatch):
    (fw_id,) = add(launchpad)
    launch = reserve(launchpad, fw_id, "7", tmp_path)
    assert not claim(launchpad, fw_id, [launch + 1])
    assert claim(launchpad, fw_id, [launch])
    assert not claim(launchpad, fw_id, [launch])
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert right_to_run(launchpad, fw_id) == "none"
    give_up_claim(launchpad, fw_id)
    assert claim(launchpad, fw_id, [launch])
    monkeypatch.setattr(reservation, "STALE", timedelta(0))
    time.sleep(0.01)
    assert right_to_run(launchpad, fw_id) == "claimed"


def test_fireworks_itself_drops_the_claim(launchpad, tmp_path):
    from fireworks import FWorker

    (fw_id,) = add(launchpad)
    launch = reserve(launchpad, fw_id, "7", tmp_path)
    assert claim(launchpad, fw_id, [launch])
    launchpad.cancel_reservation(launch)
    launch = reserve(launchpad, fw_id, "8", tmp_path)
    assert claim(launchpad, fw_id, [launch])
    assert launchpad.checkout_fw(FWorker(), str(tmp_path), fw_id)[1] == launch
    assert "sse" not in launchpad.fireworks.find_one({"fw_id": fw_id})


def test_the_emptied_job_takes_what_is_ready_or_ends_without_waiting(
    launchpad, tmp_path, monkeypatch
):
    from fireworks import FWorker

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    running, mine = add(launchpad, 2)
    launchpad.checkout_fw(FWorker(), ".", fw_id=running)
    claim(launchpad, mine, [reserve(launchpad, mine, "7")])
    worker = Worker(launchpad, FWorker("here", "postprocess"), Limits(idle=30.0))
    begin = time.monotonic()
    assert worker.drain(mine).fireworks == 0
    assert time.monotonic() - begin < 25  # and not the 30 s of idleness
    (ready,) = add(launchpad)
    worker.limits = Limits(idle=0.5)
    assert worker.drain(mine).fireworks == 1
    assert state(launchpad, ready) == "COMPLETED"
    assert state(launchpad, mine) == "RESERVED"


def compete(host, port, name, folder, barrier, rounds, job):
    """Try to run every firework at the moment when others do: as its Slurm job, or taking over."""
    from fireworks import FWorker, LaunchPad

    launchpad = LaunchPad(host=host, port=port, name=name, strm_lvl="CRITICAL")
    os.chdir(folder)
    for number, fw_id in enumerate(rounds):
        barrier.wait(240)
        if job:
            os.environ["SLURM_JOB_ID"] = str(number)
            mine = FWorker("its job", "postprocess", {"fw_id": fw_id})
            Worker(launchpad, mine)._run_first(fw_id)
            continue
        os.environ.pop("SLURM_JOB_ID", None)
        mine = FWorker("taken over", "postprocess", {"fw_id": fw_id})
        worker = Worker(launchpad, mine)
        # Slurm says that the job waits still, whatever it does by now
        worker.takeover = Queue({str(number): str(folder)}).takeover(launchpad)
        worker._run_next()


@pytest.mark.slow
def test_two_workers_and_the_starting_job_run_each_firework_once(mongo, launchpad, tmp_path):
    from fireworks import ScriptTask

    rounds = [
        add(launchpad, task=ScriptTask.from_str(f"echo {number} >> {tmp_path}/log"))[0]
        for number in range(40)
    ]
    for number, fw_id in enumerate(rounds):
        reserve(launchpad, fw_id, str(number), tmp_path)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    place = (mongo.host, mongo.port, mongo.name, str(tmp_path), barrier, rounds)
    racers = [context.Process(target=compete, args=(*place, job)) for job in (True, False, False)]
    for one in racers:
        one.start()
    for one in racers:
        one.join(400)
    assert [one.exitcode for one in racers] == [0, 0, 0]
    ran = Counter((tmp_path / "log").read_text().split())
    assert ran == {str(number): 1 for number in range(40)}
    assert {state(launchpad, fw_id) for fw_id in rounds} == {"COMPLETED"}
    assert launchpad.launches.count_documents({}) == 40
    print(Counter(one["fworker"]["name"] for one in launchpad.launches.find({})))


@pytest.mark.slurm
def test_a_waiting_job_is_cancelled_and_its_firework_done(cluster, launchpad, site, monkeypatch):
    from fireworks import FWorker

    site.edit("my_qadapter.yaml", "ntasks: 1", "ntasks: 1\nnodelist: n1")
    blocker = cluster.submit("sleep 600", "-w", "n1", "--exclusive")
    cluster.wait_for_state(blocker, "RUNNING")
    (fw_id,) = add(launchpad)
    launch = [shutil.which("qlaunch"), "-s", "-r", "singleshot"]
    subprocess.run(launch, check=True, capture_output=True, timeout=300)
    waiting = str(launchpad.get_reservation_id_from_fw_id(fw_id))
    assert cluster.state(waiting) == "PENDING"
    monkeypatch.setattr(Stop, "install", lambda stop: None)
    cluster.run("scontrol", "hold", waiting)
    assert Worker(launchpad, FWorker("here", "postprocess")).drain().fireworks == 0
    cluster.run("scontrol", "release", waiting)
    assert Worker(launchpad, FWorker("here", "postprocess")).drain().fireworks == 1
    assert state(launchpad, fw_id) == "COMPLETED"
    assert cluster.wait_for_state(waiting, "CANCELLED")
    assert cluster.state(blocker) == "RUNNING"


def chains(launchpad, log):
    """Six chains of five quick jobs of alternating categories: 30 fireworks."""
    from fireworks import Firework, ScriptTask, Workflow

    kinds = ("postprocess", "relax", "postprocess", "supercell", "postprocess")
    for chain in range(6):
        made: list = []
        for number, kind in enumerate(kinds):
            task = ScriptTask.from_str(f"echo {chain}.{number} >> {log}")
            made.append(Firework([task], {"_category": kind}, parents=made[-1:]))
        launchpad.add_wf(Workflow(made))


@pytest.mark.slow
@pytest.mark.slurm
def test_few_jobs_drain_chains_of_alternating_categories(cluster, launchpad, site, tmp_path):
    cluster.run("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=one is enough")
    chains(launchpad, tmp_path / "log")
    began = time.monotonic()
    left = {"state": {"$ne": "COMPLETED"}}
    with qlaunch_running():
        wait_until(lambda: not launchpad.fireworks.count_documents(left), 400, "the chains")
    assert len((tmp_path / "log").read_text().split()) == 30
    launches = list(launchpad.launches.find({}))
    assert len(launches) == 30
    jobs = Counter(one["fworker"]["env"]["slurm_job_id"] for one in launches)
    sent = len(list(Path.cwd().glob("block_*/launcher_*/FW_submit.script")))
    wall = time.monotonic() - began
    print(f"30 fireworks in {len(jobs)} jobs of {sent} sent, {wall:.0f} s: {dict(jobs)}")
    assert len(jobs) <= 8  # 19 where nothing is taken over
