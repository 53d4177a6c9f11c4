"""Wait for a database that went away, instead of losing what a job has computed.

A calculation of hours must not be lost since the database restarts just when it ends. Calls that
meet an outage are made again, with growing pauses, for ``SSE_STORE_PATIENCE`` seconds (600 unless
set). What the database refuses for good (no right, a key given twice, a document too large) is no
outage and is raised at once.
"""

from __future__ import annotations

import functools
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from jobflow import JobStore
from maggma.core import Store
from pymongo.errors import BulkWriteError, ConnectionFailure, CursorNotFound, PyMongoError

from sse_flows.errors import SSEError
from sse_flows.store.durable import DurableJobStore, same_stores
from sse_flows.store.refusals import brief, is_for_good

VARIABLE = "SSE_STORE_PATIENCE"
"""Variable of the environment: how long to wait for a database that went away, s."""

PATIENCE = 600.0
"""Seconds, where the variable is not set."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0

_RESTARTING = {6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436}
"""Codes that MongoDB's driver specification calls retryable: a server going down or stepping
back."""

_LOG = logging.getLogger(__name__)

Result = TypeVar("Result")


def is_outage(error: BaseException) -> bool:
    """Whether an error says that the database is away for now, not that it refused.

    A cursor that the server does not know is one of before its restart.
    """
    if isinstance(error, ConnectionFailure | CursorNotFound):
        return not is_for_good(error)
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        problems = [*details.get("writeErrors", []), *details.get("writeConcernErrors", [])]
        return bool(problems) and all(one.get("code") in _RESTARTING for one in problems)
    return isinstance(error, PyMongoError) and (
        error.has_error_label("RetryableWriteError") or getattr(error, "code", None) in _RESTARTING
    )


def patience() -> float:
    """Seconds to wait for a database that went away.

    Raises
    ------
    SSEError
        The variable holds no number.
    """
    text = os.environ.get(VARIABLE, "")
    try:
        seconds = float(text) if text else PATIENCE
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise SSEError(f"{VARIABLE} is {text!r}", mend="Give it a number of seconds, such as 600")
    return seconds


def patiently(
    function: Callable[..., Result], seconds: float | None = None
) -> Callable[..., Result]:
    """Return a function that waits for a database that went away and calls again.

    Parameters
    ----------
    function
        Its work must come out the same if it is done twice: the answer of the first call may
        have been lost on its way back.
    seconds
        How long to wait; by default :func:`patience`.

    Returns
    -------
    Callable
        Takes and gives what `function` does. It raises :class:`SSEError` once patience is over.

    Examples
    --------
    >>> patiently(launchpad.get_fw_ids)({"state": "READY"})  # doctest: +SKIP
    """

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Result:
        outage = _Outage(seconds)
        while True:
            try:
                result = function(*arguments, **options)
            except Exception as error:
                outage.wait(error)
            else:
                outage.end()
                return result

    return call


class _Outage:
    """One time that the database is away: pauses, lines for the log, the end of patience."""

    def __init__(self, seconds: float | None = None):
        self.seconds = seconds
        self._since: float | None = None
        self._pause = FIRST_PAUSE

    def wait(self, error: Exception) -> None:
        """Sleep for a while; raises `error` if it is no outage."""
        if not is_outage(error):
            raise error
        now = time.monotonic()
        limit = patience() if self.seconds is None else self.seconds
        if self._since is None:
            self._since = now
            # an error although nothing is lost yet: worker processes are silent below that
            _LOG.error("the database is away, waiting up to %.0f s: %s", limit, brief(error))
        left = self._since + limit - now
        if left <= 0:
            raise SSEError(
                f"the database did not answer for {limit:.0f} s: {brief(error)}",
                mend=f"Start it and run again; {VARIABLE} sets how many seconds to wait",
            ) from error
        # not all at once when it is back
        time.sleep(min(left, self._pause * random.uniform(0.7, 1.3)))  # noqa: S311
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def end(self) -> None:
        """Say that the database is back, if it was away."""
        if self._since is not None:
            _LOG.error("the database is back after %.0f s", time.monotonic() - self._since)
            self._since, self._pause = None, FIRST_PAUSE


class PatientJobStore(DurableJobStore):
    """A :class:`DurableJobStore` that waits for its database when that is away."""

    def connect(self, force_reset: bool = False) -> None:
        """Connect; with MongoDB this does not yet ask the server."""
        patiently(super().connect)(force_reset=force_reset)

    def count(self, criteria: dict | None = None) -> int:
        """Count the documents that match."""
        return patiently(super().count)(criteria)

    def ensure_index(self, key: str, unique: bool = False) -> bool:
        """Make queries by a field quick; True when the index is there."""
        return patiently(super().ensure_index)(key, unique)

    def remove_docs(self, criteria: dict) -> None:
        """Remove the documents that match, with their arrays."""
        patiently(super().remove_docs)(criteria)

    def query(
        self,
        criteria: dict | None = None,
        properties: dict | list | None = None,
        sort: Any = None,
        skip: int = 0,
        limit: int = 0,
        load: Any = None,
    ) -> Iterator[dict]:
        """Documents that match; arguments as in :meth:`jobflow.JobStore.query`.

        An outage in the midst of them asks again and leaves out those that came before.
        """
        ask: Callable[..., Iterator[dict]] = super().query

        def documents() -> Iterator[dict]:
            fields = None if properties is None else properties.copy()  # jobflow adds to it
            return ask(criteria, fields, sort, skip, limit, load)

        if skip or limit:  # a part of them is the same part only if it is asked for at once
            yield from patiently(lambda: list(documents()))()
        else:
            yield from _resumed(documents)

    def _put(self, store: Store, docs: list[dict], key: Any) -> None:
        # one store at a time: arrays that are written are not written again for the documents
        patiently(super()._put)(store, docs, key)

    def _exchange(self, store: Store, doc: dict, key: Any, seen: dict[str, Any] | None) -> bool:
        return patiently(super()._exchange)(store, doc, key, seen)


def _resumed(ask: Callable[[], Iterator[dict]]) -> Iterator[dict]:
    """Documents of a query that is asked again after an outage, each once."""
    seen: set[Any] = set()
    outage = _Outage()
    again = False
    while True:
        try:
            for doc in ask():
                outage.end()
                if not (again and _identity(doc) in seen):
                    seen.add(_identity(doc))
                    yield doc
            outage.end()
            return
        except PyMongoError as error:
            outage.wait(error)
            again = True


def _identity(doc: dict) -> Any:
    return str(doc["_id"]) if "_id" in doc else (doc.get("uuid"), doc.get("index"))


def patient(store: JobStore) -> PatientJobStore:
    """Return the same stores behind a :class:`PatientJobStore`."""
    return same_stores(store, PatientJobStore)
