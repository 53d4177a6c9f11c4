"""Two campaigns that share parts, submitted at the same moment, or one of them killed over it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from fireworks import LaunchPad
from jobflow import JobStore
from maggma.stores import MongoStore

from sse_flows.campaign.keys import keyed
from sse_flows.launchers import claims
from sse_flows.launchers.submit import ADDED, REPAIRED, SKIPPED, Submitter, archive
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.launchpads import MockCluster

SHARED = {f"x{number}": float(number) for number in range(12)}


def submitter(where: tuple, folder: Path, name: str) -> Submitter:
    """Of a process of its own."""
    host, port, database = where
    store = JobStore(MongoStore(database, "outputs", host=host, port=port))
    store.connect()
    pad = LaunchPad(host=host, port=port, name=database, strm_lvl="CRITICAL")
    return Submitter(pad, store, folder / name)


def submit(where: tuple, folder: Path, name: str, barrier, found, kill_at: int = 0) -> None:
    """Submit all but the look at what is there, wait for the others, and go on."""
    mine = submitter(where, folder, name)
    flow = keyed(campaign_flow({**SHARED, name: float(len(name) + ord(name[0]))}))
    real = mine._there

    def there(parts):
        looked = real(parts)
        mine._there = real
        barrier.wait(60)
        return looked

    mine._there = there
    if kill_at:
        _kill_at(mine.launchpad, kill_at)
    found.put((name, mine.submit(flow, name).fates))


def _kill_at(launchpad: LaunchPad, number: int) -> None:
    insert = launchpad.fireworks.insert_many

    def cut(docs, **options):
        insert(docs[:number], **options)
        os.kill(os.getpid(), signal.SIGKILL)

    launchpad.fireworks.insert_many = cut


def at_once(launchpad: LaunchPad, folder: Path, killed: int = 0) -> dict[str, dict[str, str]]:
    """Submit two campaigns at the same moment; fates of those that came through."""
    context = multiprocessing.get_context("fork")
    barrier, found = context.Barrier(2), context.Queue()
    where = launchpad.host, launchpad.port, launchpad.db.name
    kill = {"first": killed, "second": 0}
    pair = [
        context.Process(target=submit, args=(where, folder, name, barrier, found, kill[name]))
        for name in kill
    ]
    for process in pair:
        process.start()
    fates = dict(found.get(timeout=120) for _ in range(1 if killed else 2))
    for process in pair:
        process.join(60)
    assert [process.exitcode for process in pair] == [-signal.SIGKILL if killed else 0, 0]
    return fates


def assert_whole(launchpad: LaunchPad) -> None:
    """Every part is there once, with each of its fireworks once, and nothing else."""
    docs = list(launchpad.workflows.find({"state": {"$ne": "ARCHIVED"}}))
    parts = Counter(doc["metadata"]["sse"]["part"] for doc in docs)
    assert set(parts.values()) == {1}
    nodes = sorted(node for doc in docs for node in doc["nodes"])
    assert nodes == sorted(doc["fw_id"] for doc in launchpad.fireworks.find({}, {"fw_id": 1}))


def test_two_that_submit_at_the_same_moment_add_each_part_once(launchpad, job_store, tmp_path):
    fates = at_once(launchpad, tmp_path)
    assert_whole(launchpad)
    assert launchpad.workflows.count_documents({}) == 1 + len(SHARED) + 2 + 2
    shared = fates["first"].keys() & fates["second"].keys()
    assert len(shared) == 1 + len(SHARED)
    for part in shared:
        both = {fates["first"][part], fates["second"][part]}
        assert ADDED in both
        assert both & {SKIPPED, REPAIRED}
    unique = [one.get("unique") for one in job_store.docs_store._collection.list_indexes()]
    assert True in unique  # for workers that write on a condition
    gates = launchpad.fireworks.find({"spec.sse.stage": "models"})
    assert [doc["state"] for doc in gates] == ["PAUSED", "PAUSED"]


@pytest.mark.parametrize("written", [1, 20])
def test_one_that_is_killed_over_it_blocks_nobody(launchpad, tmp_path, written):
    fates = at_once(launchpad, tmp_path, killed=written)["second"]
    assert set(fates.values()) <= {ADDED, SKIPPED, REPAIRED}
    where = launchpad.host, launchpad.port, launchpad.db.name
    flow = keyed(campaign_flow({**SHARED, "first": 107.0}))
    submitter(where, tmp_path, "first").submit(flow, "first")
    assert_whole(launchpad)


@pytest.fixture
def cluster(tmp_path):
    cluster = MockCluster(tmp_path / "run")
    yield cluster
    cluster.store.close()


def test_a_part_that_was_archived_can_be_added_again(cluster):
    cluster.submit()
    workflow = cluster.launchpad.workflows.find_one({"name": "a"})
    part = workflow["metadata"]["sse"]["part"]
    assert workflow["metadata"]["sse"]["claim"] == part
    states = {"fw_id": {"$in": workflow["nodes"]}}
    cluster.launchpad.fireworks.update_many(states, {"$set": {"state": "PAUSED"}})
    assert archive(cluster.launchpad, workflow)
    assert cluster.submit().fates[part] == ADDED
    newer = cluster.launchpad.workflows.find_one({"name": "a", "state": {"$ne": "ARCHIVED"}})
    change = {"$set": {"state": "ARCHIVED"}}  # as lpad does, which knows of no claims
    cluster.launchpad.workflows.update_one({"nodes": newer["nodes"][0]}, change)
    assert cluster.submit().fates[part] == ADDED
    assert cluster.launchpad.workflows.count_documents({claims.CLAIM: part}) == 1
