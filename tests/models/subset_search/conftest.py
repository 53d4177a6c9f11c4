"""Problems of every awkward kind, and a search without any shortcut."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from sse_flows.models.subset_search import (
    SizeWinners,
    SubsetProblem,
    available_kernels,
    leave_one_out_margins,
)

KINDS = ("plain", "correlated", "separable", "unbalanced", "twins", "constant", "raw", "tall")


def _make(kind: str, n: int = 30, columns: int = 8, C: float = 1.0, seed: int = 0) -> SubsetProblem:
    random = np.random.default_rng(seed)
    n = 75 if kind == "tall" else n
    design = random.normal(size=(n, columns))
    target = design[:, 0] - design[:, 1] + random.normal(size=n) > 0
    if kind == "correlated":
        design = 0.2 * design + random.normal(size=(n, 1))
    if kind == "separable":
        target = design[:, 0] > 0
    if kind == "unbalanced":
        target = design[:, 0] + 0.5 * random.normal(size=n) > 1.2
    if kind == "twins":
        design[:, -1], design[:, -2] = design[:, 0], -design[:, 1]
    if kind == "constant":
        design[:, 2] = 3.7
    if kind == "raw":
        design = (design + random.uniform(-3, 3, columns)) * np.geomspace(0.05, 200, columns)
    target[:2], target[2:4] = True, False
    return SubsetProblem(design, target, np.full(columns, 1 / C))


def _score(problem: SubsetProblem, subset: tuple[int, ...], name: str) -> float:
    eta = leave_one_out_margins(problem, subset)
    sign = np.where(problem.target, 1.0, -1.0)
    if name == "log_loss":
        return -round(float(np.logaddexp(0.0, -sign * eta).mean()), 9)
    positive = eta > 1e-9
    if name == "accuracy":
        return float((positive == problem.target).mean())
    found = int((positive & problem.target).sum())
    return 2 * found / (int(positive.sum()) + int(problem.target.sum()))


def _brute_force(
    problem: SubsetProblem, name: str = "accuracy", max_features: int | None = None
) -> list[SizeWinners]:
    result = []
    for size in range(1, (max_features or problem.n_columns) + 1):
        subsets = list(combinations(range(problem.n_columns), size))
        scores = [_score(problem, subset, name) for subset in subsets]
        best = max(scores)
        winners = [subset for subset, score in zip(subsets, scores, strict=True) if score == best]
        result.append(SizeWinners(size, best, len(winners), winners, len(subsets)))
    return result


@pytest.fixture(scope="session")
def make_problem() -> Callable[..., SubsetProblem]:
    return _make


@pytest.fixture(scope="session")
def brute_force() -> Callable[..., list[SizeWinners]]:
    return _brute_force


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["compiled", "numba"])
def kernel(request: pytest.FixtureRequest) -> str:
    if request.param not in available_kernels():
        pytest.skip("the compiled kernel was not built")
    return request.param
