"""The subset search against plain scikit-learn, subset by subset."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from sse_flows.errors import SSEError
from sse_flows.models import BestSubsetLogisticRegression, TrainingDataError, search
from sse_flows.models.search import preprocessing

Data = tuple[np.ndarray, np.ndarray]


def _data(kind: str, n: int = 20, d: int = 5) -> Data:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, size=d)
    if kind == "correlated":
        values[:, 1] = values[:, 0] * 3 + 0.1 * rng.normal(size=n) * values[:, 0].std()
        values[:, 2] = values[:, 0]
    signal = values[:, 0] / values[:, 0].std()
    if kind == "separable":
        return values, signal > 0
    if kind == "missing":
        values[rng.random(values.shape) < 0.15] = np.nan
    y = signal + rng.normal(size=n) > (1.5 if kind == "unbalanced" else 0)
    return values, y


def _reference(values: np.ndarray, y: np.ndarray, columns: tuple[int, ...], C: float) -> np.ndarray:
    """Leave-one-out log odds of the whole pipeline, by scikit-learn alone."""
    regression = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=10_000)
    pipeline = make_pipeline(preprocessing(), regression)
    chosen = values[:, list(columns)]
    return cross_val_predict(pipeline, chosen, y, cv=LeaveOneOut(), method="decision_function")


@pytest.mark.parametrize("C", [1.0, 1000.0])
@pytest.mark.parametrize("kind", ["plain", "correlated", "separable", "unbalanced", "missing"])
def test_every_subset_equals_scikit_learn(kind: str, C: float) -> None:
    values, y = _data(kind, n=15, d=4)
    found = {}
    for scores in search.search(values, y.astype(float), 3, C):
        for i, columns in enumerate(scores.subsets.T):
            found[tuple(columns.tolist())] = scores.errors[i], scores.f1[i], scores.log_loss[i]
    assert len(found) == 14
    keys = {}
    for size in (1, 2, 3):
        for columns in combinations(range(4), size):
            z = _reference(values, y, columns, C)
            errors, f1, loss = found[columns]
            assert errors == ((z > 0) != y).sum()
            assert f1 == pytest.approx(f1_score(y, z > 0, zero_division=0))
            assert loss == pytest.approx(np.logaddexp(0, np.where(y, -z, z)).mean(), rel=1e-7)
            keys[columns] = errors, -round(f1, 9), round(loss, 6), size, columns
    model = BestSubsetLogisticRegression(max_features=3, C=C).fit(values, y)
    assert tuple(np.flatnonzero(model.support_)) == min(keys, key=keys.__getitem__)


def test_attributes_and_scales() -> None:
    values, y = _data("missing", n=30)
    frame = pd.DataFrame(values, columns=list("abcde"))
    model = BestSubsetLogisticRegression(3).fit(frame, np.where(y, "yes", "no"))
    results = model.cv_results_
    assert results["n_features"].tolist() == [1, 2, 3]
    assert results["n_subsets"].tolist() == [5, 10, 10]
    chosen = results[results["chosen"]].iloc[0]
    assert tuple(chosen["features"]) == model.features_
    assert chosen["accuracy"] == pytest.approx(model.loo_accuracy_)
    assert model.classes_.tolist() == ["no", "yes"]
    filled = frame[list(model.features_)].fillna(frame[list(model.features_)].median())
    z = filled.to_numpy() @ model.raw_coef_[0] + model.raw_intercept_[0]
    np.testing.assert_allclose(z, model.decision_function(frame))
    np.testing.assert_allclose(model.predict_proba(frame)[:, 1], 1 / (1 + np.exp(-z)))
    assert (model.predict(frame) == np.where(z > 0, "yes", "no")).all()


def test_useless_columns_are_left_out_and_named() -> None:
    values, y = _data("plain")
    frame = pd.DataFrame(values, columns=list("abcde")).assign(gone=np.nan, same=2.0)
    model = BestSubsetLogisticRegression(2).fit(frame, y)
    assert model.dropped_ == {"gone": "missing in every row", "same": "constant (2)"}
    without = BestSubsetLogisticRegression(2).fit(frame[list("abcde")], y)
    assert model.features_ == without.features_
    np.testing.assert_array_equal(model.predict_proba(frame), without.predict_proba(values))


@pytest.mark.parametrize("kind", ["correlated", "missing"])
def test_nested_equals_refitting_everything_in_each_fold(kind: str) -> None:
    values, y = _data(kind, n=13, d=4)
    values[1:, 3] = 0.0  # constant in one fold only
    model = BestSubsetLogisticRegression(2)
    probabilities, chosen = model.nested_leave_one_out(values, y)
    brute = cross_val_predict(model, values, y, cv=LeaveOneOut(), method="predict_proba")[:, 1]
    np.testing.assert_allclose(probabilities, brute, atol=1e-10)
    first = clone(model).fit(values[1:], y[1:])
    assert first.features_ == chosen[0]
    assert "x3" not in chosen[0]


def test_nested_is_below_plain_on_noise() -> None:
    plain, nested = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        values, y = rng.normal(size=(24, 12)), np.arange(24) % 2 == 0
        model = BestSubsetLogisticRegression(2)
        plain.append(clone(model).fit(values, y).loo_accuracy_)
        nested.append(np.mean((model.nested_leave_one_out(values, y)[0] > 0.5) == y))
    assert min(plain) > 0.6
    assert np.mean(nested) < np.mean(plain) - 0.1
    assert np.mean(nested) < 0.6


def test_works_at_the_end_of_a_pipeline() -> None:
    values, y = _data("missing")
    pipeline = make_pipeline(FunctionTransformer(), BestSubsetLogisticRegression(2)).fit(values, y)
    alone = BestSubsetLogisticRegression(2).fit(values, y)
    np.testing.assert_array_equal(pipeline.predict_proba(values), alone.predict_proba(values))


def test_fitting_twice_gives_the_same() -> None:
    values, y = _data("correlated")
    one, two = (BestSubsetLogisticRegression(2).fit(values, y) for _ in range(2))
    pd.testing.assert_frame_equal(one.cv_results_, two.cv_results_)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(20), "only one class"),
        (np.arange(20) == 3, "at least 2 rows"),
        (np.r_[np.nan, np.ones(9), np.zeros(10)], "missing in 1 rows"),
        (np.arange(20) % 3, "Only binary"),
    ],
)
def test_unusable_targets_are_refused(y: np.ndarray, message: str) -> None:
    with pytest.raises(TrainingDataError, match=message) as caught:
        BestSubsetLogisticRegression(2).fit(_data("plain")[0], y)
    assert caught.value.mend


@pytest.mark.parametrize("parameters", [{"max_features": 0}, {"C": 0.0}, {"C": np.inf}])
def test_parameters_out_of_range_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(SSEError, match="positive"):
        BestSubsetLogisticRegression(**parameters).fit(*_data("plain"))


@parametrize_with_checks([BestSubsetLogisticRegression(max_features=1)])
def test_is_a_scikit_learn_estimator(estimator, check) -> None:
    check(estimator)
