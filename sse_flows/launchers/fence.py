"""What a launch may do, and no longer once its job was given to another.

A worker that seemed to be lost, so that `sse recover` put its job back, may be alive: on a node cut
off from the network, for instance. It stores nothing then, and ends as soon as it can ask.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sse_flows.errors import SSEError
from sse_flows.launchers import gates
from sse_flows.launchers.stop import in_worker

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore

ASKED_FOR = "asked_for"
"""Key in a document's metadata: ids of further jobs that the job asked for."""

LEFT = "left"
"""Key in a launch's document: its process has left the working folder, though it did not end."""

LOOK = 300.0
"""Seconds between two looks whether a launch counts: with 1,000 workers three queries a second."""

GIVEN_AWAY = 3
"""Code with which a worker ends whose job was given to another."""


class Superseded(SSEError):
    """Somebody else has taken over the job meanwhile."""


class Launch:
    """The launch of a firework that this process runs.

    Parameters
    ----------
    launchpad
        The LaunchPad.
    fw_id
        The firework, just checked out.
    """

    def __init__(self, launchpad: LaunchPad, fw_id: int):
        self.launchpad, self.fw_id = launchpad, fw_id
        fields = {"launches": 1, "archived_launches": 1}
        doc = launchpad.fireworks.find_one({"fw_id": fw_id}, fields) or {}
        self._launches: list[int] = doc.get("launches", [])
        self._archived: list[int] = doc.get("archived_launches", [])
        self.launch_id = self._launches[-1] if self._launches else None

    def _current(self) -> int | None:
        fields = {"launches": {"$slice": -1}, "fw_id": 1}
        doc = self.launchpad.fireworks.find_one({"fw_id": self.fw_id}, fields)
        return doc["launches"][-1] if doc and doc["launches"] else None

    def counts(self) -> bool:
        """Whether this is still the launch that counts."""
        return self.launch_id is not None and self._current() == self.launch_id

    def check(self) -> None:
        """Look whether this is still the launch that counts.

        Raises
        ------
        Superseded
            The job was given to somebody else since this process seemed to be lost.
        """
        if not self.counts():
            raise Superseded("the job was given to another worker; its result is not stored")

    @contextlib.contextmanager
    def watched(self, end: Callable[[int], Any] = os._exit) -> Iterator[None]:
        """Look from time to time whether this launch counts, and end the process if it does not.

        Its program ends with it. Only in a worker of ours: FireWorks' own loop may run in a
        notebook. A database that does not answer says nothing.

        Parameters
        ----------
        end
            What ends the process, for tests.
        """
        if not in_worker():
            yield
            return
        left, deciding = threading.Event(), threading.Lock()
        threading.Thread(target=self._watch, args=(left, deciding, end), daemon=True).start()
        try:
            yield
        finally:
            with deciding:
                left.set()

    def _watch(self, left: threading.Event, deciding: threading.Lock, end: Any) -> None:
        from pymongo.errors import PyMongoError

        while not left.wait(LOOK):
            try:
                counts = self.counts()
            except PyMongoError:
                continue
            if not counts:
                break
        with deciding:  # not in the midst of the next firework
            if not left.is_set():
                sys.stderr.write("the job was given to another, or deleted: this worker ends\n")
                sys.stderr.flush()
                end(GIVEN_AWAY)

    def lost_before(self) -> list[int]:
        """Launches of this firework that never said that they ended, and so may be alive."""
        if not self._archived:
            return []
        query = {"launch_id": {"$in": self._archived}, "state_history.state": "RUNNING"}
        silent = {"action": None, "sse.ended": None, f"sse.{LEFT}": None}
        found = self.launchpad.launches.find({**query, **silent}, {"launch_id": 1})
        return [doc["launch_id"] for doc in found]

    def note_left(self) -> None:
        """Say that this process has left the working folder, though the firework stays RUNNING."""
        change = {"$set": {f"sse.{LEFT}": True}}
        self.launchpad.launches.update_one({"launch_id": self.launch_id}, change)

    def note_folder(self, folder: str) -> None:
        """Write into the firework where it works from now on.

        Raises
        ------
        Superseded
            Another launch counts by now.
        """
        mine = {"fw_id": self.fw_id, "launches": self._launches}
        change = {"$set": {"spec.sse.work": folder}}
        if not self.launchpad.fireworks.update_one(mine, change).matched_count:
            raise Superseded("the job was given to another worker before it began")

    def note_place(self) -> None:
        """Write into the launch where it runs, unless the launcher did."""
        from sse_flows.launchers.worker import this_process

        self.launchpad.launches.update_one(
            {"launch_id": self.launch_id, "fworker.env.pid": {"$exists": False}},
            {"$set": {f"fworker.env.{name}": value for name, value in this_process().items()}},
        )

    def ended(self, state: str, part: str) -> None:
        """Say that the job has ended and release what waited for it; a zombie does nothing."""
        if self.launch_id is None or not self.counts():
            return
        gates.mark_ended(self.launchpad, self.launch_id, state)
        gates.part_may_have_ended(self.launchpad, part)


class FencedStore:
    """A store that keeps what a job stores until it is written; else as the store itself.

    Documents are taken only from the launch that counts: first one looks what is there, then
    whether the launch counts, and then only what was there is replaced. So one that stops short of
    the last step, for however long, finds the result of its successor and leaves it. A document
    whose job asks for further jobs says for which: its worker may be killed before FireWorks has
    heard of them.

    Nor does it take what somebody else has stored meanwhile: two compounds may ask for the same
    job, and a document written again would look newer than what was made of it.

    Parameters
    ----------
    store
        A connected JobStore.
    launch
        The launch of this process.
    is_there
        Tells whether the result is in the store.
    """

    def __init__(
        self, store: JobStore, launch: Launch, is_there: Callable[[], bool] = lambda: False
    ):
        self._store, self._launch, self._is_there = store, launch, is_there
        self._kept: list[tuple[Any, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def update(self, docs: Any, **options: Any) -> None:
        """Keep a document; arguments as of :meth:`jobflow.JobStore.update`."""
        self._kept.append((docs, options))

    def write(self, asked_for: list[str], nothing: bool = False) -> None:
        """Store what was kept.

        Parameters
        ----------
        asked_for
            Ids of further jobs that the job asks for.
        nothing
            Whether the job is done with a result of None.

        Raises
        ------
        Superseded
            Another launch counts by now.
        """
        from sse_flows.campaign.finished import NOTHING

        marks = ({ASKED_FOR: asked_for} if asked_for else {}) | ({NOTHING: True} if nothing else {})
        for docs, options in self._kept:
            mark = {"metadata": {**(docs.metadata or {}), **marks}} if marks else None
            seen = self._seen(docs)
            self._launch.check()
            if self._is_there():
                continue
            document = docs.model_copy(update=mark) if mark else docs
            if not self._write(document, seen, options):
                self._launch.check()
                if not self._is_there():
                    raise Superseded("another worker has stored a result of this job meanwhile")

    def _seen(self, docs: Any) -> dict[str, Any] | None:
        job = {name: dict(docs)[name] for name in ("uuid", "index")}
        return self._store.query_one(job, properties=["completed_at"])

    def _write(self, document: Any, seen: dict[str, Any] | None, options: dict[str, Any]) -> bool:
        from sse_flows.store.durable import DurableJobStore

        if isinstance(self._store, DurableJobStore):
            return self._store.exchange(document, seen, options.get("save"))
        self._store.update(document, **options)
        return True
