"""Which jobs a store holds the results of, and whether they still hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sse_flows.moments import in_utc
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from jobflow import Job, JobStore, Response

_CHUNK = 400
NOTHING = "returned_nothing"
"""Key in the metadata of a document: its job is done, and its result is None."""

_HAS_RESULT = [{"output": {"$ne": None}}, {f"metadata.{NOTHING}": True}]


class FinishedJobs:
    """When the jobs of a store were finished, as far as it was asked.

    Parameters
    ----------
    store
        A connected JobStore.
    ids_a_query
        How many jobs one query asks for; databases bound the length of a query, some at 1,000.
    """

    def __init__(self, store: JobStore, ids_a_query: int = _CHUNK):
        self.store = store
        self.ids_a_query = ids_a_query
        self._when: dict[str, str] = {}

    def look_up(self, uuids: Iterable[str]) -> None:
        """Ask the store, once for many, when these jobs were finished.

        A job that replaced itself has stored an output of None; it counts as finished only once
        the last job of its replacement has stored its result. That may be None as well, which
        :func:`note_nothing` tells from the other.
        """
        for some_ids in chunks(sorted(set(uuids)), self.ids_a_query):
            some = {"uuid": {"$in": some_ids}, "$or": _HAS_RESULT}
            for doc in self.store.query(some, properties=["uuid", "completed_at"]):
                known = self._when.get(doc["uuid"], "")
                self._when[doc["uuid"]] = max(known, in_utc(doc["completed_at"]))

    def __contains__(self, uuid: str) -> bool:
        return uuid in self._when

    def when(self, uuid: str) -> str:
        """When a job was finished, in UTC; empty where it is not."""
        return self._when.get(uuid, "")

    def forget(self, uuid: str) -> None:
        """Forget a job that has run again."""
        self._when.pop(uuid, None)

    def is_current(self, uuid: str, inputs: Iterable[str]) -> bool:
        """Whether a job is finished, and nothing known of what it builds on is newer.

        Content keys make the second condition hold by themselves, except where a job may have
        run without inputs that had failed and have come since.

        Parameters
        ----------
        uuid
            The job.
        inputs
            Jobs that it builds on.
        """
        when = self._when.get(uuid)
        return when is not None and all(self._when.get(one, "") <= when for one in inputs)


def returned_nothing(response: Response) -> bool:
    """Whether a job is done with a result of None, as it asked for no further jobs."""
    more = (response.output, response.replace, response.detour, response.addition)
    return all(one is None for one in more)


def note_nothing(store: JobStore, job: Job, response: Response) -> None:
    """Mark the document of a job whose result is None, and that asked for no further jobs.

    Nothing else tells it from that of a job that replaced itself, and it would run again and again.

    Parameters
    ----------
    store
        Where the job has stored its output.
    job, response
        The job that has run, and what it gave.
    """
    if not returned_nothing(response):
        return
    doc = store.query_one({"uuid": job.uuid, "index": job.index})
    if doc is not None and doc["output"] is None:
        doc.pop("_id", None)
        doc["metadata"] = {**(doc.get("metadata") or {}), NOTHING: True}
        store.update(doc, key=["uuid", "index"])
