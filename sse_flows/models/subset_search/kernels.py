"""The two ways to work through a chunk, which give the same answer at different speed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from sse_flows.errors import SSEError
from sse_flows.models.subset_search import compiled
from sse_flows.models.subset_search.evaluate import (
    EXCLUDED,
    FAILED,
    FLOOR,
    assess_masks,
    walk_cores,
)
from sse_flows.models.subset_search.lattice import Lattice
from sse_flows.models.subset_search.problem import Floats, Masks, SubsetProblem
from sse_flows.models.subset_search.scores import ScoreName, scores_of


@dataclass(frozen=True)
class Found:
    """What a chunk holds."""

    masks: Masks
    scores: Floats
    n_refined: int


Kernel = Callable[[int, Floats], Found]
"""Of the number of a chunk and the rule (see `rule_of`): the subsets that may win."""


def available_kernels() -> tuple[str, ...]:
    """Kernels that work here, the fastest first."""
    return ("compiled", "numba") if compiled.library() is not None else ("numba",)


def choose_kernel(name: str) -> str:
    """The kernel that a name stands for.

    Raises
    ------
    SSEError
        If there is no such kernel or it was not built.
    """
    if name == "auto":
        return available_kernels()[0]
    if name not in ("compiled", "numba"):
        raise SSEError(f"'{name}' is not a kernel", mend="Choose auto, compiled or numba")
    if name not in available_kernels():
        raise SSEError(
            "the compiled kernel was not built",
            mend="Install the package again where a C++ compiler is, or choose numba",
        )
    return name


def make_kernel(
    name: str, problem: SubsetProblem, lattice: Lattice, score: ScoreName, certify: bool
) -> Kernel:
    """A function that works through one chunk; several threads may call it at once."""
    floor = 0.0 if certify else FLOOR
    if name == "compiled":
        screen = compiled.Screen(problem.standardised, lattice.max_features)
        return partial(_compiled, screen, problem, lattice, score, floor)
    return partial(_numba, problem, lattice, score, floor)


def _numba(
    problem: SubsetProblem,
    lattice: Lattice,
    score: ScoreName,
    floor: float,
    chunk: int,
    rule: Floats,
) -> Found:
    start, stop = lattice.bounds(chunk)
    masks, counts, loss = walk_cores(
        problem.standardised,
        lattice.path(start),
        stop - start,
        lattice.max_features,
        rule,
        floor=floor,
        log_loss=score == "log_loss",
    )
    return _found(problem, score, masks, counts, loss, len(masks))


def _compiled(
    screen: compiled.Screen,
    problem: SubsetProblem,
    lattice: Lattice,
    score: ScoreName,
    floor: float,
    chunk: int,
    rule: Floats,
) -> Found:
    start, stop = lattice.bounds(chunk)
    log_loss = score == "log_loss"
    masks, starts = screen.run(
        lattice.path(start), stop - start, rule, floor=floor, log_loss=log_loss
    )
    counts, loss = assess_masks(problem.standardised, masks, rule, starts=starts, log_loss=log_loss)
    known = counts[:, 0] != EXCLUDED
    return _found(problem, score, masks[known], counts[known], loss[known], len(masks))


def _found(
    problem: SubsetProblem,
    score: ScoreName,
    masks: Masks,
    counts: np.ndarray,
    loss: Floats,
    n_refined: int,
) -> Found:
    if (counts[:, 0] == FAILED).any():
        mask = int(masks[np.argmax(counts[:, 0] == FAILED)])
        raise SSEError(
            f"the regression on the columns of mask {mask} has not converged",
            mend="Choose a larger penalty (smaller C): too weak a one cannot hold separable data",
        )
    scores = scores_of(score, counts, loss, problem.n_rows, problem.n_positive)
    return Found(masks, scores, n_refined)


def processors(n_jobs: int | None) -> int:
    """Number of threads: all processors of this process by default, -1 likewise."""
    if n_jobs is None or n_jobs < 0:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if n_jobs == 0:
        raise SSEError("n_jobs=0 asks for no thread at all")
    return n_jobs
