"""Store a job's document unless another has taken its place since one looked.

A worker that was given up for lost may come back at any moment, also between its last look whether
its launch still counts and its write. The write itself is therefore conditional, in one step of the
database: it puts a document where there was none, or in the place of the very one that was seen.
"""

from __future__ import annotations

from typing import Any

from maggma.stores import MongoStore
from monty.json import jsanitize
from pymongo.errors import DuplicateKeyError

WHEN = "completed_at"
"""Field that tells two documents of one job apart."""

IDENTITY = ("uuid", "index")
"""Fields that say of which job a document is."""


def can_exchange(store: Any) -> bool:
    """Whether a store can write on a condition; others serve the processes of one machine."""
    return isinstance(store, MongoStore)


def exchange(store: MongoStore, document: dict[str, Any], seen: dict[str, Any] | None) -> bool:
    """Write a document if the store still holds what was seen of its job.

    Parameters
    ----------
    store
        One with MongoDB's operations, with a unique index of `IDENTITY`.
    document
        The document, with `WHEN` and `IDENTITY`.
    seen
        What was there: at least its `WHEN`; None for nothing.

    Returns
    -------
    bool
        Whether the document is in the store: written by this call, or by an earlier one whose
        answer was lost.
    """
    made: dict[str, Any] = jsanitize(document, allow_bson=True, recursive_msonable=True)
    job = {name: made[name] for name in IDENTITY}
    collection = store._collection
    if seen is None:
        try:
            done = collection.update_one(job, {"$setOnInsert": made}, upsert=True)
        except DuplicateKeyError:  # another was inserted in the midst of it
            return _is_there(collection, job, made)
        return done.upserted_id is not None or _is_there(collection, job, made)
    done = collection.replace_one({**job, WHEN: seen.get(WHEN)}, made)
    return bool(done.matched_count) or _is_there(collection, job, made)


def _is_there(collection: Any, job: dict[str, Any], made: dict[str, Any]) -> bool:
    found = collection.find_one(job, {"_id": 0, WHEN: 1})
    return found is not None and found.get(WHEN) == made.get(WHEN)
