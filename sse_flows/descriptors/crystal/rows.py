"""Features of many crystals, in one process or more; one tessellation serves all featurizers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, Protocol

import numpy as np

from sse_flows.descriptors.crystal.arrays import CrystalArrays, FloatArray, IntArray, read_crystal
from sse_flows.descriptors.crystal.tessellation import Tessellation, tessellate
from sse_flows.errors import SSEError, one_line
from sse_flows.processes import end_with, fresh_processes

BATCH = 64
"""Crystals sent to a worker process at a time."""

Progress = Callable[[int, int], None]
"""Called with the number of crystals done and their total."""


class Featurizer(Protocol):
    """What computes features of decorations of a tessellation."""

    def decorate(self, tessellation: Tessellation, numbers: IntArray) -> FloatArray:
        """Features of each decoration, shape (decorations, features)."""

    def feature_labels(self) -> list[str]:
        """Names of the features."""


def feature_rows(
    crystals: Sequence[Any],
    featurizers: Sequence[Featurizer],
    *,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> list[FloatArray | SSEError]:
    """Features of each crystal, side by side over the featurizers, or what went wrong with it.

    Parameters
    ----------
    crystals
        As `arrays.read_crystal` takes them.
    featurizers
        What to compute.
    n_jobs
        Processes; -1 for one a core.
    progress
        Called with the number of crystals done and their total.

    Raises
    ------
    SSEError
        If a worker process dies.
    """
    batches = [range(k, min(k + BATCH, len(crystals))) for k in range(0, len(crystals), BATCH)]
    rows: list[FloatArray | SSEError] = [SSEError("not computed")] * len(crystals)
    done = 0
    compute = partial(_batch_rows, tuple(featurizers))
    for batch, found in _computed(compute, crystals, batches, _processes(n_jobs, len(batches))):
        for k, row in zip(batch, found, strict=True):
            rows[k] = row
        done += len(batch)
        if progress is not None:
            progress(done, len(crystals))
    return rows


def _processes(n_jobs: int, batches: int) -> int:
    wanted = n_jobs if n_jobs > 0 else os.cpu_count() or 1
    return min(wanted, batches)


def _computed(
    compute: Callable[[list[Any]], list[FloatArray | SSEError]],
    crystals: Sequence[Any],
    batches: Sequence[range],
    processes: int,
) -> Iterator[tuple[range, list[FloatArray | SSEError]]]:
    """Batches with their rows, in the order in which they are done."""
    if processes <= 1:
        for batch in batches:
            yield batch, compute([crystals[k] for k in batch])
        return
    compute([crystals[0]])  # compiles, if need be, once and not in every worker
    pool = fresh_processes(processes, _prepare_worker, os.getpid())
    try:
        jobs = {
            # arrays travel to the workers: a Structure takes longer to send than its features
            pool.submit(compute, [_as_arrays(crystals[k]) for k in batch]): batch
            for batch in batches
        }
        for job in as_completed(jobs):
            yield jobs[job], job.result()
    except BrokenProcessPool as problem:
        raise SSEError(
            "a worker process died", mend="Use fewer processes (n_jobs) or more memory"
        ) from problem
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker(parent: int) -> None:
    """One thread a process, whatever the environment says; and end with the parent."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    end_with(parent)


def _as_arrays(crystal: Any) -> CrystalArrays | SSEError:
    try:
        return read_crystal(crystal)
    except Exception as problem:
        return _as_error(problem)


def _batch_rows(
    featurizers: Sequence[Featurizer], crystals: Sequence[Any]
) -> list[FloatArray | SSEError]:
    return [_row(featurizers, crystal) for crystal in crystals]


def _row(featurizers: Sequence[Featurizer], crystal: Any) -> FloatArray | SSEError:
    if isinstance(crystal, SSEError):
        return crystal
    try:
        return crystal_row(crystal, featurizers)
    except Exception as problem:
        return _as_error(problem)


def _as_error(problem: Exception) -> SSEError:
    """One bad crystal must not stop the others, whatever is wrong with it."""
    return problem if isinstance(problem, SSEError) else SSEError(one_line(problem))


def crystal_row(crystal: Any, featurizers: Sequence[Featurizer]) -> FloatArray:
    """Features of one crystal, side by side over the featurizers, shape (features,).

    Raises
    ------
    SSEError
        If it is not an ordered crystal or cannot be tessellated.
    """
    lattice, numbers, positions = read_crystal(crystal)
    tessellation = tessellate(lattice, positions)
    return np.concatenate([one.decorate(tessellation, numbers[None])[0] for one in featurizers])
