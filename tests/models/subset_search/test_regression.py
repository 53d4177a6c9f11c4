"""Margins are scikit-learn's, and exact shifts lie within their bounds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sse_flows.errors import SSEError
from sse_flows.models.subset_search import SubsetProblem, fit_margins, leave_one_out_margins
from sse_flows.models.subset_search.margins import _fitted, shift_limits
from sse_flows.models.subset_search.regression import Workspace


def _reference(problem: SubsetProblem, subset: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    model = LogisticRegression(
        C=1 / problem.penalty[0], solver="newton-cholesky", tol=1e-10, max_iter=10_000
    )
    X, y = problem.design[:, subset], problem.target
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held_out = cross_val_predict(model, X, y, cv=LeaveOneOut(), method="decision_function")
        return held_out, model.fit(X, y).decision_function(X)


@pytest.mark.parametrize("C", [1e-4, 1.0, 1e4])
def test_margins_are_those_of_scikit_learn(kind, C, make_problem):
    problem = make_problem(kind, C=C)
    held_out, fitted = _reference(problem, (0, 1, 2, 5, 7))
    np.testing.assert_allclose(
        leave_one_out_margins(problem, (0, 1, 2, 5, 7)), held_out, rtol=1e-6, atol=1e-7
    )
    np.testing.assert_allclose(fit_margins(problem, (0, 1, 2, 5, 7)), fitted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("C", [1e6, 1e8])
def test_separable_raw_columns_with_hardly_a_penalty(C, make_problem):
    raw, separable = make_problem("raw"), make_problem("separable")
    problem = SubsetProblem(raw.design, separable.target, np.full(8, 1 / C))
    held_out, _ = _reference(problem, (0, 1, 2, 3))
    margins = leave_one_out_margins(problem, (0, 1, 2, 3))
    assert np.abs(margins).max() > 10
    np.testing.assert_allclose(margins, held_out, rtol=1e-4)


def test_the_columns_have_no_order(make_problem):
    problem = make_problem("correlated")
    np.testing.assert_allclose(
        fit_margins(problem, (5, 0, 3)), fit_margins(problem, (0, 3, 5)), atol=1e-9
    )


@pytest.mark.parametrize("subset", [(0, 0), (8,), (-1,)])
def test_columns_that_do_not_exist_are_refused(subset, make_problem):
    with pytest.raises(SSEError, match="not different columns"):
        leave_one_out_margins(make_problem("plain"), subset)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(6, 50),
    columns=st.integers(1, 8),
    log_penalty=st.floats(-8, 8),
    signal=st.sampled_from([0.0, 1.0, 30.0]),
    tail=st.booleans(),
)
def test_exact_shifts_lie_within_the_proven_bounds(seed, n, columns, log_penalty, signal, tail):
    random = np.random.default_rng(seed)
    design = random.standard_t(1.5, (n, columns)) if tail else random.normal(size=(n, columns))
    target = signal * design[:, 0] + random.normal(size=n) > 0
    target[:2], target[2:4] = True, False
    problem = SubsetProblem(design, target, np.full(columns, 10.0**log_penalty))
    subset = range(columns)
    sign = np.where(target, 1.0, -1.0)
    full, held_out = fit_margins(problem, subset), leave_one_out_margins(problem, subset)
    shift = sign * (full - held_out)
    _, low, high = shift_limits(problem, subset)
    allowed = 1e-6 * (1 + np.abs(full) + np.abs(held_out))
    assert (low >= 0).all()
    assert (low <= shift + allowed).all()  # the second bound, and with low >= 0 the first
    assert (shift <= high + allowed).all()


def test_the_bounds_are_tight_for_small_shifts(make_problem):
    problem = make_problem("plain", n=400, C=1e-3)
    shift, low, high = shift_limits(problem, (0, 1))
    np.testing.assert_allclose(low, shift, rtol=0.05)
    np.testing.assert_allclose(high, shift, rtol=0.05)


def _distance_bound(
    work: Workspace, d: int, row: int, coef: np.ndarray
) -> tuple[float, float, np.ndarray]:
    """Margin of the row at `coef`, T3's bound of its change, and a chord step."""
    rows = work.columns[:d].T[np.arange(len(work.sign)) != row]
    sign = np.delete(work.sign, row)
    a, penalty = work.columns[:d, row], work.penalty[:d]
    curvature = expit(rows @ work.coef[:d]) * expit(-rows @ work.coef[:d])
    rest = np.linalg.inv((rows.T * curvature) @ rows + np.diag(penalty))  # G^-1
    gradient = penalty * coef - rows.T @ (sign * expit(-sign * (rows @ coef)))
    moved = np.abs(rows @ (coef - work.coef[:d])).max()
    own = work.miss[row] * (1 - work.miss[row]) * work.leverage[row]
    # the norm of G^-1 is what the proof needs; that of H^-1 / (1 - own) is above it
    reach = np.exp(moved) * np.sqrt(work.leverage.max() / (1 - own) * (gradient @ rest @ gradient))
    share = np.sqrt(work.leverage[row] / work.leverage.max())
    bound = -share * np.log1p(-reach) if reach < 1 else np.inf
    return work.sign[row] * (a @ coef), bound, rest @ gradient


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(6, 50),
    columns=st.integers(1, 8),
    log_penalty=st.floats(-2, 4),
    error=st.sampled_from([0.0, 0.03, 0.3]),
)
def test_the_exact_margin_lies_within_reach_of_any_point(seed, n, columns, log_penalty, error):
    random = np.random.default_rng(seed)
    design = random.normal(size=(n, columns))
    target = design[:, 0] + random.normal(size=n) > 0
    target[:2], target[2:4] = True, False
    problem = SubsetProblem(design, target, np.full(columns, 10.0**log_penalty))
    work, d, _ = _fitted(problem, range(columns))
    work = work._replace(
        **{name: getattr(work, name)[..., :n] for name in ("columns", "sign", "miss", "leverage")}
    )
    row = int(random.integers(n))
    exact = work.sign[row] * leave_one_out_margins(problem, range(columns))[row]
    coef = work.coef[:d] + error * random.normal(size=d)
    for _ in range(4):
        margin, bound, step = _distance_bound(work, d, row, coef)
        assert abs(margin - exact) <= bound + 1e-6 * (1 + abs(exact))
        coef = coef - step
