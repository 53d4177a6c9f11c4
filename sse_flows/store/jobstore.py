"""The JobStore of a campaign: jobflow's own where one is configured, else a file on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pymongo
from jobflow import JobStore
from maggma.core import Store
from maggma.stores import GridFSStore, MemoryStore, MongoStore

from sse_flows.errors import SSEError, one_line, without_secrets
from sse_flows.store.durable import BLOB_STORE, DurableJobStore
from sse_flows.store.indexes import ensure_indexes
from sse_flows.store.patience import patient
from sse_flows.store.refusals import explain, refused
from sse_flows.store.sqlite import SqliteStore

STORE_FILE = "store.sqlite"
"""Name of the embedded store within a campaign's results folder."""

EMBEDDED_INDEXES = ("uuid", "index", "metadata.stage", "metadata.compound", "metadata.imported")
"""Fields that documents of the embedded store are looked up by, as those of MongoDB are."""

ANSWER_WITHIN = 10.0
"""How long a database may take for its first answer, s. There is no patience with it: what never
answered is more likely misspelt than away."""


def embedded_store(folder: str | os.PathLike) -> DurableJobStore:
    """JobStore in one SQLite file of a folder (not connected)."""
    path = Path(folder).resolve() / STORE_FILE
    return DurableJobStore(
        SqliteStore(path, "outputs", indexes=EMBEDDED_INDEXES),
        additional_stores={
            BLOB_STORE: SqliteStore(
                path, "blobs", indexes=["blob_uuid", "job_uuid"], key="blob_uuid"
            )
        },
    )


def open_store(folder: str | os.PathLike) -> DurableJobStore:
    """Open the store of a campaign and connect to it.

    The store of jobflow's configuration (``JOBFLOW_CONFIG_FILE`` or ``~/.jobflow.yaml``) where
    there is one, else an embedded one in `folder`: jobflow's silent default, a store in memory,
    would lose every result.

    Raises
    ------
    SSEError
        The configured store cannot be reached, or the folder cannot be written.
    """
    store = configured_store() or embedded_store(folder)
    connect(store)
    ensure_indexes(store)
    return store


def connect(store: JobStore) -> None:
    """Connect to a store and see that it answers; MongoDB's connect by itself asks nobody.

    Raises
    ------
    SSEError
        It cannot be reached, or refuses to answer.
    """
    parts: Any = store  # jobflow's attributes shadow methods of the same name
    for one in (parts.docs_store, *parts.additional_stores.values()):
        try:
            with pymongo.timeout(ANSWER_WITHIN):
                one.connect()
                one.count({one.key: ""})
        except SSEError:
            raise
        except Exception as error:
            # from None: the original may quote an address with a password
            place, why = f"the store {store_place(one)}", explain(error)
            raise refused(error, place) or SSEError(
                f"no answer from {place}: {why.reason if why else one_line(error)}",
                mend=why.mend if why else "Check jobflow's configuration",
            ) from None


def store_place(store: Store) -> str:
    """Where a store is, without user, password or options."""
    store = getattr(store, "docs_store", store)
    place = without_secrets(store.name)
    if isinstance(store, MongoStore | GridFSStore) and getattr(store, "uri", None):
        return f"{place.split('?')[0].rstrip('/')} {store.database}/{store.collection_name}"
    return place


def configured_store() -> DurableJobStore | None:
    """JobStore of jobflow's own settings, or None where none is configured.

    Raises
    ------
    SSEError
        ``JOBFLOW_CONFIG_FILE`` names a file that is not there, which jobflow passes over; or the
        store has no place for large arrays, which a phonon job would find out at its end.
    """
    from jobflow import SETTINGS

    file = os.environ.get("JOBFLOW_CONFIG_FILE")
    if file and not Path(file).is_file():
        raise SSEError(
            f"JOBFLOW_CONFIG_FILE names {file}, which does not exist",
            mend="Write that file, or unset the variable to use a store in the results folder",
        )
    store: Any = SETTINGS.JOB_STORE
    if type(store.docs_store) is MemoryStore:  # jobflow's fallback; its subclasses are real stores
        return None
    if BLOB_STORE not in store.additional_stores:
        raise SSEError(
            f"the store of jobflow's configuration has no additional store {BLOB_STORE!r}",
            mend=f"Add additional_stores: {BLOB_STORE}: with the type GridFSStore and a "
            "collection_name of its own, beside docs_store",
        )
    return patient(store)
