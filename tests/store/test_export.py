"""Documents from store to archive and back: their times, their arrays, and forged ones."""

from __future__ import annotations

import os
import time

import pytest

from sse_flows.errors import SSEError
from sse_flows.store.archive import Archive, ArchiveWriter
from sse_flows.store.durable import BLOB_STORE
from sse_flows.store.export import read_documents, write_documents
from sse_flows.store.jobstore import embedded_store


def opened(folder):
    folder.mkdir(exist_ok=True)
    store = embedded_store(folder)
    store.connect()
    return store


def put(store, uuid: str, when: str = "2026-07-01T10:00:00.123456+00:00", index: int = 1, **output):
    doc = {"uuid": uuid, "index": index, "output": output, "completed_at": when, "metadata": {}}
    store.update(doc, save={BLOB_STORE: ["forces"]})


@pytest.fixture
def store(tmp_path):
    """Three documents, two of them with arrays."""
    store = opened(tmp_path / "here")
    put(store, "a", forces=[1.0, 2.0])
    put(store, "b", n=1)
    put(store, "c", forces=[0.1 + 0.2])
    return store


def content(store) -> list[dict]:
    docs = [{k: v for k, v in doc.items() if k != "_id"} for doc in store.query(load=True)]
    return sorted(docs, key=lambda doc: (doc["uuid"], doc["index"]))


def packed(store, path):
    with ArchiveWriter(path) as archive:
        write_documents(store, [(d["uuid"], d["index"]) for d in store.query()], archive)
        archive.finish({})
    return Archive(path)


def forged(path, *records):
    with ArchiveWriter(path) as archive:
        for kind, record in records:
            archive.add_record(kind, record)
        archive.finish({})
    return Archive(path)


@pytest.fixture
def zone():
    """Sets the time zone of this process."""
    before = os.environ.get("TZ")

    def change(name: str | None) -> None:
        os.environ.pop("TZ", None)
        if name is not None:
            os.environ["TZ"] = name
        time.tzset()

    yield change
    change(before)


def test_all_comes_back(store, tmp_path):
    there = opened(tmp_path / "there")
    done = read_documents(packed(store, tmp_path / "a.tar"), there)
    assert (done.new, done.replaced, done.kept) == (3, 0, 0)
    assert content(there) == content(store)


def test_times_are_packed_in_utc(zone, tmp_path):
    zone("JST-9")
    tokyo = opened(tmp_path / "tokyo")
    put(tokyo, "models", "2026-07-01T18:00:00.000250", n=1)  # 9:00 UTC
    put(tokyo, "strange", "some time", n=1)
    archive = packed(tokyo, tmp_path / "a.tar")
    zone("UTC")
    here = opened(tmp_path / "here")
    put(here, "descriptors", "2026-07-01T10:00:00", n=1)
    read_documents(archive, here)
    when = {doc["uuid"]: doc["completed_at"] for doc in here.query()}
    assert when["models"] == "2026-07-01T09:00:00.000250+00:00"  # older than what is here
    assert when["strange"] == "some time"
    back = packed(here, tmp_path / "b.tar")
    zone("JST-9")
    assert read_documents(back, tokyo).replaced == 0
    when = {doc["uuid"]: doc["completed_at"] for doc in tokyo.query()}
    assert when["models"] == "2026-07-01T18:00:00.000250"
    assert when["descriptors"] == "2026-07-01T10:00:00.000000+00:00"


def test_an_archive_without_zones_is_read_as_it_is(tmp_path):
    doc = {"uuid": "a", "index": 1, "output": 1, "completed_at": "2026-07-01T18:00:00"}
    there = opened(tmp_path / "there")
    read_documents(forged(tmp_path / "a.tar", ("document", doc)), there)
    assert there.query_one({"uuid": "a"})["completed_at"] == "2026-07-01T18:00:00"


class Killed(BaseException):
    """In place of a kill."""


@pytest.mark.parametrize("writes", range(5))
def test_an_import_that_was_killed_is_completed_by_the_next(store, tmp_path, monkeypatch, writes):
    archive = packed(store, tmp_path / "a.tar")
    there = opened(tmp_path / "there")
    left = [writes]
    put_of = type(there).put

    def put_until(self, *arguments, **options):
        if not left[0]:
            raise Killed
        left[0] -= 1
        put_of(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(there), "put", put_until)
        with pytest.raises(Killed):
            read_documents(archive, there)
    content(there)  # what is there has its arrays
    done = read_documents(archive, there)
    assert done.new + done.kept == 3
    assert content(there) == content(store)
    assert there.additional_stores[BLOB_STORE].count() == 2


def test_an_array_named_twice_is_packed_once(store, tmp_path):
    doc = store.query_one({"uuid": "a"})
    doc["output"]["again"] = doc["output"]["forces"]
    store.put([doc], ["uuid", "index"])
    there = opened(tmp_path / "there")
    read_documents(packed(store, tmp_path / "a.tar"), there)
    assert content(there) == content(store)
    assert there.additional_stores[BLOB_STORE].count() == 2


@pytest.mark.parametrize(
    "strange",
    [
        {"uuid": {"$gt": ""}, "index": 1, "output": 0, "completed_at": "9999"},
        {"uuid": "a", "index": {"$gt": 0}, "output": 0, "completed_at": "9999"},
        {"uuid": "a", "index": True, "output": 0, "completed_at": "9999"},
        {"uuid": "a", "index": 1},
        {},
    ],
)
def test_a_document_whose_id_would_match_others_is_refused(store, tmp_path, strange):
    before = content(store)
    with pytest.raises(SSEError, match="without uuid, index or output"):
        read_documents(forged(tmp_path / "a.tar", ("document", strange)), store)
    assert content(store) == before


def test_arrays_take_no_place_of_other_documents(store, tmp_path):
    before = content(store)
    other = store.query_one({"uuid": "a"})["output"]["forces"]["blob_uuid"]
    doc = {"uuid": "new", "index": 1, "output": 1, "completed_at": "2026"}
    for blob_id in (other, {"$gt": ""}, None):
        blob = {"blob_uuid": blob_id, "job_uuid": "a", "job_index": 1, "data": [9.0]}
        archive = forged(tmp_path / "a.tar", ("document", doc), ("array:data", blob))
        with pytest.raises(SSEError, match="an array that it does not name"):
            read_documents(archive, store)
    assert content(store) == before


def test_a_document_whose_arrays_are_missing_is_not_taken(store, tmp_path):
    place = {"blob_uuid": "gone", "store": BLOB_STORE}
    doc = {"uuid": "new", "index": 1, "output": {"forces": place}, "completed_at": "2026"}
    with pytest.raises(SSEError, match="1 of its arrays missing"):
        read_documents(forged(tmp_path / "a.tar", ("document", doc)), store)
    assert store.query_one({"uuid": "new"}) is None


def test_a_full_disk_is_one_line_and_the_import_goes_on_elsewhere(tmp_path, small_disk):
    store = opened(tmp_path / "here")
    for number in range(40):
        put(store, f"{number:02}", forces=[number / 7] * 4000)
    archive = packed(store, tmp_path / "a.tar")
    full = opened(small_disk)
    with pytest.raises(SSEError, match=r"store\.sqlite.*full"):
        read_documents(archive, full)
    assert 0 < full.count() < 40
    assert content(full) == content(store)[: full.count()]
    there = opened(tmp_path / "there")
    assert read_documents(archive, there).new == 40
    assert content(there) == content(store)
