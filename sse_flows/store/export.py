"""Documents and arrays of a store as records of an archive, and back into another store.

Memory holds a few documents and one array at a time. A document is read after the other, each
followed by its arrays; back in a store the arrays are written first, as always.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from jobflow import JobStore

from sse_flows.errors import SSEError
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
            places = list(_arrays_of(doc))
            if not _all_there(store, places):
                done.incomplete.append(doc["uuid"])
                continue
            archive.add_record(DOCUMENT, doc)
            done.documents += 1
            for name, blob_id in places:
                archive.add_record(ARRAY + name, _array(store, name, blob_id))
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
    held: dict[str, Any] | None = None
    wanted = False
    for kind, line in archive.records():
        if kind == DOCUMENT:
            _write(store, held)
            doc = read_record(line)
            wanted = _is_wanted(store, doc, done)
            held = doc if wanted else None
        elif wanted and kind.startswith(ARRAY):
            _write_array(store, kind.removeprefix(ARRAY), read_record(line))
    _write(store, held)
    return done


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
        if {"blob_uuid", "store"} <= set(node):
            yield node["store"], node["blob_uuid"]
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


def _array(store: JobStore, name: str, blob_id: str) -> dict[str, Any]:
    parts: Any = store
    found = patiently(parts.additional_stores[name].query_one)({"blob_uuid": blob_id})
    return {name: value for name, value in found.items() if name != "_id"}


def _is_wanted(store: JobStore, doc: dict[str, Any], done: Taken) -> bool:
    """Whether a document is to be written: the store has none, or an older one."""
    try:
        criteria = {"uuid": doc["uuid"], "index": doc["index"]}
        has_result = doc["output"] is not None
    except KeyError as error:
        raise SSEError(f"the archive holds a document without {error}") from error
    if has_result:
        done.finished.add(doc["uuid"])
    known = store.query_one(criteria, ["completed_at"])
    if known is None:
        done.new += 1
    elif str(known.get("completed_at")) >= str(doc.get("completed_at")):
        done.kept += 1
        return False
    else:
        done.replaced += 1
    return True


def _write(store: DurableJobStore, doc: dict[str, Any] | None) -> None:
    if doc is not None:
        store.put([doc], ["uuid", "index"])


def _write_array(store: DurableJobStore, name: str, blob: dict[str, Any]) -> None:
    parts: Any = store
    if name not in parts.additional_stores:
        raise SSEError(
            f"the store has no additional store {name!r}, which the archive needs",
            mend="Add it to jobflow's configuration",
        )
    store.put([blob], "blob_uuid", store=name)
