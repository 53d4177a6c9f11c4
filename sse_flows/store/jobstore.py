"""The JobStore of a campaign: jobflow's own where one is configured, else a file on disk."""

from __future__ import annotations

import os
from pathlib import Path

from maggma.stores import MemoryStore

from sse_flows.errors import SSEError
from sse_flows.store.durable import BLOB_STORE, DurableJobStore
from sse_flows.store.patience import patient
from sse_flows.store.sqlite import SqliteStore

STORE_FILE = "store.sqlite"
"""Name of the embedded store within a campaign's results folder."""


def embedded_store(folder: str | os.PathLike) -> DurableJobStore:
    """JobStore in one SQLite file of a folder (not connected)."""
    path = Path(folder).resolve() / STORE_FILE
    return DurableJobStore(
        SqliteStore(path, "outputs", indexes=["uuid", "index"]),
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
    try:
        store.connect()
    except SSEError:
        raise
    except Exception as error:
        raise SSEError(
            f"cannot connect to the store {store.name}: {type(error).__name__}",
            mend="Check jobflow.yaml and that the database answers",
        ) from error
    return store


def configured_store() -> DurableJobStore | None:
    """JobStore of jobflow's own settings, or None where none is configured.

    Raises
    ------
    SSEError
        ``JOBFLOW_CONFIG_FILE`` names a file that is not there, which jobflow passes over.
    """
    from jobflow import SETTINGS

    file = os.environ.get("JOBFLOW_CONFIG_FILE")
    if file and not Path(file).is_file():
        raise SSEError(
            f"JOBFLOW_CONFIG_FILE names {file}, which does not exist",
            mend="Write that file, or unset the variable to use a store in the results folder",
        )
    store = SETTINGS.JOB_STORE
    if type(store.docs_store) is MemoryStore:  # jobflow's fallback; its subclasses are real stores
        return None
    return patient(store)
