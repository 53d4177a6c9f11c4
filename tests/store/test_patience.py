"""A database that goes away for a while: work waits for it; what it refuses is said at once."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from maggma.stores import MemoryStore
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CursorNotFound,
    DocumentTooLarge,
    DuplicateKeyError,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from sse_flows.errors import SSEError
from sse_flows.store import patience
from sse_flows.store.durable import BLOB_STORE, DurableJobStore
from sse_flows.store.patience import patient, patiently

OUTAGES = [
    AutoReconnect("connection closed"),
    NetworkTimeout("timed out"),
    NotPrimaryError("not primary"),
    ServerSelectionTimeoutError("db:27017: [Errno 111] Connection refused (configured timeouts"),
    OperationFailure("going down", 11600),
    CursorNotFound("cursor id 7 not found", 43),
    BulkWriteError({"writeErrors": [{"code": 91}], "writeConcernErrors": []}),
]
REFUSALS = [
    DuplicateKeyError("E11000", 11000),
    DocumentTooLarge("17 MB"),
    OperationFailure("Authentication failed.", 18),
    OperationFailure("not authorized", 13),
    BulkWriteError({"writeErrors": [{"code": 91}, {"code": 11000}], "writeConcernErrors": []}),
    BulkWriteError({"writeErrors": [], "writeConcernErrors": []}),
    ValueError("not the database's"),
]


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """Time that passes only by pauses."""
    taken: list[float] = []
    clock = SimpleNamespace(sleep=taken.append, monotonic=lambda: sum(taken))
    monkeypatch.setattr(patience, "time", clock)  # not of all: the driver has threads of its own
    return taken


def failing(*errors: Exception):
    left = list(errors)

    def work(number: int) -> int:
        if left:
            raise left.pop(0)
        return number + 1

    return work


@pytest.mark.parametrize("error", OUTAGES, ids=lambda e: type(e).__name__)
def test_an_outage_is_waited_for(error, pauses, caplog):
    assert patiently(failing(error, error))(1) == 2
    assert len(pauses) == 2
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "waiting up to 600 s" in said[0]
    assert "back after" in said[1]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda e: type(e).__name__)
def test_a_refusal_is_raised_at_once(error, pauses, caplog):
    with pytest.raises(type(error)) as caught:
        patiently(failing(error))(1)
    assert caught.value is error
    assert pauses == []
    assert caplog.records == []


def test_pauses_grow_to_a_bound_and_end_with_patience(pauses, monkeypatch):
    monkeypatch.setenv(patience.VARIABLE, "200")
    work = failing(*[ServerSelectionTimeoutError("db:1: refused, Timeout: 30s, Topology")] * 99)
    with pytest.raises(SSEError, match=r"did not answer for 200 s: db:1: refused\. Start it"):
        patiently(work)(1)
    assert sum(pauses) == pytest.approx(200)
    assert pauses[0] <= 1.3 * patience.FIRST_PAUSE
    assert max(pauses) <= 1.3 * patience.LONGEST_PAUSE
    assert pauses[3] > 3 * pauses[0]


def test_the_lines_of_the_log_pass_what_silences_worker_processes(caplog):
    logging.disable(logging.WARNING)  # as campaign.worker does
    try:
        patiently(failing(AutoReconnect()))(1)
    finally:
        logging.disable(logging.NOTSET)
    assert len(caplog.records) == 2


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_wrong_setting_is_an_error(text, monkeypatch):
    monkeypatch.setenv(patience.VARIABLE, text)
    with pytest.raises(SSEError, match=patience.VARIABLE):
        patience.patience()


def test_no_patience_at_all(monkeypatch, pauses):
    monkeypatch.setenv(patience.VARIABLE, "0")
    with pytest.raises(SSEError, match="did not answer for 0 s"):
        patiently(failing(AutoReconnect()))(1)
    assert pauses == []


class Flaky(MemoryStore):
    """Fails as told: before or after the work of the next calls, or in the midst of a query."""

    def __init__(self, name: str):
        super().__init__(name)
        self.faults: list[str] = []
        self.updates = 0

    def update(self, docs, key=None):
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise AutoReconnect("gone")
        self.updates += 1
        super().update(docs, key=key)
        if fault == "after":  # done, but the answer is lost
            raise NetworkTimeout("no answer")

    def query(self, *arguments, **options):
        for number, doc in enumerate(super().query(*arguments, **options)):
            if number == 2 and self.faults:
                self.faults.pop(0)
                raise CursorNotFound("cursor of before the restart", 43)
            yield doc


@pytest.fixture
def store():
    store = patient(DurableJobStore(Flaky("docs"), {BLOB_STORE: Flaky("blobs")}))
    store.connect()
    return store


DOCUMENT = {"uuid": "a", "index": 1, "output": {"force_constants": [[1.0, 2.0]], "name": "Li2O"}}


@pytest.mark.parametrize("where", ["docs", "blobs"])
@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_write_that_is_made_again_leaves_nothing_out_and_nothing_twice(store, where, fault):
    blobs = store.additional_stores[BLOB_STORE]
    (store.docs_store if where == "docs" else blobs).faults = [fault, fault]
    store.update(DOCUMENT, save={BLOB_STORE: ["force_constants"]})
    assert store.count() == blobs.count() == 1
    assert store.get_output("a", load=True) == DOCUMENT["output"]
    assert blobs.updates == (3 if (where, fault) == ("blobs", "after") else 1)


def test_a_query_goes_on_after_the_documents_that_came_before(store, pauses):
    store.update([{"uuid": str(n), "index": 1, "output": n} for n in range(6)])
    store.docs_store.faults = ["cursor"]
    assert sorted(doc["output"] for doc in store.query(properties=["output"])) == list(range(6))
    assert len(pauses) == 1
    store.docs_store.faults = ["cursor"]
    found = list(store.query(sort={"output": -1}, limit=4))
    assert [doc["output"] for doc in found] == [5, 4, 3, 2]
