"""Scores of one subset of columns: ours from margins, and scikit-learn's own beside them.

A margin is the log odds of the positive class. A row is predicted positive where it is above zero,
as in scikit-learn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sse_flows.models.columns import Floats

Score = Literal["accuracy", "f1", "log_loss"]
SCORES: tuple[Score, ...] = ("accuracy", "f1", "log_loss")

TIE_DIGITS = 7
"""Log losses that agree to so many digits are equal: duplicate columns differ by rounding only."""


@dataclass(frozen=True)
class SubsetScores:
    """Scores of predictions of every row.

    Attributes
    ----------
    accuracy
        Share of rows in the right class.
    f1
        F1 score of the positive class; 0 where nothing is or is called positive.
    log_loss
        Mean negative log likelihood, nats.
    """

    accuracy: float
    f1: float
    log_loss: float

    @classmethod
    def of(cls, margins: Floats, target: NDArray[np.bool_]) -> SubsetScores:
        """Scores of margins of shape (n_rows,)."""
        positive = margins > 0
        errors = int(np.sum(positive != target))
        hits = int(np.sum(positive & target))
        loss = np.logaddexp(0.0, np.where(target, -margins, margins)).mean()
        return cls(
            accuracy=(len(target) - errors) / len(target),
            f1=2 * hits / max(2 * hits + errors, 1),
            log_loss=float(loss),
        )

    def key(self, score: Score) -> tuple[float, float, float]:
        """Sorting key, smallest best: the score, then F1, then the log loss."""
        loss = round(self.log_loss, TIE_DIGITS)
        first = loss if score == "log_loss" else -round(getattr(self, score), 12)
        return first, -round(self.f1, 12), loss


def best_of_ties(
    ties: Iterable[tuple[tuple[int, ...], SubsetScores]], score: Score
) -> tuple[tuple[int, ...], SubsetScores]:
    """The best of several subsets by key, then fewer columns, then their order."""
    return min(ties, key=lambda one: (*one[1].key(score), len(one[0]), one[0]))


def scikit_learn_scores(
    values: Floats, target: NDArray[np.bool_], C: float, score: Score
) -> tuple[float, float]:
    """Leave-one-out of scikit-learn's own LogisticRegression on the columns given.

    Parameters
    ----------
    values
        Shape (n_rows, n_columns), as the regression shall see them.
    target
        Shape (n_rows,).
    C
        Inverse strength of the L2 penalty.
    score
        Which of the scores.

    Returns
    -------
    With the default solver, lbfgs, stopped at its default 100 iterations, which on raw columns is
    short of the optimum; and with newton-cholesky, which reaches it.
    """
    exact = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    found = [_left_out(model, values, target) for model in (LogisticRegression(C=C), exact)]
    default, newton = (getattr(SubsetScores.of(margins, target), score) for margins in found)
    return default, newton


def _left_out(model: Any, values: Floats, target: NDArray[np.bool_]) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is what is shown
        return cross_val_predict(
            model, values, target, cv=LeaveOneOut(), method="decision_function"
        )
