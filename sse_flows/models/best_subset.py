"""Best-subset logistic regression: every subset of the columns, scored by exact leave-one-out.

After J. Kim et al., who score all subsets of 30 descriptors of 45 conductors and keep the best. The
search itself is `sse_flows.models.subset_search`; here it is a scikit-learn classifier.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from sse_flows.errors import SSEError
from sse_flows.models.columns import Floats, column_names, encode_classes, usable_columns
from sse_flows.models.subset_rows import Rows, check_complete, coefficients, refuse_gaps, winner_of
from sse_flows.models.subset_scores import (
    SCORES,
    Score,
    SubsetScores,
    best_of_ties,
    scikit_learn_scores,
)
from sse_flows.models.subset_search import (
    SearchProgress,
    SizeWinners,
    SubsetSearch,
    fit_margins,
    leave_one_out_margins,
    search_subsets,
)

LARGE = 40
"""Columns above which all subsets are not searched without being asked for twice."""


class BestSubsetClassifier(ClassifierMixin, BaseEstimator):
    """Logistic regression on the subset of columns with the best leave-one-out score.

    All subsets are scored, every row being predicted by a fit to the others; nothing is sampled.
    For every number of features the best score and the subsets that reach it are kept. One is
    chosen: the best score over all sizes; of those that tie the largest leave-one-out F1 of the
    positive class, then the smallest leave-one-out log loss, then the fewest features, then the
    order of the columns.

    Columns are standardised once, on the rows given to `fit`, not inside each inner fold. Constant
    columns are left out (`dropped_`). The score of the winner is the best of very many and
    therefore optimistic: quote `nested_leave_one_out` beside it.

    Parameters
    ----------
    max_features : int, optional
        Largest subset that is tried; all sizes by default.
    C : float
        Inverse strength of the L2 penalty, as in scikit-learn. Without a penalty separable data
        have no solution: a large `C` is practically unpenalised.
    standardize : bool
        Penalise the coefficients of standardised columns; otherwise of the columns as given.
    scoring : {"accuracy", "f1", "log_loss"}
        What is best by leave-one-out; F1 is that of the positive class.
    certify : bool
        Prove every bound by which subsets are passed over; slower.
    tie_cap : int
        Subsets of each size kept of those that tie; the first in the order of columns.
    missing : {"refuse", "median"}
        What to do with NaN: refuse, or fill with the median of the rows given to `fit`.
    rescore : bool
        Also score the best subset of every size by scikit-learn itself: up to seconds each.
    kernel : str
        Which implementation searches, see `sse_flows.models.subset_search.available_kernels`.
    n_jobs : int, optional
        Threads of the search; one a core by default.
    checkpoint : path, optional
        File from which a search that was stopped goes on.
    progress : callable, optional
        Called now and then with a `sse_flows.models.subset_search.SearchProgress`.
    allow_large : bool
        Search more than 40 columns in full, whatever the time.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Labels, sorted; the second is the positive one.
    features_ : tuple of str
        The chosen columns.
    support_ : ndarray of bool, shape (n_features_in_,)
        Mask of the chosen columns.
    dropped_ : dict
        Columns that could not be used, with the reason.
    cv_results_ : pandas.DataFrame
        Best subset of every size, see there.
    search_ : SubsetSearch
        What the search found; its columns are the usable ones.
    certified_ : bool
        Whether every bound was proven.
    loo_probabilities_ : ndarray of shape (n_rows,)
        Leave-one-out probability of the positive class.
    loo_accuracy_ : float
        Leave-one-out accuracy of the chosen subset.
    coef_, intercept_ : ndarray of shape (1, n_chosen), (1,)
        On standardised columns, or on raw ones without `standardize`.
    raw_coef_, raw_intercept_ : ndarray of shape (1, n_chosen), (1,)
        On the columns as given, in 1/unit of the column.
    """

    def __init__(
        self,
        max_features: int | None = None,
        C: float = 1.0,
        *,
        standardize: bool = True,
        scoring: Score = "accuracy",
        certify: bool = False,
        tie_cap: int = 1000,
        missing: Literal["refuse", "median"] = "refuse",
        rescore: bool = True,
        kernel: str = "auto",
        n_jobs: int | None = None,
        checkpoint: str | PathLike[str] | None = None,
        progress: Callable[[SearchProgress], None] | None = None,
        allow_large: bool = False,
    ):
        self.max_features = max_features
        self.C = C
        self.standardize = standardize
        self.scoring = scoring
        self.certify = certify
        self.tie_cap = tie_cap
        self.missing = missing
        self.rescore = rescore
        self.kernel = kernel
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint
        self.progress = progress
        self.allow_large = allow_large

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Score every subset and fit the best to all rows.

        Parameters
        ----------
        X
            Shape (n_rows, n_columns).
        y
            Two kinds of labels, shape (n_rows,).

        Raises
        ------
        TrainingDataError
            If a value or a label is missing, a class has but one row, or no column varies.
        SSEError
            If a parameter is out of range, or there are too many columns to search in full.
        """
        rows = self._prepare(X, y)
        return self._conclude(rows, self._search(rows))

    def fit_search(self, X: ArrayLike, y: ArrayLike, search: SubsetSearch) -> Self:
        """As `fit`, with a search of the same rows done elsewhere, of merged parts for instance.

        Raises
        ------
        SSEError
            If the search is of other columns or another score, or parts of it are missing.
        """
        rows = self._prepare(X, y)
        check_complete(search, rows.problem, self._largest(rows), self.scoring)
        return self._conclude(rows, search)

    def search_part(self, X: ArrayLike, y: ArrayLike, part: tuple[int, int]) -> SubsetSearch:
        """Search part `i` of `n`, counted from 0; this object is not changed.

        `sse_flows.models.subset_search.merge_searches` makes one of all parts for `fit_search`.
        """
        fresh = clone(self)
        return fresh._search(fresh._prepare(X, y), part)

    @property
    def cv_results_(self) -> pd.DataFrame:
        """Best subset of every size.

        Columns: `n_features`, `features`, `score` (leave-one-out), `accuracy`, `f1`, `log_loss`
        (the same subset's), `train_score` (on the rows it was fitted to), `score_sklearn` and
        `score_sklearn_newton` (scikit-learn's LogisticRegression and LeaveOneOut with its default
        solver, which stops early on raw columns, and with newton-cholesky; NaN without `rescore`),
        `n_tied` (subsets of this size with this score, see `ties`), `n_subsets`, `chosen`.
        """
        check_is_fitted(self, "support_")
        table = pd.DataFrame(self._sizes)
        return table.assign(chosen=table["n_features"] == len(self.features_))

    @property
    def search_(self) -> SubsetSearch:
        """What the search found; kept as text, so that a saved model needs no other type."""
        check_is_fitted(self, "support_")
        return SubsetSearch.from_dict(json.loads(self._found))

    def ties(self, n_features: int) -> list[tuple[str, ...]]:
        """Subsets of a size that share its best score, in the order of columns, to `tie_cap`."""
        names = [name for name in column_names(self) if name not in self.dropped_]
        found = {one.n_features: one.subsets for one in self.search_.sizes}
        return [tuple(names[column] for column in subset) for subset in found[n_features]]

    def decision_function(self, X: ArrayLike) -> Floats:
        """Log odds of the positive class, shape (n_rows,)."""
        check_is_fitted(self, "support_")
        values = self._values(X, reset=False)[:, self.support_]
        return values @ self.raw_coef_[0] + self.raw_intercept_[0]

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probabilities of the two classes, shape (n_rows, 2)."""
        margins = self.decision_function(X)
        return np.column_stack([expit(-margins), expit(margins)])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Labels, shape (n_rows,)."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def nested_leave_one_out(
        self,
        X: ArrayLike,
        y: ArrayLike,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[Floats, list[tuple[str, ...]]]:
        """Leave-one-out of the whole procedure: the subset is chosen anew without each row.

        Equal to ``cross_val_predict(self, X, y, cv=LeaveOneOut(), method="predict_proba")[:, 1]``;
        this object is not changed. As many searches as there are rows.

        Parameters
        ----------
        X, y
            As for `fit`; each class needs three rows.
        progress
            Called after each row with how many are done and of how many.

        Returns
        -------
        Probabilities of the positive class, shape (n_rows,), and the columns chosen in each fold.
        """
        encode_classes(y, least=3)
        table = X if isinstance(X, pd.DataFrame) else np.asarray(X)
        labels = np.asarray(y)
        probabilities, chosen = np.empty(len(labels)), []
        for i in range(len(labels)):
            kept = np.arange(len(labels)) != i
            model = self.without_extras().fit(table[kept], labels[kept])
            one = table.iloc[[i]] if isinstance(table, pd.DataFrame) else table[[i]]
            probabilities[i] = model.predict_proba(one)[0, 1]
            chosen.append(model.features_)
            if progress is not None:
                progress(i + 1, len(labels))
        return probabilities, chosen

    def without_extras(self) -> Self:
        """An unfitted copy for a fold: no checkpoint, no progress, no scores by scikit-learn."""
        return clone(self).set_params(checkpoint=None, progress=None, rescore=False)

    def _prepare(self, X: ArrayLike, y: ArrayLike) -> Rows:
        """Check everything that can be checked before the search."""
        _check_parameters(self)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        self.classes_, target = encode_classes(y)
        values = self._values(X, reset=True)
        if len(values) != len(target):
            raise ValueError(f"X has {len(values)} rows, y {len(target)}: inconsistent numbers")
        usable, self.dropped_ = usable_columns(values, column_names(self))
        columns = np.flatnonzero(usable)
        rows = Rows.of(values[:, columns], target > 0.5, columns, self.C, self.standardize)
        self._refuse_large(rows)
        return rows

    def _values(self, X: ArrayLike, *, reset: bool) -> Floats:
        """Values without gaps, shape (n_rows, n_columns)."""
        least = 2 if reset else 1
        values = validate_data(
            self,
            X,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            ensure_min_samples=least,
        )
        gaps = np.isnan(values)
        if self.missing == "refuse":
            refuse_gaps(gaps, column_names(self))
        elif reset:
            empty = gaps.all(axis=0)  # such a column stays empty, to be dropped by that reason
            self._medians = np.zeros(values.shape[1])
            self._medians[~empty] = np.nanmedian(values[:, ~empty], axis=0)
            gaps &= ~empty
        return np.where(gaps, self._medians, values) if gaps.any() else values

    def _refuse_large(self, rows: Rows) -> None:
        n_columns = len(rows.columns)
        if n_columns <= LARGE or self.max_features is not None or self.allow_large:
            return
        raise SSEError(
            f"all {2.0**n_columns:.1e} subsets of {n_columns} columns would take roughly "
            f"{rows.days():,.0f} days",
            mend="Give max_features, fewer columns, or allow_large=True if that is meant",
        )

    def _search(self, rows: Rows, part: tuple[int, int] = (0, 1)) -> SubsetSearch:
        return search_subsets(
            rows.problem,
            max_features=self._largest(rows),
            score=self.scoring,
            certify=self.certify,
            ties=True,
            tie_cap=self.tie_cap,
            n_jobs=self.n_jobs,
            kernel=self.kernel,
            part=part,
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
            progress=self.progress,
        )

    def _largest(self, rows: Rows) -> int:
        n_columns = len(rows.columns)
        return n_columns if self.max_features is None else min(self.max_features, n_columns)

    def _conclude(self, rows: Rows, search: SubsetSearch) -> Self:
        """Choose one of the winners and fit it."""
        winners = [winner_of(one, rows, self.scoring) for one in search.sizes if one.subsets]
        best, _ = best_of_ties(winners, self.scoring)
        names = np.array(column_names(self))
        self.support_ = np.isin(np.arange(len(names)), rows.columns[list(best)])
        self.features_ = tuple(names[self.support_].tolist())
        self._fit_chosen(rows, best)
        sizes = {one.n_features: one for one in search.sizes}
        self._sizes = [self._row(sizes[len(s)], s, scores, rows) for s, scores in winners]
        self._found = json.dumps(search.to_dict())
        self.certified_ = bool(search.certified)
        return self

    def _fit_chosen(self, rows: Rows, subset: tuple[int, ...]) -> None:
        chosen = list(subset)
        left_out = leave_one_out_margins(rows.problem, subset)
        self.loo_probabilities_ = expit(left_out)
        self.loo_accuracy_ = SubsetScores.of(left_out, rows.target).accuracy
        weights, intercept = coefficients(rows.problem, subset)
        self.raw_coef_ = (weights / rows.scale[chosen])[None]
        self.raw_intercept_ = intercept - self.raw_coef_ @ rows.mean[chosen]
        if self.standardize:
            self.coef_, self.intercept_ = weights[None], np.array([intercept])
        else:
            self.coef_, self.intercept_ = self.raw_coef_, self.raw_intercept_

    def _row(
        self, winners: SizeWinners, subset: tuple[int, ...], scores: SubsetScores, rows: Rows
    ) -> dict[str, Any]:
        """Row of `cv_results_`."""
        fitted = SubsetScores.of(fit_margins(rows.problem, subset), rows.target)
        default = newton = np.nan
        if self.rescore:
            values = rows.shown(self.standardize)[:, list(subset)]
            default, newton = scikit_learn_scores(values, rows.target, self.C, self.scoring)
        names = column_names(self)
        return {
            "n_features": len(subset),
            "features": [names[column] for column in rows.columns[list(subset)]],
            "score": getattr(scores, self.scoring),
            **asdict(scores),
            "train_score": getattr(fitted, self.scoring),
            "score_sklearn": float(default),
            "score_sklearn_newton": float(newton),
            "n_tied": int(winners.n_tied),
            "n_subsets": int(winners.n_subsets),
        }

    def __sklearn_tags__(self) -> Any:
        """Missing values only where they are filled; more than two classes never."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "median"
        tags.classifier_tags.multi_class = False
        return tags


def _check_parameters(model: BestSubsetClassifier) -> None:
    largest, C = model.max_features, model.C
    if (largest is not None and largest < 1) or not 0 < C < np.inf:
        raise SSEError(
            f"max_features={largest} and C={C} are not both positive and finite",
            mend="Without a penalty separable data have no solution: choose a large C instead",
        )
    for name, valid in (("scoring", SCORES), ("missing", ("refuse", "median"))):
        given = getattr(model, name)
        if given not in valid:
            raise SSEError(f"{name}={given!r} is not one of {', '.join(valid)}", mend="Choose one")
