"""Scores side by side are those of the parts they come from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models import BestSubsetLogisticRegression, TrainedModels, leave_one_out
from sse_flows.models.columns import TrainingDataError
from sse_flows.models.evaluate import Evaluation, evaluate, evaluate_unseen, group_labels
from sse_flows.models.table import data_hash, training_rows


def test_scores_are_those_of_the_parts(table: pd.DataFrame) -> None:
    grouped = table.assign(family=np.resize(["a", "b", "c"], len(table)))
    told: list[str] = []
    found = evaluate(grouped, max_features=1, groups="family", n_estimators=3, note=told.append)
    X, y = table[list(DESCRIPTORS)], table["conductivity"] > 1e-4
    search = BestSubsetLogisticRegression(1)
    assert found.classifier.plain == leave_one_out(search, X, y).scores
    assert found.classifier.nested == leave_one_out(search, X, y, nested=True).scores
    assert found.classifier.grouped.groups == {"a": 8, "b": 8, "c": 8}
    assert (found.scrambled, found.elimination) == (None, None)
    assert found.data_hash == data_hash(training_rows(table)[0])
    assert told == list(found.seconds)
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_few_unseen_compounds_are_enough(table: pd.DataFrame, models: TrainedModels) -> None:
    shifted = table.iloc[:2].copy()
    shifted["density"] += 50.0
    shifted.index = pd.Index(["new1", "new2"])
    shifted.loc["new3"] = shifted.loc["new1"].to_numpy()
    shifted.loc["new3", "conductivity"] = np.nan
    found = evaluate_unseen(shifted, models)
    assert found.n_rows == 2
    assert list(found.ignored) == ["new3"]
    assert found.outside_domain["regressor"] == 2
    expected = models.fitted().regressor.predict(shifted[list(DESCRIPTORS)].iloc[:2])
    errors = expected - np.log10(shifted["conductivity"].to_numpy(dtype=float)[:2])
    assert found.regression.mae == pytest.approx(np.mean(np.abs(errors)))


def test_bad_input_is_refused(table: pd.DataFrame, models: TrainedModels) -> None:
    with pytest.raises(SSEError, match=r"threshold=0\.0 is not positive"):
        evaluate(table, threshold=0.0)
    with pytest.raises(SSEError, match="no column family to group by"):
        group_labels(table, table.index, "family")
    with pytest.raises(TrainingDataError, match="only 0 compounds"):
        evaluate_unseen(table.assign(conductivity=np.nan), models)
    with pytest.raises(SSEError, match="trained on all 24"):
        evaluate_unseen(table, models)
