"""Requests to stop that a worker process receives by signal."""

from __future__ import annotations

import os
import signal
from typing import Any

_present: Stop | None = None


class Stop:
    """Requests to stop, by signal: SIGTERM, SIGINT or SIGUSR1.

    The firework that runs goes on (codes look at the clock themselves); no further one is begun.
    A second Ctrl-C leaves at once, and the firework stays RUNNING.

    Attributes
    ----------
    requested
        Whether to begin nothing more.
    killed
        Whether Slurm is ending the job: what fails from now on has been killed, not gone wrong.
    """

    def __init__(self) -> None:
        self.requested = False
        self.killed = False
        self.interrupts = 0

    def watch(self) -> None:
        """Let :func:`being_killed` answer for these requests."""
        global _present  # noqa: PLW0603 - signals are of the whole process
        _present = self

    def install(self) -> None:
        """Listen to signals from now on; of the main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.requested = True
        self.killed = self.killed or number == signal.SIGTERM
        self.interrupts += number == signal.SIGINT
        if self.interrupts > 1:
            os._exit(130)


def being_killed() -> bool:
    """Whether Slurm is ending this worker: what fails now has been killed, not gone wrong."""
    return _present is not None and _present.killed


def in_worker() -> bool:
    """Whether this process is a worker of ours, which Slurm or a user may end at any time."""
    return _present is not None
