"""Leave-one-out of many subsets in double precision, given up as soon as one cannot win.

Compiled by numba. A subset costs one fit to all rows; the bounds on the shifts then decide most
rows, and only the others are fitted again, the likeliest errors first.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sse_flows.models.subset_search.lattice import LANES
from sse_flows.models.subset_search.problem import Floats, Masks, Standardised
from sse_flows.models.subset_search.regression import (
    COMPILE,
    left_out_eta,
    leverages,
    load,
    newton,
    shift_bounds,
    softplus,
    workspace,
)

SURE = 1e-6
"""A bound decides a row only if its margin is at least this far from zero; else a fit does."""
ZERO = 1e-9
"""Largest `|eta|` that counts as zero, as of a constant model of balanced classes."""
FLOOR, SATURATION = 0.7, 0.35
"""Without `certify` a shift approximated as d counts as ``d min(0.7, 1 / (1 + 0.35 d))`` or more.

This is not proven. How often it fails is in docs/subset_search.md."""
EXCLUDED, FAILED = -1, -2
"""In place of the number of missed positives: the subset cannot win; a fit did not converge."""


@njit(**COMPILE)
def is_error(eta, sign):
    """Whether the sign of eta is not that of the row; zero is the negative class."""
    return (eta > ZERO) != (sign > 0.0)


@njit(**COMPILE)
def fit_all_rows(work, d, n_rows):
    """Fit to all rows; leverages and the largest of them (NaN if the fit fails)."""
    if not newton(work, work.coef, d, -1):
        return math.nan
    return leverages(work, d, n_rows)


@njit(**COMPILE)
def bound_rows(work, n_rows, largest):
    """Guess and bounds of every left-out margin."""
    for i in range(n_rows):
        shift, low, high = shift_bounds(work.miss[i], work.leverage[i], largest)
        work.guess[i] = work.margin[i] - shift
        work.low[i] = low * shift
        work.high[i] = high * shift


@njit(**COMPILE)
def presumed_shift(shift, floor):
    """What a shift hardly falls below, see `FLOOR`."""
    return shift * min(floor, 1.0 / (1.0 + SATURATION * shift))


@njit(**COMPILE)
def classify(work, n_rows, rule, size, floor):
    """Class errors that the bounds prove, and whether they leave the subset a chance.

    With a `floor` shifts are taken to be at least `presumed_shift`.
    """
    missed = false = 0
    cost = 0.0
    for i in range(n_rows):
        positive = work.sign[i] > 0.0
        shift = max(work.low[i], presumed_shift(work.margin[i] - work.guess[i], floor))
        if work.margin[i] - shift < -SURE:
            cost += rule[0, size] if positive else rule[1, size]
        if work.margin[i] - work.low[i] < -SURE:
            missed += positive
            false += not positive
    return missed, false, cost <= rule[2, size]


@njit(**COMPILE)
def count_errors(work, d, n_rows, rule, size, floor):
    """Missed and false positives of the left-out rows; (EXCLUDED, 0) if they exceed the limit."""
    missed, false, open_ = classify(work, n_rows, rule, size, floor)
    if not open_:
        return EXCLUDED, 0
    # `scratch` belongs to the fits, `high` is no longer needed where a row is decided
    n_open = 0
    for i in range(n_rows):
        undecided = work.margin[i] - work.low[i] >= -SURE and work.margin[i] - work.high[i] <= SURE
        work.high[i] = 1.0 if undecided else 0.0
        n_open += undecided
    for _ in range(n_open):
        row = -1
        for i in range(n_rows):
            if work.high[i] > 0.0 and (row < 0 or work.guess[i] < work.guess[row]):
                row = i
        work.high[row] = 0.0
        eta = left_out_eta(work, d, row)
        if math.isnan(eta):
            return FAILED, 0
        if is_error(eta, work.sign[row]):
            missed += work.sign[row] > 0.0
            false += work.sign[row] < 0.0
            if rule[0, size] * missed + rule[1, size] * false > rule[2, size]:
                return EXCLUDED, 0
    return missed, false


@njit(**COMPILE)
def sum_loss(work, d, n_rows, limit, floor):
    """Log loss summed over left-out rows; infinite if over the limit, NaN if a fit fails."""
    proven = hoped = 0.0
    for i in range(n_rows):
        proven += softplus(work.low[i] - work.margin[i])
        shift = max(work.low[i], presumed_shift(work.margin[i] - work.guess[i], floor))
        hoped += softplus(shift - work.margin[i])
    if hoped > limit:
        return math.inf
    for i in range(n_rows):  # exact values replace the bounds one by one
        eta = left_out_eta(work, d, i)
        if math.isnan(eta):
            return math.nan
        if abs(eta) <= ZERO:
            eta = 0.0
        proven += softplus(-work.sign[i] * eta) - softplus(work.low[i] - work.margin[i])
        if proven > limit + SURE:
            return math.inf
    return proven


@njit(**COMPILE)
def assess(work, d, n_rows, rule, floor, log_loss):
    """Missed positives, false positives and log loss of the subset in the workspace."""
    largest = fit_all_rows(work, d, n_rows)
    if math.isnan(largest):
        return FAILED, 0, 0.0
    bound_rows(work, n_rows, largest)
    if not log_loss:
        missed, false = count_errors(work, d, n_rows, rule, d - 1, floor)
        return missed, false, 0.0
    loss = sum_loss(work, d, n_rows, rule[2, d - 1], floor)
    if math.isnan(loss):
        return FAILED, 0, 0.0
    return (EXCLUDED if math.isinf(loss) else 0), 0, loss


@njit(**COMPILE)
def _assess_masks(work, columns, penalty, n_rows, masks, starts, rule, floor, log_loss, out, loss):
    for k in range(len(masks)):
        d = load(work, columns, penalty, masks[k])
        work.coef[:d] = 0.0
        if len(starts) and np.isfinite(starts[k, :d]).all():
            for a in range(d):
                work.coef[a] = starts[k, a]
        missed, false, value = assess(work, d, n_rows, rule, floor, log_loss)
        if missed == FAILED and len(starts):
            work.coef[:d] = 0.0
            missed, false, value = assess(work, d, n_rows, rule, floor, log_loss)
        out[k, 0], out[k, 1], loss[k] = missed, false, value


def assess_masks(
    data: Standardised,
    masks: Masks,
    rule: Floats,
    *,
    floor: float = 0.0,
    log_loss: bool = False,
    starts: NDArray[np.float32] | None = None,
) -> tuple[np.ndarray, Floats]:
    """Leave-one-out of many subsets, exact for those that may reach the limit.

    Parameters
    ----------
    masks
        Subsets as bit masks, shape (m,).
    rule
        Cost of a missed positive, of a false positive, and limit of their sum (or of the summed log
        loss) for every size; shape (3, largest size + 1).
    floor
        `FLOOR`, or 0 to rest on proven bounds alone.
    starts
        First guesses of the coefficients on standardised columns, shape (m, d), or none.

    Returns
    -------
    Missed and false positives, shape (m, 2), the first EXCLUDED or FAILED where they are not known;
    and the summed log losses, shape (m,), where they were asked for.
    """
    masks = np.ascontiguousarray(masks, dtype=np.int64)
    out = np.zeros((len(masks), 2), dtype=np.int32)
    loss = np.zeros(len(masks))
    if starts is None:
        starts = np.zeros((0, 1), dtype=np.float32)
    work = workspace(data.sign, len(data.penalty) - 1)
    _assess_masks(
        work,
        data.columns,
        data.penalty,
        data.n_rows,
        masks,
        starts,
        rule,
        floor,
        log_loss,
        out,
        loss,
    )
    return out, loss


@njit(**COMPILE)
def next_core(path, depth, n_core, core_size):
    """Step to the next core in depth-first order; returns its size, -1 at the end."""
    last = path[depth - 1] if depth else -1
    if last < n_core - 1:
        if depth < core_size:
            path[depth] = last + 1
            return depth + 1
        if depth == 0:
            return -1
        path[depth - 1] += 1
        return depth
    if depth < 2:
        return -1
    path[depth - 2] += 1
    return depth - 1


@njit(**COMPILE)
def _walk(
    work, columns, penalty, n_rows, path, depth, n_cores, shape, rule, floor, log_loss, out, loss
):
    """Assess the lanes of `n_cores` cores from the one in `path`; keep those that may win.

    Every fit starts from the coefficients of the subset before it.
    """
    n_columns, core_size, max_features = shape
    warm = np.zeros(n_columns + 1)
    kept = 0
    for _ in range(n_cores):
        core = 0
        for k in range(depth):
            core |= 1 << (path[k] + LANES)
        for rank in range(1 << min(LANES, n_columns)):
            mask = core | (rank ^ (rank >> 1))
            size = depth
            for j in range(LANES):
                size += (mask >> j) & 1
            if size == 0 or size > max_features:
                continue
            d = load(work, columns, penalty, mask)
            work.coef[0], a = warm[0], 1
            for j in range(n_columns):
                if (mask >> j) & 1:
                    work.coef[a] = warm[j + 1]
                    a += 1
            missed, false, value = assess(work, d, n_rows, rule, floor, log_loss)
            if missed == FAILED:
                work.coef[:d] = 0.0
                missed, false, value = assess(work, d, n_rows, rule, floor, log_loss)
            warm[:] = 0.0
            warm[0], a = work.coef[0], 1
            for j in range(n_columns):
                if (mask >> j) & 1:
                    warm[j + 1] = work.coef[a]
                    a += 1
            if missed != EXCLUDED:
                out[kept, 0], out[kept, 1], out[kept, 2] = mask, missed, false
                loss[kept] = value
                kept += 1
        depth = next_core(path, depth, n_columns - LANES, core_size)
    return kept


def walk_cores(
    data: Standardised,
    path: list[int],
    n_cores: int,
    max_features: int,
    rule: Floats,
    *,
    floor: float,
    log_loss: bool,
) -> tuple[Masks, np.ndarray, Floats]:
    """Assess all subsets of consecutive cores: the numba kernel.

    Returns
    -------
    Masks of those that may reach the limit, their missed and false positives, their log losses.
    """
    n_columns = len(data.penalty) - 1
    columns = max(0, n_columns - LANES)
    core = np.zeros(columns + 1, dtype=np.int64)
    core[: len(path)] = path
    out = np.empty((n_cores << LANES, 3), dtype=np.int64)
    loss = np.empty(n_cores << LANES)
    shape = (n_columns, min(max_features, columns), max_features)
    kept = _walk(
        workspace(data.sign, max_features), data.columns, data.penalty, data.n_rows,
        core, len(path), n_cores, shape, rule, floor, log_loss, out, loss,
    )  # fmt: skip
    return out[:kept, 0].copy(), out[:kept, 1:].copy(), loss[:kept].copy()
