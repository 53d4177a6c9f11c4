"""The rows that a best-subset search is asked about, and what follows from one of its subsets."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from sse_flows.errors import SSEError
from sse_flows.models.columns import Floats, TrainingDataError
from sse_flows.models.subset_scores import (
    Score,
    SubsetScores,
    best_of_ties,
)
from sse_flows.models.subset_search import (
    SizeWinners,
    SubsetProblem,
    SubsetSearch,
    estimate_seconds,
    fit_margins,
    leave_one_out_margins,
)

SAMPLED = 24
"""Columns whose subsets are tried to estimate the time of more."""
Winner = tuple[tuple[int, ...], SubsetScores]
"""Columns of a subset and its leave-one-out scores."""


@dataclass(frozen=True)
class Rows:
    """The usable columns of a training table, standardised, and their target."""

    values: Floats
    target: NDArray[np.bool_]
    columns: NDArray[np.intp]
    """Their numbers in the table given."""
    mean: Floats
    scale: Floats
    problem: SubsetProblem

    @classmethod
    def of(
        cls,
        values: Floats,
        target: NDArray[np.bool_],
        columns: NDArray[np.intp],
        C: float,
        standardize: bool,
    ) -> Rows:
        """Standardise values of shape (n_rows, n_columns), numbered `columns` in the table."""
        mean, scale = values.mean(axis=0), values.std(axis=0)
        scale[scale == 0] = 1.0  # a spread that underflows
        # a penalty on raw coefficients is one on standardised ones, divided by the variance
        variance = np.ones(len(columns)) if standardize else scale**2
        problem = SubsetProblem((values - mean) / scale, target, 1.0 / (C * variance))
        return cls(values, target, columns, mean, scale, problem)

    def days(self) -> float:
        """Days that all subsets take, roughly: those of 24 columns, times the number of others."""
        few = SubsetProblem(
            self.problem.design[:, :SAMPLED], self.target, self.problem.penalty[:SAMPLED]
        )
        seconds = estimate_seconds(few, sample_seconds=0.3)
        return seconds * 2.0 ** max(len(self.columns) - SAMPLED, 0) / 86400

    def shown(self, standardize: bool) -> Floats:
        """The columns as a plain LogisticRegression is to see them."""
        return self.problem.design if standardize else self.values


def winner_of(size: SizeWinners, rows: Rows, score: Score) -> Winner:
    """The subset of one size that the rule chooses of those that tie."""
    ties = [
        (subset, SubsetScores.of(leave_one_out_margins(rows.problem, subset), rows.target))
        for subset in size.subsets
    ]
    return best_of_ties(ties, score)


def coefficients(problem: SubsetProblem, subset: tuple[int, ...]) -> tuple[Floats, float]:
    """Coefficients and intercept on the standardised columns, from the fitted margins.

    The columns are centred, so the mean margin is the intercept. At the optimum the coefficients,
    times the roots of their penalties, lie in the row space of the columns divided by them: the
    solution of least norm.
    """
    root = np.sqrt(problem.penalty[list(subset)])
    columns = problem.design[:, list(subset)] / root
    margins = fit_margins(problem, subset)
    intercept = float(margins.mean())
    scaled, *_ = np.linalg.lstsq(columns, margins - intercept, rcond=None)
    return scaled / root, intercept


def refuse_gaps(gaps: NDArray[np.bool_], names: list[str]) -> None:
    """Refuse missing values.

    Raises
    ------
    TrainingDataError
        Naming the columns of `gaps`, shape (n_rows, n_columns), that have one.
    """
    empty = gaps.sum(axis=0)
    if empty.any():
        where = ", ".join(f"{names[j]} ({empty[j]} rows)" for j in np.flatnonzero(empty))
        raise TrainingDataError(
            f"values are missing (NaN) in {where}",
            mend="Impute them in a Pipeline, or pass missing='median'",
        )


def check_complete(
    search: SubsetSearch, problem: SubsetProblem, max_features: int, score: Score
) -> None:
    """Refuse a search that is not of all subsets of this problem.

    Raises
    ------
    SSEError
        If it is of other rows, columns or sizes or of another score, or parts of it are missing.
    """
    asked = (problem.digest(), max_features, score)
    if (search.problem, search.max_features, search.score_name) != asked:
        raise SSEError(
            f"the search is of another table or other parameters: {search.n_columns} columns, "
            f"up to {search.max_features} features, by {search.score_name}",
            mend="Give the table and the parameters of the search",
        )
    if not search.complete:
        total = sum(comb(problem.n_columns, size) for size in range(1, max_features + 1))
        raise SSEError(
            f"the search holds {search.n_subsets:,} of {total:,} subsets",
            mend="Merge all parts of it",
        )
