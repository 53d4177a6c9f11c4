"""The embedded store: MongoDB's meaning, whole documents, and errors a user can mend."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder

from sse_flows.errors import SSEError
from sse_flows.store.sqlite import (
    SCHEMA_VERSION,
    SqliteStore,
    network_file_system,
    store_error,
)

DOCUMENTS = [
    {"uuid": "a", "index": 1, "n": 3, "tags": ["x", "y"], "output": {"e": -1.5, "ok": True}},
    {"uuid": "a", "index": 2, "n": 1, "tags": [], "output": {"e": -2.5, "ok": False}},
    {"uuid": "b", "index": 1, "n": None, "tags": ["y"], "output": None},
    {"uuid": "c", "index": 1, "tags": "x", "output": {"sites": [{"l": "Li", "q": 1}, {"l": "O"}]}},
    {"uuid": "d", "index": 1, "n": 2.5, "output": {"e": "text", "sites": [{"l": "Na", "q": 1}]}},
    {"uuid": "e", "index": True, "n": 3, "when": datetime(2026, 1, 2, 3, 4, 5)},
    {"uuid": 7, "index": 1, "n": -1, "output": {"matrix": [[1, 2], [3, 4]]}},
]
CRITERIA = [
    None,
    {},
    {"uuid": "a"},
    {"uuid": "a", "index": 2},
    {"uuid": 7},
    {"uuid": "7"},
    {"index": 1},
    {"index": True},
    {"uuid": {"$in": ["a", "c", "nobody"]}},
    {"uuid": {"$in": []}},
    {"uuid": {"$nin": ["a", "b"]}},
    {"uuid": {"$ne": "a"}},
    {"uuid": {"$in": ["a", "b"], "$ne": "b"}},
    {"uuid": {"$regex": "^[ab]$"}},
    {"uuid": {"$gt": "b"}},
    {"n": 3},
    {"n": None},
    {"n": {"$gt": 1}},
    {"n": {"$gte": 1, "$lt": 3}},
    {"n": {"$exists": False}},
    {"n": {"$exists": True}},
    {"output": {"$ne": None}},
    {"output.e": -1.5},
    {"output.e": {"$lt": 0}},
    {"output.ok": False},
    {"output.sites.l": "Li"},
    {"output.sites.0.l": "Na"},
    {"output.sites": {"$elemMatch": {"l": "Li", "q": 1}}},
    {"output.matrix.1.0": 3},
    {"tags": "x"},
    {"tags": ["x", "y"]},
    {"tags": {"$all": ["x", "y"]}},
    {"tags": {"$size": 0}},
    {"$or": [{"uuid": "b"}, {"n": {"$gt": 2}}]},
    {"uuid": {"$in": ["a", "b"]}, "$or": [{"output": {"$ne": None}}, {"metadata.x": True}]},
    {"$and": [{"uuid": "a"}, {"n": 1}]},
    {"$nor": [{"uuid": "a"}, {"uuid": "b"}]},
    {"n": {"$not": {"$gt": 1}}},
    {"when": {"$gt": datetime(2026, 1, 1)}},
]


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "store.sqlite", "outputs")
    store.connect()
    yield store
    store.close()


@pytest.fixture
def filled(store):
    store.update(DOCUMENTS, key=["uuid", "index"])
    return store


@pytest.fixture
def memory():
    store = MemoryStore(key="uuid")
    store.connect()
    store.update(DOCUMENTS, key=["uuid", "index"])
    return store


def bare(documents) -> list[dict]:
    return [{k: v for k, v in doc.items() if k != "_id"} for doc in documents]


def test_a_document_comes_back_as_it_went_in(store):
    document = {
        "uuid": "a",
        "index": 1,
        "when": datetime(2026, 7, 1, 12, 30, 15, 250000),
        "nested": [[[1, 2.5], ["Å", None]], [], {"deep": [{"x": True}]}],
        "empty": {},
        "big": 2**40,
        "bytes": b"\x00\xff",
    }
    store.update(document)
    assert list(store.query()) == [document]


def test_documents_outlive_the_connection(store):
    store.update({"uuid": "a", "n": 1})
    store.close()
    store.connect()
    assert store.query_one({"uuid": "a"}) == {"uuid": "a", "n": 1}


def test_update_replaces_by_the_stores_key(store):
    store.update([{"uuid": "a", "n": 1, "old": True}, {"uuid": "b", "n": 2}])
    store.update({"uuid": "a", "n": 3})
    assert list(store.query({"uuid": "a"})) == [{"uuid": "a", "n": 3}]
    assert store.count() == 2


def test_update_replaces_by_a_named_key(store):
    store.update([{"uuid": "a", "n": 1}, {"uuid": "b", "n": 2}])
    store.update({"uuid": "c", "n": 2}, key="n")
    assert {doc["uuid"] for doc in store.query()} == {"a", "c"}


def test_update_replaces_by_several_keys(store):
    both = ["uuid", "index"]
    store.update([{"uuid": "a", "index": 1, "n": 1}, {"uuid": "a", "index": 2, "n": 2}], key=both)
    store.update({"uuid": "a", "index": 2, "n": 9}, key=both)
    assert [doc["n"] for doc in store.query(sort={"index": 1})] == [1, 9]


def test_an_update_that_fails_midway_leaves_nothing_of_it(store):
    with pytest.raises(ValueError, match="'index' is indexed and must be a scalar"):
        store.update([{"uuid": "a", "index": 1}, {"uuid": "b", "index": [1]}])
    assert store.count() == 0
    store.update({"uuid": "c", "index": 1})
    assert store.count() == 1


@pytest.mark.parametrize("criteria", CRITERIA, ids=str)
def test_queries_agree_with_mongomock(filled, memory, criteria):
    expected = bare(memory.query(criteria))
    assert list(filled.query(criteria)) == expected
    assert filled.count(criteria) == len(expected)


@pytest.mark.parametrize("criteria", CRITERIA, ids=str)
def test_indexes_do_not_change_what_a_query_finds(tmp_path, memory, criteria):
    plain = SqliteStore(tmp_path / "s.sqlite", indexes=["uuid", "index", "n", "output.ok"])
    plain.connect()
    plain.update(DOCUMENTS, key=["uuid", "index"])
    assert list(plain.query(criteria)) == bare(memory.query(criteria))


@pytest.mark.parametrize(
    "sort", [{"uuid": 1}, {"index": -1, "uuid": 1}, {"n": 1, "uuid": -1}, {"output.e": -1}], ids=str
)
@pytest.mark.parametrize(("skip", "limit"), [(0, 0), (2, 0), (0, 3), (1, 2), (10, 1)])
def test_sort_skip_and_limit_agree_with_mongomock(filled, memory, sort, skip, limit):
    criteria = {"uuid": {"$ne": 7}, "index": 1}
    found = list(filled.query(criteria, sort=dict(sort), skip=skip, limit=limit))
    assert found == bare(memory.query(criteria, sort=dict(sort), skip=skip, limit=limit))


@pytest.mark.parametrize(
    "properties",
    [
        ["uuid"],
        ["uuid", "output.e"],
        ["output.sites.l"],
        ["output.sites"],
        ["output.nothing"],
        ["nothing"],
        {"uuid": 1, "n": 1},
        {"output": 0, "n": 0},
    ],
    ids=str,
)
def test_properties_agree_with_mongomock(filled, memory, properties):
    def copy():
        return dict(properties) if isinstance(properties, dict) else list(properties)

    assert list(filled.query(properties=copy())) == bare(memory.query(properties=copy()))


def test_fields_within_documents_and_arrays_can_be_left_out(filled):
    # as MongoDB does it; mongomock also drops a null that stands where a document was expected
    found = {doc["uuid"]: doc for doc in filled.query(properties={"output.sites.l": 0, "tags": 0})}
    assert found["c"] == {"uuid": "c", "index": 1, "output": {"sites": [{"q": 1}, {}]}}
    assert found["b"] == {"uuid": "b", "index": 1, "n": None, "output": None}
    assert found[7] == DOCUMENTS[6]


def test_query_one_and_distinct(filled):
    assert filled.query_one({"uuid": "nobody"}) is None
    assert filled.query_one({"uuid": "d"}, properties=["n"]) == {"n": 2.5}
    assert sorted(map(str, filled.distinct("uuid"))) == ["7", "a", "b", "c", "d", "e"]


@pytest.mark.parametrize("keys", ["uuid", ["uuid", "index"], "output.ok"], ids=str)
def test_groups_agree_with_mongomock(filled, memory, keys):
    def groups(store):
        found = store.groupby(keys, criteria={"uuid": {"$type": "string"}}, properties=["uuid"])
        return sorted((json.dumps(head), len(members)) for head, members in found)

    assert groups(filled) == groups(memory)


def test_groups_of_arrays_hold_whole_documents(store):
    store.update([{"uuid": str(n), "pair": [n % 2, 1]} for n in range(4)])
    found = {tuple(head["pair"]): members for head, members in store.groupby("pair")}
    assert [doc["uuid"] for doc in found[0, 1]] == ["0", "2"]
    assert found[1, 1][0] == {"uuid": "1", "pair": [1, 1]}


def test_remove_docs_removes_what_matches_and_nothing_else(filled):
    filled.remove_docs({"uuid": "a", "index": 2})
    assert filled.count({"uuid": "a"}) == 1
    filled.remove_docs({"n": {"$gt": 2}})
    assert {doc["uuid"] for doc in filled.query()} == {"b", "c", 7}


def test_ensure_index_covers_old_and_new_documents(filled):
    assert filled.ensure_index("output.e")
    filled.update({"uuid": "z", "index": 1, "output": {"e": -1.5}}, key=["uuid", "index"])
    assert [doc["uuid"] for doc in filled.query({"output.e": -1.5})] == ["a", "z"]
    plan = filled._collection.execute(
        'EXPLAIN QUERY PLAN SELECT id FROM outputs WHERE "output.e" = -1.5'
    ).fetchall()
    assert "USING" in str(plan[0])


def test_a_unique_index_refuses_a_second_document(store):
    store.update([{"uuid": "a", "n": 1}])
    store.ensure_index("n", unique=True)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        store.update({"uuid": "b", "n": 1})
    assert store.count() == 1


def test_a_field_within_an_array_is_no_index(filled):
    with pytest.raises(ValueError, match="must be a scalar"):
        filled.ensure_index("output.sites.l")
    assert filled.count({"output.sites.l": "Li"}) == 1


def test_two_collections_share_a_file(tmp_path):
    first, second = (SqliteStore(tmp_path / "s.sqlite", name) for name in ("one", 'two"; --'))
    for store in (first, second):
        store.connect()
        store.update({"uuid": store.collection_name})
    assert [doc["uuid"] for doc in first.query()] == ["one"]
    assert [doc["uuid"] for doc in second.query()] == ['two"; --']


def test_a_store_that_is_not_connected_says_so(tmp_path):
    with pytest.raises(SSEError, match="not connected"):
        list(SqliteStore(tmp_path / "s.sqlite").query())


def test_it_goes_through_json_and_opens_the_same_file(filled):
    text = json.dumps(filled, cls=MontyEncoder)
    again = json.loads(text, cls=MontyDecoder)
    again.connect()
    assert isinstance(again, SqliteStore)
    assert (again.path, again.collection_name, again.key) == (
        filled.path,
        filled.collection_name,
        filled.key,
    )
    assert again.indexes == filled.indexes
    assert again.count() == len(DOCUMENTS)


# several processes


def write_many(path: str, writer: int, number: int) -> None:
    store = SqliteStore(path, "outputs")
    store.connect()
    for n in range(number):
        store.update({"uuid": f"{writer}-{n}", "index": 1, "data": [n] * 100})


def _started(target, *arguments) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def test_four_processes_write_at_once_and_lose_nothing(tmp_path):
    path = str(tmp_path / "new" / "store.sqlite")  # they lay it out at once, too
    writers = [_started(write_many, path, writer, 50) for writer in range(4)]
    for writer in writers:
        writer.join(400)
    assert [writer.exitcode for writer in writers] == [0] * 4
    store = SqliteStore(path, "outputs")
    store.connect()
    assert {doc["uuid"] for doc in store.query()} == {
        f"{writer}-{n}" for writer in range(4) for n in range(50)
    }
    assert store.count() == 200


def test_processes_that_write_the_same_document_leave_one(tmp_path):
    path = str(tmp_path / "store.sqlite")
    writers = [_started(write_many, path, 0, 20) for _ in range(3)]
    for writer in writers:
        writer.join(400)
    store = SqliteStore(path, "outputs")
    store.connect()
    assert store.count() == 20


def test_a_reader_sees_whole_documents_while_another_writes(store):
    writer = _started(write_many, store.path, 1, 60)
    seen = 0
    while writer.is_alive():
        documents = list(store.query())
        assert all(doc["data"] == [int(doc["uuid"].split("-")[1])] * 100 for doc in documents)
        assert len(documents) >= seen
        seen = len(documents)
    writer.join()
    assert writer.exitcode == 0
    assert store.count() == 60


WRITER = """
import sys
from sse_flows.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1], "outputs")
store.connect()
for n in range(100000):
    store.update([{"uuid": f"{n}-{k}", "index": 1, "n": n, "data": [n] * 2000} for k in range(5)])
    if n == 2:
        print("writing", flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.13])
def test_a_writer_killed_at_any_moment_leaves_whole_updates(tmp_path, delay):
    path = str(tmp_path / "store.sqlite")
    command = [sys.executable, "-c", WRITER, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
    store = SqliteStore(path, "outputs")
    store.connect()
    documents = list(store.query())
    rounds = max(doc["n"] for doc in documents) + 1
    assert rounds >= 3
    assert {doc["uuid"] for doc in documents} == {
        f"{n}-{k}" for n in range(rounds) for k in range(5)
    }
    assert all(doc["data"] == [doc["n"]] * 2000 for doc in documents)
    assert store._collection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.update({"uuid": "after", "index": 1})
    assert store.count({"uuid": "after"}) == 1


# what a user can mend


def test_another_layout_is_refused_and_left_alone(filled):
    filled.close()
    with sqlite3.connect(filled.path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(SSEError, match=f"layout {SCHEMA_VERSION + 1}") as caught:
        filled.connect()
    assert "sse-flows that wrote it" in caught.value.mend
    with sqlite3.connect(filled.path) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION + 1
        assert db.execute("SELECT count(*) FROM outputs").fetchone()[0] == len(DOCUMENTS)


def test_a_file_of_the_layout_before_gets_its_new_indexes(filled):
    filled.close()
    with sqlite3.connect(filled.path) as db:
        db.execute("PRAGMA user_version = 1")
    again = SqliteStore(filled.path, indexes=["uuid", "index", "output.ok"])
    again.connect()
    assert [doc["index"] for doc in again.query({"output.ok": False})] == [2]
    plan = again._collection.execute('EXPLAIN QUERY PLAN SELECT 1 FROM outputs WHERE "output.ok"=0')
    assert "USING" in plan.fetchone()[3]
    assert again._collection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_text("these are my notes, not a store\n" * 40)
    with pytest.raises(SSEError, match="not a database") as caught:
        SqliteStore(path).connect()
    assert str(path) in caught.value.message
    assert "another results folder" in caught.value.mend
    assert path.read_text().startswith("these are my notes")


def test_a_damaged_file_is_an_error_with_a_mend(filled):
    filled.update([{"uuid": f"u{n}", "index": 1, "data": os.urandom(4000)} for n in range(50)])
    filled._collection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    filled.close()
    path = Path(filled.path)
    content = bytearray(path.read_bytes())
    content[4096 : 20 * 4096] = b"\xaa" * (19 * 4096)
    path.write_bytes(content)
    with pytest.raises(SSEError, match="malformed") as caught:  # noqa: PT012 - either may see it
        filled.connect()
        list(filled.query())
    assert "damaged" in caught.value.mend


def test_a_folder_that_cannot_be_made_is_an_error_with_a_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SSEError, match="cannot use the store") as caught:
        SqliteStore(tmp_path / "file" / "store.sqlite").connect()
    assert "may write there" in caught.value.mend


def test_a_read_only_folder_is_an_error_with_a_mend(read_only_folder):
    with pytest.raises(SSEError, match=str(read_only_folder)) as caught:
        SqliteStore(read_only_folder / "store.sqlite").connect()
    assert "may write there" in caught.value.mend


@pytest.mark.parametrize("journal", [False, True])
def test_the_store_of_somebody_else_can_be_read(small_disk, tmp_path, journal):
    store = SqliteStore(tmp_path / "store.sqlite")
    store.connect()
    store.update([{"uuid": "a", "index": 1}, {"uuid": "b", "index": 1}])
    if not journal:
        store.close()
    for path in tmp_path.glob("store.sqlite*"):  # with a journal: as if it were being written
        shutil.copy(path, small_disk)
    assert (small_disk / "store.sqlite-wal").is_file() is journal
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    other = SqliteStore(small_disk / "store.sqlite", indexes=["uuid", "index", "name"])
    other.connect()
    assert [doc["uuid"] for doc in other.query({"index": 1, "name": None})] == ["a", "b"]
    with pytest.raises(SSEError, match="readonly") as caught:
        other.update({"uuid": "c", "index": 1})
    assert "may write there" in caught.value.mend
    other.close()


def test_a_full_disk_is_an_error_with_a_mend_and_keeps_what_was_stored(small_disk):
    store = SqliteStore(small_disk / "store.sqlite")
    store.connect()
    store.update({"uuid": "kept", "index": 1})
    more = [{"uuid": str(n), "index": 1, "data": os.urandom(50_000)} for n in range(100)]
    with pytest.raises(SSEError, match="full") as caught:
        list(map(store.update, more))
    assert "Free some space" in caught.value.mend
    store.close()
    store.connect()
    assert store.query_one({"uuid": "kept"}) == {"uuid": "kept", "index": 1}
    found = [doc for doc in store.query() if "data" in doc]
    assert all(len(doc["data"]) == 50_000 for doc in found)
    store.close()


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (sqlite3.OperationalError("database or disk is full"), "Free some space"),
        (OSError(28, "No space left on device"), "Free some space"),
        (sqlite3.DatabaseError("file is not a database"), "no store or is damaged"),
        (sqlite3.OperationalError("unable to open database file"), "may write there"),
    ],
)
def test_every_failing_file_is_one_line_with_a_mend(error, mend):
    found = store_error("/data/store.sqlite", error)
    assert mend in found.mend
    assert "\n" not in str(found)
    assert "/data/store.sqlite" in found.message


def test_a_full_disk_during_an_update_is_translated(store, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "_write", full)
    with pytest.raises(SSEError, match="disk is full"):
        store.update({"uuid": "a"})
    assert store.count() == 0


def test_a_file_system_that_machines_share_is_known(tmp_path):
    deep = tmp_path / "home dir" / "me"
    mounts = tmp_path / "mounts"
    shared = str(tmp_path / "home dir").replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {shared} nfs4 rw 0 0\n")
    assert network_file_system(deep, mounts) == "nfs4"
    assert network_file_system(tmp_path, mounts) is None
    assert network_file_system(tmp_path, tmp_path / "none") is None
