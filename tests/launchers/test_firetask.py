"""One job on a cluster: run once, fenced, continued, and failing with a reason."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest
from fireworks import FWorker
from jobflow import Flow

from sse_flows.campaign.keys import keyed
from sse_flows.launchers import firetask, stop
from sse_flows.launchers.firetask import FencedStore, Launch, Superseded
from sse_flows.launchers.submit import Submitter
from sse_flows.launchers.worker import Worker
from sse_flows.testing import jobs
from sse_flows.testing.jobs import executions


@pytest.fixture
def cluster(mock_cluster):
    return mock_cluster


def put(cluster, *parts, profiles=None, folder=None):
    """Submit jobs of one compound."""
    flow = Flow(list(parts))
    flow.update_metadata({"stage": "relax", "compound": "x"}, dynamic=True)
    place = folder or cluster.folder
    return Submitter(cluster.launchpad, cluster.store, place, None, profiles).submit(
        keyed(flow), "campaign"
    )


def output(cluster, name: str):
    docs = cluster.store.query({"name": name}, sort={"index": -1})
    return next(doc["output"] for doc in docs)


def details(cluster) -> dict:
    launch = cluster.launchpad.launches.find_one({"state": "FIZZLED"})
    return launch["action"]["stored_data"]["_exception"]["_details"]


def test_a_result_that_is_in_the_store_is_not_computed_again(cluster):
    put(cluster, jobs.add(1, 2, cluster.log))
    cluster.drain()
    cluster.launchpad.rerun_fw(1)
    cluster.drain()
    assert cluster.states() == {"COMPLETED": 1}
    assert sum(executions(cluster.log).values()) == 1


def test_a_job_that_grew_does_so_once(cluster):
    fan = jobs.fan_out([1, 2], cluster.log)
    put(cluster, fan, jobs.add(fan.output["sum"], 1, cluster.log))
    cluster.drain()
    before = executions(cluster.log)
    cluster.launchpad.rerun_fw(1)
    cluster.drain()
    assert executions(cluster.log) == before
    assert output(cluster, "add") in (2, 3, 6)


def test_a_users_error_is_told_with_its_mend(cluster):
    put(cluster, jobs.refuse(1))
    cluster.drain()
    assert details(cluster) == {
        "reason": "1 is refused",
        "mend": "Choose another number",
        "details": None,
    }


def test_an_error_of_python_is_told_with_the_end_of_its_traceback(cluster):
    put(cluster, jobs.crash(1))
    cluster.drain()
    found = details(cluster)
    assert found["reason"] == "RuntimeError: broken by 1"
    assert found["mend"] is None
    assert "in crash" in found["details"]
    assert len(found["details"]) <= 4000


@pytest.mark.parametrize("killed", [True, False])
def test_a_job_that_slurm_killed_has_not_ended(cluster, monkeypatch, tmp_path, killed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stop, "_present", None)
    put(cluster, jobs.crash(1))
    worker = Worker(cluster.launchpad, FWorker("here"))
    worker.stop.requested = worker.stop.killed = killed
    worker.drain(1)
    assert cluster.states() == {"RUNNING" if killed else "FIZZLED": 1}
    marks = cluster.launchpad.launches.find_one({}).get("sse", {})
    assert marks == ({"left": True} if killed else {})


def test_a_job_out_of_time_goes_on_where_it_stopped(cluster):
    first = jobs.in_slices(5.0, 3, cluster.log)
    put(cluster, first, jobs.add(first.output, 1, cluster.log))
    cluster.drain()
    assert cluster.states() == {"COMPLETED": 4}
    assert output(cluster, "add") == 6
    continued = [doc["spec"]["sse"]["continued"] for doc in cluster.launchpad.fireworks.find()]
    assert sorted(continued) == [0, 0, 1, 2]
    assert not list(cluster.store.query({"output": None}))


def test_a_job_that_never_gets_done_is_given_up(cluster, monkeypatch):
    monkeypatch.setattr(firetask, "MAX_CONTINUED", 2)
    put(cluster, jobs.in_slices(5.0, 30, cluster.log))
    cluster.drain()
    assert cluster.states() == {"COMPLETED": 2, "FIZZLED": 1}
    assert "ran out of time 3 times" in details(cluster)["reason"]
    assert "profiles.yaml" in details(cluster)["mend"]


def take_over(cluster) -> None:
    """What happens when a worker was given up and another one took its job."""
    cluster.launchpad.rerun_fw(1)
    cluster.launchpad.checkout_fw(FWorker("other"), "/", 1)


def test_a_store_takes_nothing_from_a_zombie(cluster):
    put(cluster, jobs.add(1, 2))
    cluster.launchpad.checkout_fw(FWorker("lost"), "/", 1)
    launch = Launch(cluster.launchpad, 1)
    launch.check()
    take_over(cluster)
    document = {"uuid": "u", "index": 1, "output": 1}
    late = FencedStore(cluster.store, launch)
    late.update(document, key=["uuid", "index"])
    with pytest.raises(Superseded):
        late.write([])
    assert not cluster.documents()
    fresh = FencedStore(cluster.store, Launch(cluster.launchpad, 1))
    fresh.update(document, key=["uuid", "index"])
    fresh.write([])
    assert cluster.documents() == {("u", 1): 1}


def test_a_zombie_changes_nothing(cluster, monkeypatch):
    @contextlib.contextmanager
    def meanwhile(name):
        take_over(cluster)
        yield

    put(cluster, jobs.fan_out([1, 2]))
    monkeypatch.setattr(firetask, "working_folder", meanwhile)
    cluster.drain(nlaunches=1)
    assert cluster.states() == {"RUNNING": 1}  # the other one's
    assert not cluster.documents()
    launches = {doc["state"]: doc for doc in cluster.launchpad.launches.find()}
    assert set(launches) == {"FIZZLED", "RUNNING"}
    assert "sse" not in launches["FIZZLED"]


def test_the_launch_says_where_it_runs(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    put(cluster, jobs.add(1, 2))
    cluster.drain()
    env = cluster.launchpad.launches.find_one()["fworker"]["env"]
    assert env["slurm_job_id"] == "4711"
    assert env["pid"] == os.getpid()
    assert env["host"]


def test_files_go_to_the_folder_of_the_job(cluster):
    put(cluster, jobs.write_file("left"))
    cluster.drain()
    spec = cluster.launchpad.fireworks.find_one()["spec"]["sse"]
    assert output(cluster, "write_file") == spec["work"]
    assert spec["work"] == str(cluster.folder / "work" / f"{spec['uuid']}-1")


def test_a_folder_that_stays_empty_is_removed(cluster):
    put(cluster, jobs.add(1, 2))
    cluster.drain()
    assert not list((cluster.folder / "work").iterdir())


def test_a_folder_that_cannot_be_made_is_no_reason_to_fail(cluster, read_only_folder):
    put(cluster, jobs.write_file("left"), folder=read_only_folder)
    cluster.drain()
    assert output(cluster, "write_file").startswith(str(cluster.folder / "launches"))


def test_grown_jobs_have_the_settings_of_their_part(cluster, monkeypatch):
    profiles = {"postprocess": {"queueadapter": {"nodes": 3}}}
    monkeypatch.setattr(firetask, "_profiles", lambda: {})
    put(cluster, jobs.fan_out([1, 2]), profiles=profiles)
    cluster.drain()
    specs = [doc["spec"] for doc in cluster.launchpad.fireworks.find()]
    assert len(specs) == 5
    for key in ("_category", "_priority", "_queueadapter", "_add_launchpad_and_fw_id"):
        assert len({str(spec[key]) for spec in specs}) == 1
    for key in ("campaign", "part", "compound", "stage"):
        assert len({spec["sse"][key] for spec in specs}) == 1
    assert len({spec["sse"]["work"] for spec in specs}) == 5


def test_the_task_imports_nothing_heavy():
    code = (
        "import sys, sse_flows.launchers.firetask\n"
        "heavy = 'pymatgen', 'jobflow', 'torch', 'atomate2', 'phonopy', 'sklearn', 'pydantic'\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_a_result_that_came_meanwhile_is_not_written_again(cluster, monkeypatch):
    @contextlib.contextmanager
    def meanwhile(name):
        uuid = cluster.launchpad.fireworks.find_one()["spec"]["sse"]["uuid"]
        document = {"uuid": uuid, "index": 1, "output": 3.0, "completed_at": "2000-01-01"}
        cluster.store.update(document, key=["uuid", "index"])
        yield

    put(cluster, jobs.add(1, 2))
    monkeypatch.setattr(firetask, "working_folder", meanwhile)
    cluster.drain()
    assert cluster.states() == {"COMPLETED": 1}
    assert cluster.store.query_one()["completed_at"] == "2000-01-01"
