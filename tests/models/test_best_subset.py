"""The best-subset classifier against plain scikit-learn, subset by subset."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sse_flows.errors import SSEError
from sse_flows.models import BestSubsetClassifier, TrainingDataError
from sse_flows.models.subset_search import merge_searches

Data = tuple[np.ndarray, np.ndarray]


def _data(kind: str = "plain", n: int = 20, d: int = 5, seed: int = 3) -> Data:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-1, 2, size=d)
    if kind == "correlated":
        values[:, 1] = values[:, 0] * 3 + 0.1 * rng.normal(size=n) * values[:, 0].std()
        values[:, 2] = values[:, 0]
    signal = values[:, 0] / values[:, 0].std()
    if kind == "separable":
        return values, signal > 0
    return values, signal + rng.normal(size=n) > (1.2 if kind == "unbalanced" else 0)


def _margins(values: np.ndarray, y: np.ndarray, C: float) -> np.ndarray:
    """Leave-one-out log odds by scikit-learn alone."""
    model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=10_000)
    return cross_val_predict(model, values, y, cv=LeaveOneOut(), method="decision_function")


def _brute(values: np.ndarray, y: np.ndarray, C: float, score: str, largest: int) -> dict:
    """Sorting key of every subset, smallest best, by the rule of the class."""
    keys = {}
    for size in range(1, largest + 1):
        for columns in combinations(range(values.shape[1]), size):
            z = _margins(values[:, columns], y, C)
            f1 = round(f1_score(y, z > 0, zero_division=0), 12)
            loss = round(float(np.logaddexp(0, np.where(y, -z, z)).mean()), 7)
            first = {"accuracy": -accuracy_score(y, z > 0), "f1": -f1, "log_loss": loss}[score]
            keys[columns] = round(first, 12), -f1, loss, size, columns
    return keys


@pytest.mark.parametrize(
    ("kind", "C", "standardize", "score"),
    [
        ("plain", 1.0, True, "accuracy"),
        ("plain", 100.0, False, "accuracy"),
        ("plain", 1.0, True, "log_loss"),
        ("correlated", 1.0, True, "accuracy"),
        ("correlated", 10.0, True, "f1"),
        ("separable", 1.0, True, "accuracy"),
        ("unbalanced", 1.0, False, "f1"),
    ],
)
def test_winners_and_ties_equal_brute_force(
    kind: str, C: float, standardize: bool, score: str
) -> None:
    values, y = _data(kind, n=16, d=5)
    shown = StandardScaler().fit_transform(values) if standardize else values
    keys = _brute(shown, y, C, score, 5)
    model = BestSubsetClassifier(C=C, standardize=standardize, scoring=score, rescore=False)
    model.fit(values, y)
    assert tuple(np.flatnonzero(model.support_)) == min(keys, key=keys.__getitem__)
    for row in model.cv_results_.itertuples():
        same = {c: k for c, k in keys.items() if len(c) == row.n_features}
        best = min(same.values())
        assert row.features == [f"x{j}" for j in best[-1]]
        assert abs(row.score) == pytest.approx(abs(best[0]), abs=1e-6)
        assert row.n_subsets == comb(5, row.n_features)
        if score != "log_loss":
            tied = sorted(c for c, k in same.items() if k[0] == best[0])
            assert row.n_tied == len(tied)
            assert model.ties(row.n_features) == [tuple(f"x{j}" for j in c) for c in tied]


def test_attributes_and_scales() -> None:
    values, y = _data(n=30)
    frame = pd.DataFrame(values, columns=list("abcde"))
    model = BestSubsetClassifier(3).fit(frame, np.where(y, "yes", "no"))
    results = model.cv_results_
    assert results["n_features"].tolist() == [1, 2, 3]
    assert results["n_subsets"].tolist() == [5, 10, 10]
    chosen = results[results["chosen"]].iloc[0]
    assert tuple(chosen["features"]) == model.features_
    assert chosen["accuracy"] == chosen["score"] == model.loo_accuracy_
    assert ((model.loo_probabilities_ > 0.5) == y).mean() == model.loo_accuracy_
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.search_.n_subsets == 25
    z = frame[list(model.features_)].to_numpy() @ model.raw_coef_[0] + model.raw_intercept_[0]
    np.testing.assert_allclose(z, model.decision_function(frame))
    np.testing.assert_allclose(model.predict_proba(frame)[:, 1], 1 / (1 + np.exp(-z)))
    assert (model.predict(frame) == np.where(z > 0, "yes", "no")).all()


@pytest.mark.parametrize(("standardize", "C"), [(True, 1.0), (False, 1.0), (False, 1e4)])
@pytest.mark.parametrize("kind", ["plain", "correlated"])
def test_coefficients_are_scikit_learns(kind: str, standardize: bool, C: float) -> None:
    values, y = _data(kind, n=40)
    model = BestSubsetClassifier(3, C=C, standardize=standardize, rescore=False).fit(values, y)
    columns = values[:, model.support_]
    shown = StandardScaler().fit_transform(columns) if standardize else columns
    theirs = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    theirs.fit(shown, y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, rtol=1e-6)
    np.testing.assert_allclose(model.intercept_, theirs.intercept_, rtol=1e-6)
    np.testing.assert_allclose(
        model.decision_function(values), theirs.decision_function(shown), rtol=1e-6, atol=1e-9
    )


def test_scikit_learn_scores_stand_beside_ours() -> None:
    values, y = _data(n=24)
    results = BestSubsetClassifier(C=1e3, standardize=False).fit(values * 100, y).cv_results_
    np.testing.assert_array_equal(results["score_sklearn_newton"], results["score"])
    for row in results.itertuples():
        columns = values[:, [int(name[1:]) for name in row.features]] * 100
        default = cross_val_predict(LogisticRegression(C=1e3), columns, y, cv=LeaveOneOut())
        assert row.score_sklearn == (default == y).mean()


def test_useless_columns_are_left_out_and_named() -> None:
    values, y = _data()
    frame = pd.DataFrame(values, columns=list("abcde")).assign(gone=np.nan, same=2.0)
    with pytest.raises(TrainingDataError, match=r"missing \(NaN\) in gone \(20 rows\)"):
        BestSubsetClassifier(2).fit(frame, y)
    model = BestSubsetClassifier(2, missing="median", rescore=False).fit(frame, y)
    assert model.dropped_ == {"gone": "missing in every row", "same": "constant (2)"}
    without = BestSubsetClassifier(2, rescore=False).fit(frame[list("abcde")], y)
    assert model.features_ == without.features_
    assert model.ties(1) == without.ties(1)
    np.testing.assert_array_equal(model.predict_proba(frame), without.predict_proba(values))


def test_medians_are_those_of_the_rows_of_fit() -> None:
    values, y = _data(n=24)
    values[np.random.default_rng(0).random(values.shape) < 0.15] = np.nan
    own = BestSubsetClassifier(2, missing="median", rescore=False).fit(values, y)
    piped = make_pipeline(SimpleImputer(strategy="median"), BestSubsetClassifier(2, rescore=False))
    np.testing.assert_array_equal(
        own.predict_proba(values), piped.fit(values, y).predict_proba(values)
    )
    with pytest.raises(TrainingDataError, match="x0"):
        piped[-1].predict(values)


@pytest.mark.parametrize("missing", ["refuse", "median"])
def test_nested_equals_refitting_everything_in_each_fold(missing: str) -> None:
    values, y = _data("correlated", n=13, d=4)
    values[1:, 3] = 0.0  # constant in one fold only
    if missing == "median":
        values[[2, 5, 6], [0, 1, 1]] = np.nan
    model = BestSubsetClassifier(2, missing=missing, rescore=False)
    told: list[tuple[int, int]] = []
    probabilities, chosen = model.nested_leave_one_out(values, y, lambda *n: told.append(n))
    brute = cross_val_predict(model, values, y, cv=LeaveOneOut(), method="predict_proba")[:, 1]
    np.testing.assert_allclose(probabilities, brute, atol=1e-12)
    assert told == [(i, 13) for i in range(1, 14)]
    assert clone(model).fit(values[1:], y[1:]).features_ == chosen[0]
    assert "x3" not in chosen[0]


def test_nested_is_below_plain_on_noise() -> None:
    plain, nested = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        values, y = rng.normal(size=(16, 8)), np.arange(16) % 2 == 0
        model = BestSubsetClassifier(2, rescore=False)
        plain.append(clone(model).fit(values, y).loo_accuracy_)
        nested.append(np.mean((model.nested_leave_one_out(values, y)[0] > 0.5) == y))
    assert min(plain) > 0.6
    assert np.mean(nested) < np.mean(plain) - 0.1


def test_works_in_a_grid_search() -> None:
    values, y = _data(n=24)
    pipeline = make_pipeline(StandardScaler(), BestSubsetClassifier(rescore=False))
    grid = {"bestsubsetclassifier__max_features": [1, 2]}
    found = GridSearchCV(pipeline, grid, cv=3).fit(values, y)
    assert len(found.best_estimator_[-1].features_) <= 2


def test_parts_of_a_search_give_the_same_model() -> None:
    values, y = _data("correlated")
    model = BestSubsetClassifier(rescore=False)
    whole = clone(model).fit(values, y)
    merged = merge_searches([model.search_part(values, y, (i, 3)) for i in range(3)])
    parts = clone(model).fit_search(values, y, merged)
    pd.testing.assert_frame_equal(parts.cv_results_, whole.cv_results_)
    assert [parts.ties(k) for k in range(1, 6)] == [whole.ties(k) for k in range(1, 6)]
    with pytest.raises(SSEError, match="of 31 subsets"):
        clone(model).fit_search(values, y, model.search_part(values, y, (1, 3)))
    with pytest.raises(SSEError, match="another table or other parameters: 5 columns"):
        clone(model).fit_search(values[:, :4], y, merged)


def test_fitting_twice_gives_the_same() -> None:
    values, y = _data("correlated")
    one, two = (BestSubsetClassifier(2).fit(values, y) for _ in range(2))
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
        BestSubsetClassifier(2).fit(_data()[0], y)
    assert caught.value.mend


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_features": 0}, "positive"),
        ({"C": 0.0}, "positive"),
        ({"C": np.inf}, "positive"),
        ({"scoring": "auc"}, "'auc' is not one of accuracy"),
        ({"missing": "mean"}, "'mean' is not one of"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict, message: str) -> None:
    with pytest.raises(SSEError, match=message):
        BestSubsetClassifier(**parameters).fit(*_data())


def test_too_many_columns_are_refused_with_the_time_they_take() -> None:
    values, y = _data(d=41)
    with pytest.raises(
        SSEError, match=r"2.2e\+12 subsets of 41 columns .* roughly .* days"
    ) as caught:
        BestSubsetClassifier().fit(values, y)
    assert "max_features" in str(caught.value.mend)
    assert len(BestSubsetClassifier(1, rescore=False).fit(values, y).features_) == 1


@parametrize_with_checks([BestSubsetClassifier(max_features=1, rescore=False)])
def test_is_a_scikit_learn_estimator(estimator, check) -> None:
    check(estimator)


@parametrize_with_checks([BestSubsetClassifier(max_features=1, rescore=False, missing="median")])
def test_is_a_scikit_learn_estimator_that_fills_gaps(estimator, check) -> None:
    check(estimator)
