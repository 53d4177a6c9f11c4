"""A working folder is shared with nobody who may be alive."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from fireworks import FWorker
from jobflow import Flow, job
from pymongo.errors import AutoReconnect

from sse_flows.campaign.keys import keyed
from sse_flows.errors import SSEError
from sse_flows.launchers import fence, stop, work_folder
from sse_flows.launchers.fence import Launch, Superseded
from sse_flows.launchers.put_back import end_launches
from sse_flows.launchers.submit import Submitter
from sse_flows.launchers.work_folder import take_over
from sse_flows.testing import jobs
from sse_flows.testing.launchpads import drain_by_worker, stopped_worker


@pytest.fixture
def cluster(mock_cluster):
    return mock_cluster


def put(launchpad, store, folder: Path, *parts) -> None:
    flow = Flow(list(parts))
    flow.update_metadata({"stage": "relax", "compound": "x"}, dynamic=True)
    Submitter(launchpad, store, folder).submit(keyed(flow), "campaign")


def begun(cluster) -> tuple[Launch, Path]:
    """A launch that has begun, and its folder with a file."""
    cluster.launchpad.checkout_fw(FWorker("lost"), "/", 1)
    folder = work_of(cluster.launchpad)
    (folder / "deep").mkdir(parents=True, exist_ok=True)
    (folder / "deep" / "restart").write_text("whole")
    return Launch(cluster.launchpad, 1), folder


def work_of(launchpad) -> Path:
    return Path(launchpad.fireworks.find_one({"fw_id": 1})["spec"]["sse"]["work"])


def given_up(launchpad) -> None:
    """What `sse recover` does to a run that it takes for dead."""
    launches = launchpad.fireworks.find_one({"fw_id": 1})["launches"]
    launchpad.rerun_fw(1)
    end_launches(launchpad, launches)


def next_launch(cluster) -> Launch:
    cluster.launchpad.checkout_fw(FWorker("next"), "/", 1)
    return Launch(cluster.launchpad, 1)


@pytest.fixture
def lost(cluster):
    """The folder of a run that was given up, and the launch of its successor."""
    put(cluster.launchpad, cluster.store, cluster.folder, jobs.add(1, 2))
    _, folder = begun(cluster)
    given_up(cluster.launchpad)
    return folder, next_launch(cluster)


def test_what_may_be_alive_is_taken_over_by_copy(cluster, lost):
    folder, launch = lost
    new = Path(take_over(launch, str(folder)))
    assert (
        new == folder.with_name(f"{folder.name}.{launch.launch_id}") == work_of(cluster.launchpad)
    )
    assert (new / "deep" / "restart").read_text() == "whole"
    assert not folder.exists()
    assert take_over(launch, str(new)) == str(new)
    given_up(cluster.launchpad)  # and the second is lost as well
    third = next_launch(cluster)
    newest = Path(take_over(third, str(new)))
    assert newest == folder.with_name(f"{folder.name}.{third.launch_id}")
    assert (newest / "deep" / "restart").read_text() == "whole"
    assert [one.name for one in folder.parent.iterdir()] == [newest.name]


@pytest.mark.parametrize("way", ["failed", "ended", "killed in good order", "reserved"])
def test_what_has_ended_for_certain_is_gone_on_with_in_place(cluster, way):
    put(cluster.launchpad, cluster.store, cluster.folder, jobs.crash(1))
    if way == "failed":
        cluster.drain()
    elif way == "reserved":
        cluster.launchpad.reserve_fw(FWorker("lost"), "/", fw_id=1)
    else:
        launch, _ = begun(cluster)
        launch.note_left() if way != "ended" else launch.ended("FIZZLED", "none")
    folder = work_of(cluster.launchpad)
    given_up(cluster.launchpad)
    assert take_over(next_launch(cluster), str(folder)) == str(folder)


def test_files_that_somebody_still_writes_are_not_used(cluster, lost, monkeypatch):
    folder, launch = lost
    listing, looks = work_folder._listing, []

    def then_written(place):
        if looks:
            (place / "deep" / "restart").write_text("half of")
        looks.append(place)
        return listing(place)

    monkeypatch.setattr(work_folder, "_listing", then_written)
    with pytest.warns(UserWarning, match="begins anew: somebody still writes"):
        new = Path(take_over(launch, str(folder)))
    assert new == work_of(cluster.launchpad)
    assert not new.exists()
    assert not folder.exists()


def test_files_that_cannot_be_copied_are_kept(cluster, lost, monkeypatch):
    folder, launch = lost

    def full(old, new, **options):
        new.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(work_folder.shutil, "copytree", full)
    with pytest.raises(SSEError, match="No space left") as caught:
        take_over(launch, str(folder))
    assert "Make room" in caught.value.mend
    assert [one.name for one in folder.parent.iterdir()] == [folder.name]
    assert work_of(cluster.launchpad) == folder


def test_one_that_is_given_up_while_it_copies_leaves_the_folder(cluster, lost):
    folder, launch = lost
    given_up(cluster.launchpad)
    with pytest.raises(Superseded):
        take_over(launch, str(folder))
    assert [one.name for one in folder.parent.iterdir()] == [folder.name]
    assert work_of(cluster.launchpad) == folder


def test_a_job_that_ran_out_of_time_after_it_was_taken_over_goes_on_there(cluster):
    put(cluster.launchpad, cluster.store, cluster.folder, jobs.in_slices(5.0, 4))
    _, folder = begun(cluster)
    (folder / "slices").write_text(".")
    given_up(cluster.launchpad)
    cluster.drain()
    works = {doc["spec"]["sse"]["work"] for doc in cluster.launchpad.fireworks.find()}
    assert works == {f"{folder}.2"}
    assert (Path(f"{folder}.2") / "slices").read_text() == "...."
    assert cluster.states() == {"COMPLETED": 3}


@pytest.mark.parametrize("superseded", [True, False])
def test_a_worker_whose_job_was_given_away_ends(cluster, monkeypatch, superseded):
    monkeypatch.setattr(fence, "LOOK", 0.01)
    monkeypatch.setattr(stop, "_present", stop.Stop())
    put(cluster.launchpad, cluster.store, cluster.folder, jobs.add(1, 2))
    launch, _ = begun(cluster)
    ended, looked, counts = [], [], launch.counts

    def look():
        looked.append(1)
        if len(looked) == 1:
            raise AutoReconnect("the database is away")
        return counts()

    monkeypatch.setattr(launch, "counts", look)
    with launch.watched(ended.append):
        if superseded:
            given_up(cluster.launchpad)
        end = time.monotonic() + 60
        while not ended and len(looked) < 5 and time.monotonic() < end:
            time.sleep(0.01)
    assert ended == ([fence.GIVEN_AWAY] if superseded else [])
    assert len(looked) >= 2


def test_only_a_worker_of_ours_is_ended(cluster, monkeypatch):
    monkeypatch.setattr(stop, "_present", None)
    monkeypatch.setattr(fence.threading, "Thread", None)
    with Launch(cluster.launchpad, 1).watched():
        pass


@job
def resume() -> list[str]:
    """Append to a file; the first to do so stops in the midst of it, and then goes on."""
    path = Path("restart").resolve()
    before = path.read_text() if path.is_file() else ""
    with path.open("a") as file:
        file.write("whole\n")
        file.flush()
        if not before:
            os.kill(os.getpid(), signal.SIGSTOP)
            file.write("of a zombie\n")
            file.flush()
            path.write_text("of a zombie\n")
    return [path.read_text(), str(path.parent)]


def test_a_zombie_spoils_no_file_of_its_successor(place, tmp_path):
    launchpad, job_store = place
    put(launchpad, job_store, tmp_path / "run", resume())
    zombie = stopped_worker(launchpad, job_store)
    old = work_of(launchpad)
    given_up(launchpad)
    drain_by_worker(launchpad)
    new = work_of(launchpad)
    result = ["whole\nwhole\n", str(new)]
    assert job_store.query_one()["output"] == result
    assert new != old
    os.kill(zombie, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(zombie, 0)[1]) == 0
    assert (new / "restart").read_text() == result[0]
    assert job_store.query_one()["output"] == result
    assert launchpad.fireworks.find_one({"fw_id": 1})["state"] == "COMPLETED"
    assert launchpad.launches.find_one({"launch_id": 1})["state"] == "FIZZLED"
