"""Conditional writes: in the place of what was seen, or of nothing, and of nothing else."""

from __future__ import annotations

import multiprocessing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobflow import JobStore
from jobflow.core.schemas import JobStoreDocument
from maggma.stores import MemoryStore

from sse_flows.store.durable import DurableJobStore
from sse_flows.store.exchange import exchange
from sse_flows.store.indexes import ensure_indexes
from sse_flows.store.jobstore import embedded_store
from sse_flows.store.patience import patient

CALM = settings(deadline=None, suppress_health_check=list(HealthCheck))
JOB = {"uuid": "u", "index": 1}


def document(number: int, **more) -> dict:
    return {**JOB, "output": number, "completed_at": f"2030-01-01T00:00:{number:02d}", **more}


@pytest.fixture
def docs_store():
    store = MemoryStore()
    store.connect()
    return store


def held(store) -> list[int]:
    return [doc["output"] for doc in store.query()]


def test_where_nothing_was_only_the_first_is_written(docs_store):
    assert exchange(docs_store, document(1), None)
    assert not exchange(docs_store, document(2), None)
    assert held(docs_store) == [1]


def test_what_was_seen_is_replaced_once(docs_store):
    exchange(docs_store, document(1), None)
    assert exchange(docs_store, document(2), document(1))
    assert not exchange(docs_store, document(3), document(1))
    assert held(docs_store) == [2]


def test_a_write_whose_answer_was_lost_is_known_again(docs_store):
    for number, seen in ((1, None), (2, document(1))):
        assert exchange(docs_store, document(number), seen)
        assert exchange(docs_store, document(number), seen)
    assert held(docs_store) == [2]


def test_a_document_without_a_time_can_be_replaced(docs_store):
    docs_store.update({**JOB, "output": 0}, key=["uuid", "index"])
    assert exchange(docs_store, document(1), {})
    assert held(docs_store) == [1]


@CALM
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
def test_only_who_saw_the_present_document_writes(moves):
    """Some look, in any order, and write later: a write goes through if nobody wrote since."""
    store = MemoryStore()
    store.connect()
    seen: dict[int, int] = {}
    version = 0
    for number, (who, looks) in enumerate(moves, start=1):
        if looks or who not in seen:
            seen[who] = version
            continue
        before = document(seen[who]) if seen[who] else None
        assert exchange(store, document(number), before) == (seen[who] == version)
        version = number if seen[who] == version else version
    assert held(store) == ([version] if version else [])


def test_arrays_go_first_and_the_document_if_its_place_is_free(job_store):
    store = patient(job_store)
    made = JobStoreDocument(**document(1, output={"small": 1, "large": [1.0, 2.0]}))
    assert store.exchange(made, None, save={"data": "large"})
    assert store.query_one(JOB, load=True)["output"]["large"] == [1.0, 2.0]
    late = JobStoreDocument(**document(2, output={"small": 2, "large": [3.0]}))
    assert not store.exchange(late, None, save={"data": "large"})
    assert store.query_one(JOB, load=True)["output"] == {"small": 1, "large": [1.0, 2.0]}


def test_the_store_of_one_machine_takes_what_it_is_given(tmp_path):
    store = embedded_store(tmp_path)
    store.connect()
    for number in (1, 2):
        assert store.exchange(JobStoreDocument(**document(number)), None)
    assert store.query_one(JOB)["output"] == 2
    store.close()


def write(store: dict, number: int, barrier, won) -> None:
    mine: DurableJobStore = DurableJobStore.from_dict(store)
    mine.connect()
    made = JobStoreDocument(**document(number))
    barrier.wait(30)
    if mine.exchange(made, None):
        won.put(number)


def test_of_many_that_write_at_the_same_moment_one_wins(job_store: JobStore):
    ensure_indexes(job_store)
    context = multiprocessing.get_context("fork")
    barrier, won = context.Barrier(4), context.Queue()
    settings = DurableJobStore.from_dict(job_store.as_dict()).as_dict()
    writers = [
        context.Process(target=write, args=(settings, number, barrier, won)) for number in range(4)
    ]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)
    assert [one.exitcode for one in writers] == [0] * 4
    assert held(job_store) == [won.get(timeout=5)]
    assert won.empty()
