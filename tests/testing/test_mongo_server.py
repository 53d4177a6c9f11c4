"""The MongoDB test server, through the real pymongo."""

from __future__ import annotations

import gridfs
import pytest
from pymongo.errors import OperationFailure


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
