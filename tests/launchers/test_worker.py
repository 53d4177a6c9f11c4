"""`sse worker`: what it runs, in which order, when it stops, and what a kill leaves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sse_flows.launchers import stop as stop_module
from sse_flows.launchers import worker as worker_module
from sse_flows.launchers.reservation import right_to_run
from sse_flows.launchers.stop import Stop, being_killed
from sse_flows.launchers.worker import Limits, Worker
from sse_flows.launchers.workers import Request, run_workers
from sse_flows.testing.fault_runs import is_alive
from sse_flows.testing.slurm import wait_until


def add(launchpad, task=None, name="one", category="postprocess", priority=0):
    """Put a workflow of one firework on the LaunchPad; returns its id."""
    from fireworks import Firework, PyTask, Workflow

    task = task or PyTask(func="time.sleep", args=[0.0])
    spec = {"_category": category, "_priority": priority} if category else {}
    return next(iter(launchpad.add_wf(Workflow([Firework([task], spec=spec, name=name)])).values()))


def reserve(launchpad, fw_id, job=None):
    """Reserve a firework as qlaunch does."""
    from fireworks import FWorker

    launch = launchpad.reserve_fw(FWorker(), ".", fw_id=fw_id)[1]
    if job:
        launchpad.set_reservation_id(launch, job)
    return launch


def states(launchpad):
    return {one["fw_id"]: one["state"] for one in launchpad.fireworks.find({})}


def in_order(launchpad):
    launches = launchpad.launches.find({"state": "COMPLETED"})
    started = {
        entry["created_on"]: one["fw_id"]
        for one in launches
        for entry in one["state_history"]
        if entry["state"] == "RUNNING"
    }
    return [started[key] for key in sorted(started)]


@pytest.fixture(autouse=True)
def no_signal_before(monkeypatch):
    """No test sees the requests to stop of the one before."""
    monkeypatch.setattr(stop_module, "_present", None)


@pytest.fixture(autouse=True)
def known_tasks(monkeypatch):
    """FireWorks finds a task by importing all its modules, also tests with marks unknown here."""
    from fireworks.utilities import fw_serializers

    place = "fireworks.user_objects.firetasks.script_task"
    for name in ("PyTask", "ScriptTask"):
        monkeypatch.setitem(fw_serializers.SAVED_FW_MODULES, name, place)


@pytest.fixture
def worker(launchpad, tmp_path, monkeypatch):
    from fireworks import FWorker

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return Worker(launchpad, FWorker("here", "postprocess"), Limits(idle=1.0))


def test_the_reserved_one_comes_first_then_ready_ones_of_the_category_by_priority(
    worker, launchpad, monkeypatch
):
    low, high = add(launchpad, priority=1), add(launchpad, priority=2)
    other = add(launchpad, category="models", priority=9)
    mine = add(launchpad)
    reserve(launchpad, mine, "77")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    drained = worker.drain(mine)
    assert in_order(launchpad) == [mine, high, low]
    assert (drained.fireworks, drained.ending) == (3, "nothing left")
    assert states(launchpad)[other] == "READY"


def test_the_launch_says_where_it_ran_and_empty_folders_are_removed(
    worker, launchpad, monkeypatch, tmp_path
):
    from fireworks import ScriptTask

    quiet, loud = add(launchpad), add(launchpad, ScriptTask.from_str("touch file"))
    monkeypatch.setenv("SLURM_JOB_ID", "78")
    monkeypatch.setattr("fireworks.core.rocket.PRINT_FW_JSON", False)
    worker.drain()
    found = {one["fw_id"]: one for one in launchpad.launches.find({})}
    assert found[quiet]["fworker"]["env"]["slurm_job_id"] == "78"
    assert found[quiet]["fworker"]["env"]["pid"] == os.getpid()
    assert [folder.name for folder in tmp_path.iterdir()] == [Path(found[loud]["launch_dir"]).name]
    assert Path.cwd() == tmp_path


def test_a_reservation_that_went_to_another_job_is_left_to_it(worker, launchpad, monkeypatch):
    fw_id = add(launchpad)
    reserve(launchpad, fw_id, "12")
    monkeypatch.setenv("SLURM_JOB_ID", "11")
    assert worker.drain(fw_id).fireworks == 0
    assert states(launchpad)[fw_id] == "RESERVED"
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert worker.drain(fw_id).fireworks == 1


def test_a_job_that_starts_before_qlaunch_notes_its_id_waits_for_the_note(launchpad, monkeypatch):
    fw_id = add(launchpad)
    launch = reserve(launchpad, fw_id)
    monkeypatch.setenv("SLURM_JOB_ID", "13")
    threading.Timer(0.7, launchpad.set_reservation_id, args=[launch, "14"]).start()
    assert right_to_run(launchpad, fw_id) == "none"
    launchpad.cancel_reservation(launch)
    assert right_to_run(launchpad, fw_id) == "ready"  # anyone's
    reserve(launchpad, fw_id)
    # qlaunch was killed before the note
    assert right_to_run(launchpad, fw_id, patience=0.1) == "claimed"
    assert right_to_run(launchpad, fw_id, patience=0.1) == "none"
    assert right_to_run(launchpad, 10**6) == "none"


def test_one_that_has_been_run_is_not_run_again(worker, launchpad):
    fw_id = add(launchpad)
    worker.drain()
    assert worker.drain(fw_id).fireworks == 0
    assert launchpad.launches.count_documents({}) == 1


def test_children_follow_in_the_same_worker_and_a_failure_stops_nothing(worker, launchpad):
    from fireworks import Firework, PyTask, ScriptTask, Workflow

    spec = {"_category": "postprocess"}
    parent = Firework([PyTask(func="time.sleep", args=[0])], spec=spec, name="a")
    child = Firework([PyTask(func="time.sleep", args=[0])], spec=spec, name="b", parents=[parent])
    launchpad.add_wf(Workflow([parent, child]))
    bad = add(launchpad, ScriptTask.from_str("exit 3"))
    assert worker.drain().fireworks == 3
    assert sorted(states(launchpad).values()) == ["COMPLETED", "COMPLETED", "FIZZLED"]
    assert states(launchpad)[bad] == "FIZZLED"


def test_it_waits_for_new_work_only_while_others_run(worker, launchpad):
    worker.limits = Limits(idle=60.0)
    begin = time.monotonic()
    assert worker.drain().ending == "nothing left"
    assert time.monotonic() - begin < 30
    running = add(launchpad)
    launchpad.checkout_fw(worker.fworker, ".", fw_id=running)
    worker.limits = Limits(idle=500.0)
    thread = threading.Thread(target=add_and_stop, args=(launchpad, worker.stop))
    thread.start()
    assert worker.drain().fireworks == 1
    thread.join()
    worker.stop.requested = False
    worker.limits = Limits(idle=0.5)
    begin = time.monotonic()
    assert worker.drain().fireworks == 0
    assert 0.4 < time.monotonic() - begin < 30


def add_and_stop(launchpad, stop):
    """Bring work to a worker that waits, and let it end once that is done."""
    time.sleep(1.0)
    fw_id = add(launchpad)
    wait_until(lambda: states(launchpad)[fw_id] == "COMPLETED", 120, "the new one")
    stop.requested = True


def test_nothing_is_begun_with_little_time_left(worker, launchpad):
    add(launchpad)
    worker.limits = Limits(end=time.time() + 299, min_seconds=300)
    drained = worker.drain()
    assert (drained.fireworks, drained.ending) == (0, "time")
    worker.limits = Limits(end=time.time() + 400, min_seconds=300)
    assert worker.drain().fireworks == 1


@pytest.mark.parametrize(
    ("slurm", "limit", "least", "left", "expected"),
    [
        (None, None, None, None, 0.0),
        (7200, None, None, 7200, 300),
        (600, None, None, 600, 200),
        (7200, 300, None, 300, 100),
        (60, 300, None, 60, 20),
        (7200, None, 10.0, 7200, 10),
        (None, 900, None, 900, 300),
    ],
)
def test_limits_follow_the_job(monkeypatch, slurm, limit, least, left, expected):
    monkeypatch.setattr(worker_module, "seconds_left", lambda: slurm)
    limits = Limits.of_this_job(30, limit, least)
    assert limits.min_seconds == pytest.approx(expected)
    if left is None:
        assert limits.end is None
        assert not limits.time_is_up()
    else:
        assert limits.end == pytest.approx(time.time() + left, abs=2)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_present_one_end_and_begins_no_other(worker, launchpad, number):
    from fireworks import PyTask

    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    for _ in range(2):
        add(launchpad, PyTask(func="os.kill", args=[os.getpid(), int(number)]))
    worker.stop.install()
    try:
        drained = worker.drain()
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert (drained.fireworks, drained.ending) == (1, "stopped")
    assert sorted(states(launchpad).values()) == ["COMPLETED", "READY"]


def test_what_slurm_killed_stays_running_and_is_never_completed(worker, launchpad):
    from fireworks import ScriptTask

    killed = add(launchpad, ScriptTask.from_str("exit 143"))
    worker.stop = Stop()
    worker.stop.requested = worker.stop.killed = True
    worker.drain(killed)
    assert being_killed()
    assert states(launchpad) == {killed: "RUNNING"}
    fine = add(launchpad)
    worker.drain(fine)
    assert states(launchpad)[fine] == "COMPLETED"


def test_a_database_that_goes_away_between_fireworks_is_waited_for(
    stoppable_mongo, site, monkeypatch
):
    from sse_flows.launchers.settings import load_fworker, open_launchpad

    monkeypatch.setattr(worker_module, "NAP", 0.1)
    site.edit("my_launchpad.yaml", "120000", "1000")
    launchpad = open_launchpad()
    for _ in range(2):
        add(launchpad)
    stoppable_mongo.server.stop()
    threading.Timer(3.0, stoppable_mongo.server.start).start()
    assert Worker(launchpad, load_fworker(), Limits(idle=0)).drain().fireworks == 2


def test_a_lock_is_given_back_after_an_outage(worker, launchpad, monkeypatch):
    from fireworks.core.launchpad import WFLock
    from pymongo.collection import Collection
    from pymongo.errors import AutoReconnect

    monkeypatch.setattr(WFLock, "__exit__", WFLock.__exit__)  # as it was, afterwards
    change, outages = Collection.find_one_and_update, []

    def away(collection, query, update, *args, **kwargs):
        if update == {"$unset": {"locked": True}} and len(outages) < 2:
            outages.append(1)
            raise AutoReconnect("connection closed")
        return change(collection, query, update, *args, **kwargs)

    monkeypatch.setattr(Collection, "find_one_and_update", away)
    fw_id = add(launchpad)
    assert worker.drain().fireworks == 1
    assert len(outages) == 2
    assert states(launchpad)[fw_id] == "COMPLETED"
    assert not launchpad.workflows.find_one({"locked": True})


def test_a_database_that_stays_away_ends_the_worker(stoppable_mongo, site, monkeypatch):
    from sse_flows.launchers.settings import load_fworker, open_launchpad

    monkeypatch.setattr(worker_module, "DATABASE_PATIENCE", 1.0)
    site.edit("my_launchpad.yaml", "120000", "500")
    launchpad = open_launchpad()
    stoppable_mongo.server.stop()
    assert Worker(launchpad, load_fworker(), Limits(idle=0)).drain().ending == "no database"


def test_fireworks_without_a_category_are_a_kind_of_their_own(launchpad, site, monkeypatch):
    first, second = add(launchpad, category=None), add(launchpad, category=None)
    other = add(launchpad)
    monkeypatch.setattr(Stop, "install", lambda stop: None)
    assert run_workers(Request(fw_id=first, idle=0))
    assert states(launchpad) == {first: "COMPLETED", second: "COMPLETED", other: "READY"}


def run_sse(*arguments):
    code = "import sys; from sse_flows.cli.main import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_several_processes_share_the_work_with_one_thread_each(launchpad, site):
    from fireworks import ScriptTask

    for _ in range(6):
        add(launchpad, ScriptTask.from_str("sleep 1; echo $OMP_NUM_THREADS > threads"))
    done = run_sse("worker", "rapidfire", "--processes", "2", "--idle", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run; ended: nothing left") == 2
    launches = list(launchpad.launches.find({}))
    assert {one["state"] for one in launches} == {"COMPLETED"}
    assert len(launches) == 6
    assert len({one["fworker"]["env"]["pid"] for one in launches}) == 2
    for one in launches:
        assert (Path(one["launch_dir"]) / "threads").read_text().strip() == "1"


def test_a_process_that_dies_is_told_and_its_firework_stays_running(launchpad, site):
    from fireworks import PyTask

    fatal = add(launchpad, PyTask(func="os._exit", args=[9]), priority=5)
    fine = add(launchpad)
    done = run_sse("worker", "rapidfire", "--processes", "2", "--idle", "0")
    assert done.returncode == 1
    assert "ended with 9; see `sse recover`" in done.stdout
    assert states(launchpad) == {fatal: "RUNNING", fine: "COMPLETED"}
    died = {one["fw_id"]: one["fworker"]["env"].get("died") for one in launchpad.launches.find({})}
    assert died == {fatal: 9, fine: None}


def test_the_category_can_be_named_and_a_strange_time_limit_is_refused(launchpad, site):
    one, two = add(launchpad, category="models"), add(launchpad)
    done = run_sse("worker", "rapidfire", "--category", "models", "--idle", "0")
    assert done.returncode == 0, done.stderr
    assert states(launchpad) == {one: "COMPLETED", two: "READY"}
    assert run_sse("worker", "rapidfire", "--time-limit", "soon").returncode == 2
    gone = run_sse("worker", "singleshot", "--fw_id", "999")
    assert gone.returncode == 1
    assert gone.stderr == "error: there is no firework 999. See `lpad get_fws`\n"


def test_fireworks_own_rlaunch_drains_the_same_launchpad(launchpad, site):
    for category in ("relax", "models"):
        add(launchpad, category=category)
    command = [shutil.which("rlaunch"), "-s", "rapidfire", "--sleep", "1"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert set(states(launchpad).values()) == {"COMPLETED"}


@pytest.mark.slurm
def test_the_worker_ends_before_its_walltime_and_the_rest_is_run_by_the_next(
    cluster, launchpad, site
):
    from fireworks import PyTask

    site.edit("my_qadapter.yaml", 'walltime: "04:00:00"', 'walltime: "1"')
    site.edit("profiles.yaml", 'walltime: "04:00:00"', "min_seconds: 45")
    for _ in range(30):
        add(launchpad, PyTask(func="time.sleep", args=[1.0]))
    launch = [shutil.which("qlaunch"), "-s", "-r", "singleshot"]
    subprocess.run(launch, check=True, capture_output=True, timeout=300)
    wait_until(lambda: not cluster.run("squeue", "-h"), 120, "the end of the job")
    left = sorted(states(launchpad).values())
    assert left.count("COMPLETED") >= 1  # several, unless Python takes 15 s to start
    assert set(left) == {"COMPLETED", "READY"}
    [job] = {one["fworker"]["env"]["slurm_job_id"] for one in launchpad.launches.find({})}
    assert cluster.state(job) == "COMPLETED"


@pytest.mark.slurm
def test_a_cancelled_job_leaves_its_firework_running_for_recover(cluster, launchpad, site):
    from fireworks import ScriptTask

    fw_id = add(launchpad, ScriptTask.from_str("sleep 600"))
    launch = [shutil.which("qlaunch"), "-s", "-r", "singleshot"]
    subprocess.run(launch, check=True, capture_output=True, timeout=300)
    wait_until(lambda: states(launchpad)[fw_id] == "RUNNING", 300, "the firework")
    env = launchpad.launches.find_one({})["fworker"]["env"]
    cluster.run("scancel", env["slurm_job_id"])
    cluster.wait_for_state(env["slurm_job_id"], "CANCELLED")
    wait_until(lambda: not is_alive(env["pid"]), 120, "the worker to be gone")
    assert states(launchpad) == {fw_id: "RUNNING"}
