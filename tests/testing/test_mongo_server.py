"""The MongoDB test server, through the real pymongo."""

from __future__ import annotations

import subprocess
import sys

import bson
import gridfs
import pytest
from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, WriteError

from sse_flows.testing.mongo_commands import Commands
from sse_flows.testing.mongo_wire import Sequence


def test_keeps_data_over_a_stop_and_loses_them_when_killed(stoppable_mongo) -> None:
    server = stoppable_mongo.server
    with stoppable_mongo.client() as client:
        rows = client[stoppable_mongo.name].rows
        rows.create_index("value", unique=True)
        rows.insert_one({"_id": 1, "value": 1.0})
        server.stop()
        server.start()
        assert rows.find_one() == {"_id": 1, "value": 1.0}
        assert rows.index_information()["value_1"]["unique"]
        rows.insert_one({"_id": 2, "value": 2})
        server.kill()
        server.start()
        assert rows.count_documents({"_id": 1}) == 1


def test_refuses_what_it_does_not_know(mongo) -> None:
    with mongo.client() as client:
        with pytest.raises(OperationFailure, match="no such command"):
            client[mongo.name].command("no_such_command")
        with pytest.raises(OperationFailure):
            client[mongo.name].rows.update_one({}, {"$bogus": {"a": 1}})


def test_fixtures_hold_a_launchpad_and_a_store(launchpad, job_store, mongo) -> None:
    from fireworks import Firework, ScriptTask, Workflow

    launchpad.add_wf(Workflow([Firework([ScriptTask(script="true")], name="one")]))
    assert launchpad.get_fw_ids({"name": "one"}) == [1]
    job_store.update({"uuid": "a", "index": 1, "output": 2})
    assert job_store.get_output("a") == 2
    with mongo.client() as client:
        files = gridfs.GridFS(client[mongo.name])
        number = files.put(b"z" * 700_000, filename="a")
        assert files.get(number).read() == b"z" * 700_000


TAKE = """
import sys
from pymongo import MongoClient
rows = MongoClient(sys.argv[1])[sys.argv[2]].rows
change = {"$set": {"state": "TAKEN"}, "$inc": {"times": 1}}
taken = 0
while rows.find_one_and_update({"state": "READY"}, change, sort=[("priority", -1)]):
    taken += 1
print(taken)
"""


def test_processes_that_race_for_documents_take_each_once(mongo) -> None:
    number = 300
    with mongo.client() as client:
        rows = client[mongo.name].rows
        rows.create_index("state")
        rows.insert_many(
            [{"_id": i, "state": "READY", "priority": i % 7, "times": 0} for i in range(number)]
        )
        command = [sys.executable, "-c", TAKE, mongo.uri, mongo.name]
        racers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
        taken = [int(racer.communicate(timeout=400)[0]) for racer in racers]
        assert sum(taken) == number
        assert rows.count_documents({"state": "TAKEN", "times": 1}) == number


def test_upserts_replacements_and_returned_documents(mongo) -> None:
    with mongo.client() as client:
        rows = client[mongo.name].rows
        done = rows.update_one({"k": 1}, {"$set": {"v": 2}, "$setOnInsert": {"w": 3}}, upsert=True)
        assert rows.find_one({"k": 1}) == {"_id": done.upserted_id, "k": 1, "v": 2, "w": 3}
        assert rows.replace_one({"k": 1}, {"k": 1, "v": 2}).modified_count == 1
        assert rows.replace_one({"k": 1}, {"k": 1, "v": 2}).modified_count == 0
        assert rows.update_one({"k": 1}, {"$set": {"v": 2.0}}).modified_count == 1
        after = rows.find_one_and_update(
            {"_id": 7}, {"$inc": {"n": 2}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert after == {"_id": 7, "n": 2}
        assert rows.find_one_and_update({"_id": 8}, {"$inc": {"n": 2}}) is None
        before = rows.find_one_and_delete({"n": 2}, projection={"n": 1, "_id": 0})
        assert before == {"n": 2}
        with pytest.raises(WriteError, match="_id"):
            rows.update_one({"k": 1}, {"$set": {"_id": 9}})


def test_an_update_that_fails_changes_nothing(mongo) -> None:
    with mongo.client() as client:
        rows = client[mongo.name].rows
        rows.create_index([("a", 1), ("b", 1)], unique=True)
        rows.insert_many([{"_id": 1, "a": 1, "b": 1}, {"_id": 2, "a": 1, "b": 2}])
        with pytest.raises(DuplicateKeyError):
            rows.update_one({"_id": 2}, {"$set": {"b": 1.0, "c": 3}})
        with pytest.raises(WriteError):
            rows.update_one({"_id": 1}, {"$set": {"c": 3}, "$inc": {"b": "one"}})
        assert [row.get("c") for row in rows.find()] == [None, None]
        with pytest.raises(BulkWriteError) as caught:
            rows.insert_many([{"_id": 3, "a": 3}, {"_id": 1}, {"_id": 4, "a": 4}], ordered=False)
        assert [error["index"] for error in caught.value.details["writeErrors"]] == [1]
        assert rows.count_documents({}) == 4


def test_pipelines_count_group_and_project(mongo) -> None:
    with mongo.client() as client:
        rows = client[mongo.name].rows
        rows.create_index("state")
        rows.insert_many([{"_id": i, "state": "AB"[i % 2], "n": {"m": i}} for i in range(10)])
        groups = [{"$group": {"_id": "$state", "total": {"$sum": "$n.m"}}}, {"$sort": {"_id": 1}}]
        assert list(rows.aggregate(groups)) == [
            {"_id": "A", "total": 20},
            {"_id": "B", "total": 25},
        ]
        parts = [{"$match": {"state": "A"}}, {"$project": {"n.m": 1, "_id": 0}}, {"$limit": 2}]
        assert list(rows.aggregate(parts)) == [{"n": {"m": 0}}, {"n": {"m": 2}}]
        assert rows.count_documents({"state": "A"}, skip=1, limit=3) == 3
        assert rows.count_documents({"state": "C"}) == 0
        list(rows.aggregate([{"$addFields": {"n.m": 99}}]))
        assert rows.find_one({"_id": 3}) == {"_id": 3, "state": "B", "n": {"m": 3}}
        with pytest.raises(OperationFailure):
            list(rows.find({"$where": "True"}))


def test_pipelines_update_documents_by_what_they_hold(mongo) -> None:
    begun = {"$cond": {"if": {"$eq": ["$state", "READY"]}, "then": "RUNNING", "else": "$state"}}
    with mongo.client() as client:
        rows = client[mongo.name].rows
        rows.insert_many([{"_id": 1, "state": "READY"}, {"_id": 2, "state": "FAILED", "more": {}}])
        assert rows.update_many({}, [{"$set": {"state": begun}}]).modified_count == 1
        assert list(rows.find()) == [
            {"_id": 1, "state": "RUNNING"},
            {"_id": 2, "state": "FAILED", "more": {}},
        ]
        after = rows.find_one_and_update(
            {"_id": 2},
            [{"$set": {"more": {"$mergeObjects": ["$more", {"nodes": 2}]}}}, {"$unset": "state"}],
            return_document=ReturnDocument.AFTER,
        )
        assert after == {"_id": 2, "more": {"nodes": 2}}
        with pytest.raises(OperationFailure, match="no stage of an update"):
            rows.update_one({}, [{"$match": {"_id": 1}}])


def test_large_documents_are_refused_as_by_mongodb(mongo) -> None:
    with mongo.client() as client:
        rows = client[mongo.name].rows
        rows.insert_one({"_id": 1, "text": "x" * 15_000_000})
        with pytest.raises(WriteError):
            rows.update_one({"_id": 1}, {"$set": {"more": "x" * 3_000_000}})
        assert "more" not in rows.find_one({"_id": 1})


def test_documents_are_taken_as_they_came_unless_one_may_be_too_large() -> None:
    commands, large = Commands(), "x" * 17_000_000
    for name, documents, size in (
        ("few", [{"a": 1, "_id": 2}, {"_id": 3}], 100),
        ("many", [{"_id": 1, "text": large}], 18_000_000),
    ):
        sequence = Sequence(documents)
        sequence.size = size
        reply = bson.decode(commands.run({"insert": name, "documents": sequence, "$db": "tests"}))
        assert reply["n"] == (2 if name == "few" else 0)
    assert reply["writeErrors"][0]["code"] == 10334
    found = list(commands.client["tests"]["few"]._store.documents)
    assert [list(one) for one in found] == [["_id", "a"], ["_id"]]
