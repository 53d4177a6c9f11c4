"""One or several worker processes of a batch job."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from sse_flows.errors import SSEError
from sse_flows.launchers.profiles import Profile, load_profiles
from sse_flows.launchers.reservation import CLAIMANT
from sse_flows.launchers.settings import load_fworker, open_launchpad
from sse_flows.launchers.stop import Stop
from sse_flows.launchers.worker import (
    DATABASE_PATIENCE,
    Drained,
    Limits,
    Worker,
    this_process,
)
from sse_flows.processes import THREAD_VARIABLES, end_with

if TYPE_CHECKING:
    from fireworks import FWorker, LaunchPad

UNCATEGORISED = "__none__"
"""FireWorks' mark for fireworks without a category."""


@dataclass(frozen=True)
class Request:
    """What ``sse worker`` was asked for; None where profile or job decide.

    Attributes
    ----------
    fw_id
        Firework that the Slurm job was submitted for.
    categories
        What to run; by default that of `fw_id`, else those of ``my_fworker.yaml``, and what their
        profile names under ``also``.
    processes, threads
        Worker processes, and threads of each.
    limits
        When to end.
    time_limit, min_seconds, idle
        Parts of the limits, s.
    """

    fw_id: int | None = None
    categories: tuple[str, ...] = ()
    processes: int | None = None
    threads: int | None = None
    time_limit: float | None = None
    min_seconds: float | None = None
    idle: float = 30.0


def run_workers(request: Request, note: Callable[[str], None] = lambda text: None) -> bool:
    """Run fireworks until nothing is left or the time is up.

    Parameters
    ----------
    request
        What to run and for how long.
    note
        Called with a line of text at the end of every process.

    Returns
    -------
    bool
        False if a process ended abnormally or the database went away for good.

    Raises
    ------
    SSEError
        FireWorks' files or the profiles are wrong, or the database does not answer.
    """
    launchpad = open_launchpad(create=False, patience=DATABASE_PATIENCE)
    fworker = load_fworker()
    categories = request.categories or _categories(launchpad, fworker, request.fw_id)
    profile = _profile(categories)
    if not request.categories:
        categories += tuple(one for one in profile["also"] if one not in categories)
    processes = request.processes or profile["processes"]
    request = replace(
        request,
        categories=categories,
        processes=processes,
        threads=request.threads or profile["threads"],
        min_seconds=profile["min_seconds"] if request.min_seconds is None else request.min_seconds,
    )
    set_threads(request.threads or 1)
    limits = Limits.of_this_job(request.idle, request.time_limit, request.min_seconds)
    if limits.end is not None:  # Slurm 22.05 does not set it, and calculations look there first
        os.environ["SLURM_JOB_END_TIME"] = str(int(limits.end))
    stop = Stop()
    stop.install()
    if processes == 1:
        drained = _worker(launchpad, fworker, request, limits, stop).drain(request.fw_id)
        note(describe(drained))
        return drained.ending != "no database"
    return _run_processes(request, limits, stop, note)


def describe(drained: Drained) -> str:
    """One line on what a worker did."""
    noun = "firework" if drained.fireworks == 1 else "fireworks"
    return f"{drained.fireworks} {noun} run; ended: {drained.ending}"


def set_threads(threads: int) -> None:
    """Fix the threads of numerical libraries, before they are imported."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)


def _categories(launchpad: LaunchPad, fworker: FWorker, fw_id: int | None) -> tuple[str, ...]:
    """Category of a firework, else those of the FireWorker; empty for all."""
    if fw_id is not None:
        found = launchpad.fireworks.find_one({"fw_id": fw_id}, {"spec._category": 1})
        if found is None:
            raise SSEError(f"there is no firework {fw_id}", mend="See `lpad get_fws`")
        return (found.get("spec", {}).get("_category") or UNCATEGORISED,)
    named = fworker.category
    return tuple([named] if isinstance(named, str) else named) if named else ()


def _profile(categories: tuple[str, ...]) -> Profile:
    """Profile of one category; of several, the careful one."""
    profiles = load_profiles()
    if len(categories) == 1 and categories[0] in profiles:
        return profiles[categories[0]]
    longest = [p["min_seconds"] for p in profiles.values() if p["min_seconds"] is not None]
    least = max(longest, default=None)
    return Profile(queueadapter={}, processes=1, threads=1, min_seconds=least, also=[])


def _worker(
    launchpad: LaunchPad, fworker: FWorker, request: Request, limits: Limits, stop: Stop
) -> Worker:
    names = list(request.categories)
    fworker.category = names[0] if len(names) == 1 else names or ""
    return Worker(launchpad, fworker, limits, stop)


def _run_processes(
    request: Request, limits: Limits, stop: Stop, note: Callable[[str], None]
) -> bool:
    """Start the processes, hand signals on to them, and wait for all."""
    context = multiprocessing.get_context("spawn")
    children: list[Any] = []
    for number in range(request.processes or 1):
        own = request if number == 0 else replace(request, fw_id=None)
        child = context.Process(target=_child, args=(own, limits, os.getpid()))
        child.start()
        children.append(child)
    told: signal.Signals | None = None
    bad: list[Any] = []
    while alive := [child for child in children if child.is_alive()]:
        tell = signal.SIGTERM if stop.killed else signal.SIGUSR1 if stop.requested else None
        if tell != told:  # Slurm may send SIGTERM some time after SIGUSR1
            told = tell
            for child in alive:
                os.kill(child.pid, signal.SIGTERM if stop.killed else signal.SIGUSR1)
        bad += _take_note(children, bad, note)
        time.sleep(0.2)
    bad += _take_note(children, bad, note)
    return not bad


def _take_note(children: list[Any], known: list[Any], note: Callable[[str], None]) -> list[Any]:
    """Processes that have ended badly since; the LaunchPad is told, for their job may go on."""
    bad = [child for child in children if child.exitcode and child not in known]
    for child in bad:
        note(f"worker process {child.pid} ended with {child.exitcode}; see `sse recover`")
        with contextlib.suppress(SSEError, PyMongoError):  # it is lost at the latest with its job
            mark_died(open_launchpad(create=False), child.pid, child.exitcode)
    return bad


def mark_died(launchpad: LaunchPad, pid: int, code: int) -> None:
    """Write down that a worker process of this job and machine has died in the midst of its work.

    Slurm only knows of the job, which may go on for a day with the other processes.
    """
    here = {**this_process(), "pid": pid}
    places = (
        (launchpad.launches, "RUNNING", "fworker.env"),
        (launchpad.fireworks, "RESERVED", CLAIMANT),
    )
    for collection, state, place in places:
        query = {f"{place}.{name}": value for name, value in here.items()}
        collection.update_many({**query, "state": state}, {"$set": {f"{place}.died": code}})


def _child(request: Request, limits: Limits, parent: int) -> None:
    stop = Stop()
    stop.install()
    end_with(parent)
    try:
        launchpad = open_launchpad(create=False, patience=DATABASE_PATIENCE)
        drained = _worker(launchpad, load_fworker(), request, limits, stop).drain(request.fw_id)
    except SSEError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.write(f"[{os.getpid()}] {describe(drained)}\n")
    sys.stdout.flush()
    os._exit(1 if drained.ending == "no database" else 0)
