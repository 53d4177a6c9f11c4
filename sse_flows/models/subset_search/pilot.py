"""A quick look for good subsets, whose scores then tell the search what it can skip."""

from __future__ import annotations

import numpy as np

from sse_flows.models.subset_search.evaluate import assess_masks
from sse_flows.models.subset_search.problem import Masks, SubsetProblem
from sse_flows.models.subset_search.scores import ScoreName, rule_of, scores_of
from sse_flows.models.subset_search.winners import Winners

SHARE = 0.01
"""Largest part of the subsets that the pilot may score."""
MOST = 60_000
ROUNDS = 6
KEPT = 8
"""Subsets of each size whose neighbours are tried."""


def seed_limits(problem: SubsetProblem, winners: Winners, name: ScoreName, n_subsets: int) -> None:
    """Score random subsets and the neighbours of the best; the same ones every time."""
    random = np.random.default_rng(0)
    budget = min(MOST, int(SHARE * n_subsets))
    sizes = range(1, winners.max_features + 1)
    share = max(1, budget // 4 // len(sizes))
    pool = np.concatenate([_random(problem.n_columns, size, share, random) for size in sizes])
    for _ in range(ROUNDS):
        pool = random.permutation(np.unique(pool))[: max(0, budget)]
        if not len(pool):
            return
        budget -= len(pool)
        before = winners.best.copy()
        top = _score(problem, winners, name, pool)
        if np.array_equal(before, winners.best):
            return
        pool = _neighbours(top, problem.n_columns, winners.max_features, random)


def _random(n_columns: int, size: int, number: int, random: np.random.Generator) -> Masks:
    order = random.random((number, n_columns)).argsort(axis=1)[:, :size]
    return (np.int64(1) << order.astype(np.int64)).sum(axis=1)


def _score(problem: SubsetProblem, winners: Winners, name: ScoreName, pool: Masks) -> Masks:
    """Score a pool and return the best of each size."""
    rule = rule_of(name, winners.best, problem.n_rows, problem.n_positive, ties=True)
    counts, loss = assess_masks(problem.standardised, pool, rule, log_loss=name == "log_loss")
    known = counts[:, 0] >= 0
    masks = pool[known]
    scores = scores_of(name, counts[known], loss[known], problem.n_rows, problem.n_positive)
    winners.raise_limits(masks, scores)
    order = np.argsort(-scores, kind="stable")
    masks, size = masks[order], np.bitwise_count(masks[order])
    top = [masks[size == k][:KEPT] for k in np.unique(size)]
    return np.concatenate([*top, masks[:0]])


def _neighbours(
    masks: Masks, n_columns: int, max_features: int, random: np.random.Generator
) -> Masks:
    """Subsets with one column more, one fewer, or one exchanged."""
    bits = np.int64(1) << np.arange(n_columns, dtype=np.int64)
    flipped = (masks[:, None] ^ bits).ravel()
    other = bits[random.permutation(n_columns)[:12]]
    pairs = (masks[:, None, None] ^ bits[:, None] ^ other).ravel()
    same = np.bitwise_count(pairs) == np.repeat(np.bitwise_count(masks), len(bits) * len(other))
    result = random.permutation(np.unique(np.concatenate([flipped, pairs[same]])))
    size = np.bitwise_count(result)
    return result[(size > 0) & (size <= max_features)]
