"""A campaign as a jobflow Flow, for launchers other than our own."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from jobflow import JobStore, run_locally
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import MemoryStore

from sse_flows.campaign.flow import STAGES, Campaign
from sse_flows.campaign.manifest import Manifest
from sse_flows.campaign.results import CampaignResults
from sse_flows.errors import SSEError

pytestmark = pytest.mark.forcefield

CAMPAIGNS = Path(__file__).parents[2] / "campaigns"
QUICK = {
    "phonons": {"min_length": 4.0},
    "models": {"max_features": 1, "trees": 10, "nested": False},
}


def campaign(name: str, train: list[str], screen: list[str], **more) -> Campaign:
    """A small campaign on built-in conductors and the shipped table."""
    train_section = {"conductors": train, "table": "builtin"}
    fields = {"name": name, "train": train_section, "screen": {"conductors": screen}, **QUICK}
    return Campaign(Manifest.model_validate({**fields, **more}))


@pytest.fixture
def memory() -> JobStore:
    return JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})


def test_campaigns_that_share_a_compound_share_its_jobs():
    first = campaign("first", ["lii"], ["li2s"]).plan().jobs
    second = campaign("second", ["lii", "li3p"], []).plan().jobs
    assert first["lii"] == second["lii"]
    assert list(first["lii"]) == list(STAGES)


def test_a_campaign_that_was_moved_finds_its_results(tmp_path):
    plans = []
    for folder in ("here", "deep/there"):
        shutil.copytree(CAMPAIGNS, tmp_path / folder)
        plan = Campaign.from_file(tmp_path / folder / "demo.yaml").plan()
        plans.append((plan.jobs, plan.models, plan.screening))
    assert plans[0] == plans[1]


def test_another_setting_is_another_job():
    loose = campaign("first", ["lii"], [], relax={"force_max": 0.01}).plan().jobs["lii"]
    tight = campaign("first", ["lii"], []).plan().jobs["lii"]
    assert loose["order"] == tight["order"]
    assert all(loose[stage] != tight[stage] for stage in STAGES[1:])


def test_the_flow_becomes_a_fireworks_workflow(memory):
    flow = campaign("first", ["lii"], ["li2s"]).flow()
    workflow = flow_to_workflow(flow, memory)
    assert len(workflow.fws) == len(list(flow.iterflow()))
    assert workflow.name == "first"


def test_the_flow_runs_under_jobflow_itself(memory, tmp_path):
    one = campaign("first", ["lii"], ["li2s"])
    with contextlib.chdir(tmp_path):
        run_locally(one.flow(), store=memory, log=False, ensure_success=True)
    results = CampaignResults(memory, one.plan())
    table = results.table()
    assert list(table.index) == ["lii", "li2s"]
    assert table.loc["li2s", "rank"] == 1
    models = results.models()
    assert models is not None
    assert len(models.training) >= 45


def test_a_campaign_without_compounds_says_why():
    with pytest.raises(SSEError, match="no compound is left"):
        Campaign(Manifest(name="none", screen={"conductors": ["no-such-one"]})).flow()
