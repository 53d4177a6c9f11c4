"""A maggma store in one SQLite file: the default where no MongoDB is configured.

Many processes of one machine may read and write it at once, and a process killed at any moment
leaves whole documents only: every update is one transaction. SQLite narrows a query down by its
indexed fields; mongomock's matcher then gives the meaning that MongoDB gives to the criteria.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bson
from maggma.core import Store
from mongomock.filtering import filter_applies, resolve_sort_key
from pydash import get, has, set_

from sse_flows.errors import SSEError

SCHEMA_VERSION = 2
"""Layout of the file, of which 2 has more indexed fields than 1; one that is unknown is refused
rather than guessed at."""

NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p", "afs")
"""How the names of file systems begin that several machines share."""

_SCALARS = (str, int, float)


class SqliteStore(Store):
    """Documents of one collection in a SQLite file.

    Parameters
    ----------
    path
        The file; made with its folders when first connected.
    collection_name
        The table. One file may hold several.
    indexes
        Fields (dotted paths of scalars) that queries look documents up by.
    key
        Field that tells documents apart, as in every maggma store.
    **kwargs
        Passed on to :class:`maggma.core.Store`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        collection_name: str = "outputs",
        indexes: Sequence[str] = ("uuid", "index"),
        key: str = "uuid",
        **kwargs: Any,
    ):
        self.path = str(path)
        self.collection_name = collection_name
        self.indexes = list(indexes)
        self._connection: sqlite3.Connection | None = None
        super().__init__(key=key, **kwargs)

    @property
    def name(self) -> str:
        """File and table of this store."""
        return f"sqlite://{self.path}/{self.collection_name}"

    @property
    def _collection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise SSEError(f"the store {self.name} is not connected", mend="Call store.connect()")
        return self._connection

    @property
    def _table(self) -> str:
        return _quoted(self.collection_name)

    def connect(self, force_reset: bool = False) -> None:
        """Open the file, and lay it out if it is new; one that is there may be read-only.

        Raises
        ------
        SSEError
            The file cannot be made, is no store, or is laid out by another version.
        """
        if self._connection is not None and not force_reset:
            return
        self.close()
        try:
            if _is_read_only(Path(self.path)):
                self._connection = _open_to_read(Path(self.path))
                self._look_at_layout()
                return
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = _open(self.path)
            self._lay_out()
        except (OSError, sqlite3.DatabaseError) as error:
            self.close()
            raise store_error(self.path, error) from error

    def _lay_out(self) -> None:
        with self._collection as db:
            db.execute("BEGIN IMMEDIATE")
            self._check_version()
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} (id INTEGER PRIMARY KEY, body BLOB)"
            )
            for field in self.indexes:
                self._add_index(field, unique=False)

    def _look_at_layout(self) -> None:
        """Query by the indexed fields that the file has, of which an older one has fewer."""
        self._check_version()
        columns = self._columns()
        if not columns:
            raise sqlite3.DatabaseError(f"it holds no {self.collection_name}")
        self.indexes = [one for one in self.indexes if one in columns]

    def _check_version(self) -> None:
        version = self._collection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise SSEError(
                f"the store {self.path} has layout {version}, this version reads {SCHEMA_VERSION}",
                mend="Use the sse-flows that wrote it, or name another results folder",
            )

    def _columns(self) -> set[str]:
        return {row[1] for row in self._collection.execute(f"PRAGMA table_info({self._table})")}

    def _add_index(self, field: str, unique: bool) -> None:
        db, column = self._collection, _quoted(field)
        if field not in self._columns():
            db.execute(f"ALTER TABLE {self._table} ADD COLUMN {column}")
            body_of = f"SELECT body FROM {self._table} WHERE id = ?"
            for row in db.execute(f"SELECT id FROM {self._table}").fetchall():
                value = _scalar(_decode(db.execute(body_of, row).fetchone()[0]), field)
                db.execute(f"UPDATE {self._table} SET {column} = ? WHERE id = ?", (value, *row))
        name = _quoted(f"{self.collection_name}:{field}")
        kind = "UNIQUE INDEX" if unique else "INDEX"
        db.execute(f"CREATE {kind} IF NOT EXISTS {name} ON {self._table} ({column})")

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ensure_index(self, key: str, unique: bool = False) -> bool:
        """Make queries by a scalar field quick; True when the index is there."""
        with self._transaction():
            self._add_index(key, unique)
        if key not in self.indexes:
            self.indexes.append(key)
        return True

    def count(self, criteria: dict | None = None) -> int:
        """Count the documents that match."""
        return sum(1 for _ in self._matching(criteria))

    def query(
        self,
        criteria: dict | None = None,
        properties: dict | list | None = None,
        sort: dict | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[dict]:
        """Documents that match, as in :meth:`maggma.core.Store.query`."""
        found: Iterator[dict] | list[dict] = (doc for _, doc in self._matching(criteria))
        if sort:
            found = list(found)
            for field, direction in reversed(sort.items()):
                descending = int(getattr(direction, "value", direction)) < 0
                found.sort(key=lambda doc: resolve_sort_key(field, doc), reverse=descending)
        for number, doc in enumerate(found):
            if limit and number >= skip + limit:
                return
            if number >= skip:
                yield _project(doc, properties)

    def update(self, docs: list[dict] | dict, key: list | str | None = None) -> None:
        """Insert documents, or replace those with the same key, in one transaction."""
        fields = [key or self.key] if isinstance(key, str | None) else list(key)
        with self._transaction():
            for doc in docs if isinstance(docs, list) else [docs]:
                same = {field: get(doc, field) for field in fields}
                self._write({k: v for k, v in doc.items() if k != "_id"}, same)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written within, or nothing of it."""
        try:
            with self._collection as db:
                db.execute("BEGIN IMMEDIATE")
                yield db
        except sqlite3.IntegrityError:  # a unique index: the caller's mistake, not the file's
            raise
        except (OSError, sqlite3.DatabaseError) as error:
            raise store_error(self.path, error) from error

    def _write(self, doc: dict, same: dict) -> None:
        row_id = next((i for i, _ in self._matching(same)), None)
        columns = ["body", *self.indexes]
        values = [_encode(doc), *(_scalar(doc, field) for field in self.indexes)]
        names = ", ".join(map(_quoted, columns))
        marks = ", ".join("?" * (len(columns) + 1))
        changes = ", ".join(f"{name} = excluded.{name}" for name in map(_quoted, columns))
        self._collection.execute(
            f"INSERT INTO {self._table} (id, {names}) VALUES ({marks}) "
            f"ON CONFLICT (id) DO UPDATE SET {changes}",
            (row_id, *values),
        )

    def remove_docs(self, criteria: dict) -> None:
        """Remove the documents that match."""
        with self._transaction() as db:
            ids = [(row_id,) for row_id, _ in self._matching(criteria)]
            db.executemany(f"DELETE FROM {self._table} WHERE id = ?", ids)

    def groupby(
        self,
        keys: list[str] | str,
        criteria: dict | None = None,
        properties: dict | list | None = None,
        sort: dict | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[tuple[dict, list[dict]]]:
        """Group documents by the values of some fields."""
        fields = [keys] if isinstance(keys, str) else list(keys)
        groups: dict[bytes, list[dict]] = {}
        for doc in self.query(criteria, None, sort, skip, limit):
            if all(has(doc, field) for field in fields):
                values = bson.encode({"values": [get(doc, field) for field in fields]})
                groups.setdefault(values, []).append(doc)
        for members in groups.values():
            head: dict = {}
            for field in fields:
                set_(head, field, get(members[0], field))
            yield head, [_project(doc, properties) for doc in members]

    def _matching(self, criteria: dict | None) -> Iterator[tuple[int, dict]]:
        """Row ids and documents that match: SQL narrows, mongomock decides."""
        clauses, values = _narrow(criteria or {}, self.indexes)
        where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        sql = f"SELECT id, body FROM {self._table}{where} ORDER BY id"
        try:
            rows = self._collection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise store_error(self.path, error) from error
        for row_id, body in rows:
            doc = _decode(body)
            if not criteria or filter_applies(criteria, doc):
                yield row_id, doc


def network_file_system(folder: str | os.PathLike, mounts: str = "/proc/self/mounts") -> str | None:
    """Kind of the file system of a folder if machines share it, else None, as where unknown.

    SQLite's write-ahead log is in the memory of one machine: processes of others that write the
    same file damage it.
    """
    try:
        lines = [line.split() for line in Path(mounts).read_text().splitlines()]
    except OSError:
        return None
    place = Path(folder).resolve()
    points = {Path(one[1].replace("\\040", " ")): one[2] for one in lines if len(one) > 2}
    kind = next((points[one] for one in (place, *place.parents) if one in points), "")
    return kind if kind.startswith(NETWORK) else None


def store_error(path: str | os.PathLike, error: Exception) -> SSEError:
    """Say in one line what a failing file means for the user."""
    text = str(error)
    if "full" in text or getattr(error, "errno", None) == 28:
        mend = "Free some space, or name a results folder on another disk, and run again"
    elif "not a database" in text or "malformed" in text:
        mend = "Name another results folder; this file is no store or is damaged"
    else:
        mend = "Check that you may write there, or name another results folder"
    return SSEError(f"cannot use the store {path}: {text}", mend=mend)


def _open(path: str) -> sqlite3.Connection:
    # isolation_level=None: transactions are begun by hand, since BEGIN IMMEDIATE is what keeps
    # two writers from both reading first and one of them failing later
    db = sqlite3.connect(path, timeout=120, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def _is_read_only(path: Path) -> bool:
    """Whether a store is there that this user may only read, a colleague's for instance."""
    return path.is_file() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _open_to_read(path: Path) -> sqlite3.Connection:
    # without its journal SQLite wants to make one, unless told that nobody writes; with one,
    # somebody may
    journal = path.with_name(f"{path.name}-wal")
    alone = not journal.is_file() or journal.stat().st_size == 0
    options = "mode=ro&immutable=1" if alone else "mode=ro"
    address = f"{path.resolve().as_uri()}?{options}"
    return sqlite3.connect(
        address, timeout=120, isolation_level=None, check_same_thread=False, uri=True
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _encode(doc: dict) -> bytes:
    return zlib.compress(bson.encode(doc), level=1)


def _decode(body: bytes) -> dict:
    return bson.decode(zlib.decompress(body))


def _scalar(doc: dict, field: str) -> str | int | float | None:
    value = get(doc, field)
    parts = field.split(".")
    if value is None:  # a field within an array is many values, of which a column holds none
        heads = (get(doc, ".".join(parts[:depth])) for depth in range(1, len(parts)))
        value = next((head for head in heads if isinstance(head, list)), None)
    if value is not None and not isinstance(value, _SCALARS):
        raise ValueError(f"field {field!r} is indexed and must be a scalar, not {type(value)}")
    return value


def _narrow(criteria: dict, indexes: Sequence[str]) -> tuple[list[str], list]:
    """SQL clauses that no matching document can fail, for the criteria on indexed fields."""
    clauses: list[str] = []
    values: list = []
    for field, wanted in criteria.items():
        options = wanted.get("$in") if isinstance(wanted, dict) else [wanted]
        if field not in indexes or not options:
            continue
        if all(isinstance(option, _SCALARS) for option in options) and len(options) < 500:
            clauses.append(f"{_quoted(field)} IN ({', '.join('?' * len(options))})")
            values.extend(options)
    return clauses, values


def _project(doc: dict, properties: dict | list | None) -> dict:
    """Keep (or, with zeros, drop) the named fields, as MongoDB does, within arrays too."""
    if not properties:
        return doc
    wanted = properties if isinstance(properties, dict) else dict.fromkeys(properties, 1)
    keep = any(wanted.values())
    tree: dict = {}
    for field in wanted:
        node = tree
        for part in field.split(".") if bool(wanted[field]) is keep else ():
            node = node.setdefault(part, {})
    return _pruned(doc, tree, keep)


def _pruned(value: Any, tree: dict, keep: bool) -> Any:
    if isinstance(value, list):
        return [_pruned(v, tree, keep) for v in value if not keep or isinstance(v, dict | list)]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, child in value.items():
        below = tree.get(name)
        if below and isinstance(child, dict | list):
            found[name] = _pruned(child, below, keep)
        elif (below == {}) is keep:
            found[name] = child
    return found
