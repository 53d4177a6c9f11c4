"""Worker processes of one machine: fresh, with one thread each, and gone with their parent."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""One thread a worker: work is parallel over processes, and threads within slow both down."""

_IN_HAND = 2
"""Items handed out for each process, with the one it works on: the others are not read yet."""


def fresh_processes(
    processes: int, prepare: Callable[..., None], *arguments: Any
) -> ProcessPoolExecutor:
    """Spawned worker processes with one thread each.

    Parameters
    ----------
    processes
        How many at most.
    prepare
        Called once in each process; of a module, so that it can be sent there.
    *arguments
        Of `prepare`.
    """
    for variable in THREAD_VARIABLES:  # before NumPy and torch are imported in the workers
        os.environ.setdefault(variable, "1")
    return ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=prepare,
        initargs=arguments,
    )


def end_with(parent: int) -> None:
    """End this process once `parent` is no longer its parent.

    A worker whose parent was killed would go on computing what nobody waits for.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def map_surviving(
    make_pool: Callable[[int], ProcessPoolExecutor],
    function: Callable[[T], R],
    items: Iterable[T],
    processes: int,
    died: Callable[[T], R],
) -> Iterator[tuple[T, R]]:
    """Apply a function to items in worker processes, some of which may die.

    A pool in which a process dies is of no more use: another goes on, and what was under way is
    tried once more in the end, each item alone, to tell which of them ends its process.

    Parameters
    ----------
    make_pool
        Makes a pool of so many processes, such as :func:`fresh_processes`.
    function
        Of an item; to be sent to processes, so of a module. What it raises is raised here.
    items
        Read only as far as there is work for all processes.
    processes
        How many at most.
    died
        What stands for the result of an item whose process died twice.

    Yields
    ------
    item, result
        In the order in which they are done.
    """
    waiting = iter(items)
    suspects: list[T] = []
    while True:
        lost = yield from _until_broken(make_pool(processes), function, waiting, processes)
        suspects += lost
        if not lost:
            break
    for suspect in suspects:
        again = yield from _until_broken(make_pool(1), function, iter([suspect]), 1)
        for culprit in again:
            yield culprit, died(culprit)


def _until_broken(
    pool: ProcessPoolExecutor, function: Callable[[T], R], waiting: Iterator[T], processes: int
) -> Generator[tuple[T, R], None, list[T]]:
    """Yield what is done; returns the items that were under way when a process died."""
    running: dict[Future[R], T] = {}
    lost: list[T] = []
    try:
        while True:
            while not lost and len(running) < _IN_HAND * processes:
                try:
                    item = next(waiting)
                except StopIteration:
                    break
                try:
                    running[pool.submit(function, item)] = item
                except BrokenProcessPool:
                    lost.append(item)
            if not running:
                return lost
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                item = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    lost.append(item)
                else:
                    yield item, result
    finally:
        pool.shutdown(wait=not lost, cancel_futures=True)
