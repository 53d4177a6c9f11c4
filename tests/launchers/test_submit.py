"""Submitting a campaign: what ends in the store, and that nothing is added or run twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sse_flows.campaign.keys import keyed, with_content_keys
from sse_flows.campaign.run import LocalRunner
from sse_flows.launchers import firetask
from sse_flows.launchers.submit import Submitter
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.jobs import executions
from sse_flows.testing.launchpads import drain, mock_launchpad

COMPOUNDS = {"a": 1.0, "b": 2.0, "c": 3.0}


class Cluster:
    """A LaunchPad, a store and a results folder, all of this process."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = str(folder / "executions.log")
        self.store = embedded_store(folder)
        self.store.connect()
        self.launchpad = mock_launchpad()

    def submit(self, compounds=COMPOUNDS, name="trivial", priority=None, profiles=None, **options):
        flow = campaign_flow(compounds, self.log, **options)
        submitter = Submitter(self.launchpad, self.store, self.folder, priority, profiles)
        outcome = submitter.submit(keyed(flow), name)
        self.submission = submitter.submission
        return outcome

    def drain(self, **options) -> None:
        drain(self.launchpad, self.folder / "launches", **options)

    def states(self, **query) -> dict[str, int]:
        found: dict[str, int] = {}
        for doc in self.launchpad.fireworks.find(query):
            found[doc["state"]] = found.get(doc["state"], 0) + 1
        return found

    def documents(self) -> dict[tuple[str, int], object]:
        return documents(self.store)

    def tail_output(self) -> list[object]:
        docs = self.store.query({"metadata.stage": {"$in": ["models", "screening"]}})
        return sorted((doc["metadata"]["stage"], json.dumps(doc["output"])) for doc in docs)


def documents(store) -> dict[tuple[str, int], object]:
    return {(doc["uuid"], doc["index"]): doc["output"] for doc in store.query()}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    cluster = Cluster(tmp_path / "run")
    monkeypatch.setattr(firetask, "open_store", lambda: cluster.store)
    yield cluster
    cluster.store.close()


def by_fate(outcome) -> dict[str, dict[str, int]]:
    return {kind: dict(fates) for kind, fates in outcome.counts().items()}


def test_a_drained_campaign_ends_in_the_documents_of_a_local_run(cluster, tmp_path):
    assert by_fate(cluster.submit()) == {
        "reference": {"added": 1},
        "compound": {"added": 3},
        "tail": {"added": 1},
    }
    cluster.drain()
    local = tmp_path / "local"
    local.mkdir()
    store = embedded_store(local)
    store.connect()
    LocalRunner(store, local, 2).run(with_content_keys(campaign_flow(COMPOUNDS, cluster.log)))
    assert cluster.documents() == documents(store)
    assert set(cluster.states()) == {"COMPLETED"}
    store.close()


def test_a_failing_compound_stops_only_itself(cluster):
    cluster.submit(failing=["b"])
    cluster.drain()
    kinds = {
        doc["metadata"]["sse"]["compound"] or doc["metadata"]["sse"]["kind"]: doc["state"]
        for doc in cluster.launchpad.workflows.find()
    }
    assert kinds == {
        "reference": "COMPLETED",
        "a": "COMPLETED",
        "b": "FIZZLED",
        "c": "COMPLETED",
        "tail": "COMPLETED",
    }
    assert '"count": 2' in cluster.tail_output()[0][1]


def test_a_failing_reference_lets_its_compounds_go_on(cluster):
    cluster.submit(references={"Li": 1.0, "O": 2.0}, failing=["Li"])
    cluster.drain()
    assert cluster.states(**{"spec.sse.stage": "screening"}) == {"COMPLETED": 1}
    energies = [
        doc["output"]
        for doc in cluster.store.query({"metadata.stage": "descriptors", "output.count": 1})
    ]
    assert energies == [{"sum": 3.0, "count": 1}]
    assert cluster.states()["FIZZLED"] == 1


def test_submitting_twice_adds_nothing(cluster):
    cluster.submit()
    before = cluster.launchpad.fireworks.count_documents({})
    outcome = cluster.submit()
    assert set(outcome.fates.values()) == {"skipped"}
    assert cluster.launchpad.fireworks.count_documents({}) == before
    assert cluster.launchpad.workflows.count_documents({}) == 5


def test_what_is_in_the_store_is_not_submitted(cluster):
    cluster.submit()
    cluster.drain()
    cluster.launchpad.reset("", require_password=False)
    outcome = cluster.submit()
    assert set(outcome.fates.values()) == {"found"}
    assert cluster.launchpad.fireworks.count_documents({}) == 0


def test_a_completed_campaign_is_left_alone(cluster):
    cluster.submit()
    cluster.drain()
    outcome = cluster.submit()
    assert set(outcome.fates.values()) == {"found"}
    assert outcome.archived == 0


def test_a_new_compound_adds_its_part_and_a_new_tail(cluster):
    cluster.submit()
    outcome = cluster.submit({**COMPOUNDS, "d": 4.0})
    assert by_fate(outcome) == {
        "reference": {"skipped": 1},
        "compound": {"skipped": 3, "added": 1},
        "tail": {"added": 1},
    }
    assert outcome.archived == 1
    assert cluster.states(**{"spec.sse.stage": "models"}) == {"ARCHIVED": 1, "PAUSED": 1}
    cluster.drain()
    assert cluster.states(**{"spec.sse.stage": "models"}) == {"ARCHIVED": 1, "COMPLETED": 1}
    assert '"count": 4' in cluster.tail_output()[0][1]


def test_every_job_runs_once(cluster):
    cluster.submit()
    cluster.drain()
    counts = executions(cluster.log)
    assert set(counts.values()) == {1}


def test_two_campaigns_share_parts(cluster):
    cluster.submit()
    outcome = cluster.submit({"a": 1.0, "e": 5.0}, name="another")
    assert by_fate(outcome) == {
        "reference": {"skipped": 1},
        "compound": {"skipped": 1, "added": 1},
        "tail": {"added": 1},
    }
    assert outcome.archived == 0
    cluster.drain()
    assert cluster.states(**{"spec.sse.stage": "screening"}) == {"COMPLETED": 2}
    assert set(executions(cluster.log).values()) == {1}
