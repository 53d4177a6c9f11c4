"""Worker processes of one machine: fresh, with one thread each, and gone with their parent."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""One thread a worker: work is parallel over processes, and threads within slow both down."""


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
