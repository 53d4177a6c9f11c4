"""Scores of the models on a table side by side, and of a saved model on a table it never saw.

One number says little: the best of thousands of subsets looks good on anything. So beside the plain
leave-one-out there are the nested one, the one with families held together, the same search on
scrambled labels, and the naive guess.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models.columns import TrainingDataError, encode_classes
from sse_flows.models.controls import (
    GroupedScores,
    ScrambleControl,
    leave_one_group_out,
    scramble_control,
)
from sse_flows.models.document import ClassificationScores, RegressionScores, TrainedModels
from sse_flows.models.elimination import BackwardEliminationForest
from sse_flows.models.newton import Floats
from sse_flows.models.regressor import ConductivityForest
from sse_flows.models.subsets import BestSubsetLogisticRegression
from sse_flows.models.table import data_hash, descriptor_values, training_rows
from sse_flows.models.uncertainty import LEVEL, ConformalModels
from sse_flows.models.validation import (
    classification_scores,
    leave_one_out,
    majority_baseline,
    mean_baseline,
    regression_scores,
)

Scores = ClassificationScores | RegressionScores
SAME_COMPOUND = 1e-9
"""Distance, in standard deviations, below which two rows have the same descriptors."""


class ModelEvaluation(BaseModel):
    """One model, scored in every way that was asked for."""

    model_config = ConfigDict(extra="forbid")

    features: list[str] = Field(description="Descriptors of the model of all rows")
    plain: Scores = Field(description="Leave-one-out, descriptors chosen on all rows")
    nested: Scores | None = Field(description="Leave-one-out, descriptors chosen inside the folds")
    grouped: GroupedScores | None = Field(description="Leave-one-group-out, chosen inside")
    naive: Scores = Field(description="Leave-one-out of the majority class or the mean")


class Evaluation(BaseModel):
    """All models on one table."""

    model_config = ConfigDict(extra="forbid")

    n_rows: int = Field(description="Compounds with a measured conductivity and descriptors")
    n_superionic: int = Field(description="Of them above the threshold")
    threshold: float = Field(description="Conductivity above which one is superionic, S/cm")
    ignored: dict[str, str] = Field(description="Compounds left out, with the reason")
    data_hash: str = Field(description="SHA-256 of the rows")
    classifier: ModelEvaluation = Field(description="Best-subset logistic regression")
    scrambled: ScrambleControl | None = Field(description="The classifier on permuted labels")
    regressor: ModelEvaluation = Field(description="Random forest of all descriptors")
    elimination: ModelEvaluation | None = Field(description="Random forest after elimination")
    path: list[dict[str, Any]] = Field(
        default_factory=list, description="Rounds of the elimination, as in `cv_results_`"
    )
    seconds: dict[str, float] = Field(description="Wall time of each part, s")


class UnseenEvaluation(BaseModel):
    """A saved model on compounds that it was not trained on."""

    model_config = ConfigDict(extra="forbid")

    n_rows: int = Field(description="Compounds scored")
    seen: list[str] = Field(description="Compounds left out because the model was trained on them")
    ignored: dict[str, str] = Field(description="Compounds left out for other reasons")
    classification: ClassificationScores = Field(description="At the model's own threshold")
    naive_classification: ClassificationScores = Field(
        description="The share of superionic compounds that the model was trained on"
    )
    regression: RegressionScores = Field(description="Of log10 conductivity")
    naive_regression: RegressionScores = Field(description="The mean that it was trained on")
    level: float = Field(description="Nominal coverage")
    interval_coverage: float = Field(description="Share of compounds inside their interval")
    set_coverage: float = Field(description="Share of compounds whose class is in their set")
    undecided: float = Field(description="Share of compounds with both classes in their set")
    outside_domain: dict[str, int] = Field(description="Compounds outside the domain, by model")


def evaluate(
    table: pd.DataFrame,
    *,
    threshold: float = 1e-4,
    max_features: int = 3,
    groups: str | None = None,
    n_permutations: int = 0,
    elimination: bool = False,
    nested: bool = True,
    n_estimators: int = 100,
    note: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Score the models on a table of descriptors.

    Parameters
    ----------
    table
        As for `sse_flows.models.train.train`.
    threshold
        Conductivity above which a compound is superionic, S/cm.
    max_features
        Largest subset of descriptors of the classifier.
    groups
        Column by which compounds are held together, usually ``family``.
    n_permutations
        Permutations of the labels; none by default.
    elimination
        Also eliminate descriptors of the forest: minutes. Its choice is made outside the folds.
    nested
        Also choose the classifier's descriptors inside the folds.
    n_estimators
        Trees of the forests.
    note
        Called with the name of each part that begins.

    Raises
    ------
    SSEError
        If the column of groups is absent or a value of the table is not usable.
    TrainingDataError
        If there are too few compounds, only one class, or no group of one.
    """
    task = _Task.of(table, threshold, groups, note)
    search = BestSubsetLogisticRegression(max_features)
    classifier = _classifier(search, task, nested)
    scrambled = _scrambled(search, task, n_permutations) if n_permutations else None
    regressor = _regressor(ConductivityForest(n_estimators), task)
    eliminated, path = _eliminated(n_estimators, task) if elimination else (None, [])
    return Evaluation(
        n_rows=len(task.X),
        n_superionic=int(task.superionic.sum()),
        threshold=threshold,
        ignored=task.ignored,
        data_hash=task.data_hash,
        classifier=classifier,
        scrambled=scrambled,
        regressor=regressor,
        elimination=eliminated,
        path=path,
        seconds=task.seconds,
    )


def evaluate_unseen(
    table: pd.DataFrame, models: TrainedModels, *, level: float = LEVEL
) -> UnseenEvaluation:
    """Score saved models on the rows of a table that they were not trained on.

    A row is known to the models by its id, or by descriptors equal to those of a training row.

    Parameters
    ----------
    table
        As for training; rows without a measured conductivity are left out.
    level
        Of the conformal intervals and sets.

    Raises
    ------
    SSEError
        If a value is not usable, or the models were trained on every row.
    """
    rows, seen, ignored = _unseen_rows(table, models)
    X, measured = rows[list(DESCRIPTORS)], np.log10(rows["conductivity"].to_numpy())
    target = (rows["conductivity"].to_numpy() > models.threshold).astype(float)
    fitted, conformal = models.fitted(), ConformalModels.of(models, level)
    probability, predicted = fitted.classifier.predict_proba(X)[:, 1], fitted.regressor.predict(X)
    low, high = conformal.intervals(predicted)
    sets = conformal.sets(probability)
    share = np.full(len(rows), conformal.superionic.mean())
    mean = np.full(len(rows), np.mean([row.log10_measured for row in models.training]))
    return UnseenEvaluation(
        n_rows=len(rows),
        seen=seen,
        ignored=ignored,
        classification=classification_scores(target, probability, "inside the folds"),
        naive_classification=classification_scores(target, share, "inside the folds"),
        regression=regression_scores(measured, predicted),
        naive_regression=regression_scores(measured, mean),
        level=level,
        interval_coverage=float(np.mean((low <= measured) & (measured <= high))),
        set_coverage=float(np.mean(sets[np.arange(len(rows)), target.astype(int)])),
        undecided=float(sets.all(axis=1).mean()),
        outside_domain=_outside(rows, models),
    )


def group_labels(table: pd.DataFrame, ids: pd.Index, column: str) -> list[str]:
    """Group of every row, by id.

    Raises
    ------
    SSEError
        If the table has no such column, or it is empty for a compound.
    """
    if column not in table.columns:
        raise SSEError(
            f"the table has no column {column} to group by",
            mend="Name a column of labels, for example family",
        )
    found = table[column].set_axis(table.index.map(str)).loc[ids]
    empty = found.index[found.isna()]
    if len(empty):
        raise SSEError(
            f"{column} is empty ({len(empty)} of {len(ids)} rows)",
            compound=str(empty[0]),
            mend="Fill it in; a compound without relatives is a group of its own",
        )
    return [str(label) for label in found]


@dataclass
class _Task:
    """The rows of a table as the models need them, and how long each part takes."""

    X: pd.DataFrame
    measured: Floats
    """log10(S/cm), shape (n_rows,)."""
    superionic: NDArray[np.bool_]
    labels: list[str] | None
    ignored: dict[str, str]
    data_hash: str
    note: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        threshold: float,
        groups: str | None,
        note: Callable[[str], None],
    ) -> Self:
        """Refuse what cannot be scored before the long searches begin."""
        if not threshold > 0:
            raise SSEError(f"{threshold=} is not positive", mend="Give a conductivity in S/cm")
        rows, ignored = training_rows(table)
        conductivity = rows["conductivity"].to_numpy()
        encode_classes(conductivity > threshold)
        return cls(
            rows[list(DESCRIPTORS)],
            np.log10(conductivity),
            conductivity > threshold,
            None if groups is None else group_labels(table, rows.index, groups),
            ignored,
            data_hash(rows),
            note,
        )

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Say that a part begins and take its wall time."""
        self.note(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def _unseen_rows(
    table: pd.DataFrame, models: TrainedModels
) -> tuple[pd.DataFrame, list[str], dict[str, str]]:
    """Measured rows that the models were not trained on, ids of those they were, and the rest."""
    rows, ignored = _measured(table)
    distance = models.fitted().regressor_domain.distance(rows[models.regressor.features])
    seen = (distance < SAME_COMPOUND) | rows.index.isin(models.training_ids)
    if seen.all():
        raise SSEError(
            f"the model was trained on all {len(rows)} measured compounds of the table",
            mend="Give a table with compounds that it never saw; a new id alone is not enough",
        )
    return rows[~seen], rows.index[seen].tolist(), ignored


def _outside(rows: pd.DataFrame, models: TrainedModels) -> dict[str, int]:
    """How many rows are outside of each model's applicability domain."""
    fitted = models.fitted()
    domains = {
        "classifier": (fitted.classifier_domain, models.classifier.features),
        "regressor": (fitted.regressor_domain, models.regressor.features),
    }
    return {
        name: int((~domain.contains(rows[columns])).sum())
        for name, (domain, columns) in domains.items()
    }


def _measured(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """As `training_rows`, but a few rows are enough to test on."""
    try:
        return training_rows(table)
    except TrainingDataError:
        values = descriptor_values(table, (*DESCRIPTORS, "conductivity"))
        values.index = values.index.map(str)
        there = values["conductivity"].notna() & values[list(DESCRIPTORS)].notna().any(axis=1)
        if not there.any():
            raise
        left_out = dict.fromkeys(values.index[~there], "no measured conductivity or descriptor")
        return values[there].sort_index(), left_out


def _classifier(search: BestSubsetLogisticRegression, task: _Task, nested: bool) -> ModelEvaluation:
    target = task.superionic.astype(float)
    with task.part("classifier, plain"):
        fitted = search.fit(task.X, task.superionic)
        plain = classification_scores(target, fitted.loo_probabilities_, "outside the folds")
    inside = grouped = None
    if nested:
        with task.part("classifier, nested"):
            inside = leave_one_out(search, task.X, task.superionic, nested=True).scores
    if task.labels is not None:
        with task.part("classifier, grouped"):
            grouped = leave_one_group_out(search, task.X, task.superionic, task.labels)
    return ModelEvaluation(
        features=list(fitted.features_),
        plain=plain,
        nested=inside,
        grouped=grouped,
        naive=majority_baseline(target),
    )


def _scrambled(
    search: BestSubsetLogisticRegression, task: _Task, n_permutations: int
) -> ScrambleControl:
    with task.part("classifier, scrambled"):
        return scramble_control(search, task.X, task.superionic, n_permutations=n_permutations)


def _regressor(forest: ConductivityForest, task: _Task) -> ModelEvaluation:
    with task.part("forest, plain"):
        result = leave_one_out(forest, task.X, task.measured)
    grouped = None
    if task.labels is not None:
        with task.part("forest, grouped"):
            grouped = leave_one_group_out(forest, task.X, task.measured, task.labels)
    dropped = forest.fit(task.X, task.measured).dropped_
    return ModelEvaluation(
        features=[name for name in DESCRIPTORS if name not in dropped],
        plain=result.scores,
        nested=result.scores,  # nothing is chosen by the target: all usable descriptors are used
        grouped=grouped,
        naive=result.baseline,
    )


def _eliminated(n_estimators: int, task: _Task) -> tuple[ModelEvaluation, list[dict[str, Any]]]:
    def progress(n_features: int, rmse: float) -> None:
        task.note(f"elimination, {n_features} left, RMSE {rmse:.3f}")

    model = BackwardEliminationForest(
        n_estimators, ranking_trees=3 * n_estimators, progress=progress
    )
    with task.part("elimination, plain"):
        model.fit(task.X, task.measured)
    evaluation = ModelEvaluation(
        features=list(model.features_),
        plain=regression_scores(task.measured, model.loo_predictions_, "outside the folds"),
        nested=None,
        grouped=None,
        naive=mean_baseline(task.measured),
    )
    path = model.cv_results_.to_dict("records")
    return evaluation, [{str(key): value for key, value in row.items()} for row in path]
