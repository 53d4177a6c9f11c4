"""Scores of the models on a table side by side.

One number says little: the best of thousands of subsets looks good on anything. So beside the plain
leave-one-out there are the nested one, the one with families held together, the same search on
scrambled labels, and the naive guess.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.base import clone

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models.best_subset import BestSubsetClassifier
from sse_flows.models.columns import Floats, encode_classes
from sse_flows.models.controls import (
    GroupedScores,
    ScrambleControl,
    leave_one_group_out,
    scramble_control,
)
from sse_flows.models.defaults import MAX_FEATURES
from sse_flows.models.document import (
    ClassificationScores,
    EliminationRound,
    NestedSettings,
    RegressionScores,
    SizeResult,
)
from sse_flows.models.elimination import BackwardEliminationForest
from sse_flows.models.nested import cheaper, nested_elimination
from sse_flows.models.progress import Note, PacedNotes, silent
from sse_flows.models.regressor import ConductivityForest
from sse_flows.models.table import data_hash, training_rows
from sse_flows.models.train import size_results
from sse_flows.models.validation import (
    classification_scores,
    leave_one_out,
    majority_baseline,
    mean_baseline,
    regression_scores,
)

Scores = ClassificationScores | RegressionScores


class ModelEvaluation(BaseModel):
    """One model, scored in every way that was asked for."""

    model_config = ConfigDict(extra="forbid")

    features: list[str] = Field(description="Descriptors of the model of all rows")
    plain: Scores = Field(description="Leave-one-out, descriptors chosen on all rows")
    nested: Scores | None = Field(description="Leave-one-out, descriptors chosen inside the folds")
    grouped: GroupedScores | None = Field(description="Leave-one-group-out, chosen inside")
    naive: Scores = Field(description="Leave-one-out of the majority class or the mean")
    nested_settings: NestedSettings | None = Field(
        default=None,
        description="Of an elimination: how it was cross-validated, in `nested` and `grouped`; "
        "`grouped` has a fold a group",
    )
    nested_features: dict[str, int] = Field(
        default_factory=dict, description="In how many nested folds each descriptor was left"
    )


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
    sizes: list[SizeResult] = Field(
        default_factory=list, description="The classifier's best subset of every size"
    )
    path: list[EliminationRound] = Field(
        default_factory=list, description="Rounds of the elimination"
    )
    seconds: dict[str, float] = Field(description="Wall time of each part, s")


def evaluate(
    table: pd.DataFrame,
    *,
    threshold: float = 1e-4,
    max_features: int = MAX_FEATURES,
    groups: str | None = None,
    n_permutations: int = 0,
    elimination: bool = False,
    nested: bool = True,
    n_estimators: int = 100,
    note: Note = silent,
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
        Also eliminate descriptors of the forest: minutes.
    nested
        Also choose descriptors inside the folds; of the elimination with cheaper settings.
    n_estimators
        Trees of the forests.
    note
        Called with the name of each part that begins and, where it takes long, how far it is.

    Raises
    ------
    SSEError
        If the column of groups is absent or a value of the table is not usable.
    TrainingDataError
        If there are too few compounds, only one class, or no group of one.
    """
    task = _Task.of(table, threshold, groups, note)
    search = BestSubsetClassifier(max_features, missing="median", rescore=False)
    classifier, sizes = _classifier(search, task, nested)
    scrambled = _scrambled(search, task, n_permutations) if n_permutations else None
    regressor = _regressor(ConductivityForest(n_estimators), task)
    eliminated, path = _eliminated(n_estimators, task, nested) if elimination else (None, [])
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
        sizes=sizes,
        path=path,
        seconds=task.seconds,
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
    note: Note
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        threshold: float,
        groups: str | None,
        note: Note,
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
    def part(self, name: str) -> Iterator[PacedNotes]:
        """Say that a part begins and take its wall time."""
        self.note(name)
        start = time.perf_counter()
        yield PacedNotes(self.note, name)
        self.seconds[name] = time.perf_counter() - start


def _classifier(
    search: BestSubsetClassifier, task: _Task, nested: bool
) -> tuple[ModelEvaluation, list[SizeResult]]:
    target = task.superionic.astype(float)
    with task.part("classifier, plain") as said:
        fitted = clone(search).set_params(progress=said.search).fit(task.X, task.superionic)
        plain = classification_scores(target, fitted.loo_probabilities_, "outside the folds")
    inside = grouped = None
    if nested:
        with task.part("classifier, nested") as said:
            inside = leave_one_out(
                search, task.X, task.superionic, nested=True, progress=said.count
            ).scores
    if task.labels is not None:
        with task.part("classifier, grouped") as said:
            grouped = leave_one_group_out(
                search, task.X, task.superionic, task.labels, progress=said.count
            )
    evaluation = ModelEvaluation(
        features=list(fitted.features_),
        plain=plain,
        nested=inside,
        grouped=grouped,
        naive=majority_baseline(target),
    )
    return evaluation, size_results(fitted)


def _scrambled(search: BestSubsetClassifier, task: _Task, n_permutations: int) -> ScrambleControl:
    with task.part("classifier, scrambled") as said:
        return scramble_control(
            search,
            task.X,
            task.superionic,
            n_permutations=n_permutations,
            progress=said.count,
        )


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


def _eliminated(
    n_estimators: int, task: _Task, nested: bool
) -> tuple[ModelEvaluation, list[EliminationRound]]:
    def progress(n_features: int, rmse: float) -> None:
        task.note(f"elimination, {n_features} left, RMSE {rmse:.3f}")

    model = BackwardEliminationForest(
        n_estimators, ranking_trees=3 * n_estimators, progress=progress
    )
    with task.part("elimination, plain"):
        model.fit(task.X, task.measured)
    inside = grouped = None
    if nested:
        with task.part("elimination, nested"):
            inside = nested_elimination(model, task.X, task.measured)
    if nested and task.labels is not None:
        with task.part("elimination, grouped"):
            grouped = leave_one_group_out(cheaper(model), task.X, task.measured, task.labels)
    evaluation = ModelEvaluation(
        features=list(model.features_),
        plain=regression_scores(task.measured, model.loo_predictions_, "outside the folds"),
        nested=inside and regression_scores(task.measured, inside.predictions),
        grouped=grouped,
        naive=mean_baseline(task.measured),
        nested_settings=inside and inside.settings,
        nested_features=inside.chosen if inside else {},
    )
    records = model.cv_results_.to_dict("records")
    return evaluation, [EliminationRound.model_validate(record) for record in records]
