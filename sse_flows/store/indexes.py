"""Indexes of MongoDB that keep our queries quick among many documents."""

from __future__ import annotations

import logging
from typing import Any

from jobflow import JobStore
from maggma.core import Store
from maggma.stores import GridFSStore, MemoryStore, MongoStore
from pymongo.errors import OperationFailure, PyMongoError

DOCUMENT_INDEXES = (
    ("uuid", "index"),  # what is done, results by id, every write
    ("metadata.stage", "metadata.compound"),  # pools of descriptors, versions of models
    ("metadata.imported",),  # pools of imports
)
"""Fields of documents that are looked up together. jobflow itself makes no index."""

BLOB_INDEXES = (("blob_uuid",), ("job_uuid", "job_index"))
"""Fields of large arrays: loading them, and removing those of a job."""

_LOG = logging.getLogger(__name__)


def ensure_indexes(store: JobStore) -> None:
    """Make the indexes that are missing; cheap where they are there.

    A user without the right to make indexes, or a database that does not answer, is no error:
    queries are slower then. Stores other than MongoDB's look after themselves.

    Parameters
    ----------
    store
        Connected.
    """
    parts: Any = store  # jobflow's attributes shadow methods of the same name
    try:
        _ensure(parts.docs_store, DOCUMENT_INDEXES, unique=DOCUMENT_INDEXES[0])
        for one in parts.additional_stores.values():
            _ensure(one, BLOB_INDEXES)
    except PyMongoError as error:
        _LOG.info("no indexes made: %s", type(error).__name__)


def _ensure(
    store: Store, indexes: tuple[tuple[str, ...], ...], unique: tuple[str, ...] | None = None
) -> None:
    if isinstance(store, GridFSStore):
        collection, prefix = store._files_collection, "metadata."
    elif isinstance(store, MongoStore) and not isinstance(store, MemoryStore):
        collection, prefix = store._collection, ""
    else:
        return
    there = {tuple(field for field, _ in one["key"]) for one in _information(collection)}
    for fields in indexes:
        names = tuple(prefix + field for field in fields)
        if names not in there:
            _create(collection, names, unique=fields == unique)


def _information(collection: Any) -> list[dict[str, Any]]:
    return list(collection.index_information().values())


def _create(collection: Any, fields: tuple[str, ...], unique: bool) -> None:
    keys = [(field, 1) for field in fields]
    try:
        collection.create_index(keys, unique=unique)
    except OperationFailure:
        if not unique:
            raise
        collection.create_index(keys)  # some other program has stored a key twice
