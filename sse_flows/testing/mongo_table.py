"""What clients do to one collection of the test server.

Queries are narrowed by indexes, then filtered by mongomock; its operators change documents. A
change is made to a copy that takes the document's place: one that fails changes nothing.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson import ObjectId
from mongomock_ng import DuplicateKeyError, aggregate, helpers
from mongomock_ng.collection import Collection
from mongomock_ng.filtering import filter_applies, iter_key_candidates

from sse_flows.testing.mongo_index import IndexedStore, sort_key, sought
from sse_flows.testing.mongo_projection import excluding, including, projection_tree
from sse_flows.testing.mongo_updates import piped
from sse_flows.testing.mongo_wire import CODEC, MAX_DOCUMENT, CommandError, Document

Sort = list[tuple[str, int]]

_FEW = 200
_LONG = 10
_COUNT = [{"$group": {"_id": 1, "n": {"$sum": 1}}}]  # how pymongo counts
_UNSAFE = ("$where", "$near", "$nearSphere", "$text")  # $where would run Python
_READERS = frozenset({"$match", "$group", "$sort", "$limit", "$skip", "$count", "$sortByCount"})


@dataclass(frozen=True)
class Changes:
    """What an update did."""

    matched: int = 0
    modified: int = 0
    upserted: Any = None
    inserted: bool = False


def canonical(document: Document) -> tuple[bytes, Document]:
    """A document as the server holds it: encoded, and decoded again.

    Raises
    ------
    CommandError
        It is larger than MongoDB allows.
    """
    identity = {"_id": document["_id"]} if "_id" in document else {}
    encoded = bson.encode({**identity, **document})
    if len(encoded) > MAX_DOCUMENT:
        raise CommandError(10334, "BSONObjectTooLarge", f"document of {len(encoded)} bytes")
    return encoded, bson.decode(encoded, CODEC)


class Table:
    """One collection; documents that it returns are its own and must not be changed."""

    def __init__(self, collection: Collection) -> None:
        self.mock = collection
        self.store: IndexedStore = collection._store

    # -- reads ------------------------------------------------------------------------------

    def matches(self, query: Document, sort: Sort | None = None) -> Iterator[Document]:
        """Documents that match, in order; the filter runs no further than is read."""
        refuse_unsafe(query)
        rows = self.store.narrowed(query)
        if not (self.store.rows if rows is None else rows):
            filter_applies(query, {})  # what is wrong with the query shows even so
        if not sort or sort[0][0] == "$natural":
            found = self._documents(rows)
            found = reversed(list(found)) if sort and sort[0][1] < 0 else found
        else:
            found = self._sorted(rows, sort, query)
        if not query:
            return iter(found)
        asked = self._shortened(query)
        return (document for document in found if filter_applies(asked(document), document))

    def _shortened(self, query: Document) -> Callable[[Document], Document]:
        """Query to try on a document: of a long $in, only what the document may hold is kept."""
        long = {
            field: (index, frozenset(wanted["$in"]))
            for field, wanted in query.items()
            if isinstance(wanted, dict)
            and len(wanted.get("$in") or ()) > _LONG
            and sought({"$in": wanted["$in"]}) is not None
            and (index := self.store.index(field)) is not None
        }
        if not long:
            return lambda _: query

        def asked(document: Document) -> Document:
            held = {
                field: {
                    **query[field],
                    "$in": [key for key in index.keys(document) if key in values],
                }
                for field, (index, values) in long.items()
            }
            return {**query, **held}

        return asked

    def _documents(self, rows: Iterable[int] | None) -> Iterable[Document]:
        if rows is None:
            return list(self.store.rows.values())
        held = self.store.rows
        return [held[row] for row in sorted(rows)]

    def _sorted(self, rows: Any, sort: Sort, query: Document) -> Iterable[Document]:
        field, direction = sort[0]
        many = rows is None or len(rows) > _FEW
        groups = self.store.in_order_of(field, direction < 0) if many else None
        if groups is None:
            found = self._documents(rows)
            asked = self._shortened(query)
            return _sort((one for one in found if filter_applies(asked(one), one)), sort)
        found_groups = (group if rows is None else group & rows for group in groups)
        return itertools.chain.from_iterable(
            _sort(self._documents(group), sort[1:]) for group in found_groups if group
        )

    def find(
        self,
        query: Document,
        projection: Document | None = None,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> list[Document]:
        """Documents that match, or the parts of them that are asked for."""
        found = itertools.islice(self.matches(query, sort), skip, skip + limit if limit else None)
        if not projection:
            return list(found)
        project = self._projector(projection, query)
        return [shown for document in found if (shown := project(document)) is not None]

    def shown(self, document: Document | None, projection: Any, query: Document) -> Any:
        """One document, or the parts of it that are asked for."""
        if document is None or not projection:
            return document
        return self._projector(projection, query)(document)

    def _projector(self, projection: Document, query: Document) -> Any:
        tree = projection_tree(projection)
        if tree is None:
            return lambda document: self.mock._copy_only_fields(
                document, dict(projection), dict, filter=query
            )
        include, fields = tree
        return functools.partial(including if include else excluding, fields=fields)

    def count(self, query: Document, skip: int = 0, limit: int = 0) -> int:
        """Count the documents that match."""
        found = sum(1 for _ in self.matches(query)) if query else len(self.store)
        left = max(found - skip, 0)
        return min(left, limit) if limit else left

    def distinct(self, key: str, query: Document) -> list[Any]:
        """Values of a field, each once; the items of arrays count."""
        found: dict[Any, Any] = {}
        for document in self.matches(query):
            for value in iter_key_candidates(key, document):
                for item in value if isinstance(value, list) else [value]:
                    if item is not helpers.NOTHING:
                        found.setdefault(_identity(item), item)
        return list(found.values())

    def aggregate(self, pipeline: list[Document]) -> list[Document]:
        """Run a pipeline; its first $match uses the indexes."""
        stages = list(pipeline)
        refuse_unsafe(stages)
        query = stages.pop(0)["$match"] if stages and set(stages[0]) == {"$match"} else {}
        if stages == _COUNT:
            number = self.count(query)
            return [{"_id": 1, "n": number}] if number else []
        documents = list(self.matches(query))
        tree = projection_tree(stages[0].get("$project")) if stages else None
        if tree and tree[0]:
            stages.pop(0)
            documents = [including(document, fields=tree[1]) for document in documents]
        if not all(set(stage) <= _READERS for stage in stages):
            documents = [canonical(document)[1] for document in documents]
        return list(aggregate.process_pipeline(documents, self.mock.database, stages, None))

    # -- writes -----------------------------------------------------------------------------

    def insert(self, document: Document, is_canonical: bool = False) -> Any:
        """Insert a document and return its `_id`.

        One that :func:`canonical` would leave as it is can be taken as it is: it is then ours.
        """
        if is_canonical and next(iter(document), "") == "_id":
            held = document
        else:
            held = canonical({"_id": document.get("_id", ObjectId()), **document})[1]
        if held["_id"] in self.store:
            raise _duplicate("_id", {"_id": 1}, {"_id": held["_id"]})
        _refuse_dollars(held)
        self._check_unique(held)
        self.store[held["_id"]] = held
        return held["_id"]

    def update(
        self,
        query: Document,
        change: Document | list[Document],
        many: bool = False,
        upsert: bool = False,
        array_filters: list[Document] | None = None,
    ) -> Changes:
        """Change documents that match, or insert one if none does and `upsert` is true."""
        found = self.matches(query)
        chosen = list(found if many else itertools.islice(found, 1))
        if not chosen and upsert:
            new = self._changed(self._seed(query), query, change, array_filters, new=True)
            return Changes(upserted=self.insert(new), inserted=True)
        modified = sum(self._replace(one, query, change, array_filters) for one in chosen)
        return Changes(matched=len(chosen), modified=modified)

    def exchange(
        self,
        query: Document,
        change: Document | list[Document],
        sort: Sort | None,
        upsert: bool,
        array_filters: list[Document] | None,
    ) -> tuple[Document | None, Document | None]:
        """Change the first document that matches; returns it as before and after."""
        before = next(self.matches(query, sort), None)
        if before is not None:
            self._replace(before, query, change, array_filters)
            return before, self.store[before["_id"]]
        done = self.update(query, change, False, upsert, array_filters)
        return None, self.store[done.upserted] if done.inserted else None

    def take_out(self, query: Document, sort: Sort | None) -> Document | None:
        """Delete the first document that matches, and return it."""
        found = next(self.matches(query, sort), None)
        if found is not None:
            del self.store[found["_id"]]
        return found

    def _replace(
        self,
        old: Document,
        query: Document,
        change: Document | list[Document],
        filters: list[Document] | None,
    ) -> bool:
        encoded, copy = canonical(old)
        after, held = canonical(self._changed(copy, query, change, filters))
        if held.get("_id") != old["_id"]:
            raise CommandError(66, "ImmutableField", "the field '_id' cannot be changed")
        if after == encoded:
            return False
        self._check_unique(held)
        self.store[held["_id"]] = held
        return True

    def _changed(
        self,
        document: Document,
        query: Document,
        change: Document | list[Document],
        filters: list[Document] | None,
        new: bool = False,
    ) -> Document:
        """Apply operators or a pipeline to a document, or put a replacement in its place."""
        if isinstance(change, list):
            return piped(document, change, self.mock.database)
        if not any(key.startswith("$") for key in change):
            identity = {"_id": document["_id"]} if "_id" in document else {}
            return {**identity, **change}
        self.mock._current_array_filters = filters or []
        try:
            self.mock._apply_update_document(document, query, change, new)
        finally:
            self.mock._current_array_filters = None
        return document

    def _seed(self, query: Document) -> Document:
        """What an upserted document takes from the query: the fields that must equal a value."""
        equal = {key: value for key, value in query.items() if not key.startswith("$")}
        seed, _ = self.mock._discard_operators(self.mock._expand_dots(equal))
        return dict(seed or {})

    def delete(self, query: Document, many: bool = True) -> int:
        """Delete documents that match, and return how many those were."""
        found = self.matches(query)
        chosen = list(found if many else itertools.islice(found, 1))
        for document in chosen:
            del self.store[document["_id"]]
        return len(chosen)

    def _check_unique(self, document: Document) -> None:
        """Raise if a unique index holds the values of another document's."""
        for name, index in self.store.indexes.items():
            if not index.get("unique"):
                continue
            keys, only = index["key"], index.get("partialFilterExpression")
            if self.store.is_alone(document, [key for key, _ in keys]):
                continue
            if only is not None and not filter_applies(only, document):
                continue
            mine = Collection._compute_index_entries(document, keys, index.get("sparse"))
            if mine is None:
                continue
            for other in self._rivals(document, keys):
                if other["_id"] == document["_id"]:
                    continue
                if only is not None and not filter_applies(only, other):
                    continue
                theirs = Collection._compute_index_entries(other, keys, index.get("sparse"))
                if theirs is not None and Collection._entries_overlap(mine, theirs):
                    value = {key: helpers.get_value_by_dot(document, key) for key, _ in keys}
                    value = {k: None if v is helpers.NOTHING else v for k, v in value.items()}
                    raise _duplicate(name, dict(keys), value)

    def _rivals(self, document: Document, keys: Sort) -> Iterable[Document]:
        """Documents that may hold the same values in an index."""
        values = {key: helpers.get_value_by_dot(document, key) for key, _ in keys}
        simple = {
            key: value
            for key, value in values.items()
            if value is not None and value is not helpers.NOTHING and sought(value) is not None
        }
        return self._documents(self.store.narrowed(simple))


def refuse_unsafe(query: Any) -> None:
    """Refuse operators that mongomock would give another meaning, or run as Python."""
    if isinstance(query, Mapping):
        for key, value in query.items():
            if key in _UNSAFE:
                raise NotImplementedError(key)
            refuse_unsafe(value)
    elif isinstance(query, list):
        for part in query:
            refuse_unsafe(part)


def _refuse_dollars(document: Document) -> None:
    for key in document:
        if key.startswith("$"):
            raise CommandError(52, "DollarPrefixedFieldName", f"field name {key}")


def _sort(documents: Iterable[Document], sort: Sort) -> Iterable[Document]:
    for field, direction in reversed(sort):
        key = functools.partial(sort_key, field=field)
        documents = sorted(documents, key=key, reverse=direction < 0)
    return documents


def _duplicate(name: str, pattern: Document, value: Document) -> DuplicateKeyError:
    details = {"keyPattern": pattern, "keyValue": value}
    return DuplicateKeyError(f"E11000 duplicate key error index: {name} {value}", 11000, details)


def _identity(value: Any) -> Any:
    """Something to tell values apart by: equal numbers are one, True and 1 are two."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return value
    return type(value), bson.encode({"": value})
