"""FireWorks' loop beside workers that take jobs before it, and before a full queue."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from typing import ClassVar

import pytest
from fireworks import FWorker, LaunchPad
from fireworks.core.firework import Firework, Workflow
from fireworks.queue import queue_launcher
from fireworks.user_objects.firetasks.script_task import PyTask
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from sse_flows.launchers import qlaunch
from sse_flows.launchers.adapter import SlurmAdapter


class Adapter(SlurmAdapter):
    """Ours, with a queue that takes everything."""

    _fw_name = "{{tests.launchers.test_qlaunch.Adapter}}"
    submitted: ClassVar[list[str]] = []
    answer: str | None = "17"

    def wait_for_room(self):
        """There is always room."""

    def submit_to_queue(self, script_file):
        """Remember it."""
        self.submitted.append(script_file)
        return self.answer


@pytest.fixture
def adapter(monkeypatch):
    monkeypatch.setattr(Adapter, "submitted", [])
    monkeypatch.setattr(queue_launcher, "load_object", lambda _: new_adapter())
    return new_adapter()


def new_adapter():
    return Adapter(rocket_launch="sse worker singleshot")


def ready(launchpad, number=1):
    for _ in range(number):
        launchpad.add_wf(Workflow([Firework([PyTask(func="time.sleep", args=[0])])]))


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


def test_other_adapters_see_fireworks_as_it_is(monkeypatch):
    calls = []
    monkeypatch.setattr(
        qlaunch, "_launch_rocket_to_queue", lambda *args, **kwargs: calls.append((args, kwargs))
    )
    pad, adapter = object(), CommonAdapter("SLURM")
    qlaunch.launch_rocket_to_queue(pad, None, adapter, "folder", reserve=True)
    assert calls == [((pad, None, adapter, "folder"), {"reserve": True})]


@pytest.mark.slurm
def test_nothing_is_reserved_while_the_queue_is_full(cluster, launchpad, site):
    site.edit("my_qadapter.yaml", "max_queued: 20", "max_queued: 1")
    blocker = cluster.submit("sleep 60", "--job-name=sse-other")
    ready(launchpad)
    launch = subprocess.Popen(
        [shutil.which("qlaunch"), "-r", "rapidfire"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    for line in launch.stdout:
        if "Launching a rocket!" in line:
            break
    time.sleep(2.0)
    assert launch.poll() is None
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 1
    launch.send_signal(signal.SIGINT)
    launch.communicate(timeout=30)
    cluster.run("scancel", blocker)
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 1
