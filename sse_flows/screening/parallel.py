"""A function over many batches in worker processes; a batch that kills its process is named."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from sse_flows.errors import SSEError
from sse_flows.processes import end_with, fresh_processes

B = TypeVar("B")
R = TypeVar("R")
S = TypeVar("S")

_WAITING = 2
"""Batches handed out for each process, with the one it works on: the others are not read yet."""
CRASHED = SSEError("a worker process died, perhaps for want of memory", mend="Use fewer processes")


_shared: Any = None


def map_batches(
    function: Callable[[B, S], R], batches: Iterable[B], shared: S, processes: int
) -> Iterator[tuple[int, B, R | SSEError]]:
    """Apply a function to batches, as they come and no faster than they are done.

    Parameters
    ----------
    function
        Of a batch and what all share; to be sent to processes, so of a module.
    batches
        Read only as far as there is work for all processes.
    shared
        Sent once to each process, a model for instance.
    processes
        With 1 everything happens in this process.

    Yields
    ------
    number, batch, result
        The batch's place from 0, in the order in which they are done. The result is an error if
        the process died over that batch twice, the second time alone.
    """
    if processes <= 1:
        for number, batch in enumerate(batches):
            yield number, batch, function(batch, shared)
        return
    numbered = enumerate(batches)
    suspects: list[tuple[int, B]] = []
    while True:
        lost = yield from _until_broken(function, numbered, shared, processes)
        suspects += lost
        if not lost:
            break
    for number, batch in suspects:  # alone, to tell which of them ends its process
        again = yield from _until_broken(function, iter([(number, batch)]), shared, 1)
        for place, culprit in again:
            yield place, culprit, CRASHED


def _until_broken(
    function: Callable[[B, S], R], numbered: Iterator[tuple[int, B]], shared: S, processes: int
) -> Generator[tuple[int, B, R | SSEError], None, list[tuple[int, B]]]:
    """Yield what is done; returns the batches that were under way when a process died."""
    pool = fresh_processes(processes, _prepare, os.getpid(), shared)
    running: dict[Future[R], tuple[int, B]] = {}
    lost: list[tuple[int, B]] = []
    try:
        exhausted = False
        while True:
            while not exhausted and not lost and len(running) < _WAITING * processes:
                item = next(numbered, None)
                exhausted = item is None
                if item is not None:
                    try:
                        running[pool.submit(_call, function, item[1])] = item
                    except BrokenProcessPool:
                        lost.append(item)
            if not running:
                return lost
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number, batch = running.pop(future)
                try:
                    yield number, batch, future.result()
                except BrokenProcessPool:
                    lost.append((number, batch))
    finally:
        pool.shutdown(wait=not lost, cancel_futures=True)


def _call(function: Callable[[B, S], R], batch: B) -> R:
    return function(batch, _shared)


def _prepare(parent: int, shared: Any) -> None:
    """Be quiet, and end with the parent."""
    global _shared  # noqa: PLW0603 - one for each process
    _shared = shared
    warnings.filterwarnings("ignore")
    end_with(parent)
