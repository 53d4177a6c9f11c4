"""Saved models on compounds that they never saw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models import TrainedModels
from sse_flows.models.columns import TrainingDataError
from sse_flows.models.unseen import evaluate_unseen


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


def test_tables_without_anything_new_are_refused(
    table: pd.DataFrame, models: TrainedModels
) -> None:
    with pytest.raises(TrainingDataError, match="only 0 compounds"):
        evaluate_unseen(table.assign(conductivity=np.nan), models)
    with pytest.raises(SSEError, match="trained on all 24"):
        evaluate_unseen(table, models)
