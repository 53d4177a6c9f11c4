"""What the page of a campaign gathers from its documents."""

from __future__ import annotations

import pytest

from sse_flows.campaign.flow import Plan
from sse_flows.campaign.results import CampaignResults, _explanations
from sse_flows.campaign.tables import read_any_table, table_path
from sse_flows.descriptors.table import descriptor_sets, read_descriptor_csv
from sse_flows.errors import SSEError
from sse_flows.models.train import train


@pytest.fixture(scope="module")
def models():
    return train(read_any_table("builtin", "Li").iloc[::2], max_features=1, n_estimators=3)


@pytest.fixture(scope="module")
def sets():
    return descriptor_sets(read_descriptor_csv(table_path("builtin")))[:4]


def test_every_described_compound_is_explained(models, sets):
    found = _explanations(models, sets)
    assert [one.compound_id for one in found] == [one.compound_id for one in sets]
    for one in found:
        parts = [part.contribution for part in one.log10_conductivity_contributions]
        total = one.log10_conductivity_base + sum(parts) + one.log10_conductivity_rest
        assert total == pytest.approx(one.log10_conductivity)


def test_nothing_to_explain_is_no_error(models, sets):
    assert _explanations(None, sets) == []
    assert _explanations(models, []) == []


@pytest.mark.forcefield
def test_the_password_of_the_store_is_in_no_report_and_no_provenance(tmp_path):
    import mongomock
    from jobflow import JobStore
    from maggma.stores import MemoryStore, MongoStore

    from sse_flows.campaign.flow import Campaign
    from sse_flows.campaign.results import gather_report, write_provenance
    from sse_flows.campaign.status import Status
    from sse_flows.report import write_report

    docs = MongoStore("sse", "x", uri="mongodb://me:this-is-secret@db.example/sse?w=1")
    docs._coll = mongomock.MongoClient().db.x
    store = JobStore(docs, {"data": MemoryStore()})
    (tmp_path / "c.yaml").write_text("name: x\nscreen: {conductors: [li2s]}\n")
    campaign = Campaign.from_file(tmp_path / "c.yaml")
    campaign.folder.mkdir(parents=True)
    campaign.plan().write(campaign.folder)
    write_provenance(campaign, campaign.plan(), store, tmp_path / "provenance.json")
    data = gather_report(campaign, store, campaign.folder, Status())
    write_report(data, tmp_path / "report.html")
    assert "db.example/sse" in (tmp_path / "report.html").read_text()
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert "this-is-secret" not in file.read_text()


def test_an_unknown_compound_is_refused_with_the_nearest():
    plan = Plan(name="c", roles={"li3p": ["screen"]}, jobs={"li3p": {"phonons": "p"}})
    with pytest.raises(SSEError, match="no compound 'li3n'") as caught:
        CampaignResults(None, plan).dynamics("li3n")
    assert caught.value.mend == "Did you mean li3p?"
