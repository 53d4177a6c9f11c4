"""jobflow's own MongoDB stores behind ours, over the wire and from separate processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from jobflow import SETTINGS, JobStore
from maggma.stores import GridFSStore, MongoStore
from monty.json import MontyDecoder, MontyEncoder

from sse_flows.errors import SSEError
from sse_flows.store.durable import BLOB_STORE
from sse_flows.store.indexes import BLOB_INDEXES, DOCUMENT_INDEXES, ensure_indexes
from sse_flows.store.jobstore import configured_store, connect, open_store, store_place
from sse_flows.store.patience import PatientJobStore, patient

SAVE = {BLOB_STORE: ["force_constants"]}
LARGE = np.arange(700_000, dtype=float).reshape(-1, 100) / 7


def document(uuid: str, numbers=((1.0, 2.0),)) -> dict:
    return {
        "uuid": uuid,
        "index": 1,
        "output": {"force_constants": np.array(numbers).tolist(), "name": uuid},
        "metadata": {"stage": "phonons", "compound": "Li2O"},
    }


def specification(mongo, **common) -> dict:
    """What users write below JOB_STORE."""
    where = {"database": mongo.name, "uri": mongo.uri, **common}
    arrays = {"type": "GridFSStore", "collection_name": "outputs_blobs", **where}
    return {
        "docs_store": {"type": "MongoStore", "collection_name": "outputs", **where},
        "additional_stores": {"data": arrays},
    }


@pytest.fixture
def store(mongo):
    store = patient(JobStore.from_dict_spec(specification(mongo)))
    connect(store)
    return store


def blobs(store) -> GridFSStore:
    return store.additional_stores[BLOB_STORE]


def configure(folder, store, **more) -> dict[str, str]:
    """Environment of a process that has this store configured."""
    (folder / "jobflow.yaml").write_text(yaml.safe_dump({"JOB_STORE": store}))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JOBFLOW_")}
    return {**clean, "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"), **more}


def python(code: str, environment: dict[str, str], *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def test_large_arrays_go_to_gridfs_and_come_back_bit_by_bit(store):
    store.update(document("a", LARGE), save=SAVE)  # 14 MB of text
    slim = store.query_one({"uuid": "a"}, load=False)
    assert set(slim["output"]["force_constants"]) == {"@module", "@class", "blob_uuid", "store"}
    loaded = store.get_output("a", load=True)["force_constants"]
    assert np.array_equal(np.array(loaded), LARGE)


def test_a_job_that_runs_again_replaces_its_arrays_on_gridfs(store):
    for _ in range(3):
        store.update(document("a"), save=SAVE)
    assert (store.count(), blobs(store).count()) == (1, 1)
    files = blobs(store)._files_collection.count_documents({})
    chunks = blobs(store)._chunks_collection.count_documents({})
    assert (files, chunks) == (1, 1)


def test_arrays_are_written_before_the_document(store, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.docs_store, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.update(document("a"), save=SAVE)
    assert (store.count(), blobs(store).count()) == (0, 1)


def test_arrays_too_large_for_a_document_say_where_to_keep_them(mongo):
    documents_only = specification(mongo)
    documents_only["additional_stores"]["data"]["type"] = "MongoStore"
    store = patient(JobStore.from_dict_spec(documents_only))
    connect(store)
    with pytest.raises(SSEError, match=r"16 MB that MongoDB takes.*GridFSStore"):
        store.update(document("a", np.vstack([LARGE] * 3)), save=SAVE)
    assert store.count() == 0


def test_what_our_queries_look_up_is_indexed_once(store):
    for _ in range(2):
        ensure_indexes(store)
    found = store.docs_store._collection.index_information().values()
    keys = {tuple(field for field, _ in one["key"]): one.get("unique") for one in found}
    assert {("_id",), *DOCUMENT_INDEXES} == set(keys)
    assert keys["uuid", "index"]
    files = blobs(store)._files_collection.index_information().values()
    keys = {tuple(field for field, _ in one["key"]) for one in files}
    assert {tuple(f"metadata.{f}" for f in fields) for fields in BLOB_INDEXES} <= keys


def test_doubles_of_another_program_are_no_obstacle(store):
    collection = store.docs_store._collection
    collection.insert_many([{"uuid": "a", "index": 1, "output": n} for n in range(2)])
    ensure_indexes(store)
    found = collection.index_information().values()
    assert ["uuid", "index"] in [[field for field, _ in one["key"]] for one in found]


def test_no_right_to_make_indexes_is_no_error(store, monkeypatch):
    from pymongo.collection import Collection
    from pymongo.errors import OperationFailure

    def refuse(*_, **__):
        raise OperationFailure("not authorized on sse to execute command", 13)

    monkeypatch.setattr(Collection, "create_index", refuse)
    ensure_indexes(store)


def test_workers_get_the_same_store_through_json(store):
    store.update(document("a"), save=SAVE)
    again = json.loads(json.dumps(store, cls=MontyEncoder), cls=MontyDecoder)
    again.connect()
    assert isinstance(again, PatientJobStore)
    assert again.get_output("a", load=True) == document("a")["output"]
    assert again.additional_stores[BLOB_STORE].searchable_fields.count("job_uuid") == 2


WRITE = """
import sys, numpy
from sse_flows.store.jobstore import open_store
store = open_store("nowhere")
for n in range(int(sys.argv[2]), int(sys.argv[3])):
    output = {"force_constants": [[n / 7.0] * 3], "name": n}
    store.update({"uuid": str(n), "index": 1, "output": output}, save={"data": ["force_constants"]})
    print(n, flush=True)
"""


def test_many_processes_write_and_another_reads(mongo, store, tmp_path):
    environment = configure(tmp_path, specification(mongo))
    halves = [python(WRITE, environment, "", n, n + 30) for n in (0, 20)]  # ten are of both
    for process in halves:
        assert process.wait(120) == 0, process.stderr.read()
    assert (store.count(), blobs(store).count()) == (50, 50)
    for n in range(50):
        assert store.get_output(str(n), load=True) == {
            "force_constants": [[n / 7.0] * 3],
            "name": n,
        }


def test_a_server_that_stops_in_the_midst_of_writes_loses_nothing(stoppable_mongo, store, tmp_path):
    mongo = stoppable_mongo
    # the driver itself waits for 30 s in silence, unless told otherwise
    impatient = specification(mongo, mongoclient_kwargs={"serverSelectionTimeoutMS": 300})
    environment = configure(tmp_path, impatient)
    writer = python(WRITE, environment, "", 0, 300)
    assert [writer.stdout.readline() for _ in range(20)][-1] == "19\n"
    mongo.server.stop()
    time.sleep(3)
    assert writer.poll() is None
    mongo.server.start()
    _, said = writer.communicate(timeout=120)
    assert writer.returncode == 0, said
    assert said.count("the database is away, waiting up to 600 s") == 1
    assert said.count("the database is back after") == 1
    found = {doc["uuid"]: doc["output"]["name"] for doc in store.query(properties=["output"])}
    assert found == {str(n): n for n in range(300)}
    assert (store.count(), blobs(store).count()) == (300, 300)
    assert store.get_output("250", load=True)["force_constants"] == [[250 / 7.0] * 3]


def test_a_reader_goes_on_when_the_server_comes_back(stoppable_mongo, store):
    mongo = stoppable_mongo
    store.update([{"uuid": str(n), "index": 1, "output": n} for n in range(500)])
    documents = store.query(properties=["output"])
    found = [next(documents)["output"]]
    mongo.server.stop()
    mongo.server.start()
    found += [doc["output"] for doc in documents]
    assert sorted(found) == list(range(500))


PASSWORD = "pa%2Fss%40word"


def secret_store(uri: str, name: str = "MongoStore") -> JobStore:
    common = {"database": "sse", "uri": uri, "mongoclient_kwargs": {}}
    return JobStore.from_dict_spec(
        {
            "docs_store": {"type": name, "collection_name": "outputs", **common},
            "additional_stores": {
                "data": {"type": "GridFSStore", "collection_name": "blobs", **common}
            },
        }
    )


@pytest.mark.parametrize("kind", ["MongoStore", "MongoURIStore"])
def test_a_password_is_in_no_message(kind, monkeypatch, tmp_path):
    store = secret_store(f"mongodb://me:{PASSWORD}@127.0.0.1:9/sse?authSource=admin", kind)
    assert store_place(store) == "mongodb://127.0.0.1:9/sse sse/outputs"
    monkeypatch.setattr(SETTINGS, "JOB_STORE", store)
    monkeypatch.setattr("sse_flows.store.jobstore.ANSWER_WITHIN", 0.5)
    with pytest.raises(SSEError, match=r"no answer from the store mongodb://127.0.0.1:9") as caught:
        open_store(tmp_path)
    assert "pa" not in str(caught.value).replace("database", "")


def test_a_host_that_is_an_address_with_a_password_is_shown_without_it():
    store = MongoStore("sse", "outputs", host=f"mongodb://me:{PASSWORD}@db:27017/")
    assert store_place(store) == "mongo://mongodb://db:27017//sse/outputs"


def test_a_store_without_place_for_arrays_is_refused(monkeypatch):
    monkeypatch.setattr(SETTINGS, "JOB_STORE", JobStore(MongoStore("sse", "outputs")))
    with pytest.raises(SSEError, match=r"no additional store 'data'.*GridFSStore"):
        configured_store()
