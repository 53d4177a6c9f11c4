"""Applicability domain: whether a compound is like those that a model was trained on.

Nearest-neighbour distance, as in A. Tropsha, P. Gramatica and V. K. Gombar, QSAR Comb. Sci. 22, 69
(2003), but with a quantile of the training distances as the limit where they use mean and spread:
the distances of a few dozen compounds are far from normal. A leverage would need more rows than
columns, which 30 descriptors of 45 conductors barely have.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from sse_flows.models.columns import Floats

_NEAR = 64
"""Rows compared at a time: their distances stay within the cache of a core."""


def preprocessing() -> Pipeline:
    """Median imputation, then standardisation; a column missing everywhere becomes zero."""
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler())


class ApplicabilityDomain(BaseEstimator):
    """Compounds within the usual distance of the training compounds from their nearest neighbour.

    Distances are root mean squares over the standardised columns, missing values at their median,
    so that models of few and of many columns have comparable ones.

    Parameters
    ----------
    quantile : float
        Share of the training compounds that lie within `threshold_` of their nearest neighbour.
    floor : float
        Smallest `threshold_`: one column of a few discrete values (a flag, a disorder that is zero
        for most) has distances of zero, and a compound between two values is not far from either.

    Attributes
    ----------
    threshold_ : float
        Largest distance inside the domain, in standard deviations.
    """

    def __init__(self, quantile: float = 0.95, floor: float = 0.1):
        self.quantile = quantile
        self.floor = floor

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Remember the training compounds; at least two. X has shape (n_rows, n_columns)."""
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        self.scaling_ = preprocessing()
        self.training_ = self.scaling_.fit_transform(values)
        apart = self._distances(self.training_)
        np.fill_diagonal(apart, np.inf)
        usual = float(np.quantile(apart.min(axis=1), self.quantile))
        self.threshold_ = max(usual, self.floor)
        return self

    def distance(self, X: ArrayLike) -> Floats:
        """Distance to the nearest training compound, shape (n_rows,)."""
        check_is_fitted(self, "training_")
        values = validate_data(
            self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        scaled = self.scaling_.transform(values)
        apart = scaled - self.training_[self._nearest(scaled)]
        return np.sqrt((apart**2).mean(axis=1))

    def contains(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Whether each compound lies within the domain, shape (n_rows,)."""
        return self.distance(X) <= self.threshold_ + 1e-12

    def _nearest(self, scaled: Floats) -> NDArray[np.intp]:
        """Nearest training compound of each row, shape (n_rows,)."""
        # half the squared distance, less what is the same for all training compounds
        right = np.vstack([-self.training_.T, 0.5 * (self.training_**2).sum(axis=1)])
        left = np.column_stack([scaled, np.ones(len(scaled))])
        found = [np.argmin(left[k : k + _NEAR] @ right, axis=1) for k in range(0, len(left), _NEAR)]
        return np.concatenate(found)

    def _distances(self, scaled: Floats) -> Floats:
        return cdist(scaled, self.training_) / np.sqrt(scaled.shape[1])

    def __sklearn_tags__(self) -> Any:
        """Missing values are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
