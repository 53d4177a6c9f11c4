"""Columns that repeat one another are left out, inside the folds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from sse_flows.errors import SSEError
from sse_flows.models.correlation import CorrelationFilter


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200))
    return np.column_stack([a, a + 0.01 * b, np.exp(4 * a), b, np.zeros(200), np.eye(200)[0]])


def test_leaves_out_repeats_monotone_repeats_and_near_constants(columns):
    found = CorrelationFilter().fit(columns)
    assert abs(np.corrcoef(columns[:, 0], columns[:, 2])[0, 1]) < 0.8  # only Spearman sees it
    assert found.support_.tolist() == [True, False, False, True, False, False]
    assert found.constant_.tolist() == [False] * 4 + [True] * 2
    assert found.transform(columns).shape == (200, 2)
    assert list(found.get_feature_names_out(list("abcdef"))) == ["a", "d"]


def test_by_target_the_column_nearest_to_it_is_kept(columns):
    target = columns[:, 1]
    found = CorrelationFilter(keep="target").fit(columns, target)
    assert found.support_.tolist() == [False, True, False, True, False, False]


def test_without_a_target_there_is_no_order_by_it(columns):
    with pytest.raises(SSEError, match="target"):
        CorrelationFilter(keep="target").fit(columns)
    with pytest.raises(SSEError, match="first"):
        CorrelationFilter(keep="last").fit(columns)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.6, 0.8, 0.95]))
def test_no_two_columns_kept_are_alike_and_every_other_is_like_one_kept(seed, threshold):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(30, 8)) @ rng.normal(size=(8, 8))
    kept = CorrelationFilter(threshold).fit(values).support_
    alike = np.maximum(np.abs(np.corrcoef(values.T)), np.abs(spearmanr(values).statistic))
    inside = alike[np.ix_(kept, kept)] - np.eye(kept.sum())
    assert inside.max() <= threshold
    assert np.all(alike[np.ix_(~kept, kept)].max(axis=1, initial=1.0) > threshold)


def test_stands_in_a_pipeline(columns):
    model = make_pipeline(CorrelationFilter(), LinearRegression())
    assert cross_val_score(model, columns, columns[:, 0] + columns[:, 3]).min() > 0.99
