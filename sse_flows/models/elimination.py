"""Random-forest regression by backward elimination, after J. Kim et al. (2024).

They start from all descriptors, drop the least useful one by leave-one-out RMSE, and stop before
the RMSE rises by 10 %. The paper does not say above what; here it is above the smallest RMSE of any
round so far, the one of all descriptors included, so that a path that first improves may not give
its gain away again.

All candidates of a round by leave-one-out are 464 sets of 45 to 50 forests each, an hour of trees.
So a round ranks its candidates out of bag, with the same seeds for all, and scores only the best
few by leave-one-out: these decide, and every number that is reported is theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sse_flows.errors import SSEError
from sse_flows.models.columns import Floats, checked_rows, column_names, usable_columns
from sse_flows.models.trees import Bootstrap, Folds, out_of_bag

TOLERANCE = 0.1
"""Rise of the RMSE at which the published elimination stops."""

Progress = Callable[[int, float], None]
"""Called after every round with the number of descriptors left and the RMSE, log10(S/cm)."""


@dataclass
class _Round:
    """One step of the path, as `cv_results_` shows it."""

    n_features: int
    dropped: str
    features: list[str]
    rmse: float
    r2: float


class BackwardEliminationForest(RegressorMixin, BaseEstimator):
    """Random forest on the fewest columns whose leave-one-out RMSE stays within a tolerance.

    Missing values (NaN) are filled with the median of the rows of each fold. A column that is
    missing everywhere or constant is left out beforehand (`dropped_`). The scores of the path
    belong to columns that were chosen with all rows in sight: cross-validate this estimator as a
    whole (``leave_one_out(BackwardEliminationForest(), X, y)``) for what a new compound may expect.

    Parameters
    ----------
    n_estimators : int
        Trees of each forest that is scored by leave-one-out, and of the final one.
    tolerance : float
        Largest rise of the RMSE over the smallest one so far; 0.1 is 10 %.
    n_confirm : int
        Candidates of each round, the best out of bag, that are scored by leave-one-out.
    ranking_trees : int
        Trees of each forest that ranks a candidate out of bag; a row is out of bag of a third.
    min_features : int
        Columns that are always kept.
    max_features, min_samples_leaf
        As in `RandomForestRegressor`.
    random_state : int, RandomState instance or None
        Seed; the same seed and rows give the same path.
    progress : callable, optional
        Called after every round with the number of columns and the RMSE.

    Attributes
    ----------
    features_ : tuple of str
        The chosen columns.
    support_ : ndarray of bool, shape (n_features_in_,)
        Mask of the chosen columns.
    dropped_ : dict
        Columns that could not be used, with the reason.
    cv_results_ : pandas.DataFrame
        One row a round: `n_features`, `dropped` (the column that went, empty at first), `features`,
        `rmse`, `r2` (leave-one-out), `chosen`. The last may be the round that was refused.
    loo_predictions_ : ndarray of shape (n_rows,)
        Leave-one-out predictions with the chosen columns.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Mean decrease of the variance (Gini importance), summing to 1; 0 for columns not chosen.
    pipeline_ : Pipeline
        Imputer and forest fitted to the chosen columns of all rows.
    """

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        tolerance: float = TOLERANCE,
        n_confirm: int = 3,
        ranking_trees: int = 300,
        min_features: int = 1,
        max_features: float | str = 1.0,
        min_samples_leaf: int = 1,
        random_state: int | np.random.RandomState | None = 0,
        progress: Progress | None = None,
    ):
        self.n_estimators = n_estimators
        self.tolerance = tolerance
        self.n_confirm = n_confirm
        self.ranking_trees = ranking_trees
        self.min_features = min_features
        self.max_features = max_features
        self.min_samples_leaf = min_samples_leaf
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Eliminate columns and fit the forest of the remaining ones to all rows.

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
        SSEError
            If a parameter is out of range.
        """
        values, target = self._prepare(X, y)
        usable, self.dropped_ = usable_columns(values, column_names(self))
        seed = self._seed()
        path = _Path(values, target, column_names(self), self._tree_settings(), seed, self)
        columns = path.walk(np.flatnonzero(usable).tolist())
        self._rounds = [asdict(one) for one in path.rounds]
        self.support_ = np.isin(np.arange(values.shape[1]), columns)
        self.features_ = tuple(column_names(self)[column] for column in columns)
        self.loo_predictions_ = path.predictions
        self._fit_chosen(values, target, seed)
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Predicted log10 of the conductivity in S/cm, shape (n_rows,)."""
        check_is_fitted(self, "pipeline_")
        values = validate_data(
            self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        return self.pipeline_.predict(values[:, self.support_])

    def get_support(self) -> NDArray[np.bool_]:
        """Mask of the chosen columns, as scikit-learn's selectors give it."""
        check_is_fitted(self, "pipeline_")
        return self.support_

    @property
    def cv_results_(self) -> pd.DataFrame:
        """The rounds; made on demand, so that the estimator holds plain lists."""
        check_is_fitted(self, "pipeline_")
        table = pd.DataFrame(self._rounds)
        table["chosen"] = table["n_features"] == len(self.features_)
        return table

    def _prepare(self, X: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        counts = {
            name: getattr(self, name)
            for name in ("n_estimators", "n_confirm", "ranking_trees", "min_features")
        }
        if min(counts.values()) < 1 or not self.tolerance >= 0:
            raise SSEError(
                f"{counts} must be at least 1 and tolerance={self.tolerance} not negative",
                mend="The published elimination has n_estimators=100 and tolerance=0.1",
            )
        return checked_rows(self, X, y, least=3)

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _tree_settings(self) -> dict[str, Any]:
        return {"max_features": self.max_features, "min_samples_leaf": self.min_samples_leaf}

    def _fit_chosen(self, values: Floats, target: Floats, seed: int) -> None:
        forest = RandomForestRegressor(
            self.n_estimators, random_state=seed, **self._tree_settings()
        )
        self.pipeline_ = make_pipeline(SimpleImputer(strategy="median"), forest)
        self.pipeline_.fit(values[:, self.support_], target)
        self.feature_importances_ = np.zeros(values.shape[1])
        self.feature_importances_[self.support_] = self.pipeline_[-1].feature_importances_

    def __sklearn_tags__(self) -> Any:
        """Missing values are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class _Path:
    """The way from all columns to the chosen ones."""

    def __init__(
        self,
        values: Floats,
        target: Floats,
        names: list[str],
        settings: dict[str, Any],
        seed: int,
        asked: BackwardEliminationForest,
    ):
        self.names, self.settings, self.asked, self.target = names, settings, asked, target
        self.folds = Folds.of(values, target)
        # medians of all rows: good enough to rank by, never to report
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        self.filled = imputer.fit_transform(values)
        self.scoring = Bootstrap.draw(len(target) - 1, asked.n_estimators, seed)
        self.ranking = Bootstrap.draw(len(target), asked.ranking_trees, seed)
        self.rounds: list[_Round] = []
        self.predictions = np.empty(0)

    def walk(self, columns: list[int]) -> list[int]:
        """Columns that remain; `rounds` and `predictions` tell how."""
        self.predictions = self._predict(columns)
        best = self._note(columns, "", self.predictions)
        while len(columns) > self.asked.min_features:
            fewer, predictions = self._step(columns)
            gone = next(iter(set(columns) - set(fewer)))
            rmse = self._note(fewer, self.names[gone], predictions)
            if rmse > (1 + self.asked.tolerance) * best:
                break
            columns, self.predictions, best = fewer, predictions, min(best, rmse)
        return columns

    def _step(self, columns: list[int]) -> tuple[list[int], Floats]:
        """The best set with one column fewer, and its leave-one-out predictions."""
        candidates = [[c for c in columns if c != gone] for gone in columns]
        order = np.argsort([self._rank(candidate) for candidate in candidates], kind="stable")
        confirmed = [candidates[i] for i in order[: self.asked.n_confirm]]
        predictions = [self._predict(candidate) for candidate in confirmed]
        winner = int(np.argmin([_rmse(one, self.target) for one in predictions]))
        return confirmed[winner], predictions[winner]

    def _rank(self, columns: list[int]) -> float:
        seen = out_of_bag(self.filled[:, columns], self.target, self.ranking, **self.settings)
        there = ~np.isnan(seen)
        return _rmse(seen[there], self.target[there]) if there.any() else np.inf

    def _predict(self, columns: list[int]) -> Floats:
        return self.folds.predict(columns, self.scoring, **self.settings)

    def _note(self, columns: list[int], gone: str, predictions: Floats) -> float:
        rmse = _rmse(predictions, self.target)
        spread = float(np.mean((self.target - self.target.mean()) ** 2))
        r2 = 1.0 - rmse**2 / spread if spread > 0 else 0.0
        features = [self.names[column] for column in columns]
        self.rounds.append(_Round(len(columns), gone, features, rmse, r2))
        if self.asked.progress is not None:
            self.asked.progress(len(columns), rmse)
        return rmse


def _rmse(predictions: Floats, target: Floats) -> float:
    return float(np.sqrt(np.mean((predictions - target) ** 2)))
