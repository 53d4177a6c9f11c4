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

FIELDS = ("_id", "a", "b.c", "b", "l", "l.x")
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


# alike, as the documents of a queue are: here an index can sort
digits = st.integers(0, 4)
alike = st.fixed_dictionaries(
    {"a": digits, "b": st.fixed_dictionaries({"c": st.sampled_from(["x", "y", None])})},
    optional={"l": st.lists(digits, max_size=3)},
)
easy_queries = st.fixed_dictionaries(
    {},
    optional={
        "a": digits | st.fixed_dictionaries({"$in": st.lists(digits, max_size=3)}),
        "b.c": st.sampled_from(["x", "y", None]),
        "l": digits,
    },
)
easy_sorts = st.lists(
    st.tuples(st.sampled_from(["a", "b.c"]), st.sampled_from([1, -1])),
    max_size=2,
    unique_by=lambda s: s[0],
)
easy_changes = st.fixed_dictionaries({"$set": st.fixed_dictionaries({"a": digits})}) | alike
easy_operations = st.one_of(
    st.tuples(st.just("exchange"), easy_queries, easy_changes, easy_sorts),
    st.tuples(st.just("update"), easy_queries, easy_changes, st.booleans()),
    st.tuples(st.just("delete"), easy_queries, st.just(False)),
    st.tuples(st.just("find"), easy_queries, easy_sorts, st.integers(0, 3)),
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


def _compare(stored: list[dict], steps: list[tuple]) -> None:
    """Do the same with and without indexes, and compare answers and documents."""
    plain, indexed = _table(()), _table(FIELDS)
    for number, step in enumerate([("insert", document) for document in stored] + steps):
        one, other = _do(plain, number, step), _do(indexed, number, step)
        assert _same(one, other), step
    assert _same(list(plain.store.documents), list(indexed.store.documents))


@settings(max_examples=150, deadline=None)
@given(st.lists(documents, max_size=8), st.lists(operations, min_size=1, max_size=8))
def test_indexes_never_change_an_answer(stored, steps) -> None:
    _compare(stored, steps)


@settings(max_examples=150, deadline=None)
@given(st.lists(alike, max_size=12), st.lists(easy_operations, min_size=1, max_size=12))
def test_indexes_never_change_an_answer_among_documents_alike(stored, steps) -> None:
    _compare(stored, steps)


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(documents, alike), min_size=2, max_size=8),
    st.sampled_from([["a"], ["b.c"], ["l"], ["a", "b.c"]]),
    st.booleans(),
)
def test_unique_indexes_refuse_what_mongomock_refuses(stored, fields, sparse) -> None:
    table, reference = _table(FIELDS), mongomock_ng.MongoClient()["tests"]["rows"]
    for collection in (table.mock, reference):
        keys = [(field, 1) for field in fields]
        collection.create_index(keys, name="once", unique=True, sparse=sparse)
    for number, document in enumerate(stored):
        decoded = {"_id": number, **bson.decode(bson.encode(document))}
        assert _refused(table.insert, decoded) == _refused(reference.insert_one, decoded)
    for document in list(table.store.documents):  # an update does not compete with itself
        assert not _refused(table.update, {"_id": document["_id"]}, {"$set": {"zz": 1}})


def _refused(write: Any, *arguments: Any) -> bool:
    """Whether a write fails for a value that must be there once."""
    try:
        write(*arguments)
    except mongomock_ng.DuplicateKeyError:
        return True
    return False


@settings(max_examples=150, deadline=None)
@given(
    documents,
    st.sets(st.sampled_from(["_id", "a", "b.c", "l.x", "zz"]), min_size=1),
    st.booleans(),
)
def test_projections_keep_what_they_name(document, fields, include) -> None:
    table = _table(())
    table.insert({"_id": 0, **document})
    (shown,) = table.find({}, dict.fromkeys(fields, include))
    (whole,) = table.find({})
    assert ("_id" in shown) is (include or "_id" not in fields)
    assert list(shown) == [key for key in whole if key in shown]
    tops = {field.split(".")[0] for field in fields if field != "_id"}
    if fields == {"_id"}:
        tops = set() if include else set(whole) - {"_id"}
        assert set(shown) - {"_id"} == tops
    elif include:
        assert set(shown) - {"_id"} <= tops
        assert ("a" in shown) is ("a" in whole and "a" in tops)
    else:
        assert ("a" in shown) is ("a" in whole and "a" not in tops)
