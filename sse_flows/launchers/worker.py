"""``sse worker``: many fireworks in one batch job, one after the other in a process kept warm.

A Slurm job costs a place in the queue, and a Python process several seconds of imports and the
loading of a model. So a worker runs the firework that its job was reserved for, then whatever of
its categories is READY, and then what is reserved for jobs that still wait in the queue, until the
time or the work is used up. Fireworks are checked out and run by FireWorks' own Rocket; one whose
worker is killed stays RUNNING until ``sse recover``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sse_flows.codes.walltime import seconds_left
from sse_flows.errors import one_line
from sse_flows.launchers.reservation import right_to_run
from sse_flows.launchers.stop import Stop
from sse_flows.launchers.takeover import Takeover
from sse_flows.store.patience import patiently
from sse_flows.store.refusals import refused

if TYPE_CHECKING:
    from fireworks import FWorker, LaunchPad

Ending = Literal["nothing left", "time", "stopped", "no database"]
Answer = TypeVar("Answer")

MIN_SECONDS = 300.0
"""Remaining walltime below which no firework is begun, by default, s; a third of short jobs."""
DATABASE_PATIENCE = 600.0
"""How long a worker waits for a database that has gone, s."""
NAP = 0.5
"""Longest sleep, s: a signal that arrives during one is seen after it."""


@dataclass(frozen=True)
class Limits:
    """When a worker ends.

    Attributes
    ----------
    end
        Unix time at which the allocation ends; None for no limit.
    min_seconds
        Time before `end` from which no firework is begun, s.
    idle
        How long to wait for new work while other jobs run, s.
    """

    end: float | None = None
    min_seconds: float = MIN_SECONDS
    idle: float = 30.0

    @classmethod
    def of_this_job(
        cls, idle: float = 30.0, time_limit: float | None = None, min_seconds: float | None = None
    ) -> Limits:
        """Limits of the present Slurm job, or of `time_limit` seconds from now if that is less.

        Where `min_seconds` is not given it is 300 s, but a third of jobs under 15 minutes.
        """
        known = [left for left in (_seconds_left(), time_limit) if left is not None]
        if not known:
            return cls(None, min_seconds or 0.0, idle)
        left = max(0.0, min(known))
        least = min(MIN_SECONDS, left / 3) if min_seconds is None else min_seconds
        return cls(time.time() + left, least, idle)

    def time_is_up(self) -> bool:
        """Whether it is too late to begin a firework."""
        return self.end is not None and self.end - time.time() < self.min_seconds


@dataclass
class Drained:
    """What one worker did.

    Attributes
    ----------
    fireworks
        How many it ran, whatever became of them.
    ending
        Why it ended.
    """

    fireworks: int = 0
    ending: Ending = "nothing left"


@dataclass
class Worker:
    """Runs fireworks one after the other in this process.

    Attributes
    ----------
    launchpad
        Where they come from.
    fworker
        Name, categories and query of what may run here.
    limits
        When to end.
    stop
        Requests to stop.
    """

    launchpad: LaunchPad
    fworker: FWorker
    limits: Limits = field(default_factory=Limits)
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        self.takeover = Takeover(self.launchpad)

    def drain(self, first: int | None = None) -> Drained:
        """Run a reserved firework, then others until nothing is left or the time is up.

        Parameters
        ----------
        first
            Id of the firework that this job was submitted for. It is passed over if it has been
            run, taken over, or reserved again for another job, in the meantime; then the worker
            goes on with what there is, but does not wait for more.
        """
        from pymongo.errors import PyMongoError

        done = Drained()
        self._prepare()
        try:
            if first is not None:
                done.fireworks += self._run_first(first)
            self._go_on(done, wait=first is None or done.fireworks > 0)
        except PyMongoError as error:
            if no_right := refused(error, "the LaunchPad"):
                raise no_right from None
            done.ending = "no database"
            return done
        if self.stop.requested:
            done.ending = "stopped"
        elif self.limits.time_is_up():
            done.ending = "time"
        return done

    def _run_first(self, first: int) -> int:
        """Run the firework of this job, if it is that still."""
        right = self._patiently(lambda: right_to_run(self.launchpad, first))
        if right == "claimed":
            return self._run(first)
        return self._run_if_ready(first) if right == "ready" else 0

    def _go_on(self, done: Drained, wait: bool) -> None:
        """Run what there is, and wait for more while others run, unless nothing ever ran here."""
        end: float | None = None
        while not (self.stop.requested or self.limits.time_is_up()):
            ran = self._run_next()
            if ran is not None:
                done.fireworks += ran
                end, wait = None, True
                continue
            end = end or time.monotonic() + self.limits.idle
            if not wait or time.monotonic() >= end or not self._patiently(self._others_run):
                return
            self._sleep(min(2.0, self.limits.idle / 10))

    def _run_next(self) -> int | None:
        """Run what is READY, else what waits for a job that has not begun; None without either."""
        if self._patiently(self._is_ready):
            return self._run()
        taken = self._patiently(lambda: self.takeover.claim_one(self.fworker.query))
        return None if taken is None else self._run(taken)

    def _run_if_ready(self, fw_id: int) -> int:
        """Run this one if nobody else checks it out first, which by its id FireWorks ignores."""
        from fireworks import FWorker

        mine = FWorker(self.fworker.name, "", {"fw_id": fw_id}, self.fworker.env)
        return self._run(fworker=mine)

    def _prepare(self) -> None:
        """Tell the launch documents where this runs, and leave killed fireworks RUNNING."""
        self.stop.watch()
        unlock_patiently()
        self.fworker.env = {**self.fworker.env, **this_process()}
        complete = self.launchpad.complete_launch

        def complete_unless_killed(
            launch_id: int, action: Any = None, state: str = "COMPLETED"
        ) -> Any:
            if state == "FIZZLED" and self.stop.killed:
                return None  # Slurm killed its program: no fault of the calculation
            return complete(launch_id, action, state)

        self.launchpad.complete_launch = complete_unless_killed  # type: ignore[method-assign]

    def _run(self, fw_id: int | None = None, fworker: FWorker | None = None) -> int:
        """Check out and run one firework in a folder of its own; returns how many ran."""
        from fireworks.core.rocket_launcher import launch_rocket
        from pymongo.errors import PyMongoError

        with launch_folder():
            try:
                ran = launch_rocket(self.launchpad, fworker or self.fworker, fw_id, strm_lvl="INFO")
            except (PyMongoError, RuntimeError) as error:  # left to recover
                if refused(error, "the LaunchPad"):
                    raise  # no other firework would fare better
                # is the database still there?
                self._patiently(self._is_ready)  # RuntimeError: FireWorks' for a failed refresh
                return 0
            except ValueError as error:  # one that no workflow holds, since its maker was killed
                warnings.warn(f"firework passed over: {one_line(error)}", stacklevel=2)
                return 0
            finally:
                self.launchpad.backup_launch_data.clear()  # FireWorks keeps every one for ever
                self.launchpad.backup_fw_data.clear()
        return int(bool(ran))

    def _is_ready(self) -> bool:
        query = {**self.fworker.query, "state": "READY"}
        return self.launchpad.fireworks.find_one(query, {"fw_id": 1}) is not None

    def _others_run(self) -> bool:
        running = {"state": "RUNNING"}
        return self.launchpad.fireworks.find_one(running, {"fw_id": 1}) is not None

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Ask the database, again and again while it is away, for some minutes."""
        from pymongo.errors import ConnectionFailure

        end = time.monotonic() + DATABASE_PATIENCE
        while True:
            try:
                return ask()
            except ConnectionFailure:
                if time.monotonic() > end or self.stop.requested or self.limits.time_is_up():
                    raise
            self._sleep(5.0)

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.stop.requested and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, NAP))


def _seconds_left() -> float | None:
    """Seconds until the job ends, asked three times: a busy Slurm is not one without a limit."""
    for _ in range(2 if os.environ.get("SLURM_JOB_ID") else 0):
        if (left := seconds_left()) is not None:
            return left
        time.sleep(5.0)
    return seconds_left()


def this_process() -> dict[str, Any]:
    """Where this runs, for launch documents: Slurm job and cluster, host and process id."""
    job, cluster = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_CLUSTER_NAME")
    place = {"slurm_job_id": job, "host": socket.gethostname(), "pid": os.getpid()}
    return {**place, "slurm_cluster": cluster} if cluster else place


def unlock_patiently() -> None:
    """Let this process give a workflow's lock back once a database that went away is back.

    FireWorks tries once. Then the lock stays, and whoever works on that workflow waits for it for
    five minutes, if nobody calls ``sse recover``.
    """
    from fireworks.core.launchpad import WFLock

    if not hasattr(WFLock.__exit__, "__wrapped__"):
        WFLock.__exit__ = patiently(WFLock.__exit__)  # type: ignore[method-assign]


@contextlib.contextmanager
def launch_folder() -> Iterator[Path]:
    """Work in a new folder below the present one; it is removed if nothing was left in it."""
    stamp = datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
    folder = Path.cwd() / f"launcher_{stamp}-{os.getpid()}"
    folder.mkdir()
    try:
        with contextlib.chdir(folder):
            yield folder
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
