"""Scores side by side are those of the parts they come from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models import BestSubsetClassifier, leave_one_out
from sse_flows.models.evaluate import Evaluation, evaluate, group_labels
from sse_flows.models.table import data_hash, training_rows


def test_scores_are_those_of_the_parts(table: pd.DataFrame) -> None:
    grouped = table.assign(family=np.resize(["a", "b", "c"], len(table)))
    told: list[str] = []
    found = evaluate(grouped, max_features=1, groups="family", n_estimators=3, note=told.append)
    X, y = table[list(DESCRIPTORS)], table["conductivity"] > 1e-4
    search = BestSubsetClassifier(1, missing="median")
    assert found.classifier.plain == leave_one_out(search, X, y).scores
    assert found.classifier.nested == leave_one_out(search, X, y, nested=True).scores
    assert found.classifier.grouped.groups == {"a": 8, "b": 8, "c": 8}
    assert (found.scrambled, found.elimination) == (None, None)
    assert found.data_hash == data_hash(training_rows(table)[0])
    assert told == list(found.seconds)
    assert [one.n_features for one in found.sizes] == [1]
    assert found.sizes[0].accuracy == found.classifier.plain.accuracy
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_the_elimination_is_nested_and_grouped_with_cheaper_settings(table: pd.DataFrame) -> None:
    some = table[[*DESCRIPTORS[:3], "conductivity"]].reindex(columns=[*DESCRIPTORS, "conductivity"])
    some["family"] = np.resize(["a", "b"], len(some))
    found = evaluate(some, max_features=1, groups="family", n_estimators=3, elimination=True)
    model = found.elimination
    assert model.plain.selection == "outside the folds"
    assert model.nested.selection == "inside the folds"
    assert model.nested_settings.n_splits == 10
    assert model.nested_settings.ranking_trees == 9
    assert max(model.nested_features.values()) <= 10
    assert model.grouped.groups == {"a": 12, "b": 12}
    assert found.path[0].dropped == ""
    assert [one.features for one in found.path if one.chosen] == [model.features]


def test_bad_input_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(SSEError, match=r"threshold=0\.0 is not positive"):
        evaluate(table, threshold=0.0)
    with pytest.raises(SSEError, match="no column family to group by"):
        group_labels(table, table.index, "family")
