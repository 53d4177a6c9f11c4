"""Submitting a campaign: what ends in the store, and that nothing is added or run twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from sse_flows.campaign.keys import with_content_keys
from sse_flows.campaign.run import LocalRunner
from sse_flows.errors import SSEError
from sse_flows.launchers import submit as submit_module
from sse_flows.launchers.submission import Submission
from sse_flows.launchers.submit import refuse_mock
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.jobs import executions
from sse_flows.testing.launchpads import COMPOUNDS, documents


@pytest.fixture
def cluster(mock_cluster):
    return mock_cluster


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
    assert cluster.tail()["models"]["count"] == 2


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
    assert cluster.tail()["models"]["count"] == 4


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


class Killed(Exception):
    """Stands in for the end of the process."""


def kill_after(monkeypatch, launchpad, collection: str, number: int) -> None:
    """Let a collection take so many documents before the process that writes them is killed."""
    real = getattr(launchpad, collection)
    insert = real.insert_many

    def cut(docs):
        docs = list(docs)
        insert(docs[:number])
        if number < len(docs):
            raise Killed
        return None

    monkeypatch.setattr(real, "insert_many", cut)


@pytest.mark.parametrize("number", [1, 2, 9, 20])
def test_a_submission_that_was_killed_is_repaired(cluster, monkeypatch, number):
    with monkeypatch.context() as patch:
        kill_after(patch, cluster.launchpad, "fireworks", number)
        with pytest.raises(Killed):
            cluster.submit()
    assert cluster.launchpad.fireworks.count_documents({}) == number
    cluster.drain()  # what is there may run before it is repaired
    assert "FIZZLED" not in cluster.states()
    outcome = cluster.submit()
    assert "repaired" in outcome.fates.values()
    cluster.drain()
    assert set(cluster.states()) == {"COMPLETED"}
    assert cluster.tail()["models"]["count"] == 3
    assert set(executions(cluster.log).values()) == {1}


def test_a_failure_while_the_next_parts_are_made_stops_the_submission(cluster, monkeypatch):
    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(submit_module, "_PARTS_AN_INSERT", 1)
        fireworks = cluster.launchpad.fireworks
        insert = fireworks.insert_many

        def cut(docs):
            calls.append(docs)
            if len(calls) == 3:
                raise Killed
            insert(docs)

        patch.setattr(fireworks, "insert_many", cut)
        with pytest.raises(Killed):
            cluster.submit()
    assert len(calls) == 3
    assert cluster.launchpad.workflows.count_documents({}) == 3
    assert fireworks.count_documents({}) == len(calls[0]) + len(calls[1])
    fates = Counter(cluster.submit().fates.values())
    assert (fates["skipped"], fates["repaired"]) == (2, 1)
    cluster.drain()
    assert set(cluster.states()) == {"COMPLETED"}
    assert set(executions(cluster.log).values()) == {1}


def test_a_compound_that_comes_through_later_renews_the_tail(cluster, tmp_path):
    file = tmp_path / "mended"
    cluster.submit(failing=["b"], until=str(file))
    cluster.drain()
    assert cluster.tail()["screening"]["count"] == 3
    assert by_fate(cluster.submit(failing=["b"], until=str(file)))["tail"] == {"skipped": 1}
    file.touch()
    for doc in cluster.launchpad.fireworks.find({"state": "FIZZLED"}):
        cluster.launchpad.rerun_fw(doc["fw_id"])
    cluster.drain()
    assert cluster.tail()["models"]["count"] == 2
    outcome = cluster.submit(failing=["b"], until=str(file))
    assert by_fate(outcome)["tail"] == {"added": 1}
    cluster.drain()
    assert cluster.tail()["models"]["count"] == 3
    assert cluster.tail()["screening"]["count"] == 4


def test_results_that_were_lost_are_computed_again(cluster):
    cluster.submit()
    cluster.drain()
    before = cluster.documents()
    cluster.store.remove_docs({})
    outcome = cluster.submit()
    assert set(outcome.fates.values()) == {"added"}
    assert outcome.archived == 5
    cluster.drain()
    assert cluster.documents() == before


def test_fizzled_parts_stay_and_are_counted(cluster):
    cluster.submit(failing=["b"])
    cluster.drain()
    outcome = cluster.submit(failing=["b"])
    assert outcome.fizzled == 1
    assert by_fate(outcome)["compound"] == {"found": 2, "skipped": 1}


def test_compounds_begun_first_are_finished_first(cluster):
    cluster.submit({f"x{number:02d}": number for number in range(12)})
    cluster.drain(nlaunches=30)
    docs = cluster.launchpad.fireworks.find({"spec.sse.compound": {"$ne": None}})
    begun = {doc["spec"]["sse"]["compound"] for doc in docs if doc["state"] == "COMPLETED"}
    assert begun - {"Li"} == {"x00", "x01", "x02"}


def test_a_higher_priority_runs_first_and_may_be_given_later(cluster):
    cluster.submit()
    cluster.submit({"d": 4.0}, name="urgent", priority=2)
    priority = {
        doc["spec"]["sse"]["compound"]: doc["spec"]["_priority"]
        for doc in cluster.launchpad.fireworks.find({"spec.sse.stage": "order"})
    }
    assert priority["d"] > priority["a"] > priority["b"] > priority["c"] > 0
    cluster.submit(priority=3)
    first = cluster.launchpad.fireworks.find_one({"state": "READY"}, sort=[("spec._priority", -1)])
    assert first["spec"]["_priority"] > priority["d"]


def test_resources_come_from_the_profiles_and_are_renewed(cluster):
    def hours(number: int) -> dict:
        return {"postprocess": {"queueadapter": {"walltime": f"{number}:00:00"}}}

    def walltimes() -> set:
        docs = cluster.launchpad.fireworks.find({"spec._category": "postprocess"})
        return {doc["spec"]["_queueadapter"]["walltime"] for doc in docs}

    cluster.submit(profiles=hours(1))
    assert walltimes() == {"1:00:00"}
    cluster.submit(profiles=hours(2))
    assert walltimes() == {"2:00:00"}
    models = cluster.launchpad.fireworks.find_one({"spec._category": "models"})
    assert "_queueadapter" not in models["spec"]


def test_documents_are_those_of_fireworks(cluster):
    cluster.submit()
    for ours in cluster.launchpad.workflows.find():
        theirs = cluster.launchpad.get_wf_by_fw_id(ours["nodes"][0])
        assert theirs.to_db_dict() == {k: v for k, v in ours.items() if k != "_id"}
        for firework in theirs:
            stored = cluster.launchpad.fireworks.find_one({"fw_id": firework.fw_id}, {"_id": 0})
            assert firework.to_db_dict() == stored


def test_the_submission_names_all_parts_and_no_password(cluster):
    cluster.launchpad.host = "mongodb://anna:secret@db.example.org:27017/fw?authSource=admin"
    cluster.submit()
    submission = cluster.submission
    assert submission.host == "db.example.org:27017"
    assert set(submission.compounds) == set(COMPOUNDS)
    assert len(submission.parts) == 5
    submission.write(cluster.folder)
    assert "secret" not in (cluster.folder / "submission.json").read_text()
    assert Submission.read(cluster.folder) == submission


def test_a_launchpad_in_memory_is_refused(cluster):
    with pytest.raises(SSEError, match="mongomock"):
        refuse_mock(cluster.launchpad)


CLI = "from sse_flows.cli.main import main; main()"


@pytest.mark.forcefield
def test_the_command_submits_a_campaign_file_once(mongo, launchpad, tmp_path):
    where = f"host: {mongo.host}\nport: {mongo.port}\nname: {mongo.name}\n"
    (tmp_path / "my_launchpad.yaml").write_text(where)
    server = f"database: {mongo.name}, host: {mongo.host}, port: {mongo.port}"
    (tmp_path / "jobflow.yaml").write_text(
        "JOB_STORE:\n"
        f"  docs_store: {{type: MongoStore, collection_name: outputs, {server}}}\n"
        "  additional_stores:\n"
        f"    data: {{type: GridFSStore, collection_name: blobs, {server}}}\n"
    )
    (tmp_path / "campaign.yaml").write_text(
        "name: small\nmobile_ion: Li\ntrain: {conductors: [lii, li2s], table: builtin}\n"
        "code: {model: CHGNet}\n"
    )
    environment = {**os.environ, "JOBFLOW_CONFIG_FILE": str(tmp_path / "jobflow.yaml")}
    environment.pop("FW_CONFIG_FILE", None)
    command = [sys.executable, "-W", "ignore", "-c", CLI, "submit"]

    def submit() -> list[str]:
        done = subprocess.run(
            [*command, "campaign.yaml"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    assert submit() == [
        "references: 3 added",
        "compounds: 2 added",
        "models and screening: 1 added",
        "next: qlaunch -r rapidfire",
    ]
    assert submit()[:3] == [
        "references: 3 skipped",
        "compounds: 2 skipped",
        "models and screening: 1 skipped",
    ]
    assert launchpad.workflows.count_documents({}) == 6
    submission = Submission.read(tmp_path / "runs" / "small")
    assert set(submission.compounds) == {"lii", "li2s"}
    assert (tmp_path / "runs" / "small" / "campaign.json").is_file()
