"""Leave-one-out scores and their baselines."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sse_flows.models import BestSubsetClassifier, TrainingDataError, leave_one_out


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(25, 6))
    return X, X[:, 0] + rng.normal(size=25) > 0.4


def test_scores_are_those_of_the_predictions(data) -> None:
    X, y = data
    result = leave_one_out(BestSubsetClassifier(2, missing="median"), X, y)
    assert result.scores.accuracy == accuracy_score(y, result.predictions)
    assert result.scores.f1 == pytest.approx(f1_score(y, result.predictions))
    assert result.scores.confusion == confusion_matrix(y, result.predictions).tolist()


def test_each_score_says_where_the_features_were_chosen(data) -> None:
    X, y = data
    plain = leave_one_out(BestSubsetClassifier(2, missing="median"), X, y)
    nested = leave_one_out(BestSubsetClassifier(2, missing="median"), X, y, nested=True)
    assert plain.scores.selection == "outside the folds"
    assert plain.selected == []
    assert nested.scores.selection == "inside the folds"
    assert len(nested.selected) == len(y)
    assert nested.scores.accuracy <= plain.scores.accuracy


def test_any_other_classifier_is_refitted_in_each_fold(data) -> None:
    X, y = data
    result = leave_one_out(LogisticRegression(), X, y)
    expected = cross_val_predict(LogisticRegression(), X, y, cv=LeaveOneOut())
    assert (result.predictions == expected).all()


def test_baselines_are_leave_one_out_too(data) -> None:
    X, y = data
    majority = cross_val_predict(DummyClassifier(), X, y, cv=LeaveOneOut())
    baseline = leave_one_out(LogisticRegression(), X, y).baseline
    assert baseline.accuracy == accuracy_score(y, majority)
    target = X[:, 0]
    mean = cross_val_predict(DummyRegressor(), X, target, cv=LeaveOneOut())
    baseline = leave_one_out(DummyRegressor(), X, target).baseline
    assert baseline.r2 == pytest.approx(r2_score(target, mean))
    assert baseline.r2 < 0


def test_equal_classes_have_a_majority_baseline_of_zero() -> None:
    X, y = np.random.default_rng(0).normal(size=(10, 2)), np.arange(10) % 2
    assert leave_one_out(LogisticRegression(), X, y).baseline.accuracy == 0.0


def test_nan_targets_are_refused(data) -> None:
    X, _ = data
    target = X[:, 0].copy()
    target[2] = np.nan
    with pytest.raises(TrainingDataError, match="missing"):
        leave_one_out(DummyRegressor(), X, target)
