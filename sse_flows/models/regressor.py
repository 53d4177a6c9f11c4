"""Random forest for log10 of the ionic conductivity, after J. Kim et al. (2024)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from sse_flows.models.columns import Floats, checked_rows, column_names, usable_columns


class ConductivityForest(RegressorMixin, BaseEstimator):
    """Random forest that fills missing descriptors with their medians.

    The median is that of the rows it is fitted to, so a cross-validation of this estimator imputes
    inside its folds. A column that is missing everywhere or constant is left out (`dropped_`).

    Parameters
    ----------
    n_estimators : int
        Trees.
    max_features : float or {"sqrt", "log2"}
        Share of the columns tried at each split, as in `RandomForestRegressor`.
    min_samples_leaf : int
        Rows that each leaf holds at least.
    random_state : int
        Seed; the same seed and rows give the same forest.

    Attributes
    ----------
    feature_importances_ : ndarray of shape (n_features_in_,)
        Mean decrease of the variance (Gini importance), summing to 1; 0 for columns left out.
    dropped_ : dict
        Columns that could not be used, with the reason.
    pipeline_ : Pipeline
        Imputer and forest on the columns that were kept.
    """

    def __init__(
        self,
        n_estimators: int = 200,
        max_features: float | str = 1.0,
        min_samples_leaf: int = 1,
        random_state: int | None = 0,
    ):
        self.n_estimators = n_estimators
        self.max_features = max_features
        self.min_samples_leaf = min_samples_leaf
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the forest.

        Parameters
        ----------
        X
            Descriptors, shape (n_rows, n_columns); NaN where missing.
        y
            log10 of the conductivity in S/cm, shape (n_rows,).

        Raises
        ------
        TrainingDataError
            If the target is missing somewhere or no column varies.
        """
        values, target = checked_rows(self, X, y, least=2)
        self._usable, self.dropped_ = usable_columns(values, column_names(self))
        self.pipeline_ = self._pipeline().fit(values[:, self._usable], target)
        self.feature_importances_ = np.zeros(values.shape[1])
        self.feature_importances_[self._usable] = self.pipeline_[-1].feature_importances_
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Predicted log10 of the conductivity in S/cm, shape (n_rows,)."""
        check_is_fitted(self, "pipeline_")
        values = validate_data(
            self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        return self.pipeline_.predict(values[:, self._usable])

    def _pipeline(self) -> Pipeline:
        forest = RandomForestRegressor(
            n_estimators=self.n_estimators,
            max_features=self.max_features,
            min_samples_leaf=self.min_samples_leaf,
            random_state=self.random_state,
        )
        return make_pipeline(SimpleImputer(strategy="median"), forest)

    def __sklearn_tags__(self) -> Any:
        """Missing values are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
