"""A JobStore whose writes survive a kill at any moment, and may be made twice."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from types import SimpleNamespace
from typing import Any

import bson
from jobflow import JobStore
from jobflow.core.schemas import JobStoreDocument
from maggma.core import Store
from maggma.stores import MemoryStore, MongoStore
from pymongo.errors import BulkWriteError, DuplicateKeyError

from sse_flows.errors import SSEError
from sse_flows.moments import in_utc
from sse_flows.store.exchange import can_exchange, exchange

BLOB_STORE = "data"
"""Additional store of the large arrays; atomate2's jobs use the same name."""

LARGEST = 16 * 1024 * 1024 - 1024
"""Bytes of a document that MongoDB takes, less what it adds itself."""

_DUPLICATE = 11000
_NAMESPACE = uuid.UUID("6b2f1d1c-52a7-5a8a-8a35-0d7a2d6f6d11")


class DurableJobStore(JobStore):
    """A JobStore that writes large arrays before the documents that point to them.

    jobflow writes the document first: a job killed between the two writes looks finished, yet its
    arrays are missing for ever. In this order the worst a kill leaves is an orphaned array.

    jobflow also draws a random id for an array at each write. Here the id follows from the job and
    the content, so that a write made again, after an outage or by a second run of the same job,
    replaces the array instead of leaving a double.
    """

    def update(self, docs: Any, key: Any = None, save: Any = None) -> None:
        """Write arrays, then documents; arguments as in :meth:`jobflow.JobStore.update`.

        Raises
        ------
        SSEError
            A document is larger than MongoDB takes.
        """
        documents, arrays = self._separated(docs, key, save)
        parts: Any = self  # jobflow's attributes shadow methods of the same name
        for found, fields, name in arrays:
            self._put(parts.additional_stores[name], found, fields)
        for found, fields, _ in documents:
            self._put(parts.docs_store, found, fields)

    def exchange(self, document: Any, seen: dict[str, Any] | None, save: Any = None) -> bool:
        """Write a job's document, and its arrays before it, unless another has taken its place.

        Parameters
        ----------
        document
            As jobflow gives it to :meth:`update`.
        seen
            What was in its place when one looked, with ``completed_at``; None for nothing.
        save
            As in :meth:`jobflow.JobStore.update`.

        Returns
        -------
        bool
            Whether it was written. Where the store knows no conditions, it always is.
        """
        documents, arrays = self._separated(document, ["uuid", "index"], save)
        parts: Any = self
        for found, fields, name in arrays:
            self._put(parts.additional_stores[name], found, fields)
        return all(
            self._exchange(parts.docs_store, one, fields, seen)
            for found, fields, _ in documents
            for one in found
        )

    def put(self, docs: list[dict], key: Any, store: str | None = None) -> None:
        """Write documents, or arrays of an additional store, as they are.

        Parameters
        ----------
        docs
            As another store holds them: documents point to arrays and do not contain them.
        key
            Fields that tell them apart.
        store
            Name of the additional store; None for the documents.
        """
        parts: Any = self
        self._put(parts.docs_store if store is None else parts.additional_stores[store], docs, key)

    def _separated(self, docs: Any, key: Any, save: Any) -> tuple[list, list]:
        """What jobflow would write: documents and arrays, each with the fields of its key."""
        documents: list[tuple[list[dict], Any, str]] = []
        arrays: list[tuple[list[dict], Any, str]] = []

        def collector(held: list, name: str) -> SimpleNamespace:
            return SimpleNamespace(update=lambda found, key: held.append((found, key, name)))

        parts: Any = self
        stand_in: Any = SimpleNamespace(
            docs_store=collector(documents, "documents"),
            additional_stores={name: collector(arrays, name) for name in parts.additional_stores},
            save=parts.save,
        )
        JobStore.update(stand_in, _in_utc(docs), key=key, save=save)
        ids = _blob_ids([blob for found, _, _ in arrays for blob in found])
        arrays = [(_with_ids(found, ids), fields, name) for found, fields, name in arrays]
        return [(_with_ids(found, ids), *rest) for found, *rest in documents], arrays

    def _put(self, store: Store, docs: list[dict], key: Any) -> None:
        """Write into one of the stores."""
        if isinstance(store, MongoStore) and not isinstance(store, MemoryStore):
            _check_sizes(docs)
        try:
            store.update(docs, key=key)
        except (DuplicateKeyError, BulkWriteError) as error:
            if _codes(error) != {_DUPLICATE}:
                raise
            store.update(docs, key=key)  # another wrote the same key meanwhile: now replace it

    def _exchange(self, store: Store, doc: dict, key: Any, seen: dict[str, Any] | None) -> bool:
        if not can_exchange(store):
            self._put(store, [doc], key)
            return True
        _check_sizes([doc])
        return exchange(store, doc, seen)  # type: ignore[arg-type]


def _in_utc(docs: Any) -> Any:
    """The same, and where jobflow has just written the local time, that time in UTC."""
    if isinstance(docs, list):
        return [_in_utc(one) for one in docs]
    if not isinstance(docs, JobStoreDocument):
        return docs
    return docs.model_copy(update={"completed_at": in_utc(docs.completed_at)})


def durable(store: JobStore) -> DurableJobStore:
    """Return the same stores behind a :class:`DurableJobStore`."""
    return same_stores(store, DurableJobStore)


def same_stores(store: JobStore, kind: type[DurableJobStore]) -> Any:
    """Return the stores of one JobStore behind another kind of it."""
    parts: Any = store  # jobflow's attributes shadow methods of the same name
    made: Any = kind(parts.docs_store, parts.additional_stores, parts.save, parts.load)
    for one in made.additional_stores.values():
        if hasattr(one, "searchable_fields"):  # every JobStore made of it adds the same two
            one.searchable_fields = list(dict.fromkeys(one.searchable_fields))
    return made


def _check_sizes(docs: list[dict]) -> None:
    # the driver checks what it inserts, not what it replaces, and a server may just hang up
    for doc in docs:
        size = len(bson.encode(doc))
        if size > LARGEST:
            raise SSEError(
                f"a document of {size / 1e6:.0f} MB is larger than the 16 MB that MongoDB takes",
                mend=f"Keep large arrays in GridFS: give additional_stores.{BLOB_STORE} the type "
                "GridFSStore in jobflow's configuration",
            )


def _codes(error: Exception) -> set[int]:
    details = getattr(error, "details", None) or {}
    codes = {one.get("code", 0) for one in details.get("writeErrors", [])}
    return codes or {getattr(error, "code", None) or 0}


def _blob_ids(blobs: list[dict[str, Any]]) -> dict[str, str]:
    """New ids of arrays by their random ones; jobflow needs those of one document to differ."""
    counts: Counter[str] = Counter()
    ids = {}
    for blob in blobs:
        name = f"{blob['job_uuid']} {blob['job_index']} {_digest(blob['data'])}"
        ids[blob["blob_uuid"]] = str(uuid.uuid5(_NAMESPACE, f"{name} {counts[name]}"))
        counts[name] += 1
    return ids


def _digest(data: Any) -> str:
    try:
        content = bson.encode({"data": data})
    except (bson.errors.InvalidDocument, OverflowError):  # an integer beyond 64 bits, say
        content = repr(data).encode()
    return hashlib.sha256(content).hexdigest()


def _with_ids(node: Any, ids: dict[str, str]) -> Any:
    """The same with new ids of arrays; the arrays themselves are not looked through."""
    if isinstance(node, list):
        return [_with_ids(one, ids) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("blob_uuid") in ids:
        return {**node, "blob_uuid": ids[node["blob_uuid"]]}
    return {name: _with_ids(child, ids) for name, child in node.items()}
