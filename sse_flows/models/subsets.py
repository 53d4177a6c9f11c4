"""Best-subset logistic regression: the classifier of superionic conductors.

After J. Kim et al. (2024), who score subsets of 30 descriptors by leave-one-out accuracy and keep
the best. Here every subset of up to a chosen size is scored exactly.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from sse_flows.errors import SSEError
from sse_flows.models.columns import column_names, encode_classes, usable_columns
from sse_flows.models.newton import Floats
from sse_flows.models.search import SubsetScores, nested_search, preprocessing, search


class BestSubsetLogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic regression on the subset of columns with the best leave-one-out accuracy.

    Ties of accuracy are broken by the larger F1 of the second class, then the smaller leave-one-out
    log loss, then fewer features, then the order of the columns. Missing values (NaN) are filled
    with the median and columns standardised inside every fold. A column that is missing everywhere
    or constant is left out (`dropped_`).

    The accuracy of the winner is the best of many and therefore optimistic: quote the nested
    leave-one-out (`nested_leave_one_out`) beside it.

    Parameters
    ----------
    max_features : int
        Largest subset that is tried; the time grows as the number of subsets.
    C : float
        Inverse strength of the L2 penalty on standardised columns.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Labels; the second is the positive one.
    features_ : tuple of str
        The chosen columns.
    support_ : ndarray of bool, shape (n_features_in_,)
        Mask of the chosen columns.
    dropped_ : dict
        Columns that could not be used, with the reason.
    cv_results_ : pandas.DataFrame
        Best subset of every size: `n_features`, `features`, `accuracy`, `f1`, `log_loss`, `n_tied`
        (subsets of that size with this accuracy), `n_subsets`, `train_accuracy`, `chosen`.
    loo_accuracy_ : float
        Leave-one-out accuracy of the chosen subset, as scikit-learn itself computes it.
    loo_probabilities_ : ndarray of shape (n_rows,)
        Leave-one-out probability of the positive class.
    coef_, intercept_ : ndarray of shape (1, n_chosen), (1,)
        On standardised columns.
    raw_coef_, raw_intercept_ : ndarray of shape (1, n_chosen), (1,)
        On the columns as given, in 1/unit of the column.
    pipeline_ : Pipeline
        Imputer, scaler and logistic regression fitted to the chosen columns of all rows.
    """

    def __init__(self, max_features: int = 4, C: float = 1.0):
        self.max_features = max_features
        self.C = C

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Score every subset and fit the best to all rows.

        Parameters
        ----------
        X
            Descriptors, shape (n_rows, n_columns); NaN where missing.
        y
            Two kinds of labels, shape (n_rows,).

        Raises
        ------
        TrainingDataError
            If the target is missing somewhere, a class has but one row, or no column varies.
        SSEError
            If a parameter is out of range.
        """
        values, target = self._prepare(X, y, least=2)
        usable, self.dropped_ = usable_columns(values, column_names(self))
        columns = np.flatnonzero(usable)
        scores = self._search(values[:, columns], target)
        best = _best_of_sizes(scores)
        chosen = columns[best]
        self.support_ = np.isin(np.arange(values.shape[1]), chosen)
        self.features_ = tuple(np.array(column_names(self))[chosen].tolist())
        self._fit_chosen(values[:, chosen], target)
        self._sizes = [self._describe(s, values, target, columns) for s in scores]
        return self

    @property
    def cv_results_(self) -> pd.DataFrame:
        """Best subset of every size; made on demand, so that a saved model holds plain lists."""
        check_is_fitted(self, "pipeline_")
        table = pd.DataFrame(self._sizes)
        table["chosen"] = table["n_features"] == len(self.features_)
        return table

    def decision_function(self, X: ArrayLike) -> Floats:
        """Log odds of the positive class, shape (n_rows,)."""
        values = self._chosen_columns(X)
        return self.pipeline_.decision_function(values)

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probabilities of the two classes, shape (n_rows, 2)."""
        values = self._chosen_columns(X)
        return self.pipeline_.predict_proba(values)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Labels, shape (n_rows,)."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def nested_leave_one_out(
        self, X: ArrayLike, y: ArrayLike
    ) -> tuple[Floats, list[tuple[str, ...]]]:
        """Leave-one-out of the whole procedure: the subset is chosen anew without each row.

        Equal to ``cross_val_predict(self, X, y, cv=LeaveOneOut())`` and faster, since every pair of
        rows left out is fitted once instead of twice; this object is not changed.

        Returns
        -------
        Probabilities of the positive class, shape (n_rows,), and the columns chosen in each fold.

        Raises
        ------
        TrainingDataError
            As `fit`; each class needs three rows.
        """
        fresh = clone(self)
        values, target = fresh._prepare(X, y, least=3)
        names = column_names(fresh)
        # what cannot be used with all rows cannot be used with fewer
        usable, _ = usable_columns(values, names)
        values, names = values[:, usable], [names[column] for column in np.flatnonzero(usable)]
        folds = nested_search(values, target, self.max_features, self.C)
        probabilities, chosen = np.empty(len(target)), []
        for i, scores in enumerate(folds):
            rows = np.arange(len(target)) != i
            usable, _ = usable_columns(values[rows], names)
            best = _best_of_sizes(scores, usable)
            model = self._pipeline().fit(values[np.ix_(rows, best)], target[rows])
            probabilities[i] = model.predict_proba(values[[i]][:, best])[0, 1]
            chosen.append(tuple(names[column] for column in best))
        return probabilities, chosen

    def _search(self, values: Floats, target: Floats) -> list[SubsetScores]:
        """Scores of the subsets; another search of the same subsets may override this."""
        return search(values, target, self.max_features, self.C)

    def _prepare(self, X: ArrayLike, y: ArrayLike, least: int) -> tuple[Floats, Floats]:
        if self.max_features < 1 or not self.C > 0 or not np.isfinite(self.C):
            raise SSEError(
                f"max_features={self.max_features} and C={self.C} are not both positive and finite",
                mend="Without a penalty separable data have no solution: choose a large C instead",
            )
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        self.classes_, target = encode_classes(y, least)
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        if len(values) != len(target):
            raise ValueError(f"X has {len(values)} rows, y {len(target)}: inconsistent numbers")
        return values, target

    def _pipeline(self) -> Pipeline:
        # newton-cholesky reaches the optimum; the default lbfgs stops where labels may still change
        regression = LogisticRegression(
            C=self.C, solver="newton-cholesky", tol=1e-10, max_iter=1000
        )
        return make_pipeline(*(step for _, step in preprocessing().steps), regression)

    def _fit_chosen(self, values: Floats, target: Floats) -> None:
        self.pipeline_ = self._pipeline().fit(values, target)
        held_out = cross_val_predict(
            self._pipeline(), values, target, cv=LeaveOneOut(), method="predict_proba"
        )
        self.loo_probabilities_ = held_out[:, 1]
        self.loo_accuracy_ = float(np.mean((held_out[:, 1] > 0.5) == (target > 0.5)))
        scaler, regression = self.pipeline_[1], self.pipeline_[-1]
        self.coef_, self.intercept_ = regression.coef_, regression.intercept_
        self.raw_coef_ = self.coef_ / scaler.scale_
        self.raw_intercept_ = self.intercept_ - self.raw_coef_ @ scaler.mean_

    def _describe(
        self, scores: SubsetScores, values: Floats, target: Floats, columns: NDArray[np.intp]
    ) -> dict[str, Any]:
        """Row of `cv_results_`: the best subset of one size."""
        best = scores.best()
        assert best is not None  # without a mask some subset always wins
        chosen = columns[scores.subsets[:, best]]
        fitted = self._pipeline().fit(values[:, chosen], target)
        return {
            "n_features": len(chosen),
            "features": [column_names(self)[column] for column in chosen],
            "accuracy": 1.0 - float(scores.errors[best]) / len(target),
            "f1": float(scores.f1[best]),
            "log_loss": float(scores.log_loss[best]),
            "n_tied": int((scores.errors == scores.errors[best]).sum()),
            "n_subsets": int(scores.errors.size),
            "train_accuracy": float(fitted.score(values[:, chosen], target)),
        }

    def _chosen_columns(self, X: ArrayLike) -> Floats:
        check_is_fitted(self, "pipeline_")
        values = validate_data(
            self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        return values[:, self.support_]

    def __sklearn_tags__(self) -> Any:
        """Missing values are welcome; more than two classes are not."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags


def _best_of_sizes(
    scores: list[SubsetScores], usable: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Columns of the winner over all sizes, by the rule of `BestSubsetLogisticRegression`."""
    winners = [(s, best) for s in scores if (best := s.best(usable)) is not None]
    sizes, position = min(winners, key=lambda winner: winner[0].key(winner[1]))
    return sizes.subsets[:, position]
