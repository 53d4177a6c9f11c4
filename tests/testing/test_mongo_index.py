"""The indexes of the MongoDB test server change its speed, never its answers."""

from __future__ import annotations

import datetime
from typing import Any

import bson
import mongomock_ng
import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_flows.testing import mongo_table
from sse_flows.testing.mongo_index import IndexedServer
from sse_flows.testing.mongo_table import Table

FIELDS = ("_id", "a", "b.c", "b", "l.x")
OBJECTS = [ObjectId(bytes([number]) * 12) for number in range(2)]
TIMES = [datetime.datetime(2024, 1, day) for day in (1, 2)]

scalars = st.sampled_from(
    [None, 0, 1, 1.0, 2, True, False, "", "x", "y", float("nan"), b"1", *OBJECTS, *TIMES]
)
values = scalars | st.lists(scalars, max_size=3) | st.fixed_dictionaries({"c": scalars})
nested = scalars | st.lists(st.fixed_dictionaries({}, optional={"x": scalars}), max_size=3)
documents = st.fixed_dictionaries(
    {}, optional={"a": values, "b": values, "l": nested | st.lists(nested, max_size=2)}
)
names = st.sampled_from(FIELDS[1:])
clauses = (
    scalars
    | st.fixed_dictionaries({"$eq": values})
    | st.fixed_dictionaries({"$in": st.lists(scalars, max_size=14)})
    | st.fixed_dictionaries({"$in": st.lists(values, max_size=3), "$exists": st.booleans()})
    | st.fixed_dictionaries({"$in": st.lists(scalars, max_size=14), "$ne": scalars})
    | st.fixed_dictionaries({"$ne": scalars})
    | st.fixed_dictionaries({"$exists": st.booleans()})
    | values
)
simple_queries = st.dictionaries(names, clauses, max_size=3)
queries = st.recursive(
    simple_queries,
    lambda inner: (
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)})
    ),
    max_leaves=4,
)
sorts = st.lists(st.tuples(names, st.sampled_from([1, -1])), max_size=2, unique_by=lambda s: s[0])
changes = st.one_of(
    st.fixed_dictionaries({"$set": st.fixed_dictionaries({"a": values})}),
    st.fixed_dictionaries({"$set": st.fixed_dictionaries({"b.c": scalars})}),
    st.fixed_dictionaries({"$unset": st.just({"a": ""})}),
    st.fixed_dictionaries({"$inc": st.just({"a": 1})}),
    st.fixed_dictionaries({"$push": st.fixed_dictionaries({"l": scalars})}),
    documents,
)
operations = st.one_of(
    st.tuples(st.just("insert"), documents),
    st.tuples(st.just("update"), queries, changes, st.booleans()),
    st.tuples(st.just("exchange"), queries, changes, sorts),
    st.tuples(st.just("delete"), queries, st.booleans()),
    st.tuples(st.just("find"), queries, sorts, st.integers(0, 3)),
    st.tuples(st.just("count"), queries),
    st.tuples(st.just("distinct"), names, queries),
)


def _table(indexed: tuple[str, ...]) -> Table:
    collection = mongomock_ng.MongoClient(_store=IndexedServer())["tests"]["rows"]
    for field in indexed:
        collection.create_index(field)
    return Table(collection)


def _do(table: Table, number: int, operation: tuple) -> Any:
    """Result of one operation, or the kind of error that it raises."""
    kind, *arguments = operation
    try:
        match kind:
            case "insert":
                return table.insert({"_id": number, **arguments[0]})
            case "update":
                query, change, many = arguments
                return table.update(query, change, many and "$" in str(change))
            case "exchange":
                query, change, sort = arguments
                return table.exchange(query, change, sort, False, None)
            case "delete":
                return table.delete(*arguments)
            case "find":
                query, sort, limit = arguments
                return table.find(query, None, sort, 0, limit)
            case "count":
                return table.count(*arguments)
            case _:
                return sorted(map(repr, table.distinct(*arguments)))
    except Exception as error:
        return type(error)


def _same(one: Any, other: Any) -> bool:
    """Equal to the byte: 1 is not 1.0, and NaN is NaN."""
    if isinstance(one, type) or isinstance(other, type):
        return one is other
    return bson.encode({"": _plain(one)}) == bson.encode({"": _plain(other)})


def _plain(value: Any) -> Any:
    return vars(value) if hasattr(value, "matched") else value


@pytest.fixture(autouse=True, scope="module")
def _few_documents_are_many():
    """Sorting by an index pays off above some hundred documents; here it is always done."""
    few, mongo_table._FEW = mongo_table._FEW, 0
    yield
    mongo_table._FEW = few


@settings(max_examples=300, deadline=None)
@given(st.lists(documents, max_size=8), st.lists(operations, min_size=1, max_size=8))
def test_indexes_never_change_an_answer(stored, steps) -> None:
    plain, indexed = _table(()), _table(FIELDS)
    steps = [("insert", document) for document in stored] + steps
    for number, step in enumerate(steps):
        one, other = _do(plain, number, step), _do(indexed, number, step)
        assert _same(one, other), step
    assert _same(list(plain.store.documents), list(indexed.store.documents))


@settings(max_examples=200, deadline=None)
@given(st.lists(documents, max_size=8), queries, sorts)
def test_answers_are_those_of_mongomock(stored, query, sort) -> None:
    table, reference = _table(FIELDS), mongomock_ng.MongoClient()["tests"]["rows"]
    for number, document in enumerate(stored):
        table.insert({"_id": number, **document})
        reference.insert_one({"_id": number, **bson.decode(bson.encode(document))})

    def expected() -> Any:
        try:
            return list(reference.find(query, sort=sort or None))
        except Exception as error:
            return type(error)

    assert _same(_do(table, 0, ("find", query, sort, 0)), expected())
