"""FireWorks' loop beside workers that take jobs before it, and before a full queue."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from fireworks import FWorker, LaunchPad
from fireworks.core.firework import Firework, Workflow
from fireworks.queue import queue_launcher
from fireworks.user_objects.firetasks.script_task import PyTask
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
from pymongo.errors import AutoReconnect

from sse_flows.launchers import qlaunch
from sse_flows.launchers.adapter import SlurmAdapter
from sse_flows.launchers.qlaunch import SlurmAway
from sse_flows.testing import faults
from sse_flows.testing.fault_runs import end_process, qlaunch_running
from sse_flows.testing.slurm import wait_until


class Adapter(SlurmAdapter):
    """Ours, with a queue that takes everything."""

    _fw_name = "{{tests.launchers.test_qlaunch.Adapter}}"
    submitted: ClassVar[list[str]] = []
    errors: ClassVar[list[Exception]] = []
    answer: str | None = "17"

    def wait_for_room(self, patience=None):
        """There is always room."""

    def submit_to_queue(self, script_file):
        """Remember it, unless something is wrong."""
        if self.errors:
            raise self.errors.pop(0)
        self.submitted.append(script_file)
        return self.answer


@pytest.fixture
def adapter(monkeypatch):
    monkeypatch.setattr(Adapter, "submitted", [])
    monkeypatch.setattr(Adapter, "errors", [])
    monkeypatch.setattr(queue_launcher, "load_object", lambda _: new_adapter())
    clock = SimpleNamespace(sleep=lambda seconds: None, monotonic=time.monotonic)
    monkeypatch.setattr(qlaunch, "time", clock)
    monkeypatch.setattr(sys, "argv", ["qlaunch", "-r", "rapidfire"])
    return new_adapter()


def new_adapter():
    return Adapter(rocket_launch="sse worker singleshot")


def ready(launchpad, number=1):
    for _ in range(number):
        launchpad.add_wf(Workflow([Firework([PyTask(func="time.sleep", args=[0])])]))


def one(launchpad, adapter, folder, fw_id=None):
    """One submission in reservation mode, as FireWorks' program calls it."""
    options = (str(folder), True, "CRITICAL", False, False, fw_id)
    qlaunch.singleshot(launchpad, FWorker(), adapter, *options)


def loop(launchpad, adapter, folder, nlaunches=1):
    """FireWorks' own loop in reservation mode."""
    queue_launcher.rapidfire(
        launchpad, FWorker(), adapter, str(folder), nlaunches=nlaunches, sleep_time=0.01,
        reserve=True, strm_lvl="CRITICAL", timeout=30,
    )  # fmt: skip


def outrun(launchpad, monkeypatch):
    """Somebody takes the only job just before the first reservation, and adds another after it."""
    reserve, outrun = LaunchPad.reserve_fw, []

    def late(self, *args, **kwargs):
        if outrun:
            return reserve(self, *args, **kwargs)
        outrun.append(reserve(self, *args, **kwargs))
        found = reserve(self, *args, **kwargs)
        ready(launchpad)
        return found

    monkeypatch.setattr(LaunchPad, "reserve_fw", late)


def test_a_lost_race_ends_fireworks_loop_and_not_ours(launchpad, adapter, tmp_path, monkeypatch):
    ready(launchpad)
    outrun(launchpad, monkeypatch)
    monkeypatch.setattr(queue_launcher, "launch_rocket_to_queue", qlaunch._launch_rocket_to_queue)
    loop(launchpad, adapter, tmp_path)
    assert adapter.submitted == []  # the second job is never sent

    monkeypatch.undo()
    monkeypatch.setattr(queue_launcher, "load_object", lambda _: new_adapter())
    launchpad.reset("", require_password=False)
    ready(launchpad)
    outrun(launchpad, monkeypatch)
    loop(launchpad, adapter, tmp_path)
    assert len(adapter.submitted) == 1


def test_a_refused_submission_still_ends_the_loop(launchpad, adapter, tmp_path, monkeypatch):
    ready(launchpad, 2)
    monkeypatch.setattr(Adapter, "answer", None)
    loop(launchpad, adapter, tmp_path, nlaunches=0)
    assert len(adapter.submitted) == 1
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 2


PASSING = [
    SlurmAway("sbatch: Unable to contact slurm controller (connect failure)"),
    AutoReconnect("connection closed"),
]


@pytest.mark.parametrize("error", PASSING, ids=["controller", "database"])
def test_what_is_away_for_a_while_is_waited_for(launchpad, adapter, tmp_path, error, caplog):
    ready(launchpad)
    adapter.errors += [error, error]
    loop(launchpad, adapter, tmp_path)
    assert len(adapter.submitted) == 1
    assert launchpad.fireworks.count_documents({"state": "RESERVED"}) == 1
    said = [record.getMessage() for record in caplog.records if "qlaunch" in record.name]
    assert [line.split(": ")[0] for line in said] == ["waiting up to 600 s", "going on after 0 s"]
    assert str(error) in said[0]


@pytest.mark.parametrize(
    ("error", "patience", "line"),
    [
        (RuntimeError("sbatch: invalid account"), "600", "sbatch: invalid account"),
        (PASSING[0], "0", str(PASSING[0])),
        (OSError(28, "No space left on device"), "600", "OSError: [Errno 28] No space left"),
    ],
    ids=["refused", "away for too long", "full disk"],
)
def test_why_the_loop_ends_is_said_on_stderr(
    launchpad, adapter, tmp_path, monkeypatch, capsys, error, patience, line
):
    monkeypatch.setenv("SSE_STORE_PATIENCE", patience)
    ready(launchpad)
    adapter.errors.append(error)
    with pytest.raises(SystemExit) as caught:
        qlaunch_rapidfire(launchpad, adapter, tmp_path)
    assert caught.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"qlaunch ends: {line}")
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 1

    adapter.errors.append(error)  # as a daemon FireWorks begins anew
    monkeypatch.setattr(sys, "argv", ["qlaunch", "-d", "60", "-r", "rapidfire"])
    qlaunch_rapidfire(launchpad, adapter, tmp_path)
    assert capsys.readouterr().err.splitlines()[-1].startswith("qlaunch ends: ")
    qlaunch_rapidfire(launchpad, adapter, tmp_path)
    assert len(adapter.submitted) == 1
    assert "qlaunch ends" not in capsys.readouterr().err


def qlaunch_rapidfire(launchpad, adapter, folder):
    """The loop as FireWorks' program calls it."""
    qlaunch.rapidfire(
        launchpad, fworker=FWorker(), qadapter=adapter, launch_dir=str(folder), nlaunches=1,
        sleep_time=0.01, reserve=True, strm_lvl="CRITICAL",
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("launch", "moment"),
    [
        *((loop, moment) for moment in ("reserve_fw", "change_launch_dir", "set_reservation_id")),
        *((one, moment) for moment in ("reserve_fw", "set_reservation_id")),
    ],
)
def test_a_signal_waits_until_what_was_reserved_is_submitted(
    launchpad, adapter, tmp_path, monkeypatch, launch, moment, number
):
    class Ended(BaseException):
        """In place of the end of the process."""

    def end(number, frame):
        raise Ended

    usual = getattr(LaunchPad, moment)

    def interrupted(self, *args, **kwargs):
        done = usual(self, *args, **kwargs)
        os.kill(os.getpid(), number)
        return done

    ready(launchpad, 2)
    monkeypatch.setattr(LaunchPad, moment, interrupted)
    before = signal.signal(number, end)
    try:
        with pytest.raises(Ended):
            launch(launchpad, adapter, tmp_path)
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    assert len(adapter.submitted) == 1
    [reserved] = launchpad.launches.find({})
    assert any("reservation_id" in one for one in reserved["state_history"])
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 1


@pytest.mark.parametrize("state", ["RESERVED", "RUNNING"])
def test_one_by_its_id_is_not_taken_from_another(launchpad, adapter, tmp_path, capsys, state):
    ready(launchpad, 2)
    launchpad.checkout_fw(FWorker(), str(tmp_path), fw_id=1, state=state)
    before = launchpad.fireworks.find_one({"fw_id": 1}), list(launchpad.launches.find())
    with pytest.raises(SystemExit) as caught:
        one(launchpad, adapter, tmp_path, fw_id=1)
    assert caught.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1] == "qlaunch ends: firework 1 is not READY"
    assert before == (launchpad.fireworks.find_one({"fw_id": 1}), list(launchpad.launches.find()))
    one(launchpad, adapter, tmp_path, fw_id=2)
    assert len(adapter.submitted) == 1
    [launch] = launchpad.launches.find({"fw_id": 2})
    assert (launch["state"], launch["state_history"][-1]["reservation_id"]) == ("RESERVED", "17")


def test_a_lost_race_is_no_error_of_one_submission(launchpad, adapter, tmp_path, monkeypatch):
    one(launchpad, adapter, tmp_path)  # nothing is there
    ready(launchpad)
    outrun(launchpad, monkeypatch)
    one(launchpad, adapter, tmp_path)
    assert adapter.submitted == []


def test_why_one_submission_fails_is_said_on_stderr(
    launchpad, adapter, tmp_path, monkeypatch, capsys
):
    ready(launchpad)
    adapter.errors += [PASSING[1], RuntimeError("sbatch: invalid account")]
    with pytest.raises(SystemExit):
        one(launchpad, adapter, tmp_path)
    assert capsys.readouterr().err.splitlines()[-1] == "qlaunch ends: sbatch: invalid account"
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 1

    def full(self, patience=None):
        raise SlurmAway("squeue gave no answer")

    monkeypatch.setattr(Adapter, "wait_for_room", full)
    with pytest.raises(SystemExit):
        one(launchpad, adapter, tmp_path)
    assert capsys.readouterr().err.splitlines()[-1] == "qlaunch ends: squeue gave no answer"
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 1


def test_the_program_uses_all_of_it(monkeypatch):
    from fireworks.scripts import qlaunch_run

    for name in ("rapidfire", "launch_rocket_to_queue"):
        monkeypatch.setattr(qlaunch_run, name, getattr(qlaunch_run, name))
    qlaunch.install()
    assert qlaunch_run.rapidfire is qlaunch.rapidfire
    assert qlaunch_run.launch_rocket_to_queue is qlaunch.singleshot


def test_other_adapters_see_fireworks_as_it_is(monkeypatch):
    calls = []
    monkeypatch.setattr(
        qlaunch, "_launch_rocket_to_queue", lambda *args, **kwargs: calls.append((args, kwargs))
    )
    pad, adapter = object(), CommonAdapter("SLURM")
    qlaunch.launch_rocket_to_queue(pad, None, adapter, "folder", reserve=True)
    assert calls == [((pad, None, adapter, "folder"), {"reserve": True})]
    qlaunch.singleshot(pad, None, adapter, "folder", True, fw_id=7)
    assert calls[1:] == [((pad, None, adapter, "folder", True), {"fw_id": 7})]


@pytest.mark.slurm
def test_nothing_is_reserved_while_the_queue_is_full(cluster, launchpad, site):
    site.edit("my_qadapter.yaml", "max_queued: 20", "max_queued: 1")
    cluster.submit("sleep 600", "--job-name=sse-other")
    ready(launchpad)
    launch = subprocess.Popen(
        [shutil.which("qlaunch"), "-r", "rapidfire"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        for line in launch.stdout:
            if "Launching a rocket!" in line:
                break
        time.sleep(1.0)
        assert launch.poll() is None
        assert launchpad.fireworks.count_documents({"state": "READY"}) == 1
    finally:
        end_process(launch)
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 1


@pytest.mark.slurm
def test_one_firework_is_submitted_once_by_its_id(cluster, launchpad, site):
    site.edit("my_qadapter.yaml", "max_queued: 20", "max_queued: 1")
    ready(launchpad)
    command = [shutil.which("qlaunch"), "-r", "singleshot", "-f", "1"]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2)
    )
    assert (first.returncode, second.returncode) == (0, 1), first.stderr + second.stderr
    assert second.stderr.splitlines()[-1] == "qlaunch ends: firework 1 is not READY"
    done = {"state": "COMPLETED"}
    wait_until(lambda: launchpad.fireworks.count_documents(done) == 1, 300, "the job")
    assert launchpad.launches.count_documents({}) == 1


@pytest.mark.slurm
def test_it_goes_on_after_database_and_controller_were_away(
    cluster, stoppable_mongo, launchpad, site, monkeypatch
):
    site.edit("my_launchpad.yaml", "120000", "300")  # ms until a call gives up
    server, log = stoppable_mongo.server, Path("qlaunch.log")
    with qlaunch_running() as launcher:
        wait_until(lambda: "sleeping for" in log.read_text(), 120, "the loop")
        server.stop()
        wait_until(lambda: "the database is away, waiting" in log.read_text(), 120, "an outage")
        server.start()
        wait_until(lambda: "the database is back" in log.read_text(), 120, "its end")
        with faults.controller_away(cluster):
            ready(launchpad)
            wait_until(lambda: "waiting up to 600 s: squeue" in log.read_text(), 120, "an outage")
        done = {"state": "COMPLETED"}
        wait_until(lambda: launchpad.fireworks.count_documents(done) == 1, 300, "the job")
        assert launcher.poll() is None


@pytest.mark.slurm
def test_it_says_why_it_ends_where_the_database_stays_away(
    cluster, stoppable_mongo, site, monkeypatch
):
    monkeypatch.setenv("SSE_STORE_PATIENCE", "1")
    site.edit("my_launchpad.yaml", "120000", "300")
    log = Path("qlaunch.log")
    with qlaunch_running() as launcher:
        wait_until(lambda: "sleeping for" in log.read_text(), 120, "the loop")
        stoppable_mongo.server.stop()
        assert launcher.wait(120) == 1
    last = log.read_text().splitlines()[-1]
    assert last.startswith("qlaunch ends: the database did not answer for 1 s")
