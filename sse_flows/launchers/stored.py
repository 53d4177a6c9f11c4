"""Which results have reached the store, and when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sse_flows.launchers.snapshot import chunks

if TYPE_CHECKING:
    from jobflow import JobStore


def completed(store: JobStore, uuids: Iterable[str]) -> dict[str, str]:
    """When jobs were finished, of those whose output the store holds.

    A job that replaced itself has stored an output of None; it counts once the last job of its
    replacement has stored a real one.

    Parameters
    ----------
    store
        The connected store.
    uuids
        Ids of jobs.
    """
    found: dict[str, str] = {}
    documents: Any = store.docs_store
    for chunk in chunks(sorted({one for one in uuids if one})):
        criteria = {"uuid": {"$in": chunk}, "output": {"$ne": None}}
        for doc in documents.query(criteria, properties=["uuid", "completed_at"]):
            when = str(doc.get("completed_at"))
            found[doc["uuid"]] = max(found.get(doc["uuid"], ""), when)
    return found
