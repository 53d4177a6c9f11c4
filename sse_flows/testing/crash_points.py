"""A worker that dies just before its n-th write to the database, wherever that may be."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from fireworks import FWorker, LaunchPad
from jobflow import SETTINGS, JobStore
from pymongo import monitoring

from sse_flows.launchers.worker import Limits, Worker

_WRITES = ("insert", "update", "delete", "findAndModify")


class _CountedWrites(monitoring.CommandListener):
    """Calls a function instead of the n-th write; later ones go through."""

    def __init__(self, number: int, happen: Callable[[], None]):
        self.left, self.happen = number, happen

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Count a command that is about to be sent."""
        if event.command_name in _WRITES:
            self.left -= 1
            if self.left == 0:
                self.happen()

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to do."""


def drain_until_write(
    launchpad: LaunchPad, store: JobStore, number: int, signal_number: int = signal.SIGKILL
) -> int:
    """Drain the LaunchPad in a new process that gets a signal just before a write.

    Parameters
    ----------
    launchpad, store
        Where the process connects anew.
    number
        Of the write, from 1 on, counted over all collections.
    signal_number
        SIGKILL, or SIGSTOP for a worker that comes back on SIGCONT.

    Returns
    -------
    The process, which is a child of this one.
    """
    process = os.fork()
    if process:
        return process
    try:
        _drain(launchpad, store, number, signal_number)
    finally:
        os._exit(1)


def _drain(launchpad: LaunchPad, store: JobStore, number: int, signal_number: int) -> None:
    def happen() -> None:
        os.kill(os.getpid(), signal_number)

    monitoring.register(_CountedWrites(number, happen))
    settings: dict[str, Any] = launchpad.to_dict()
    SETTINGS.JOB_STORE = JobStore.from_dict(store.as_dict())
    for name in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME"):
        os.environ.pop(name, None)
    fresh = LaunchPad.from_dict({**settings, "strm_lvl": "CRITICAL"})
    Worker(fresh, FWorker("forked"), Limits(idle=0.0)).drain()
    os._exit(0)
