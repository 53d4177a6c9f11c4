"""Controls that a leave-one-out score needs beside it: scrambled labels and families held together.

- Scrambled labels: how well the best of the same subsets does when conductivities are dealt out at
  random (y-scrambling; C. Rücker, G. Rücker and M. Meringer, J. Chem. Inf. Model. 47, 2345 (2007)).
  A score within this distribution is what the search finds in noise.
- Groups: compounds of one structural family are near copies, so a row left out is known to the
  model through its relatives. Leaving the whole family out shows what is learned beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.base import clone, is_classifier
from sklearn.model_selection import LeaveOneGroupOut

from sse_flows.errors import SSEError
from sse_flows.models.best_subset import BestSubsetClassifier
from sse_flows.models.columns import Floats, TrainingDataError, check_target, encode_classes
from sse_flows.models.document import ClassificationScores, RegressionScores
from sse_flows.models.validation import classification_scores, regression_scores


class ScrambleControl(BaseModel):
    """Best leave-one-out accuracy of the same search on permuted labels."""

    model_config = ConfigDict(extra="forbid")

    accuracy: float = Field(description="Best leave-one-out accuracy with the true labels")
    scrambled: list[float] = Field(description="The same of every permutation, in order")
    median: float = Field(description="Median of the permutations")
    quantile_95: float = Field(description="95th percentile of the permutations")
    p_value: float = Field(
        description="(k + 1) / (n + 1), k of n permutations being at least as accurate"
    )
    max_features: int = Field(description="Largest subset that was searched")
    random_state: int = Field(description="Seed of the permutations")


class GroupedScores(BaseModel):
    """Scores with every group of compounds predicted by a model that has seen none of it."""

    model_config = ConfigDict(extra="forbid")

    groups: dict[str, int] = Field(description="Compounds in each group, largest first")
    scores: ClassificationScores | RegressionScores = Field(
        description="Of all rows together, everything chosen inside the folds"
    )
    baseline: ClassificationScores | RegressionScores = Field(
        description="Majority class or mean of the other groups"
    )
    predictions: list[float] = Field(
        description="Per row: probability of the positive class, or the predicted value"
    )


def scramble_control(
    estimator: BestSubsetClassifier,
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_permutations: int = 100,
    random_state: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ScrambleControl:
    """Search the subsets again and again with permuted labels.

    Parameters
    ----------
    estimator
        The search to test; it is not changed.
    X
        Descriptors, shape (n_rows, n_columns); NaN where missing.
    y
        Two kinds of labels, shape (n_rows,).
    n_permutations
        The smallest p-value is 1 / (n_permutations + 1).
    progress
        Called after each with how many are done, and of how many.

    Raises
    ------
    SSEError
        If no permutation is asked for.
    TrainingDataError
        As `BestSubsetClassifier.fit`.
    """
    if n_permutations < 1:
        raise SSEError(f"{n_permutations=} is not positive", mend="Ask for 100 or more")
    observed = clone(estimator).fit(X, y)
    rng, labels = np.random.default_rng(random_state), np.asarray(y)
    scrambled = []
    for done in range(1, n_permutations + 1):
        scrambled.append(clone(estimator).fit(X, rng.permutation(labels)).loo_accuracy_)
        if progress is not None:
            progress(done, n_permutations)
    as_good = np.sum(np.array(scrambled) >= observed.loo_accuracy_ - 1e-12)
    return ScrambleControl(
        accuracy=observed.loo_accuracy_,
        scrambled=scrambled,
        median=float(np.median(scrambled)),
        quantile_95=float(np.quantile(scrambled, 0.95)),
        p_value=float((as_good + 1) / (n_permutations + 1)),
        max_features=estimator.max_features,
        random_state=random_state,
    )


def leave_one_group_out(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> GroupedScores:
    """Predict every group by a copy of the estimator that has seen none of it.

    Parameters
    ----------
    estimator
        A scikit-learn classifier of two classes or a regressor; all it does, a choice of columns
        included, it does inside the folds.
    X
        Shape (n_rows, n_columns).
    y
        Shape (n_rows,).
    groups
        Label of each row's group, shape (n_rows,).
    progress
        Called after each group with how many are done, and of how many.

    Raises
    ------
    TrainingDataError
        If a group or the target is missing somewhere, there is but one group, or only one class is
        left without some group.
    """
    labels = _checked_groups(groups)
    classify = is_classifier(estimator)
    check_target(y)
    target = encode_classes(y)[1] if classify else np.asarray(y, dtype=float)
    if len(labels) != len(target):
        raise TrainingDataError(
            f"{len(labels)} groups for {len(target)} rows", mend="Give one group a row"
        )
    held, others = np.empty(len(target)), np.empty(len(target))
    n_groups = len(np.unique(labels))
    for done, (train, test) in enumerate(LeaveOneGroupOut().split(target, target, labels), 1):
        if classify and len(np.unique(target[train])) < 2:
            raise TrainingDataError(
                f"without group {labels[test][0]} only one class is left",
                mend="Use coarser or finer groups, or bring more compounds",
            )
        fresh = clone(estimator).fit(_take(X, train), target[train])
        left_out = _take(X, test)
        held[test] = fresh.predict_proba(left_out)[:, 1] if classify else fresh.predict(left_out)
        others[test] = target[train].mean()
        if progress is not None:
            progress(done, n_groups)
    return GroupedScores(
        groups={str(name): int(n) for name, n in pd.Series(labels).value_counts().items()},
        scores=_scores(classify, target, held),
        baseline=_scores(classify, target, others),
        predictions=held.tolist(),
    )


def _scores(
    classify: bool, target: Floats, held: Floats
) -> ClassificationScores | RegressionScores:
    score = classification_scores if classify else regression_scores
    return score(target, held, "inside the folds")


def _checked_groups(groups: ArrayLike) -> NDArray[Any]:
    labels = np.asarray(groups, dtype=object)
    missing = int(pd.isna(labels).sum())
    if missing:
        raise TrainingDataError(
            f"the group is missing in {missing} of {len(labels)} rows",
            mend="Fill in the column; a compound without relatives is a group of its own",
        )
    labels = labels.astype(str)
    if len(np.unique(labels)) < 2:
        raise TrainingDataError(
            f"{len(np.unique(labels))} group is no cross-validation",
            mend="Give groups that divide the table",
        )
    return labels


def _take(X: Any, rows: NDArray[np.intp]) -> Any:
    """Some rows of a table or an array."""
    return X.iloc[rows] if hasattr(X, "iloc") else np.asarray(X)[rows]
