"""Conformal intervals and prediction sets from leave-one-out.

V. Vovk, A. Gammerman and G. Shafer, Algorithmic Learning in a Random World (2005); R. F. Barber,
E. J. Candès, A. Ramdas and R. J. Tibshirani, Ann. Stat. 49, 486 (2021) for the jackknife+. What
they promise is a coverage averaged over compounds drawn like the training compounds; outside the
applicability domain they promise nothing. The jackknife+ at level 1 - a covers at least 1 - 2a
whatever the data, and in practice 1 - a; the plain jackknife, which a saved model allows since it
needs the leave-one-out errors but not the leave-one-out models, does so in practice only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sse_flows.errors import SSEError
from sse_flows.models.columns import Floats, check_target

if TYPE_CHECKING:
    from sse_flows.models.document import TrainedModels, TrainingRow

LEVEL = 0.9
LABELS = ("not superionic", "superionic")


def conformal_quantile(scores: ArrayLike, level: float) -> float:
    """Score that a new compound stays below with at least the probability `level`.

    The ceil((n + 1) level)-th smallest of n nonconformity scores; infinite where n is too small for
    the level (9 scores allow 0.9, 19 allow 0.95).

    Raises
    ------
    SSEError
        If the level is not between 0 and 1 or a score is NaN.
    """
    values = np.sort(_finite(scores, level))
    # (n + 1) level as decimals: 0.9 * 10 must not become the 10th smallest by rounding
    rank = int(np.ceil(round((len(values) + 1) * level, 9)))
    return float(values[rank - 1]) if rank <= len(values) else np.inf


def jackknife_interval(
    predictions: ArrayLike, residuals: ArrayLike, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Intervals about predictions, of the width of the leave-one-out residuals.

    Parameters
    ----------
    predictions
        Of the model of all rows, shape (n_new,); any unit, log10(S/cm) here.
    residuals
        Measured minus leave-one-out prediction of the training rows, shape (n_rows,).
    level
        Share of new compounds that the interval should hold.

    Returns
    -------
    Lower and upper ends, shape (n_new,); infinite where there are too few residuals.
    """
    half = conformal_quantile(np.abs(np.asarray(residuals, dtype=float)), level)
    centre = np.asarray(predictions, dtype=float)
    return centre - half, centre + half


def jackknife_plus_interval(
    fold_predictions: ArrayLike, residuals: ArrayLike, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Intervals from the predictions of every leave-one-out model.

    Parameters
    ----------
    fold_predictions
        Of new compounds by the model without row i, shape (n_rows, n_new).
    residuals
        Measured minus predicted of row i by the same model, shape (n_rows,).

    Returns
    -------
    Lower and upper ends, shape (n_new,).
    """
    folds = np.asarray(fold_predictions, dtype=float)
    half = np.abs(np.asarray(residuals, dtype=float))[:, None]
    upper = [conformal_quantile(column, level) for column in (folds + half).T]
    lower = [-conformal_quantile(column, level) for column in (half - folds).T]
    return np.array(lower), np.array(upper)


def prediction_sets(
    probabilities: ArrayLike, loo_probabilities: ArrayLike, target: ArrayLike, level: float = LEVEL
) -> NDArray[np.bool_]:
    """Classes that cannot be excluded at a level, each held to its own leave-one-out scores.

    The score of a row is one minus the probability of its class. Quantiles are per class
    ("Mondrian"), so that the rarer class is covered as often as the other.

    Parameters
    ----------
    probabilities
        Of the positive class of new compounds, shape (n_new,).
    loo_probabilities, target
        Leave-one-out probability of the positive class and class (0 or 1) of the training rows.

    Returns
    -------
    Mask of shape (n_new, 2): negative, positive. Both: the model cannot tell. None: it is unlike
    the training compounds of either class.
    """
    new = np.asarray(probabilities, dtype=float)
    known, positive = np.asarray(loo_probabilities, dtype=float), np.asarray(target) > 0.5
    limits = (
        conformal_quantile(known[~positive], level),
        conformal_quantile(1.0 - known[positive], level),
    )
    return np.stack([new <= limits[0], 1.0 - new <= limits[1]], axis=1)


def set_labels(allowed: ArrayLike) -> list[str]:
    """Names of the classes in one row of `prediction_sets`."""
    return [label for label, there in zip(LABELS, np.asarray(allowed), strict=True) if there]


@dataclass(frozen=True)
class ConformalModels:
    """Calibration of saved models by the leave-one-out predictions in their document."""

    level: float
    residuals: Floats
    """Measured minus predicted, log10(S/cm), shape (n_rows,); nested where the models have them."""
    probabilities: Floats
    """Of superionic, shape (n_rows,); nested where the models have them, else optimistic."""
    superionic: NDArray[np.bool_]
    nested: bool
    """Whether the probabilities are of descriptors chosen inside the folds."""

    @classmethod
    def of(cls, models: TrainedModels, level: float = LEVEL) -> Self:
        """From trained models; only their training rows are read."""
        _check_level(level)
        rows = models.training
        inside = [row.nested_probability for row in rows if row.nested_probability is not None]
        nested = len(inside) == len(rows)
        return cls(
            level,
            np.array([row.log10_measured - _predicted(row) for row in rows]),
            np.array(inside if nested else [row.probability for row in rows]),
            np.array([row.superionic for row in rows]),
            nested,
        )

    def intervals(self, predictions: ArrayLike) -> tuple[Floats, Floats]:
        """Ends of the intervals about predictions, log10(S/cm)."""
        return jackknife_interval(predictions, self.residuals, self.level)

    def sets(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """Classes that cannot be excluded, shape (n_new, 2)."""
        return prediction_sets(probabilities, self.probabilities, self.superionic, self.level)


class JackknifePlus(RegressorMixin, BaseEstimator):
    """Any regressor with jackknife+ intervals: one model a row is kept.

    Parameters
    ----------
    estimator : regressor
        Cloned, never changed.
    level : float
        Share of new compounds that an interval should hold.

    Attributes
    ----------
    estimator_ : regressor
        Fitted to all rows.
    folds_ : list of regressors
        Fitted without each row.
    residuals_ : ndarray of shape (n_rows,)
        Measured minus predicted, of each row by the model without it.
    """

    def __init__(self, estimator: Any, level: float = LEVEL):
        self.estimator = estimator
        self.level = level

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to all rows and without each; X of shape (n_rows, n_columns), y of (n_rows,)."""
        _check_level(self.level)
        check_target(y)
        target = np.asarray(y, dtype=float)
        check_consistent_length(X, target)
        self.estimator_ = clone(self.estimator).fit(X, target)
        rows = np.arange(len(target))
        self.folds_ = [
            clone(self.estimator).fit(_take(X, rows != i), target[rows != i]) for i in rows
        ]
        left_out = [fold.predict(_take(X, rows == i))[0] for i, fold in enumerate(self.folds_)]
        self.residuals_ = target - np.array(left_out)
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Predictions of the model of all rows, shape (n_new,)."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(X)

    def predict_interval(self, X: ArrayLike) -> tuple[Floats, Floats]:
        """Lower and upper ends, shape (n_new,)."""
        check_is_fitted(self, "folds_")
        folds = np.array([fold.predict(X) for fold in self.folds_])
        return jackknife_plus_interval(folds, self.residuals_, self.level)


def _predicted(row: TrainingRow) -> float:
    """What a forest says that has not seen the row, and has chosen nothing with it in sight."""
    inside = row.nested_log10_predicted
    return row.log10_predicted if inside is None else inside


def _take(X: Any, mask: NDArray[np.bool_]) -> Any:
    """Some rows of a table or an array."""
    return X.iloc[mask] if hasattr(X, "iloc") else np.asarray(X)[mask]


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise SSEError(f"{level=} is not between 0 and 1", mend="0.9 holds nine of ten compounds")


def _finite(scores: ArrayLike, level: float) -> Floats:
    _check_level(level)
    values = np.asarray(scores, dtype=float)
    missing = int(np.isnan(values).sum())
    if missing:
        raise SSEError(
            f"{missing} of {values.size} leave-one-out scores are missing",
            mend="Leave rows without a measured value out",
        )
    return values
