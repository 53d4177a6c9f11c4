"""Fireworks that wait for a Slurm job of their own are taken over by a worker that is there.

``qlaunch`` reserves every READY firework within seconds and sends a job for each. Where jobs are
short, the place in the queue takes longer than the work; so a worker with nothing else to do runs
what is reserved for jobs that still wait, and cancels these. Only a job that Slurm says is pending,
is this user's, and was sent from the folder of that very reservation is touched: numbers of jobs
repeat from cluster to cluster.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sse_flows.launchers.queue import cancel_pending, pending_jobs
from sse_flows.launchers.reservation import claim, noted_job, unclaimed

if TYPE_CHECKING:
    from fireworks import LaunchPad

PAUSE = 3.0
"""Least time between two looks at the queue, s."""
LONGEST_PAUSE = 30.0
"""Most, after looks in vain, s."""
AT_ONCE = 200
"""Reservations looked at."""


@dataclass(frozen=True)
class Reservation:
    """A RESERVED firework, its launches, and the Slurm job and folder that it waits for."""

    fw_id: int
    launches: tuple[int, ...]
    job: str
    folder: str


@dataclass
class Takeover:
    """Takes over what waits for jobs that have not begun.

    Attributes
    ----------
    launchpad
        Where the fireworks are.
    ask, cancel
        What Slurm is asked for pending jobs (number -> folder; None: no answer), and told to
        cancel one if it still waits.
    """

    launchpad: LaunchPad
    ask: Callable[[], Mapping[str, str] | None] = pending_jobs
    cancel: Callable[[str], None] = cancel_pending
    _waiting: dict[str, str] = field(default_factory=dict)
    _next_look: float = 0.0
    _pause: float = PAUSE

    def claim_one(self, query: Mapping[str, Any]) -> int | None:
        """Claim a reserved firework, and cancel the job that it waited for.

        Parameters
        ----------
        query
            Which fireworks may run here, as of ``FWorker.query``.

        Returns
        -------
        int or None
            Id of a firework that is now this process's to check out by its id.
        """
        for one in reservations(self.launchpad, query):
            self._look()
            if self._waiting.get(one.job) != one.folder:
                continue
            del self._waiting[one.job]
            if claim(self.launchpad, one.fw_id, one.launches):
                self._pause = PAUSE
                self.cancel(one.job)
                return one.fw_id
        return None

    def _look(self) -> None:
        """Ask Slurm, the less often the longer there was nothing to take over."""
        if time.monotonic() < self._next_look:
            return
        found = self.ask()
        self._waiting = {job: os.path.realpath(one) for job, one in (found or {}).items()}
        self._next_look = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def reservations(launchpad: LaunchPad, query: Mapping[str, Any]) -> Iterator[Reservation]:
    """Reserved fireworks that nobody has claimed, in the order in which they should run."""
    wanted = {"$and": [{**query, "state": "RESERVED"}, unclaimed()]}
    fields = {"_id": 0, "fw_id": 1, "launches": 1}
    order = [("spec._priority", -1), ("fw_id", 1)]
    found = list(launchpad.fireworks.find(wanted, fields).sort(order).limit(AT_ONCE))
    last = [doc["launches"][-1] for doc in found if doc["launches"]]
    if not last:
        return
    held = {"launch_id": {"$in": last}, "state": "RESERVED"}
    parts = {"_id": 0, "launch_id": 1, "state_history": 1, "launch_dir": 1}
    launches = {doc["launch_id"]: doc for doc in launchpad.launches.find(held, parts)}
    for doc in found:
        launch = launches.get(doc["launches"][-1]) if doc["launches"] else None
        job = noted_job(launch) if launch else None
        if launch and job:
            folder = os.path.realpath(launch["launch_dir"])
            yield Reservation(doc["fw_id"], tuple(doc["launches"]), job, folder)
