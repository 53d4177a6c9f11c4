"""jobflow-remote as the launcher of a campaign's Flow: its own runner, nothing of ours between."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from jobflow import Flow
from pymongo.errors import BulkWriteError

from sse_flows.campaign.keys import keyed
from sse_flows.campaign.run import LocalRunner
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing import jobs

remote = pytest.importorskip("jobflow_remote", reason="jobflow-remote is not installed")

PROJECT = "sse"


def made() -> Flow:
    """Two compounds, one of which fails early, and the models of what came through."""
    good = jobs.fan_out([1, 2])
    bad = jobs.refuse(3)
    lost = jobs.add(bad.output, 1)
    for compound, job in (("good", good), ("bad", bad), ("bad", lost)):
        job.update_metadata({"compound": compound})
    models = jobs.total([good.output["sum"], lost.output])
    models.update_metadata({"stage": "models"})
    models.config = jobs.TOLERANT
    return keyed(Flow([good, bad, lost, models], name="trivial")).decoded()


@pytest.fixture
def project(mongo, tmp_path, monkeypatch):
    """A project of jobflow-remote with a worker on this machine, and its controller."""
    place = {"host": mongo.host, "port": mongo.port, "database": mongo.name}
    worker = {
        "type": "local",
        "scheduler_type": "shell",
        "work_dir": str(tmp_path / "work"),
        "execution_cmd": f"{Path(sys.executable).parent}/jf -fe execution run {{}}",
        "max_jobs": 2,
    }
    often = {f"delay_{what}": 1 for what in ("checkout", "check_run_status", "advance_status")}
    arrays = {"type": "GridFSStore", "collection_name": "outputs_blobs", **place}
    settings = {
        "name": PROJECT,
        "workers": {"here": worker},
        "runner": often,
        "queue": {"store": {"type": "MongoStore", "collection_name": "jobs", **place}},
        "jobstore": {
            "docs_store": {"type": "MongoStore", "collection_name": "outputs", **place},
            "additional_stores": {"data": arrays},
        },
    }
    folder = tmp_path / "projects"
    folder.mkdir()
    (tmp_path / "work").mkdir()
    (folder / "sse.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(remote.SETTINGS, "projects_folder", str(folder))
    monkeypatch.setenv("JFREMOTE_PROJECTS_FOLDER", str(folder))
    controller = remote.ConfigManager().get_project(PROJECT).get_job_controller()
    controller.reset()
    return controller


def run() -> None:
    from jobflow_remote.jobs.runner import Runner

    Runner(PROJECT).run_all_jobs(max_seconds=400)


def states(controller) -> dict[str, str]:
    return {job.uuid: job.state.value for job in controller.get_jobs_info()}


def test_a_campaign_ends_in_the_documents_of_sse_run(project, job_store, tmp_path):
    from jobflow_remote.jobs.state import JobState

    flow = made()
    good, bad, lost, models = (job.uuid for job in flow.jobs)
    assert len(remote.submit_flow(flow, project=PROJECT, worker="here")) == 4
    with pytest.raises(ValueError, match="duplicate key"):
        remote.submit_flow(flow, project=PROJECT, worker="here")
    with pytest.raises(BulkWriteError):  # made anew it has another id, but its jobs have not
        remote.submit_flow(made(), project=PROJECT, worker="here")
    assert project.flows.count_documents({}) == 2  # that of the second has no jobs
    assert project.jobs.count_documents({}) == 4
    run()
    found = states(project)
    assert (found[good], found[bad]) == ("COMPLETED", "FAILED")
    assert (found[lost], found[models]) == ("WAITING", "WAITING")

    # as docs/cluster.md tells: what waits for the failed compound ends, then the models begin
    waiting = JobState.WAITING
    project.set_jobs_state(JobState.USER_STOPPED, states=waiting, metadata={"compound": "bad"})
    project.set_jobs_state(JobState.READY, metadata={"stage": "models"})
    run()
    assert states(project)[models] == "COMPLETED"

    alone = embedded_store(tmp_path)
    alone.connect()
    LocalRunner(alone, tmp_path, 1).run(flow)
    for job in (good, models):
        theirs, ours = (store.get_output(job, load=True) for store in (job_store, alone))
        assert theirs == ours == {"sum": 5, "count": 2 if job == good else 1}
    assert job_store.count({"uuid": {"$in": [bad, lost]}}) == 0
    graph = LocalRunner(job_store, tmp_path / "again", 1).run(flow)  # finds what is stored
    assert graph.counts()["done"] == 2
    assert len(graph.nodes) == 4
