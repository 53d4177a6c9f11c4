"""Hash indexes for mongomock's collections, which else read every document for every query.

An index only narrows a query down to candidates, in the order of their insertion; whether one
matches is left to mongomock's own filter. Documents are replaced as a whole, never changed in
place, so readers may hold on to them.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from bson import Decimal128, Int64, ObjectId
from mongomock_ng.collection import NOTHING
from mongomock_ng.filtering import (
    BsonComparable,
    _get_compare_type,
    iter_key_candidates,
    resolve_key,
)
from mongomock_ng.helpers import hashdict
from mongomock_ng.store import CollectionStore, DatabaseStore, ServerStore

from sse_flows.testing.mongo_wire import Document

_NULL = type(None)
_SIMPLE = frozenset({str, int, Int64, float, bool, ObjectId, datetime.datetime, bytes, _NULL})
_NUMBER = 10  # place of numbers in BSON's order of types
_ONE_KEY = frozenset({str, int, Int64, ObjectId, datetime.datetime, _NULL})
_COMPARABLE = frozenset({str, bool, ObjectId, datetime.datetime})
_EMPTY: frozenset[int] = frozenset()


class IndexedStore(CollectionStore):
    """Documents of one collection, with a hash index of every field that clients index.

    Each document has a row number, which grows with the order of insertion. An index is built when
    it is first of use: those that no query asks for cost nothing when documents are inserted.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._clear()

    def _clear(self) -> None:
        self._next = 0
        self._row_of: dict[Any, int] = {}
        self.rows: dict[int, Document] = {}
        self._fields = {"_id"}
        self._built: dict[str, FieldIndex] = {}

    # -- what mongomock asks of a store -------------------------------------------------------

    def create_index(self, index_name: str, index_dict: Document) -> None:
        """Register an index, and each of its fields as one to hash."""
        super().create_index(index_name, index_dict)
        self._fields.update(field for field, _ in index_dict["key"])

    def drop(self) -> None:
        """Forget documents and indexes."""
        super().drop()
        self._clear()

    @property
    def is_created(self) -> bool:
        """Whether there are documents or indexes, or a client created the collection."""
        return bool(self.rows or self.indexes or self._is_force_created)

    @property
    def is_empty(self) -> bool:
        """Whether there are no documents."""
        return not self.rows

    @property
    def documents(self) -> Iterator[Document]:
        """All documents, in the order of insertion."""
        yield from list(self.rows.values())

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, key: Any) -> bool:
        return _hashable_id(key) in self._row_of

    def __getitem__(self, key: Any) -> Document:
        return self.rows[self._row_of[_hashable_id(key)]]

    def __setitem__(self, key: Any, document: Document) -> None:
        row = self._row_of.setdefault(_hashable_id(key), self._next)
        if row == self._next:
            self._next += 1
        self.rows[row] = document
        for index in self._built.values():
            index.put(row, document)

    def __delitem__(self, key: Any) -> None:
        row = self._row_of.pop(_hashable_id(key))
        del self.rows[row]
        for index in self._built.values():
            index.remove(row)

    # -- queries ------------------------------------------------------------------------------

    def index(self, field: str) -> FieldIndex | None:
        """The index of a field; None where clients made none."""
        if field in self._fields and field not in self._built:
            built = self._built[field] = FieldIndex(field)
            for row, document in self.rows.items():
                built.put(row, document)
        return self._built.get(field)

    def is_alone(self, document: Document, fields: Iterable[str]) -> bool:
        """Whether an index shows that no other document holds the same in one of some fields.

        If not, another one may hold it.
        """
        own = self._row_of.get(_hashable_id(document["_id"]))
        indexes = filter(None, map(self.index, fields))
        return any(index.is_alone(document, own) for index in indexes)

    def narrowed(self, query: Mapping[str, Any]) -> Set[int] | None:
        """Rows among which all matches of a query are, or None where no index helps.

        The set may be the index's own: not to be changed, nor kept over a write.
        """
        best: Set[int] | None = None
        for field, wanted in query.items():
            found = self._clause(field, wanted)
            if found is not None and (best is None or len(found) < len(best)):
                best = found
        return best

    def _clause(self, field: str, wanted: Any) -> Set[int] | None:
        if field == "$and" and wanted:
            parts = [rows for part in wanted if (rows := self.narrowed(part)) is not None]
            return min(parts, key=len) if parts else None
        if field == "$or" and wanted:
            either = [self.narrowed(part) for part in wanted]
            return None if None in either else set().union(*either)  # type: ignore[arg-type]
        keys = sought(wanted) if field in self._fields else None
        index = None if keys is None else self.index(field)
        return None if index is None or keys is None else index.rows_of(keys)

    def in_order_of(self, field: str, descending: bool) -> list[Set[int]] | None:
        """Rows grouped by the value of a field and sorted by it; None where no index can say."""
        index = self.index(field)
        return None if index is None else index.groups(descending)


class FieldIndex:
    """Rows by the values of one field (a dotted path; an array counts with each item)."""

    def __init__(self, field: str) -> None:
        self.path = field
        self._parts = field.split(".")
        self._rows: dict[Any, set[int]] = {}
        self._held: dict[int, tuple] = {}
        self._odd: set[int] = set()  # rows whose value is not one simple value
        self._sorted: list[Any] | None = None

    def put(self, row: int, document: Document) -> None:
        """Note the values of a new or changed document."""
        keys, odd = self._values(document)
        before = self._held.get(row)
        if odd:
            self._odd.add(row)
        elif before is not None:
            self._odd.discard(row)
        if before == keys:
            return
        self._forget(row, before or ())
        self._held[row] = keys
        for key in keys:
            if key not in self._rows:
                self._rows[key] = set()
                self._sorted = None
            self._rows[key].add(row)

    def keys(self, document: Document) -> tuple:
        """Simple values that a document holds in this field; None where it is missing."""
        return self._values(document)[0]

    def is_alone(self, document: Document, own: int | None) -> bool:
        """Whether it holds one simple value, and no document but that in row `own` the same."""
        keys, odd = self._values(document)
        return not odd and keys[0] is not None and self._rows.get(keys[0], _EMPTY) <= {own}

    def remove(self, row: int) -> None:
        """Forget a document."""
        self._odd.discard(row)
        self._forget(row, self._held.pop(row, ()))

    def rows_of(self, keys: list[Any]) -> Set[int]:
        """Rows with any of some values."""
        if len(keys) == 1:
            return self._rows.get(keys[0], _EMPTY)
        return set().union(*(self._rows.get(key, _EMPTY) for key in keys))

    def groups(self, descending: bool) -> list[Set[int]] | None:
        """Rows grouped by value, in BSON's order; None if a value is an array or the like."""
        if self._odd:
            return None
        if self._sorted is None:
            self._sorted = sorted(self._rows, key=_rank)
        order = reversed(self._sorted) if descending else iter(self._sorted)
        return [self._rows[key] for key in order]

    def _forget(self, row: int, keys: tuple) -> None:
        for key in keys:
            self._rows[key].discard(row)
            if not self._rows[key]:
                del self._rows[key]
                self._sorted = None

    def _values(self, document: Document) -> tuple[tuple, bool]:
        """Keys of a document, and whether they are anything but one simple value."""
        value: Any = document
        for part in self._parts:
            if type(value) is not dict:
                return self._many_values(document), True
            value = value.get(part, NOTHING)
            if value is NOTHING:
                return (None,), False
        if type(value) in _ONE_KEY:
            return (value,), False
        if type(value) is list:
            return tuple({item for item in value if _is_simple(item)}), True
        if not _is_simple(value):
            return self._many_values(document), True
        return (value,), isinstance(value, (bool, bytes))  # True is stored with 1

    def _many_values(self, document: Document) -> tuple:
        found: set[Any] = set()
        for value in iter_key_candidates(self.path, document):
            items = value if isinstance(value, list) else [None if value is NOTHING else value]
            found.update(item for item in items if _is_simple(item))
        return tuple(found)


def sought(wanted: Any) -> list[Any] | None:
    """Values of which an indexed field must hold one to match; None if that cannot be said."""
    if isinstance(wanted, Mapping):
        if not wanted or not all(key.startswith("$") for key in wanted):
            return None
        if wanted.get("$eq") is not None:
            return sought(wanted["$eq"]) if not isinstance(wanted["$eq"], Mapping) else None
        values = wanted.get("$in")
        if not isinstance(values, list):
            return None
    else:
        values = [wanted]
    if not all(map(_is_simple, values)):
        return None
    # mongomock finds an ObjectId in an array of strings, too
    return values + [str(value) for value in values if isinstance(value, ObjectId)]


def sort_key(document: Document, field: str) -> tuple:
    """Key that sorts documents by a field as mongomock does, without its slow comparisons."""
    value = resolve_key(field, document)
    if isinstance(value, list):
        return (1, *_rank(value[0])) if value else (0,)
    return (1, *_rank(value))


def _rank(value: Any) -> tuple:
    """Place of a value in BSON's order: that of its type, then one among its like."""
    kind = _get_compare_type(value)
    if kind == _NUMBER:
        return (kind, float(value.to_decimal()) if isinstance(value, Decimal128) else value)
    return (kind, value if type(value) in _COMPARABLE else BsonComparable(value))


def _is_simple(value: Any) -> bool:
    """Whether a value can be a key: 1 and 1.0 are one key, as they are equal; NaN is none."""
    return type(value) in _SIMPLE and not (type(value) is float and math.isnan(value))


def _hashable_id(key: Any) -> Any:
    return hashdict(key) if isinstance(key, dict) else key


class IndexedDatabase(DatabaseStore):
    """Collections of one database."""

    def __getitem__(self, col_name: str) -> IndexedStore:
        if col_name not in self._collections:
            self._collections[col_name] = IndexedStore(col_name)
        return self._collections[col_name]


class IndexedServer(ServerStore):
    """Databases of one server."""

    def __getitem__(self, db_name: str) -> IndexedDatabase:
        if db_name not in self._databases:
            self._databases[db_name] = IndexedDatabase()
        return self._databases[db_name]
