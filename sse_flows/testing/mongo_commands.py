"""The commands of MongoDB that FireWorks, maggma and jobflow send, over mongomock's collections.

One lock around every command: each is atomic, so findAndModify and $inc hold what they hold in
MongoDB. The server presents itself as a standalone one, without transactions. What it does not
know is an error, never a silent success.
"""

from __future__ import annotations

import datetime
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import bson
import mongomock_ng
from bson import Int64

from sse_flows.testing.mongo_index import IndexedServer
from sse_flows.testing.mongo_table import Table
from sse_flows.testing.mongo_updates import has_operators
from sse_flows.testing.mongo_wire import MAX_DOCUMENT, MAX_MESSAGE, CommandError, Document

_FIRST_BATCH = 101
_INDEX_OPTIONS = ("name", "unique", "sparse", "partialFilterExpression")
_DUPLICATE = 11000


def _failure(error: Exception) -> Document:
    """Reply to a command that failed."""
    code, name, message = getattr(error, "code", None) or 2, "BadValue", str(error)
    if isinstance(error, CommandError):
        name = error.name
    elif isinstance(error, NotImplementedError):
        code, name, message = 238, "NotImplemented", f"not known to the test server: {error}"
    elif code == _DUPLICATE:
        name = "DuplicateKey"
    else:
        message = f"{type(error).__name__}: {error}"
    return {"ok": 0.0, "errmsg": message, "code": code, "codeName": name}


def _write_error(index: int, error: Exception) -> Document:
    """Entry of `writeErrors` for one statement of a bulk write."""
    reply = _failure(error)
    details = getattr(error, "details", None) or {}
    keys = {key: details[key] for key in ("keyPattern", "keyValue") if key in details}
    return {"index": index, "code": reply["code"], "errmsg": reply["errmsg"], **keys}


def _refuse(command: Document, *options: str) -> None:
    for option in options:
        if command.get(option):
            raise NotImplementedError(option)


class Commands:
    """All databases of one server, and what clients may ask of them."""

    def __init__(self) -> None:
        self.client: Any = mongomock_ng.MongoClient(_store=IndexedServer())
        self.lock = threading.RLock()
        self._cursors: dict[int, tuple[str, list[Document]]] = {}
        self._cursor_ids = itertools.count(int(time.time()) << 20)
        self._known = self._by_name()

    def run(self, command: Document) -> bytes:
        """Encoded answer to one command; whatever goes wrong is an error of the reply."""
        name = next(iter(command), "")
        with self.lock:
            try:
                return bson.encode({**self._command(name, command)(command), "ok": 1.0})
            except Exception as error:
                return bson.encode(_failure(error))

    def _command(self, name: str, command: Document) -> Callable[[Document], Document]:
        if command.get("startTransaction") or command.get("autocommit") is False:
            raise CommandError(20, "IllegalOperation", "Transactions need a replica set")
        if name.lower() not in self._known:
            raise CommandError(59, "CommandNotFound", f"no such command: '{name}'")
        return self._known[name.lower()]

    def _by_name(self) -> dict[str, Callable[[Document], Document]]:
        """Commands by name in lower case: a few have been spelt in two ways."""
        return {
            name.removeprefix("do_").lower(): getattr(self, name)
            for name in dir(self)
            if name.startswith("do_")
        }

    def _collection(self, command: Document) -> Any:
        name = next(iter(command))
        if not isinstance(command[name], str):
            raise NotImplementedError(f"{name} of a whole database")
        return self.client[command["$db"]][command[name]]

    def _table(self, command: Document) -> Table:
        return Table(self._collection(command))

    def _exists(self, command: Document) -> bool:
        names = self.client[command["$db"]].list_collection_names()
        return command[next(iter(command))] in names

    # -- the server -------------------------------------------------------------------------

    def do_hello(self, command: Document) -> Document:
        """Who we are; the wire version is that of MongoDB 7."""
        legacy = {} if "hello" in command else {"ismaster": True}
        return legacy | {
            "helloOk": True,
            "isWritablePrimary": True,
            "maxBsonObjectSize": MAX_DOCUMENT,
            "maxMessageSizeBytes": MAX_MESSAGE,
            "maxWriteBatchSize": 100_000,
            "localTime": datetime.datetime.now(datetime.UTC),
            "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "readOnly": False,
        }

    do_ismaster = do_hello

    def do_ping(self, command: Document) -> Document:
        """Still there; sessions need no end, for nothing is kept of them."""
        return {}

    do_endsessions = do_killsessions = do_ping

    def do_buildinfo(self, command: Document) -> Document:
        """Version that pymongo and FireWorks look at."""
        version = {"version": "7.0.0", "versionArray": [7, 0, 0, 0], "gitVersion": "test server"}
        return version | {"modules": [], "maxBsonObjectSize": MAX_DOCUMENT}

    def do_connectionstatus(self, command: Document) -> Document:
        """Nobody logs in here."""
        return {"authInfo": {"authenticatedUsers": [], "authenticatedUserRoles": []}}

    # -- writes -----------------------------------------------------------------------------

    def _each(self, command: Document, key: str, write: Callable[[int, Document], int]) -> Document:
        """Do the statements of a bulk write one by one; stop at the first error if ordered."""
        done, errors = 0, []
        for index, statement in enumerate(command[key]):
            try:
                done += write(index, statement)
            except Exception as error:
                errors.append(_write_error(index, error))
                if command.get("ordered", True):
                    break
        return {"n": done, **({"writeErrors": errors} if errors else {})}

    def do_insert(self, command: Document) -> Document:
        """Insert documents; as they were decoded, unless one may be too large."""
        table = self._table(command)
        as_is = getattr(command["documents"], "size", MAX_MESSAGE) <= MAX_DOCUMENT

        def insert(_: int, document: Document) -> int:
            table.insert(document, as_is)
            return 1

        return self._each(command, "documents", insert)

    def do_update(self, command: Document) -> Document:
        """Update, replace or upsert documents."""
        table, modified, upserted = self._table(command), [0], []

        def update(index: int, statement: Document) -> int:
            _refuse(statement, "collation", "hint", "sort")
            many = statement.get("multi", False)
            if not has_operators(statement["u"]) and many:
                raise CommandError(9, "FailedToParse", "many documents cannot be replaced by one")
            filters, upsert = statement.get("arrayFilters"), statement.get("upsert", False)
            done = table.update(statement["q"], statement["u"], many, upsert, filters)
            modified[0] += done.modified
            if done.inserted:
                upserted.append({"index": index, "_id": done.upserted})
            return done.matched + done.inserted

        reply = self._each(command, "updates", update) | {"nModified": modified[0]}
        return reply | ({"upserted": upserted} if upserted else {})

    def do_delete(self, command: Document) -> Document:
        """Delete one document or all that match."""
        table = self._table(command)

        def delete(_: int, statement: Document) -> int:
            _refuse(statement, "collation", "hint")
            return table.delete(statement["q"], many=statement.get("limit") != 1)

        return self._each(command, "deletes", delete)

    def do_findandmodify(self, command: Document) -> Document:
        """Find one document and change it, as one step."""
        _refuse(command, "collation", "hint")
        table, query, sort = self._table(command), command.get("query") or {}, _sort(command)
        if command.get("remove"):
            before = table.take_out(query, sort)
            value = table.shown(before, command.get("fields"), query)
            return {"lastErrorObject": {"n": int(before is not None)}, "value": value}
        update, upsert = command["update"], bool(command.get("upsert"))
        has_operators(update)
        before, after = table.exchange(query, update, sort, upsert, command.get("arrayFilters"))
        last: Document = {"n": int(after is not None), "updatedExisting": before is not None}
        if before is None and after is not None:
            last["upserted"] = after["_id"]
        value = table.shown(after if command.get("new") else before, command.get("fields"), query)
        return {"lastErrorObject": last, "value": value}

    # -- reads ------------------------------------------------------------------------------

    def do_find(self, command: Document) -> Document:
        """Find documents."""
        _refuse(command, "collation", "hint", "min", "max", "returnKey", "tailable")
        query, projection = command.get("filter") or {}, command.get("projection")
        skip, limit = command.get("skip") or 0, abs(command.get("limit") or 0)
        found = self._table(command).find(query, projection, _sort(command), skip, limit)
        single = command.get("singleBatch", False)
        return self._cursor(command, found, command.get("batchSize"), single)

    def do_aggregate(self, command: Document) -> Document:
        """Run a pipeline."""
        _refuse(command, "collation", "hint")
        found = self._table(command).aggregate(command["pipeline"])
        return self._cursor(command, found, (command.get("cursor") or {}).get("batchSize"))

    def do_count(self, command: Document) -> Document:
        """Count documents."""
        _refuse(command, "collation", "hint")
        skip, limit = command.get("skip") or 0, abs(command.get("limit") or 0)
        return {"n": self._table(command).count(command.get("query") or {}, skip, limit)}

    def do_distinct(self, command: Document) -> Document:
        """Distinct values of a field."""
        _refuse(command, "collation", "hint")
        query = command.get("query") or {}
        return {"values": self._table(command).distinct(command["key"], query)}

    def _cursor(
        self,
        command: Document,
        documents: list[Document],
        size: int | None,
        single: bool = False,
    ) -> Document:
        name = f"{command['$db']}.{next(iter(command.values()))}"
        return self._batch(name, documents, size, "firstBatch", keep=not single)

    def _batch(
        self, name: str, documents: list[Document], size: int | None, key: str, keep: bool = True
    ) -> Document:
        limit = (_FIRST_BATCH if key == "firstBatch" else None) if size is None else size
        batch = list(_batch_of(iter(documents), limit))
        left, number = documents[len(batch) :], 0
        if left and keep:
            number = next(self._cursor_ids)
            self._cursors[number] = (name, left)
        return {"cursor": {key: batch, "id": Int64(number), "ns": name}}

    def do_getmore(self, command: Document) -> Document:
        """Next batch of a cursor; the number of the cursor stays."""
        number = int(command["getMore"])
        if number not in self._cursors:
            raise CommandError(43, "CursorNotFound", f"cursor id {number} not found")
        name, documents = self._cursors.pop(number)
        batch = list(_batch_of(iter(documents), command.get("batchSize")))
        if len(batch) < len(documents):
            self._cursors[number] = (name, documents[len(batch) :])
        left = number if number in self._cursors else 0
        return {"cursor": {"nextBatch": batch, "id": Int64(left), "ns": name}}

    def do_killcursors(self, command: Document) -> Document:
        """Forget cursors."""
        killed = [number for number in command["cursors"] if self._cursors.pop(int(number), None)]
        missing = [number for number in command["cursors"] if number not in killed]
        none: Document = {"cursorsAlive": [], "cursorsUnknown": []}
        return {"cursorsKilled": killed, "cursorsNotFound": missing, **none}

    # -- collections and indexes ------------------------------------------------------------

    def do_createindexes(self, command: Document) -> Document:
        """Create indexes; the kinds that differ from a plain one in what they do are refused."""
        collection = self._collection(command)
        before = max(1, len(collection.index_information()))
        for index in command["indexes"]:
            _refuse(index, "expireAfterSeconds", "collation", "weights", "wildcardProjection")
            options = {key: index[key] for key in _INDEX_OPTIONS if key in index}
            collection.create_index(list(index["key"].items()), **options)
        after = len(collection.index_information())
        return {"numIndexesBefore": before, "numIndexesAfter": after}

    def do_listindexes(self, command: Document) -> Document:
        """Indexes of a collection, that of `_id` first."""
        if not self._exists(command):
            raise CommandError(26, "NamespaceNotFound", "ns does not exist")
        found = self._collection(command).index_information()
        indexes = [{"v": 2, "key": {"_id": 1}, "name": "_id_"}]
        for name, index in found.items():
            if name != "_id_":
                options = {key: index[key] for key in _INDEX_OPTIONS if index.get(key)}
                indexes.append({"v": 2, "key": dict(index["key"]), "name": name, **options})
        return self._cursor(command, indexes, len(indexes))

    def do_dropindexes(self, command: Document) -> Document:
        """Drop one index, by name or keys, or all."""
        collection, index = self._collection(command), command["index"]
        if index == "*":
            collection.drop_indexes()
        else:
            collection.drop_index(list(index.items()) if isinstance(index, dict) else index)
        return {}

    def do_listcollections(self, command: Document) -> Document:
        """Collections of a database whose name is given or matches."""
        wanted = dict(command.get("filter") or {}).pop("name", None)
        if set(command.get("filter") or {}) - {"name"}:
            raise NotImplementedError("listCollections with this filter")
        names = self.client[command["$db"]].list_collection_names()
        found = [
            {"name": name, "type": "collection", "options": {}, "info": {"readOnly": False}}
            for name in names
            if _named(name, wanted)
        ]
        return self._cursor({"$cmd": "$cmd.listCollections", **command}, found, None)

    def do_create(self, command: Document) -> Document:
        """Create an empty collection."""
        _refuse(command, "capped", "timeseries", "validator", "viewOn", "collation")
        self.client[command["$db"]].create_collection(command["create"])
        return {}

    def do_drop(self, command: Document) -> Document:
        """Drop a collection."""
        if not self._exists(command):
            raise CommandError(26, "NamespaceNotFound", "ns not found")
        self.client[command["$db"]].drop_collection(command["drop"])
        return {}

    def do_dropdatabase(self, command: Document) -> Document:
        """Drop a database."""
        self.client.drop_database(command["$db"])
        return {"dropped": command["$db"]}

    def do_listdatabases(self, command: Document) -> Document:
        """Names of the databases."""
        names = self.client.list_database_names()
        return {"databases": [{"name": name, "sizeOnDisk": 1, "empty": False} for name in names]}


def _sort(command: Document) -> list[tuple[str, Any]] | None:
    return list(command["sort"].items()) if command.get("sort") else None


def _batch_of(documents: Iterator[Document], size: int | None) -> Iterator[Document]:
    """As many documents as asked for, and as a reply may hold (one document more at most)."""
    total = 0
    for document in itertools.islice(documents, size):
        yield document
        total += len(bson.encode(document))
        if total > MAX_DOCUMENT:
            return


def _named(name: str, wanted: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return name == wanted
    if isinstance(wanted, dict) and set(wanted) == {"$regex"}:
        return re.search(wanted["$regex"], name) is not None
    raise NotImplementedError("listCollections with this filter")
