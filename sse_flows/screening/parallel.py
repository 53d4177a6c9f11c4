"""A function over many batches in worker processes; a batch that kills its process is named."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, TypeVar

from sse_flows.errors import SSEError
from sse_flows.processes import end_with, fresh_processes, map_surviving

B = TypeVar("B")
R = TypeVar("R")
S = TypeVar("S")

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

    def pool(size: int) -> ProcessPoolExecutor:
        return fresh_processes(size, _prepare, os.getpid(), shared)

    work: Callable[[tuple[int, B]], R | SSEError] = partial(_call, function)
    done = map_surviving(pool, work, enumerate(batches), processes, lambda numbered: CRASHED)
    for (number, batch), result in done:
        yield number, batch, result


def _call(function: Callable[[B, S], R], numbered: tuple[int, B]) -> R:
    return function(numbered[1], _shared)


def _prepare(parent: int, shared: Any) -> None:
    """Be quiet, and end with the parent."""
    global _shared  # noqa: PLW0603 - one for each process
    _shared = shared
    warnings.filterwarnings("ignore")
    end_with(parent)
