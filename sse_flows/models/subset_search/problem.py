"""The logistic regression whose subsets of columns are searched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sse_flows.errors import SSEError

Floats = NDArray[np.float64]
Masks = NDArray[np.int64]
"""Subsets of columns as bit masks: bit j is set if column j belongs to the subset."""

MAX_COLUMNS = 63
ROW_PADDING = 8
"""Rows are filled up with zeros to a multiple of this, for vector instructions."""
CONSTANT = 1e-13
"""Standard deviation over largest magnitude below which a column counts as constant."""


@dataclass(frozen=True)
class SubsetProblem:
    """Penalised logistic regression on any subset of the columns of a design.

    A subset S has the coefficients that minimise
    ``sum_i log(1 + exp(-s_i eta_i)) + 1/2 sum_{j in S} penalty_j w_j^2`` with
    ``eta_i = b + sum_{j in S} design_ij w_j``, ``s_i = 1`` where the target is true and -1
    elsewhere, and a free intercept b. scikit-learn's ``LogisticRegression(C=C)`` on the columns as
    given is ``penalty = 1 / C`` for every column.

    Parameters
    ----------
    design
        Columns as the regression sees them, raw or standardised, shape (n_rows, n_columns).
    target
        The class of every row, True for the positive one, shape (n_rows,).
    penalty
        Ridge penalty of every column, > 0, in units of 1 / coefficient^2, shape (n_columns,).

    Raises
    ------
    SSEError
        If shapes do not match, a value is not finite, a penalty is not positive, a class has fewer
        than two rows (then a row left out leaves one class), or there are over 63 columns.
    """

    design: Floats
    target: NDArray[np.bool_]
    penalty: Floats

    def __post_init__(self) -> None:
        for name, dtype in (("design", np.float64), ("target", np.bool_), ("penalty", np.float64)):
            values = np.array(getattr(self, name), dtype=dtype)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        if self.design.ndim != 2 or self.design.shape[1] == 0:
            raise SSEError(f"the design has shape {self.design.shape}, not (n_rows, n_columns)")
        rows, columns = self.design.shape
        if self.target.shape != (rows,) or self.penalty.shape != (columns,):
            raise SSEError(
                f"a design of shape {self.design.shape} needs a target of {rows} rows and "
                f"{columns} penalties, not {self.target.shape} and {self.penalty.shape}"
            )
        if columns > MAX_COLUMNS:
            raise SSEError(
                f"{columns} columns are more than the {MAX_COLUMNS} that a subset search can hold",
                mend="Leave out columns that say the same as others",
            )

    def _check_values(self) -> None:
        if not np.isfinite(self.design).all():
            raise SSEError("the design holds values that are missing or infinite")
        if not (np.isfinite(self.penalty) & (self.penalty > 0)).all():
            raise SSEError(
                "a penalty is not positive and finite",
                mend="Choose a small one instead: without any separable data have no solution",
            )
        positive = int(self.target.sum())
        if min(positive, len(self.target) - positive) < 2:
            raise SSEError(
                f"{positive} of {len(self.target)} rows are positive: leave-one-out needs two rows "
                "of each class"
            )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.design.shape[0]

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return self.design.shape[1]

    @property
    def n_positive(self) -> int:
        """Rows of the positive class."""
        return int(self.target.sum())

    @cached_property
    def standardised(self) -> Standardised:
        """The same regression in columns of zero mean and unit variance."""
        return _standardise(self)

    def digest(self) -> str:
        """SHA-256 of design, target and penalty."""
        result = hashlib.sha256(repr(self.design.shape).encode())
        for values in (self.design, self.target, self.penalty):
            result.update(np.ascontiguousarray(values).tobytes())
        return result.hexdigest()


@dataclass(frozen=True)
class Standardised:
    """A `SubsetProblem` in standardised columns, in the layout that the kernels want.

    The penalty of a column is divided by its variance, so every subset has the same optimum. A
    constant column becomes zero: beside a free intercept its penalised coefficient is zero.
    """

    columns: Floats
    """Ones for the intercept, then the columns, 0 in the padding; shape (n_columns + 1, rows)."""
    sign: Floats
    """+1 of the positive class, -1 of the other, 1 in the padding; shape (padded rows,)."""
    penalty: Floats
    """Zero for the intercept, then one a column; shape (n_columns + 1,)."""
    n_rows: int


def _standardise(problem: SubsetProblem) -> Standardised:
    rows, columns = problem.design.shape
    padded = -(-rows // ROW_PADDING) * ROW_PADDING
    scale = np.maximum(np.abs(problem.design).max(axis=0), 1e-300)
    centred = problem.design / scale  # columns near the largest float must not overflow
    centred = centred - centred.mean(axis=0)
    spread = centred.std(axis=0)
    constant = spread <= CONSTANT
    spread[constant] = 1.0
    values = np.zeros((columns + 1, padded))
    values[0, :rows] = 1.0
    values[1:, :rows] = np.where(constant, 0.0, centred / spread).T
    sign = np.ones(padded)
    sign[:rows] = np.where(problem.target, 1.0, -1.0)
    with np.errstate(over="ignore"):
        penalty = problem.penalty / scale / scale / spread / spread
    penalty = np.clip(np.where(constant, 1.0, penalty), 1e-30, 1e30)
    return Standardised(values, sign, np.concatenate([[0.0], penalty]), rows)


def mask_of(problem: SubsetProblem, subset: Sequence[int]) -> int:
    """Bit mask of a subset of columns.

    Raises
    ------
    SSEError
        If a column does not exist or is named twice.
    """
    columns = [int(column) for column in subset]
    if len(set(columns)) != len(columns) or not all(0 <= c < problem.n_columns for c in columns):
        raise SSEError(f"{columns} are not different columns out of {problem.n_columns}")
    return sum(1 << column for column in columns)


def columns_of(mask: int) -> tuple[int, ...]:
    """Columns of a bit mask in ascending order."""
    return tuple(column for column in range(mask.bit_length()) if mask >> column & 1)
