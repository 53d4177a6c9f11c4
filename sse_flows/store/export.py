"""Documents and arrays of a store as records of an archive, and back into another store.

Memory holds a few documents and one array at a time. A document is read after the other, each
followed by its arrays; back in a store the arrays are written first, as always.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gridfs.errors import CorruptGridFile
from jobflow import JobStore

from sse_flows.errors import SSEError
from sse_flows.moments import in_utc
from sse_flows.store.archive import Archive, ArchiveWriter, read_record
from sse_flows.store.durable import DurableJobStore
from sse_flows.store.patience import patiently

DOCUMENT = "document"
ARRAY = "array:"
"""Kinds of records: a document, and an array with the name of its additional store."""

_AT_ONCE = 20
"""Documents held in memory."""

Key = tuple[str, int]


@dataclass
class Exported:
    """What went into an archive.

    Attributes
    ----------
    documents, arrays
        How many.
    incomplete
        Documents that were left out since the store lacks an array of theirs.
    """

    documents: int = 0
    arrays: int = 0
    incomplete: list[str] = field(default_factory=list)


@dataclass
class Taken:
    """What an import did with the documents of an archive.

    Attributes
    ----------
    new, replaced
        Documents written.
    kept
        Documents that the store held already, as new or newer.
    finished
        Ids of all documents of the archive that hold a result.
    """

    new: int = 0
    replaced: int = 0
    kept: int = 0
    finished: set[str] = field(default_factory=set)


def write_documents(store: JobStore, keys: Iterable[Key], archive: ArchiveWriter) -> Exported:
    """Write documents, each with its arrays, into an archive.

    Parameters
    ----------
    store
        Connected.
    keys
        Uuid and index of the documents.
    archive
        Open for writing.
    """
    done = Exported()
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _AT_ONCE):
        for doc in _documents(store, wanted[start : start + _AT_ONCE]):
            places = list(dict.fromkeys(_arrays_of(doc)))
            if not _all_there(store, places):
                done.incomplete.append(doc["uuid"])
                continue
            archive.add_record(DOCUMENT, _with_zone(doc))
            done.documents += 1
            for name, blob_id in places:
                archive.add_record(ARRAY + name, _array(store, doc, name, blob_id))
                done.arrays += 1
    return done


def read_documents(archive: Archive, store: DurableJobStore) -> Taken:
    """Write the documents of an archive into a store, arrays first.

    A document that the store holds with the same or a later time of completion is kept, so that
    nothing changes when an archive is imported twice.

    Raises
    ------
    SSEError
        The store has no additional store of that name, or a record makes no sense.
    """
    done = Taken()
    held: _Held | None = None
    for kind, line in archive.records():
        if kind == DOCUMENT:
            if held is not None:
                held.write(store)
            doc = _checked(read_record(line))
            held = _Held(doc) if _is_wanted(store, doc, done) else None
        elif held is not None and kind.startswith(ARRAY):
            held.write_array(store, kind.removeprefix(ARRAY), read_record(line))
    if held is not None:
        held.write(store)
    return done


@dataclass
class _Held:
    """A document that is written once all its arrays are.

    An archive of others might hold arrays of documents that are not in it, which would take the
    place of stored ones, or documents without their arrays, which would look finished.
    """

    doc: dict[str, Any]
    written: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.named = set(_arrays_of(self.doc))

    def write_array(self, store: DurableJobStore, name: str, blob: dict[str, Any]) -> None:
        blob_id = blob.get("blob_uuid")
        if not isinstance(blob_id, str) or (name, blob_id) not in self.named:
            raise self._refusal("an array that it does not name")
        _write_array(store, name, blob)
        self.written.add((name, blob_id))

    def write(self, store: DurableJobStore) -> None:
        missing = self.named - self.written
        if missing:
            raise self._refusal(f"{len(missing)} of its arrays missing")
        store.put([self.doc], ["uuid", "index"])

    def _refusal(self, problem: str) -> SSEError:
        return SSEError(
            f"the archive holds the document {self.doc['uuid']} with {problem}",
            mend="Export it anew; do not trust this file if others wrote it",
        )


def _documents(store: JobStore, keys: list[Key]) -> Iterator[dict[str, Any]]:
    wanted = set(keys)
    criteria = {"uuid": {"$in": sorted({uuid for uuid, _ in keys})}}
    for doc in store.query(criteria, load=False):
        if (doc["uuid"], doc["index"]) in wanted:
            wanted.discard((doc["uuid"], doc["index"]))  # a double is not written again
            yield {name: value for name, value in doc.items() if name != "_id"}


def _arrays_of(node: Any) -> Iterator[tuple[str, str]]:
    """Store and id of the arrays that a document points to."""
    if isinstance(node, dict):
        place = node.get("store"), node.get("blob_uuid")
        if all(isinstance(name, str) for name in place):
            yield place  # type: ignore[misc]
            return
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _arrays_of(child)


def _all_there(store: JobStore, places: list[tuple[str, str]]) -> bool:
    parts: Any = store  # jobflow's attributes shadow methods of the same name
    stores = parts.additional_stores
    return all(
        name in stores and patiently(stores[name].count)({"blob_uuid": id_}) for name, id_ in places
    )


def _array(store: JobStore, doc: dict[str, Any], name: str, blob_id: str) -> dict[str, Any]:
    parts: Any = store
    try:
        found = patiently(parts.additional_stores[name].query_one)({"blob_uuid": blob_id})
        return {name: value for name, value in found.items() if name != "_id"}
    except (CorruptGridFile, AttributeError) as error:  # gone since, or only half there
        raise SSEError(
            f"an array of the document {doc['uuid']} is damaged in the store",
            mend="Remove that document and run the campaign again: it is computed anew",
        ) from error


def _with_zone(doc: dict[str, Any]) -> dict[str, Any]:
    """The document with its time in UTC; older ones have that of their machine, without zone."""
    when = doc.get("completed_at")
    return doc if when is None else {**doc, "completed_at": in_utc(when)}


def _checked(doc: dict[str, Any]) -> dict[str, Any]:
    """A document whose id is plain: one with operators in it would take the place of others."""
    uuid, index = doc.get("uuid"), doc.get("index")
    if not (isinstance(uuid, str) and type(index) is int and "output" in doc):
        raise SSEError(
            "the archive holds a document without uuid, index or output",
            mend="Do not trust this file",
        )
    return doc


def _is_wanted(store: JobStore, doc: dict[str, Any], done: Taken) -> bool:
    """Whether a document is to be written: the store has none, or an older one."""
    criteria = {"uuid": doc["uuid"], "index": doc["index"]}
    if doc["output"] is not None:
        done.finished.add(doc["uuid"])
    known = store.query_one(criteria, ["completed_at"])
    if known is None:
        done.new += 1
    elif in_utc(known.get("completed_at")) >= in_utc(doc.get("completed_at")):
        done.kept += 1
        return False
    else:
        done.replaced += 1
    return True


def _write_array(store: DurableJobStore, name: str, blob: dict[str, Any]) -> None:
    parts: Any = store
    if name not in parts.additional_stores:
        raise SSEError(
            f"the store has no additional store {name!r}, which the archive needs",
            mend="Add it to jobflow's configuration",
        )
    store.put([blob], "blob_uuid", store=name)
