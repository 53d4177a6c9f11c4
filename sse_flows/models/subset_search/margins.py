"""Margins of one subset, and the bounds that the search rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sse_flows.errors import SSEError
from sse_flows.models.subset_search.evaluate import ZERO, bound_rows, fit_all_rows
from sse_flows.models.subset_search.problem import Floats, SubsetProblem, mask_of
from sse_flows.models.subset_search.regression import Workspace, left_out_eta, load, workspace


def fit_margins(problem: SubsetProblem, subset: Sequence[int]) -> Floats:
    """``eta`` of every row by the fit of a subset to all rows, shape (n_rows,).

    Raises
    ------
    SSEError
        If a column does not exist or the fit does not converge.
    """
    work, _, _ = _fitted(problem, subset)
    return _exact_zeros(work.sign[: problem.n_rows] * work.margin[: problem.n_rows])


def leave_one_out_margins(problem: SubsetProblem, subset: Sequence[int]) -> Floats:
    """``eta`` of every row by the fit of a subset to all other rows, shape (n_rows,).

    Raises
    ------
    SSEError
        If a column does not exist or a fit does not converge.
    """
    work, d, _ = _fitted(problem, subset)
    result = np.array([left_out_eta(work, d, row) for row in range(problem.n_rows)])
    if np.isnan(result).any():
        raise _not_converged(subset)
    return _exact_zeros(result)


def shift_limits(problem: SubsetProblem, subset: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    """Approximate shift ``s_i (eta_i - eta_i without row i)`` and its proven bounds.

    Returns
    -------
    Approximation, lower and upper bound (infinite where there is none), each of shape (n_rows,).
    """
    work, _, largest = _fitted(problem, subset)
    bound_rows(work, problem.n_rows, largest)
    rows = slice(problem.n_rows)
    return (work.margin - work.guess)[rows], work.low[rows].copy(), work.high[rows].copy()


def _fitted(problem: SubsetProblem, subset: Sequence[int]) -> tuple[Workspace, int, float]:
    data = problem.standardised
    work = workspace(data.sign, len(subset))
    d = load(work, data.columns, data.penalty, mask_of(problem, subset))
    largest = fit_all_rows(work, d, problem.n_rows)
    if np.isnan(largest):
        raise _not_converged(subset)
    return work, d, largest


def _exact_zeros(eta: Floats) -> Floats:
    """Margins that only rounding keeps from zero, as of a constant model, become zero."""
    return np.where(np.abs(eta) <= ZERO, 0.0, eta)


def _not_converged(subset: Sequence[int]) -> SSEError:
    return SSEError(
        f"the regression on columns {list(subset)} has not converged",
        mend="Choose a larger penalty (smaller C): too weak a one cannot hold separable data",
    )
