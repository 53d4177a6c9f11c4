"""`sse status`, `report` and `recover` of a campaign on a cluster, whose LaunchPad is in memory."""

from __future__ import annotations

import json

import pytest

from sse_flows.campaign.flow import STAGES, Plan
from sse_flows.errors import SSEError
from sse_flows.launchers.submission import Submission
from sse_flows.testing.launchpad_states import Bench, FakeSlurm, memory_launchpad, memory_store

CAMPAIGN = """\
name: far
train: {conductors: [li2s]}
code: {model: SevenNet-0}
results: {folder: runs/far}
"""
CHAIN = {"order": [], "relax": ["order"], "phonons": ["relax"], "descriptors": ["phonons"]}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A submitted campaign of one compound, Slurm in the place of which scripts answer."""
    bench = Bench(memory_launchpad(), memory_store(), "far")
    monkeypatch.setattr("sse_flows.launchers.settings.open_launchpad", lambda create: bench.pad)
    monkeypatch.setattr("sse_flows.launchers.settings.shared_store", lambda: bench.store)
    monkeypatch.setattr("sse_flows.store.jobstore.configured_store", lambda: bench.store)
    slurm = FakeSlurm(tmp_path / "slurm")
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    bench.jobs = bench.part("li2s", CHAIN)
    (tmp_path / "campaign.yaml").write_text(CAMPAIGN)
    folder = tmp_path / "runs/far"
    folder.mkdir(parents=True)
    jobs = {"li2s": {stage: bench.ids["li2s"][stage] for stage in STAGES}}
    Plan(name="far", roles={"li2s": ["train"]}, jobs=jobs).write(folder)
    Submission(
        campaign="far",
        host="localhost:27017",
        database=bench.pad.db.name,
        compounds={"li2s": "li2s"},
        submitted_at="2030-01-01",
    ).write(folder)
    return bench


def test_status_shows_what_is_lost_and_recover_puts_it_back(bench, sse):
    bench.start(bench.jobs["order"], 5)
    found = sse("status", "campaign.yaml")
    assert found.code == 0
    assert "lost: li2s (order): job 5 is not in the queue any more -> Put it back" in found.out
    dry = sse("recover", "campaign.yaml", "--dry-run")
    assert "would have: put back" in dry.out
    assert bench.state(bench.jobs["order"]) == "RUNNING"
    done = sse("recover", "campaign.yaml")
    assert done.code == 0
    assert "lost run: 1 found, 1 put right" in done.out
    assert "next: qlaunch -r rapidfire" in done.out
    again = sse("recover", "campaign.yaml")
    assert (again.code, again.out) == (0, "nothing to recover\n")


def test_status_as_json(bench, sse):
    bench.fail(bench.jobs["order"], "too few atoms", "add some")
    found = json.loads(sse("status", "campaign.yaml", "--format", "json").out)
    assert found["stages"]["li2s"]["order"] == "failed"
    assert found["problems"][0]["mend"] == "add some"


@pytest.mark.parametrize("options", [["--watch"], ["--watch", "0.1"], ["--watch=0.1"]])
def test_watching_ends_with_the_campaign(bench, sse, options):
    for job in CHAIN:
        bench.finish(bench.jobs[job])
    found = sse("status", "campaign.yaml", *options)
    assert found.code == 0
    assert found.out.splitlines()[-1] == "complete; jobs: 4 COMPLETED"


def test_watching_tells_of_changes(bench, sse, monkeypatch):
    moves = iter(CHAIN)
    monkeypatch.setattr("time.sleep", lambda seconds: bench.finish(bench.jobs[next(moves)]))
    lines = sse("status", "campaign.yaml", "--watch").out.splitlines()
    assert "order: 1 ready" in lines[0]
    assert "relax: 1 ready" in lines[1]
    assert "complete" in lines[-1]


def test_another_launchpad_is_refused(bench, sse, monkeypatch):
    other = memory_launchpad()
    monkeypatch.setattr("sse_flows.launchers.settings.open_launchpad", lambda create: other)
    found = sse("recover", "campaign.yaml")
    assert found.code == 1
    assert "was submitted to localhost:27017" in found.err


def test_what_was_not_submitted_cannot_be_recovered(bench, sse, tmp_path):
    (tmp_path / "runs/far/submission.json").unlink()
    found = sse("recover", "campaign.yaml")
    assert found.code == 1
    assert "sse submit" in found.err
    assert "not running" in sse("status", "campaign.yaml").out  # as of a run on this machine


def test_the_report_shows_what_failed_on_the_cluster(bench, sse, tmp_path):
    bench.fail(bench.jobs["order"], "an odd number of <electrons>", "count again")
    found = sse("report", "campaign.yaml")
    assert found.code == 0, found.err
    page = (tmp_path / "runs/far/report.html").read_text()
    assert "an odd number of &lt;electrons&gt;" in page
    assert "count again" in page


def test_the_report_does_without_a_launchpad_that_is_down(bench, sse, tmp_path, monkeypatch):
    def down(create):
        raise SSEError("the database does not answer")

    monkeypatch.setattr("sse_flows.launchers.settings.open_launchpad", down)
    found = sse("report", "campaign.yaml")
    assert found.code == 0, found.err
    assert "does not show what failed on the cluster" in found.err
    assert (tmp_path / "runs/far/report.html").is_file()
