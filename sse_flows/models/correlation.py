"""Columns that repeat one another are left out, inside the folds."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sse_flows.errors import SSEError
from sse_flows.models.columns import Floats

KEEP = ("first", "target")


class CorrelationFilter(SelectorMixin, BaseEstimator):
    """Leave out near-constant columns, then all but one of each set that is correlated.

    As R. Jaafreh et al. (2024): a column is left out if its Pearson or its Spearman correlation
    with a column that is kept exceeds 0.8 in magnitude. Which of two is kept is not in their text;
    here columns are gone through in an order, and one that no earlier kept column resembles is
    kept. Put it into a pipeline, so that it sees the training rows only.

    Parameters
    ----------
    threshold : float
        Largest magnitude of a correlation between two columns kept.
    keep : {"first", "target"}
        Order: that of the columns, or by the magnitude of the Spearman correlation with the target,
        largest first, ties by column.
    constant : float
        A column of which this share of the rows or more has the same value is left out.

    Attributes
    ----------
    support_ : ndarray of bool, shape (n_features,)
        Columns kept.
    constant_ : ndarray of bool, shape (n_features,)
        Columns left out as near constant.
    """

    def __init__(
        self,
        threshold: float = 0.8,
        keep: Literal["first", "target"] = "first",
        constant: float = 0.99,
    ):
        self.threshold = threshold
        self.keep = keep
        self.constant = constant

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Choose the columns; X has shape (n_rows, n_features), y (n_rows,).

        Raises
        ------
        SSEError
            If `keep` is unknown, or is "target" and there is none.
        """
        values = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        if self.keep not in KEEP or (self.keep == "target" and y is None):
            raise SSEError(f"keep={self.keep!r} is not one of {KEEP}, or lacks a target")
        self.constant_ = np.array([_repeats(column) >= self.constant for column in values.T])
        usable = np.flatnonzero(~self.constant_)
        ranks = np.apply_along_axis(rankdata, 0, values[:, usable]) if len(usable) else values
        alike = np.maximum(_correlations(values[:, usable]), _correlations(ranks)) > self.threshold
        order = self._order(ranks, y)
        self.support_ = np.zeros(values.shape[1], dtype=bool)
        kept: list[int] = []
        for column in order[: len(usable)]:
            if not alike[column, kept].any():
                kept.append(int(column))
        self.support_[usable[kept]] = True
        return self

    def _order(self, ranks: Floats, y: ArrayLike | None) -> NDArray[np.intp]:
        if self.keep == "first":
            return np.arange(ranks.shape[1])
        both = np.column_stack([ranks, rankdata(np.asarray(y, dtype=float))])
        return np.argsort(-_correlations(both)[-1, :-1], kind="stable")

    def _get_support_mask(self) -> NDArray[np.bool_]:
        check_is_fitted(self, "support_")
        return self.support_

    def __sklearn_tags__(self) -> Any:
        """Only `keep="target"` needs a target."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.keep == "target"
        return tags


def _repeats(column: Floats) -> float:
    """Share of the most common value."""
    return float(np.unique(column, return_counts=True)[1].max()) / len(column)


def _correlations(values: Floats) -> Floats:
    """Magnitudes of the Pearson correlations of columns that vary, shape (n, n)."""
    standard = (values - values.mean(axis=0)) / values.std(axis=0)
    return np.abs(standard.T @ standard) / len(values)
