"""Which store a campaign uses, and that arrays never go missing behind a finished job."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder

from sse_flows.errors import SSEError
from sse_flows.store.durable import BLOB_STORE, DurableJobStore, durable
from sse_flows.store.jobstore import STORE_FILE, embedded_store, open_store
from sse_flows.store.sqlite import SqliteStore

DOCUMENT = {"uuid": "a", "index": 1, "output": {"force_constants": [[1.0, 2.0]], "name": "Li2O"}}
SAVE = {BLOB_STORE: ["force_constants"]}


@pytest.fixture
def store(tmp_path):
    store = embedded_store(tmp_path)
    store.connect()
    yield store
    store.close()


def test_arrays_go_to_the_additional_store_and_come_back(store):
    store.update(DOCUMENT, save=SAVE)
    slim = store.query_one({"uuid": "a"}, load=False)
    assert set(slim["output"]["force_constants"]) == {"@module", "@class", "blob_uuid", "store"}
    assert slim["output"]["name"] == "Li2O"
    assert store.query_one({"uuid": "a"}, load=True)["output"] == DOCUMENT["output"]
    blob = store.additional_stores[BLOB_STORE].query_one()
    assert (blob["job_uuid"], blob["job_index"], blob["data"]) == ("a", 1, [[1.0, 2.0]])


def test_large_arrays_survive_bit_by_bit(store):
    numbers = np.random.default_rng(0).normal(size=(7, 40, 3, 3))
    store.update({"uuid": "a", "index": 1, "output": {"force_constants": numbers}}, save=SAVE)
    loaded = store.query_one({"uuid": "a"}, load=True)["output"]["force_constants"]
    assert np.array_equal(np.array(loaded), numbers)


def test_update_without_arrays_or_with_several_documents(store):
    store.update([{"uuid": str(n), "index": 1, "output": n} for n in range(3)])
    assert [store.get_output(str(n)) for n in range(3)] == [0, 1, 2]


def test_a_job_that_runs_again_replaces_its_arrays(store):
    blobs = store.additional_stores[BLOB_STORE]
    for _ in range(2):
        store.update(DOCUMENT, save=SAVE)
    assert (store.count(), blobs.count()) == (1, 1)
    store.update({**DOCUMENT, "uuid": "b"}, save=SAVE)  # of another job: not shared with the first
    assert blobs.count() == 2
    new = {**DOCUMENT, "output": {"force_constants": [[3.0]]}}
    store.update(new, save=SAVE)
    assert store.get_output("a", load=True) == new["output"]
    assert store.get_output("b", load=True) == DOCUMENT["output"]


def test_arrays_within_lists_and_of_any_content_get_ids_of_their_own(store):
    output = [{"force_constants": [n, None, "x"]} for n in (1, 1, 2)]
    for _ in range(2):
        store.update({"uuid": "a", "index": 1, "output": {"steps": output}}, save=SAVE)
    assert store.additional_stores[BLOB_STORE].count() == 3
    assert store.get_output("a", load=True) == {"steps": output}


def _interrupt(*_, **__):
    raise KeyboardInterrupt


def test_a_kill_after_the_arrays_leaves_no_document(store, monkeypatch):
    monkeypatch.setattr(store.docs_store, "update", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.update(DOCUMENT, save=SAVE)
    assert store.additional_stores[BLOB_STORE].count() == 1
    assert store.count() == 0


def test_a_kill_before_the_arrays_leaves_no_document(store, monkeypatch):
    monkeypatch.setattr(store.additional_stores[BLOB_STORE], "update", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.update(DOCUMENT, save=SAVE)
    monkeypatch.undo()
    assert store.count() == 0
    assert isinstance(store.docs_store, SqliteStore)
    store.update(DOCUMENT, save=SAVE)
    assert store.get_output("a", load=True) == DOCUMENT["output"]


def test_plain_jobflow_would_leave_a_document_without_its_arrays(store, monkeypatch):
    # the reason for DurableJobStore: without it the guard above is void
    plain = JobStore(store.docs_store, additional_stores=store.additional_stores)
    monkeypatch.setattr(store.additional_stores[BLOB_STORE], "update", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        plain.update(DOCUMENT, save=SAVE)
    assert store.count() == 1


def test_durable_keeps_the_stores_and_what_is_saved_and_loaded():
    docs, blobs = MemoryStore(), MemoryStore()
    plain = JobStore(docs, {"data": blobs}, save={"data": ["x"]}, load=True)
    store = durable(plain)
    assert isinstance(store, DurableJobStore)
    assert (store.docs_store, store.additional_stores) == (docs, {"data": blobs})
    assert (store.save, store.load) == ({"data": ["x"]}, True)


def test_workers_get_the_same_store_through_json(store):
    store.update(DOCUMENT, save=SAVE)
    again = json.loads(json.dumps(store, cls=MontyEncoder), cls=MontyDecoder)
    again.connect()
    assert isinstance(again, DurableJobStore)
    assert again.get_output("a", load=True) == DOCUMENT["output"]


def test_a_folder_that_cannot_be_written_is_an_error(read_only_folder, no_configuration):
    with pytest.raises(SSEError, match="cannot use the store"):
        open_store(read_only_folder)


# jobflow reads its settings when it is imported, hence the subprocesses

OPEN = """
import sys
from sse_flows.store.jobstore import open_store
store = open_store(sys.argv[1])
store.update({"uuid": "a", "index": 1, "output": 42})
print(type(store).__name__, type(store.docs_store).__name__, store.name)
print(sorted(store.additional_stores))
"""


def _open(folder, **environment) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JOBFLOW_")}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OPEN, str(folder)],
        env={**clean, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _configuration(folder, target) -> str:
    """Write jobflow's configuration of a store in a file `target`, as monty writes stores."""
    docs = SqliteStore(target, "group")
    arrays = SqliteStore(target, "arrays", indexes=["blob_uuid"], key="blob_uuid")
    store = JobStore(docs, additional_stores={"data": arrays})
    file = folder / "jobflow.yaml"
    file.write_text(f"JOB_STORE: {json.dumps(store, cls=MontyEncoder)}\n")
    return str(file)


def test_nothing_configured_means_a_file_on_disk_never_memory(tmp_path):
    done = _open(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["DurableJobStore", "SqliteStore"]
    assert (tmp_path / STORE_FILE).is_file()
    again = embedded_store(tmp_path)
    again.connect()
    assert again.get_output("a") == 42


MEMORY = "JOB_STORE:\n  docs_store:\n    type: MemoryStore\n"


def test_a_configured_store_in_memory_is_not_trusted_with_results(tmp_path):
    file = tmp_path / "jobflow.yaml"
    file.write_text(MEMORY)
    done = _open(tmp_path, JOBFLOW_CONFIG_FILE=str(file))
    assert done.stdout.split()[:2] == ["DurableJobStore", "SqliteStore"], done.stderr


def test_the_configured_store_is_used(tmp_path):
    target = tmp_path / "elsewhere" / "group.sqlite"
    done = _open(tmp_path, JOBFLOW_CONFIG_FILE=_configuration(tmp_path, target))
    assert done.returncode == 0, done.stderr
    assert f"{target}/group" in done.stdout
    assert "['data']" in done.stdout
    assert not (tmp_path / STORE_FILE).exists()
    store = SqliteStore(target, "group")
    store.connect()
    assert store.query_one({"uuid": "a"})["output"] == 42


def test_a_configured_store_that_cannot_be_reached_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "group.sqlite"
    done = _open(tmp_path, JOBFLOW_CONFIG_FILE=_configuration(tmp_path, target))
    assert done.returncode != 0
    assert "sse_flows.errors.SSEError: cannot use the store" in done.stderr


def test_a_configuration_file_that_is_missing_is_an_error_not_another_store(tmp_path):
    done = _open(tmp_path, JOBFLOW_CONFIG_FILE=str(tmp_path / "jobflw.yaml"))
    assert "SSEError: JOBFLOW_CONFIG_FILE names" in done.stderr
    assert "jobflw.yaml" in done.stderr
    assert not (tmp_path / STORE_FILE).exists()
