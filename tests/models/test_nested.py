"""The elimination inside the folds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, cross_val_predict

from sse_flows.models.elimination import BackwardEliminationForest
from sse_flows.models.nested import cheaper, nested_elimination


def test_it_is_the_cross_validation_of_the_cheaper_model() -> None:
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(15, 4)), columns=list("abcd"))
    y = 2 * X["b"].to_numpy() + 0.1 * rng.normal(size=15)
    model = BackwardEliminationForest(6, ranking_trees=18, random_state=4)
    found = nested_elimination(model, X, y, n_splits=3)
    folds = KFold(3, shuffle=True, random_state=4)
    expected = cross_val_predict(cheaper(model), X, y, cv=folds)
    np.testing.assert_array_equal(found.predictions, expected)
    assert found.chosen["b"] == 3
    settings = found.settings
    assert (settings.n_splits, settings.n_estimators, settings.n_confirm) == (3, 6, 1)
    assert cheaper(BackwardEliminationForest(100)).n_estimators == 20
