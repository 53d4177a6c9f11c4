"""FireWorks' ``qlaunch -r``, which loses no reservation and goes on where its loop would end.

FireWorks looks whether something is READY, and then reserves it. Where a worker takes it between
the two, FireWorks' loop calls that a failed submission and ends, and with it the campaign's supply
of Slurm jobs. So it does where the database, or Slurm's controller, is away for longer than one
call waits; it then says so in its log only, and exits with 0. And it reserves before the queue has
room, so that a job waits for a ``qlaunch`` that waits. A signal between reserving and submitting
leaves a reservation that nobody serves, and ``qlaunch -r singleshot -f`` reserves what another has
reserved or is about to run. :func:`install` mends these for the program of this process; other
adapters than ours see FireWorks as it is.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from fireworks import FWorker
from fireworks.queue import queue_launcher

from sse_flows.errors import SSEError, one_line
from sse_flows.store.patience import is_outage, patience, patiently

_PROGRAM = "fireworks.scripts.qlaunch_run"
_PATIENT = ("run_exists", "future_run_exists", "set_reservation_id")
"""Calls of the loop that come out the same if they are made twice."""

LONGEST_PAUSE = 30.0
"""Longest time between two looks at what is away, s."""

_LOG = logging.getLogger(__name__)
_failures: list[Exception] = []
"""What FireWorks wrote into its log since the last submission began."""

_rapidfire = queue_launcher.rapidfire
_launch_rocket_to_queue = queue_launcher.launch_rocket_to_queue
_log_exception = queue_launcher.log_exception


class SlurmAway(RuntimeError):
    """Slurm's controller does not answer for now."""


class Absence:
    """A service that is away: pauses that grow, lines for the log, and the end of patience.

    Parameters
    ----------
    seconds
        How long to wait; by default as long as for the database.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = patience() if seconds is None else seconds
        self._since: float | None = None
        self._pause = 1.0

    def wait(self, error: Exception) -> None:
        """Sleep for a while; raises `error` once patience is over."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            _LOG.error("waiting up to %.0f s: %s", self.seconds, reason(error))
        left = self._since + self.seconds - now
        if left <= 0:
            raise error
        time.sleep(min(left, self._pause))
        self._pause = min(1.5 * self._pause, LONGEST_PAUSE)

    def end(self) -> None:
        """Say that it is back, if it was away."""
        if self._since is not None:
            _LOG.error("going on after %.0f s", time.monotonic() - self._since)
            self._since, self._pause = None, 1.0


def install() -> None:
    """Let ``qlaunch`` in this process use what is below."""
    queue_launcher.launch_rocket_to_queue = launch_rocket_to_queue
    queue_launcher.log_exception = log_exception
    if program := sys.modules.get(_PROGRAM):
        program.rapidfire = rapidfire  # type: ignore[attr-defined]
        program.launch_rocket_to_queue = singleshot  # type: ignore[attr-defined]


def rapidfire(launchpad: Any, fworker: Any, qadapter: Any, *args: Any, **kwargs: Any) -> None:
    """FireWorks' loop, which says on stderr in one line why it ends, where that is an error.

    Raises
    ------
    SystemExit
        It ended with an error, and ``qlaunch`` does not begin anew by itself (``--daemon``).
    """
    if not _is_ours(qadapter):
        return _rapidfire(launchpad, fworker, qadapter, *args, **kwargs)
    _failures.clear()
    with _interruptible():
        _rapidfire(_Patient(launchpad), fworker, qadapter, *args, **kwargs)
    if _failures:
        _end(reason(_failures[0]))


def singleshot(
    launchpad: Any,
    fworker: Any,
    qadapter: Any,
    launcher_dir: str = ".",
    reserve: bool = False,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Submit one job for ``qlaunch singleshot``; with an id only for a firework that is READY.

    Raises
    ------
    SystemExit
        Nothing was submitted, though it should have been; why is said on stderr.
    """
    if not _is_ours(qadapter):
        return _launch_rocket_to_queue(
            launchpad, fworker, qadapter, launcher_dir, reserve, *args, **kwargs
        )
    where = inspect.signature(_launch_rocket_to_queue).bind(
        _Patient(launchpad), fworker, qadapter, launcher_dir, reserve, *args, **kwargs
    )
    fw_id = where.arguments.get("fw_id")
    if fw_id and reserve:
        # by its id FireWorks would reserve it whoever has it; a READY one goes to one of two
        mine = FWorker(fworker.name, "", {"fw_id": fw_id}, fworker.env)
        where.arguments |= {"fworker": mine, "fw_id": None}
    _failures.clear()
    done = None
    try:
        with _interruptible():
            done = launch_rocket_to_queue(*where.args, **where.kwargs)
    except (SSEError, RuntimeError) as error:
        _end(reason(error))
    else:
        if _failures:
            _end(reason(_failures[0]))
        elif fw_id and not done:
            _end(f"firework {fw_id} is not READY")
    return done


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """End on Ctrl-C with a line instead of a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("qlaunch ends: interrupted\n")
        raise SystemExit(128 + signal.SIGINT) from None


def _end(why: str) -> None:
    """Say why nothing more is submitted, and end with an error; as a daemon it begins anew."""
    sys.stderr.write(f"qlaunch ends: {why}\n")
    if not any(word.startswith(("-d", "--d")) for word in sys.argv[1:]):
        raise SystemExit(1)


def launch_rocket_to_queue(
    launchpad: Any, fworker: Any, qadapter: Any, *args: Any, **kwargs: Any
) -> Any:
    """Submit one job as FireWorks does, once the queue has room for it.

    Where the database or Slurm is away, FireWorks gives the reservation back, and it is tried
    again for as long as workers wait, too. Ctrl-C and SIGTERM take effect once the reserved
    firework has its job, or was given back.

    Returns
    -------
    The job's id; None where nothing is left to be submitted, which the loop takes calmly; False
    where a job could not be submitted, which ends it.

    Raises
    ------
    RuntimeError
        The queue does not say how full it is, or takes no jobs.
    """
    if not _is_ours(qadapter):
        return _launch_rocket_to_queue(launchpad, fworker, qadapter, *args, **kwargs)
    absence = Absence()
    while True:
        qadapter.wait_for_room()
        _failures.clear()
        with _signals_later():
            done = _launch_rocket_to_queue(launchpad, fworker, qadapter, *args, **kwargs)
        if done or not _failures:  # without a failure somebody else was quicker
            absence.end()
            return done or None
        if not (isinstance(_failures[0], SlurmAway) or is_outage(_failures[0])):
            return False
        absence.wait(_failures[0])


def log_exception(logger: Any, messages: Any) -> None:
    """FireWorks' note of the exception that it is about to swallow, which is remembered."""
    if isinstance(error := sys.exception(), Exception):
        _failures.append(error)
    _log_exception(logger, messages)


def reason(error: Exception) -> str:
    """What an error says, on one line."""
    if isinstance(error, SSEError | RuntimeError):
        return " ".join(str(error).split())
    return one_line(error)


@contextlib.contextmanager
def _signals_later() -> Iterator[None]:
    """Between reserving and submitting, an end would leave a reservation that nobody serves."""
    caught: list[int] = []
    try:
        with signals_handled(lambda number, _: caught.append(number)):
            yield
    finally:
        if caught:
            os.kill(os.getpid(), caught[0])


@contextlib.contextmanager
def signals_handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Let a function take Ctrl-C and SIGTERM in the block; of the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)


def _is_ours(qadapter: Any) -> bool:
    return hasattr(qadapter, "wait_for_room")


class _Patient:
    """A LaunchPad whose database may be away for a while."""

    def __init__(self, launchpad: Any) -> None:
        self._launchpad = launchpad

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._launchpad, name)
        return patiently(found) if name in _PATIENT else found
