"""Flat trees give what scikit-learn's do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor

from sse_flows.models.flat_trees import FlatTrees


@pytest.fixture(scope="module")
def trees():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 7))
    y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=500)
    return HistGradientBoostingRegressor(max_iter=40, max_leaf_nodes=13).fit(X, y)


@settings(deadline=None, max_examples=20)
@given(count=st.integers(1, 70), seed=st.integers(0, 1000))
def test_equal_to_scikit_learn_to_the_last_bit(trees, count, seed):
    X = np.random.default_rng(seed).normal(size=(count, 7)) * 3
    assert (FlatTrees.of(trees).predict(X, 6) == trees.predict(np.round(X, 6))).all()


def test_a_value_at_a_threshold_goes_left(trees):
    nodes = trees._predictors[0][0].nodes
    X = np.zeros((1, 7))
    X[0, nodes["feature_idx"][0]] = nodes["num_threshold"][0]
    assert FlatTrees.of(trees).predict(X, 17)[0] == trees.predict(X)[0]


def test_trees_without_a_split():
    X, y = np.zeros((30, 2)), np.arange(30.0)
    stumps = HistGradientBoostingRegressor(max_iter=3).fit(X, y)
    assert (FlatTrees.of(stumps).predict(X, 6) == stumps.predict(X)).all()
