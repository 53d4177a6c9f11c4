"""One logistic regression in double precision: Newton's method, leverages, bounds of the shifts.

Compiled by numba. Everything works on `Workspace`, whose rows are the intercept and the columns of
the subset at hand, so nothing is allocated in the loop over the subsets. The bounds are derived in
docs/subset_search.md.

numba's cache of evaluate.py does not notice a change in this file: touch evaluate.py after one.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from sse_flows.models.subset_search.problem import Floats

COMPILE: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    # sums may be reordered and contracted; infinities and NaN keep their meaning
    "fastmath": {"reassoc", "contract"},
}
TOLERANCE = 1e-7
"""Largest change of a margin in the last Newton step; the error left is of its square."""
STAGNATION = 1e-4
"""The same where rounding keeps steps from shrinking, after `PATIENCE` steps."""
PATIENCE = 60
MAX_ITERATIONS = 300
FULL_STEP = 0.5
FLAT = 1e-14
"""Smallest pivot of a Cholesky factor relative to the diagonal."""


class Workspace(NamedTuple):
    """Arrays for subsets of up to ``d - 1`` columns and n rows (padded)."""

    columns: Floats  # (d, n)
    penalty: Floats  # (d,)
    sign: Floats  # (n,)
    coef: Floats  # (d,) of the fit to all rows
    trial: Floats  # (d,) of the fit without a row
    gradient: Floats  # (d,)
    step: Floats  # (d,)
    hessian: Floats  # (d, d)
    factor: Floats  # (d, d) Cholesky factor at the fit to all rows
    eta: Floats  # (n,)
    residual: Floats  # (n,) derivative of the loss by eta
    curvature: Floats  # (n,) second derivative
    whitened: Floats  # (d, n) factor^-1 columns
    leverage: Floats  # (n,) a_i^T H^-1 a_i
    margin: Floats  # (n,) s_i eta_i of the fit to all rows
    miss: Floats  # (n,) sigma(-margin)
    guess: Floats  # (n,) approximate leave-one-out margins
    low: Floats  # (n,) proven lower bound of the shift
    high: Floats  # (n,) proven upper bound
    scratch: Floats  # (n,)


def workspace(sign: Floats, n_columns: int) -> Workspace:
    """Empty arrays for subsets of up to `n_columns` columns."""
    n, d = len(sign), n_columns + 1
    shapes = {
        **dict.fromkeys(("columns", "whitened"), (d, n)),
        **dict.fromkeys(("hessian", "factor"), (d, d)),
        **dict.fromkeys(("penalty", "coef", "trial", "gradient", "step"), (d,)),
    }
    arrays = {name: np.zeros(shapes.get(name, (n,))) for name in Workspace._fields}
    arrays["sign"] = np.ascontiguousarray(sign)
    return Workspace(**arrays)


@njit(**COMPILE)
def load(work, columns, penalty, mask):
    """Copy the columns of a mask; returns their number with the intercept."""
    d = 1
    work.columns[0] = columns[0]
    work.penalty[0] = 0.0
    for j in range(1, columns.shape[0]):
        if (mask >> (j - 1)) & 1:
            work.columns[d] = columns[j]
            work.penalty[d] = penalty[j]
            d += 1
    return d


@njit(**COMPILE)
def linear(columns, coef, d, result):
    """``result = coef @ columns``."""
    n = result.shape[0]
    for i in range(n):
        result[i] = coef[0] * columns[0, i]
    for a in range(1, d):
        value, row = coef[a], columns[a]
        for i in range(n):
            result[i] += value * row[i]


@njit(**COMPILE)
def derivatives(work, coef, d, skip):
    """First and second derivatives of the loss of every row but `skip`, at `coef`."""
    linear(work.columns, coef, d, work.eta)
    for i in range(work.eta.shape[0]):
        miss = 1.0 / (1.0 + math.exp(min(max(work.sign[i] * work.eta[i], -700.0), 700.0)))
        work.residual[i] = -work.sign[i] * miss
        work.curvature[i] = miss * (1.0 - miss)
    if skip >= 0:
        work.residual[skip] = 0.0
        work.curvature[skip] = 0.0


@njit(**COMPILE)
def gradient_hessian(work, coef, d):
    """Of the penalised objective, from `derivatives`; the lower triangle of the Hessian."""
    n = work.eta.shape[0]
    for a in range(d):
        row, weighted = work.columns[a], work.scratch
        total = work.penalty[a] * coef[a]
        for i in range(n):
            total += row[i] * work.residual[i]
            weighted[i] = row[i] * work.curvature[i]
        work.gradient[a] = total
        for b in range(a + 1):
            other = work.columns[b]
            total = 0.0
            for i in range(n):
                total += weighted[i] * other[i]
            work.hessian[a, b] = total
        work.hessian[a, a] += work.penalty[a]


@njit(**COMPILE)
def cholesky(matrix, d):
    """Factor in place; of the diagonal the inverse is kept."""
    for a in range(d):
        row = matrix[a]
        diagonal = row[a]
        for b in range(a):
            other = matrix[b]
            total = row[b]
            for c in range(b):
                total -= row[c] * other[c]
            row[b] = total * other[b]
        pivot = diagonal
        for c in range(a):
            pivot -= row[c] * row[c]
        # a flat direction, say of twin columns, must not turn the step round
        row[a] = 1.0 / math.sqrt(max(pivot, FLAT * diagonal, 1e-300))


@njit(**COMPILE)
def solve(factor, d, vector):
    """Solve in place with a factor of `cholesky`."""
    for a in range(d):
        total = vector[a]
        for b in range(a):
            total -= factor[a, b] * vector[b]
        vector[a] = total * factor[a, a]
    for a in range(d - 1, -1, -1):
        vector[a] *= factor[a, a]
        for b in range(a):
            vector[b] -= factor[a, b] * vector[a]


@njit(**COMPILE)
def softplus(value):
    """``log(1 + exp(value))``."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


@njit(**COMPILE)
def objective_change(work, coef, d, skip, length):
    """Objective after ``coef -= length step`` minus that before; `scratch` is the step's eta."""
    total = 0.0
    for a in range(d):
        move = length * work.step[a]
        total += 0.5 * work.penalty[a] * move * (move - 2.0 * coef[a])
    for i in range(work.eta.shape[0]):
        if i != skip:
            margin = work.sign[i] * work.eta[i]
            after = margin - length * work.sign[i] * work.scratch[i]
            total += softplus(-after) - softplus(-margin)
    return total


@njit(**COMPILE)
def step_length(work, coef, d, skip, change):
    """Longest of 1, 1/2, 1/4, ... that lowers the objective well, or else one that surely does.

    The loss is self-concordant in the generalised sense with constant 1 in the largest change of a
    margin, for which the step ``log(1 + change) / change`` lowers the objective (T. Sun and
    Q. Tran-Dinh, Math. Program. 178, 145 (2019)). Alone it would crawl on separable data, whose
    margins are large.
    """
    if change <= FULL_STEP:
        return 1.0
    slope = 0.0
    for a in range(d):
        slope += work.gradient[a] * work.step[a]
    safe, length = math.log1p(change) / change, 1.0
    while length > safe:
        if objective_change(work, coef, d, skip, length) < -0.1 * length * slope:
            return length
        length *= 0.5
    return safe


@njit(**COMPILE)
def newton(work, coef, d, skip):
    """Minimise over all rows but `skip` from the start in `coef`; False if it does not converge."""
    for iteration in range(MAX_ITERATIONS):
        derivatives(work, coef, d, skip)
        gradient_hessian(work, coef, d)
        cholesky(work.hessian, d)
        for a in range(d):
            work.step[a] = work.gradient[a]
        solve(work.hessian, d, work.step)
        linear(work.columns, work.step, d, work.scratch)
        change = 0.0
        for i in range(work.scratch.shape[0]):
            change = max(change, abs(work.scratch[i]))
        length = step_length(work, coef, d, skip, change)
        for a in range(d):
            coef[a] -= length * work.step[a]
        if change < TOLERANCE or (iteration > PATIENCE and change < STAGNATION):
            return True
    return False


@njit(**COMPILE)
def leverages(work, d, n_rows):
    """Set leverages, margins and misses of the fit in ``work.coef``; the largest leverage."""
    derivatives(work, work.coef, d, -1)
    gradient_hessian(work, work.coef, d)
    cholesky(work.hessian, d)
    n = work.eta.shape[0]
    work.leverage[:] = 0.0
    for a in range(d):
        row = work.whitened[a]
        row[:] = work.columns[a]
        work.factor[a, : a + 1] = work.hessian[a, : a + 1]
        for b in range(a):
            value, other = work.factor[a, b], work.whitened[b]
            for i in range(n):
                row[i] -= value * other[i]
        inverse = work.factor[a, a]
        for i in range(n):
            row[i] *= inverse
            work.leverage[i] += row[i] * row[i]
    largest = 0.0
    for i in range(n_rows):
        work.margin[i] = work.sign[i] * work.eta[i]
        work.miss[i] = abs(work.residual[i])
        largest = max(largest, work.leverage[i])
    return largest


@njit(**COMPILE)
def shift_bounds(miss, leverage, largest):
    """Approximate shift of a margin when its row is left out, and the factors that bound it.

    Parameters
    ----------
    miss
        sigma(-m) of the row's margin m in the fit to all rows.
    leverage
        a^T H^-1 a of the row, with the Hessian of the fit to all rows.
    largest
        Largest leverage of any row.

    Returns
    -------
    The approximation d, and the factors f and g with ``f d <= exact shift <= g d``.
    """
    rest = max(1.0 - miss * (1.0 - miss) * leverage, 1e-15)
    strength = miss * math.sqrt(leverage * largest) / rest
    low = 1.0 - 0.5 * strength if strength <= 1.0 else 0.5 / strength
    if strength < 1e-9:
        high = 1.0
    elif strength < 1.0 - 1e-9:
        high = -math.log1p(-strength) / strength
    else:
        high = math.inf
    return miss * leverage / rest, low, high


@njit(**COMPILE)
def left_out_eta(work, d, row):
    """``eta`` of one row by the fit without it, started from that to all; NaN if it fails."""
    miss, leverage = work.miss[row], work.leverage[row]
    for a in range(d):
        work.step[a] = work.columns[a, row]
    solve(work.factor, d, work.step)
    rest = max(1.0 - miss * (1.0 - miss) * leverage, 1e-15)
    scale = min(miss / rest, 8.0 / max(leverage, 1e-300))
    for a in range(d):
        work.trial[a] = work.coef[a] - work.sign[row] * scale * work.step[a]
    if not newton(work, work.trial, d, row):
        return math.nan
    total = 0.0
    for a in range(d):
        total += work.trial[a] * work.columns[a, row]
    return total
