"""The published models on the same folds, importances and learning curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.errors import SSEError
from sse_flows.models.band_center_compare import (
    PUBLISHED,
    compare_models,
    cross_predict,
    feature_importances,
    learning_curve,
    published_model,
)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(90, 6)), columns=list("abcdef"))
    X["f"] = X["a"] + 0.01 * X["f"]
    groups = [f"g{k // 2}" for k in range(90)]
    return X, 30 + 5 * X["a"].to_numpy() + rng.normal(size=90), groups


def test_every_published_model_learns(table):
    X, y, groups = table
    available = [name for name in PUBLISHED if _is_available(name)]
    masks = {"half": np.arange(90) < 45}
    found = compare_models(X, y, groups, models=available, masks=masks, n_folds=3)
    assert list(found.columns) == ["model", "family", "n_compounds", "r2", "mae", "rmse"]
    every = found[found["family"] == "all"].set_index("model")
    assert list(every.index) == available
    assert every["r2"].min() > 0.5
    assert set(found["n_compounds"]) == {90, 45}


def _is_available(name: str) -> bool:
    try:
        published_model(name)
    except SSEError:
        return False
    return True


def test_the_filter_works_inside(table):
    X, y, _ = table
    model = published_model("decision tree").fit(X.to_numpy(), y)
    assert model[0].support_.tolist() == [True] * 5 + [False]
    assert len(published_model("decision tree", threshold=None).steps) == 1
    with pytest.raises(SSEError, match="oracle"):
        published_model("oracle")


def test_groups_stay_together():
    target, groups = np.repeat(np.arange(10.0), 3), np.repeat(list("abcdefghij"), 3)
    X = np.eye(10)[target.astype(int)]
    model = published_model("decision tree", threshold=None)
    together = cross_predict(model, X, target, groups, n_folds=5)
    apart = cross_predict(model, X, target, None, n_folds=10)
    assert np.abs(apart - target).max() < np.abs(together - target).max()
    assert np.all(together != target)


def test_importances_name_the_column_that_matters(table):
    X, y, _ = table
    model = published_model("extra trees").fit(X.to_numpy()[:60], y[:60])
    found = feature_importances(model, X[60:], y[60:])
    assert found.index[0] == "a"
    assert found["f"] == 0


def test_more_compounds_teach_more(table):
    X, y, groups = table
    model = published_model("extra trees")
    curve = learning_curve(model, X.to_numpy(), y, groups, shares=(0.1, 1.0), n_folds=3)
    assert curve["n_training"].tolist() == pytest.approx([6, 60], abs=3)
    assert curve["mae"].iloc[1] < curve["mae"].iloc[0]
