"""Band centre of the DOS projected on an element, from the element's surroundings."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted, validate_data

from sse_flows.models.band_center_rows import N_ELEMENT, ElementRows
from sse_flows.models.columns import Floats
from sse_flows.models.flat_trees import FlatTrees
from sse_flows.models.site_environments import ELEMENT_LABELS
from sse_flows.models.sparse_gp import SparseGaussianProcess

_DECIMALS = 6
FREQUENCY = ELEMENT_LABELS.index("mean log frequency bond valence")


def boosted_trees() -> HistGradientBoostingRegressor:
    """Gradient boosting with the settings of docs/band_center.md."""
    return HistGradientBoostingRegressor(
        max_iter=400,
        learning_rate=0.06,
        max_leaf_nodes=31,
        min_samples_leaf=8,
        l2_regularization=1.0,
        max_features=0.3,
        early_stopping=False,
        random_state=0,
    )


class ElementBandCenters(RegressorMixin, BaseEstimator):
    """Boosted trees and a Gaussian process, averaged in the logarithm.

    Trees find thresholds and interactions among all columns; the process is smooth in those of the
    element alone. Their errors differ, so the mean is better than either.

    Parameters
    ----------
    trees : regressor or None
        Of all columns; by default `boosted_trees`.
    process : regressor or None
        Of the columns of the element; by default a `SparseGaussianProcess`.

    Attributes
    ----------
    trees_, process_ : regressors
        Fitted to the logarithm of the band centre.
    """

    def __init__(self, trees: Any = None, process: Any = None):
        self.trees = trees
        self.process = process

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit; X has shape (n_rows, n_columns) as `ROW_LABELS`, y (n_rows,), meV, positive."""
        values, centers = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=10)
        logs = np.log(np.asarray(centers, dtype=float))
        trees = boosted_trees() if self.trees is None else clone(self.trees)
        process = SparseGaussianProcess() if self.process is None else clone(self.process)
        self.trees_ = trees.fit(_rounded(values), logs)
        self.process_ = process.fit(values[:, 1:N_ELEMENT], logs)  # the mass stands for the number
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Band centre of each row, meV, shape (n_rows,)."""
        return np.exp(self.predict_members(X).mean(axis=0))

    def predict_members(self, X: ArrayLike) -> Floats:
        """Logarithm of the band centre by the trees and by the process, shape (2, n_rows)."""
        check_is_fitted(self, "trees_")
        values = validate_data(self, X, reset=False, dtype=np.float64)
        process = self.process_.predict(values[:, 1:N_ELEMENT])
        return np.array([_trees(self.trees_, values), process])


def _rounded(values: Floats) -> Floats:
    """Without the last digits, which depend on the cell: a threshold may lie between them."""
    return np.round(values, _DECIMALS)


def _trees(trees: Any, values: Floats) -> Floats:
    """Prediction of the trees from values not rounded yet."""
    if isinstance(trees, HistGradientBoostingRegressor):
        return FlatTrees.of(trees).predict(values, _DECIMALS)
    return np.asarray(trees.predict(_rounded(values)), dtype=np.float64)


def split_totals(
    rows: ElementRows, totals: Floats, known: Floats, process: Any = None, *, rounds: int = 2
) -> Floats:
    """Band centres of the elements of crystals of which only the total is known.

    They are predicted from the crystals whose elements are known and scaled to the total. Where too
    few are known, the first split follows √(k/m) of the bond-valence springs; the elements of
    every half of the crystals are then predicted from the other half, twice.

    Parameters
    ----------
    rows
        The crystals.
    totals
        Band centre of each crystal, meV, shape (crystals,).
    known
        Band centre of each row, meV, NaN where unknown, shape (rows,).
    process
        Regressor of the columns of the element; by default a small `SparseGaussianProcess`.
    rounds
        How often halves are predicted from one another.

    Returns
    -------
    ndarray
        Band centre of each row, meV, shape (rows,).
    """
    missing = np.isnan(known)
    if not missing.any():
        return known
    columns = rows.features[:, 1:N_ELEMENT]
    n_missing = int(missing.sum())
    if len(missing) - n_missing >= max(100, n_missing):
        model = SparseGaussianProcess(1000, 1000, 30) if process is None else clone(process)
        fitted = model.fit(columns[~missing], np.log(known[~missing]))
        values = np.exp(fitted.predict(columns))
        return np.where(missing, _scaled(rows, totals, values), known)
    filled = np.where(missing, _scaled(rows, totals, np.exp(rows.features[:, FREQUENCY])), known)
    groups = np.array(rows.groups())[rows.owners]
    for _ in range(rounds if len(set(groups)) > 1 else 0):
        values = filled.copy()
        for one, other in GroupKFold(2).split(columns, groups=groups):
            model = SparseGaussianProcess(600, 500, 25) if process is None else clone(process)
            values[other] = np.exp(
                model.fit(columns[one], np.log(filled[one])).predict(columns[other])
            )
        filled = np.where(missing, _scaled(rows, totals, values), known)
    return filled


def _scaled(rows: ElementRows, totals: Floats, values: Floats) -> Floats:
    return values * (totals / rows.totals(values))[rows.owners]
