"""Scores of a saved model on compounds that it was not trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models.columns import TrainingDataError
from sse_flows.models.document import ClassificationScores, RegressionScores, TrainedModels
from sse_flows.models.table import descriptor_values, training_rows
from sse_flows.models.uncertainty import LEVEL, ConformalModels
from sse_flows.models.validation import classification_scores, regression_scores

SAME_COMPOUND = 1e-9
"""Distance, in standard deviations, below which two rows have the same descriptors."""


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


def _unseen_rows(
    table: pd.DataFrame, models: TrainedModels
) -> tuple[pd.DataFrame, list[str], dict[str, str]]:
    """Measured rows that the models were not trained on, ids of those they were, and the rest."""
    rows, ignored = _measured(table)
    distance = models.fitted().regressor_domain.distance(rows[models.regressor.features])
    seen = (distance < SAME_COMPOUND) | rows.index.isin(models.training_ids)
    if seen.all():
        raise SSEError(
            f"the model was trained on all {len(rows)} that are measured in the table",
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
