"""Penalised logistic regression of thousands of feature subsets at once.

Every subset minimises ``sum_i log(1 + exp(-s_i eta_i)) + |w|^2 / (2 C)``, the objective of
scikit-learn's ``LogisticRegression``, with ``eta = b + Z w``, ``s = +-1``, a free intercept ``b``.
Newton's method runs on all subsets of a batch together; the last axis of every array is the batch,
so that NumPy's inner loops are long.

The step is damped by ``log(1 + d) / d`` where ``d``, the largest change of a margin ``eta_i``, is
large. The logistic loss is self-concordant in the generalised sense with constant 1 in that norm,
for which this damping always lowers the objective, as does the full step for d up to 1.79 (T. Sun
and Q. Tran-Dinh, Math. Program. 178, 145 (2019)): separable data and a weak penalty cannot make it
overshoot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sse_flows.errors import SSEError

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

TOLERANCE = 1e-5
"""Largest change of a margin in the last step. The error left is of its square, about 1e-10."""
FULL_STEP = 0.5
MAX_ITERATIONS = 200


def fit_subsets(
    design: Floats, target: Floats, subsets: Integers, C: float, start: Floats | None = None
) -> Floats:
    """Coefficients of a logistic regression on each of many subsets of the same columns.

    Parameters
    ----------
    design
        Standardised descriptors, shape (n_rows, n_columns).
    target
        0 or 1, shape (n_rows,); both must occur.
    subsets
        Column numbers, shape (size, n_subsets).
    C
        Inverse strength of the L2 penalty, as in scikit-learn.
    start
        First guess, shape (size + 1, n_subsets); zero by default.

    Returns
    -------
    Intercept, then one coefficient a column; shape (size + 1, n_subsets).

    Raises
    ------
    SSEError
        If some fit has not converged, which only data separable at a very large `C` does.
    """
    size, n_subsets = subsets.shape
    result = np.zeros((size + 1, n_subsets)) if start is None else start.copy()
    active = np.arange(n_subsets)
    columns = np.ascontiguousarray(np.moveaxis(np.take(design, subsets, axis=1), 1, 0))
    coef, eta = result, _linear(columns, result)
    for _ in range(MAX_ITERATIONS):
        coef, eta, change = _newton_step(columns, target, coef, eta, C)
        result[:, active] = coef
        going = change > TOLERANCE
        if not going.any():
            return result
        if going.mean() < 0.7:  # copying the design pays only when enough subsets have finished
            active, columns = active[going], columns[:, :, going]
            coef, eta = coef[:, going], eta[:, going]
    raise SSEError(
        f"logistic regression with C={C:g} has not converged in {MAX_ITERATIONS} Newton steps",
        mend="Choose a smaller C: the data are separable and the penalty too weak to hold them",
    )


def margins(coef: Floats, row: Floats, subsets: Integers) -> Floats:
    """Decision values of one row under every subset's model, shape (n_subsets,)."""
    return coef[0] + np.einsum("km,km->m", coef[1:], row[subsets])


def sigmoid(margin: Floats) -> Floats:
    """Logistic function; the margin is clipped where the result no longer changes."""
    result = np.clip(margin, -700.0, 700.0)
    np.exp(-result, out=result)
    result += 1.0
    return np.reciprocal(result, out=result)


def _newton_step(
    columns: Floats, target: Floats, coef: Floats, eta: Floats, C: float
) -> tuple[Floats, Floats, Floats]:
    """One damped step of all subsets: coefficients, margins, largest change of a margin."""
    gradient, hessian = _derivatives(columns, target, sigmoid(eta))
    gradient[1:] += coef[1:] / C
    diagonal = np.arange(1, len(coef))
    hessian[diagonal, diagonal] += 1.0 / C
    step = solve_symmetric(hessian, gradient)
    shift = _linear(columns, step)
    change = np.maximum(shift.max(axis=0), -shift.min(axis=0))
    damping = np.where(change > FULL_STEP, np.log1p(change) / np.maximum(change, FULL_STEP), 1.0)
    shift *= damping
    return coef - damping * step, eta - shift, change


def _linear(columns: Floats, coef: Floats) -> Floats:
    """``b + Z w`` of every row and subset, shape (n_rows, n_subsets)."""
    eta = columns[0] * coef[1]
    eta += coef[0]
    for column, weight in zip(columns[1:], coef[2:], strict=True):
        eta += column * weight
    return eta


def _derivatives(columns: Floats, target: Floats, probability: Floats) -> tuple[Floats, Floats]:
    """Gradient and Hessian of the loss without its penalty; of the latter the lower triangle."""
    size, _, n_subsets = columns.shape
    residual = probability - target[:, None]
    curvature = probability * (1.0 - probability)
    gradient = np.empty((size + 1, n_subsets))
    hessian = np.empty((size + 1, size + 1, n_subsets))
    gradient[0] = residual.sum(axis=0)
    hessian[0, 0] = curvature.sum(axis=0)
    for i, column in enumerate(columns, start=1):
        gradient[i] = np.einsum("nm,nm->m", residual, column)
        weighted = curvature * column
        hessian[i, 0] = weighted.sum(axis=0)
        for j in range(1, i + 1):
            hessian[i, j] = np.einsum("nm,nm->m", weighted, columns[j - 1])
    return gradient, hessian


def solve_symmetric(matrix: Floats, vector: Floats) -> Floats:
    """Solve many small positive definite systems by Cholesky decomposition.

    LAPACK's overhead on one 5 x 5 system is larger than the work; here every operation runs over
    the whole batch.

    Parameters
    ----------
    matrix
        Lower triangles, shape (p, p, n_subsets); overwritten by their Cholesky factors.
    vector
        Right-hand sides, shape (p, n_subsets).
    """
    size = len(vector)
    solution = vector.copy()
    for i in range(size):
        for j in range(i):
            matrix[i, j] -= np.einsum("km,km->m", matrix[i, :j], matrix[j, :j])
            matrix[i, j] /= matrix[j, j]
        matrix[i, i] -= np.einsum("km,km->m", matrix[i, :i], matrix[i, :i])
        # rounding may take a flat direction (all curvatures underflow) to zero or below it
        matrix[i, i] = np.sqrt(np.maximum(matrix[i, i], 1e-300))
        solution[i] -= np.einsum("km,km->m", matrix[i, :i], solution[:i])
        solution[i] /= matrix[i, i]
    for i in reversed(range(size)):
        solution[i] -= np.einsum("km,km->m", matrix[i + 1 :, i], solution[i + 1 :])
        solution[i] /= matrix[i, i]
    return solution
