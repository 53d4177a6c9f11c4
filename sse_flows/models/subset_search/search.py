"""Exhaustive search of the subset of columns that predicts best when each row is left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sse_flows.errors import SSEError
from sse_flows.models.subset_search import checkpoint as checkpoints
from sse_flows.models.subset_search.kernels import (
    Found,
    Kernel,
    choose_kernel,
    make_kernel,
    processors,
)
from sse_flows.models.subset_search.lattice import Lattice
from sse_flows.models.subset_search.pilot import seed_limits
from sse_flows.models.subset_search.problem import SubsetProblem
from sse_flows.models.subset_search.results import SubsetSearch
from sse_flows.models.subset_search.scores import ScoreName, check_score, rule_of
from sse_flows.models.subset_search.winners import Winners

SAVE_EVERY = 10.0
"""Seconds between checkpoints."""


@dataclass(frozen=True)
class SearchProgress:
    """How far a search is."""

    done: int
    """Subsets searched, those of an earlier run among them."""
    total: int
    seconds: float
    """Since the start of this run."""
    seconds_left: float
    """At the speed of this run; NaN before the first chunk."""


Progress = Callable[[SearchProgress], None]


def search_subsets(
    problem: SubsetProblem,
    *,
    max_features: int | None = None,
    score: str = "accuracy",
    certify: bool = False,
    ties: bool = True,
    tie_cap: int = 1000,
    n_jobs: int | None = None,
    kernel: str = "auto",
    part: tuple[int, int] = (0, 1),
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> SubsetSearch:
    """Score every subset of the columns by leave-one-out and keep the best of every size.

    The answer is that of fitting each subset n_rows times, see docs/subset_search.md. An eta of
    zero predicts the negative class, as in scikit-learn.

    Parameters
    ----------
    problem
        The regression.
    max_features
        Largest subset; all columns by default.
    score
        "accuracy", "f1" of the positive class, or "log_loss" (its mean, negative, to 9 decimals).
    certify
        Skip a subset only by a proven bound. Without it an empirical one is used, which is faster.
    ties
        Find all subsets that reach the best score. Without it, which is faster, only one is sure to
        be found, and which one may change from run to run.
    tie_cap
        Most subsets of one size that are listed; all are counted.
    n_jobs
        Threads; all processors by default.
    kernel
        "compiled", "numba", or "auto" for the faster of those available.
    part
        ``(i, n)``: only the i-th of n parts of about equal work, to be joined by `merge_searches`.
    checkpoint
        File that keeps the state every ten seconds and when interrupted; if it is there already,
        the search goes on from it.
    progress
        Called now and then from the calling thread.

    Raises
    ------
    SSEError
        If an option is out of range, the checkpoint belongs to another search, or a regression does
        not converge.
    """
    lattice = Lattice(problem.n_columns, _check_size(problem, max_features))
    run = _Run(
        problem=problem,
        lattice=lattice,
        score=check_score(score),
        certify=certify,
        chunks=_chunks_of_part(lattice, part),
        winners=Winners(problem.n_columns, lattice.max_features, _check_cap(tie_cap), ties),
        checkpoint=Path(checkpoint) if checkpoint is not None else None,
        progress=progress,
    )
    run.restore()
    name = choose_kernel(kernel)
    run.work(make_kernel(name, problem, lattice, run.score, certify), processors(n_jobs))
    return run.result(name)


def estimate_seconds(
    problem: SubsetProblem,
    max_features: int | None = None,
    *,
    score: str = "accuracy",
    certify: bool = False,
    ties: bool = True,
    n_jobs: int | None = None,
    kernel: str = "auto",
    sample_seconds: float = 3.0,
) -> float:
    """Wall time of a search, from a sample of its chunks.

    Parameters
    ----------
    sample_seconds
        Processor time to spend on the sample, beside the pilot.
    """
    lattice = Lattice(problem.n_columns, _check_size(problem, max_features))
    name = check_score(score)
    winners = Winners(problem.n_columns, lattice.max_features, 1, ties)
    work = make_kernel(choose_kernel(kernel), problem, lattice, name, certify)
    begin = time.perf_counter()
    seed_limits(problem, winners, name, lattice.n_subsets())
    pilot = time.perf_counter() - begin
    rule = rule_of(name, winners.best, problem.n_rows, problem.n_positive, ties)
    order = np.random.default_rng(0).permutation(lattice.n_chunks)
    work(int(order[0]), rule)  # compiles the kernel
    spent, subsets = 0.0, 0
    for chunk in order:
        begin = time.perf_counter()
        work(int(chunk), rule)
        spent += time.perf_counter() - begin
        subsets += int(lattice.sizes([int(chunk)]).sum())
        if spent > sample_seconds:
            break
    return pilot + spent * lattice.n_subsets() / max(subsets, 1) / processors(n_jobs)


def _check_size(problem: SubsetProblem, max_features: int | None) -> int:
    if max_features is None:
        return problem.n_columns
    if not 1 <= max_features <= problem.n_columns:
        raise SSEError(f"max_features={max_features} is not between 1 and {problem.n_columns}")
    return int(max_features)


def _check_cap(tie_cap: int) -> int:
    if tie_cap < 1:
        raise SSEError(f"tie_cap={tie_cap} would list no subset at all")
    return int(tie_cap)


def _chunks_of_part(lattice: Lattice, part: tuple[int, int]) -> list[int]:
    """Chunks are dealt in turn, since those near each other cost alike."""
    i, n = part
    if not 0 <= i < n:
        raise SSEError(
            f"part={part} is not one of n parts numbered from 0", mend="Parts are (i, n)"
        )
    return list(range(i, lattice.n_chunks, n))


@dataclass
class _Run:
    """One call of `search_subsets`."""

    problem: SubsetProblem
    lattice: Lattice
    score: ScoreName
    certify: bool
    chunks: list[int]
    winners: Winners
    checkpoint: Path | None
    progress: Progress | None
    done: set[int] = field(default_factory=set)
    cpu_seconds: float = 0.0
    n_refined: int = 0
    whole: bool = True
    """Whether winners and chunks done belong together."""
    begin: float = field(default_factory=time.perf_counter)
    saved: float = field(default_factory=time.perf_counter)

    def restore(self) -> None:
        """Go on from the checkpoint, or else look for good limits first."""
        state = checkpoints.load(self.checkpoint, self._digest()) if self.checkpoint else None
        if state is None:
            begin = time.thread_time()
            seed_limits(self.problem, self.winners, self.score, self.lattice.n_subsets())
            self.cpu_seconds += time.thread_time() - begin
            return
        self.done = set(state["done"])
        self.cpu_seconds, self.n_refined = state["cpu_seconds"], state["n_refined"]
        self.winners.restore(state["winners"])

    def work(self, kernel: Kernel, threads: int) -> None:
        """Work through the chunks; on any exception save what is done and pass it on."""
        chunks = iter([chunk for chunk in self.chunks if chunk not in self.done])
        total = int(self.lattice.sizes(self.chunks).sum())
        earlier = int(self.lattice.sizes(sorted(self.done)).sum())
        subsets = earlier
        try:
            for chunk in _in_threads(chunks, lambda c: self._one(kernel, c), self._take, threads):
                subsets += int(self.lattice.sizes([chunk]).sum())
                self._report(subsets, earlier, total)
                if time.perf_counter() - self.saved > SAVE_EVERY:
                    self._save()
        finally:
            self._save()

    def result(self, kernel: str) -> SubsetSearch:
        """What was found."""
        searched = self.lattice.sizes(sorted(self.done))
        return SubsetSearch(
            sizes=self.winners.sizes(searched),
            score_name=self.score,
            certified=self.certify,
            ties=self.winners.ties,
            kernel=kernel,
            n_columns=self.problem.n_columns,
            max_features=self.lattice.max_features,
            n_subsets=int(searched.sum()),
            n_chunks=self.lattice.n_chunks,
            chunks=f"{sum(1 << chunk for chunk in self.done):x}",
            problem=self.problem.digest(),
            tie_cap=self.winners.cap,
            cpu_seconds=self.cpu_seconds,
            n_refined=self.n_refined,
        )

    def _one(self, kernel: Kernel, chunk: int) -> tuple[int, Found, float]:
        begin = time.thread_time()
        rule = rule_of(
            self.score,
            self.winners.best.copy(),
            self.problem.n_rows,
            self.problem.n_positive,
            self.winners.ties,
        )
        found = kernel(chunk, rule)
        return chunk, found, time.thread_time() - begin

    def _take(self, outcome: tuple[int, Found, float]) -> int:
        chunk, found, seconds = outcome
        self.whole = False  # an interrupt in here must not be saved: its ties would count twice
        self.winners.add(found.masks, found.scores)
        self.n_refined += found.n_refined
        self.cpu_seconds += seconds
        self.done.add(chunk)
        self.whole = True
        return chunk

    def _report(self, subsets: int, earlier: int, total: int) -> None:
        if self.progress is None:
            return
        seconds = time.perf_counter() - self.begin
        left = seconds * (total - subsets) / (subsets - earlier) if subsets > earlier else np.nan
        self.progress(SearchProgress(subsets, total, seconds, float(left)))

    def _digest(self) -> str:
        return checkpoints.settings_digest(
            problem=self.problem.digest(),
            max_features=self.lattice.max_features,
            score=self.score,
            certify=self.certify,
            ties=self.winners.ties,
            tie_cap=self.winners.cap,
            chunks=[self.chunks[:1], len(self.chunks), self.lattice.n_chunks],
        )

    def _save(self) -> None:
        if self.checkpoint is None or not self.whole:
            return
        state = {
            "done": sorted(self.done),
            "cpu_seconds": self.cpu_seconds,
            "n_refined": self.n_refined,
            "winners": self.winners.to_dict(),
        }
        checkpoints.save(self.checkpoint, self._digest(), state)
        self.saved = time.perf_counter()


def _in_threads(
    chunks: Iterator[int],
    work: Callable[[int], Any],
    take: Callable[[Any], int],
    threads: int,
) -> Iterator[int]:
    """Work on chunks in threads and take each outcome in this one, in the order they come."""
    with ThreadPoolExecutor(threads) as pool:
        running: set[Future[Any]] = set()
        try:
            while True:
                while len(running) < 2 * threads and (chunk := next(chunks, None)) is not None:
                    running.add(pool.submit(work, chunk))
                if not running:
                    return
                ready, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield take(future.result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
