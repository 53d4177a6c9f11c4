"""Conformal intervals and sets hold what they promise, on data where the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sse_flows.errors import SSEError
from sse_flows.models import TrainedModels
from sse_flows.models.columns import TrainingDataError
from sse_flows.models.uncertainty import (
    ConformalModels,
    JackknifePlus,
    conformal_quantile,
    jackknife_interval,
    jackknife_plus_interval,
    prediction_sets,
    set_labels,
)


def test_quantile_is_the_right_order_statistic() -> None:
    assert conformal_quantile(np.arange(1, 10), 0.9) == 9  # ceil(10 * 0.9)
    assert conformal_quantile(np.arange(1, 100), 0.9) == 90
    assert conformal_quantile(np.arange(1, 9), 0.9) == np.inf
    assert conformal_quantile([], 0.5) == np.inf


def _line(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(n, 3))
    return X, X[:, 0] + 0.7 * rng.standard_t(3, size=n)


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_intervals_cover_as_often_as_they_say(level) -> None:
    covered: dict[str, list[bool]] = {"jackknife": [], "plus": []}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X, y = _line(rng, 30)
        new, truth = _line(rng, 40)
        model = JackknifePlus(LinearRegression(), level).fit(X, y)
        low, high = model.predict_interval(new)
        covered["plus"] += ((low <= truth) & (truth <= high)).tolist()
        low, high = jackknife_interval(model.predict(new), model.residuals_, level)
        covered["jackknife"] += ((low <= truth) & (truth <= high)).tolist()
    assert np.mean(covered["plus"]) == pytest.approx(level, abs=0.03)
    assert np.mean(covered["jackknife"]) == pytest.approx(level, abs=0.03)


def test_sets_cover_either_class_as_often_as_they_say() -> None:
    covered: dict[bool, list[bool]] = {False: [], True: []}
    both = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(90, 2))
        y = X[:, 0] + 0.6 * rng.normal(size=90) > 0.5  # a third is positive
        model = LogisticRegression().fit(X[:50], y[:50])
        held = cross_val_predict(
            LogisticRegression(), X[:50], y[:50], cv=LeaveOneOut(), method="predict_proba"
        )
        sets = prediction_sets(model.predict_proba(X[50:])[:, 1], held[:, 1], y[:50], 0.85)
        both += sets.all(axis=1).tolist()
        for allowed, truth in zip(sets, y[50:], strict=True):
            covered[bool(truth)].append(bool(allowed[int(truth)]))
    for rows in covered.values():
        assert 0.82 < np.mean(rows) < 0.93
    assert 0.02 < np.mean(both) < 0.7


def test_too_few_rows_of_a_class_exclude_nothing() -> None:
    target = np.r_[np.ones(4), np.zeros(20)]
    sets = prediction_sets([0.01, 0.99], np.r_[np.full(4, 0.9), np.full(20, 0.1)], target, 0.9)
    assert sets[:, 1].all()
    assert sets[:, 0].tolist() == [True, False]
    assert set_labels(sets[0]) == ["not superionic", "superionic"]
    assert set_labels([False, True]) == ["superionic"]


def test_jackknife_plus_of_equal_folds_is_the_jackknife() -> None:
    residuals = np.linspace(-2, 2, 21)
    plus = jackknife_plus_interval(np.full((21, 1), -4.0), residuals)
    plain = jackknife_interval([-4.0], residuals)
    np.testing.assert_allclose(plus, plain)


def test_a_frame_is_fitted_like_an_array() -> None:
    X, y = _line(np.random.default_rng(0), 20)
    frame = pd.DataFrame(X, columns=list("abc"))
    ours = JackknifePlus(LinearRegression()).fit(frame, y)
    np.testing.assert_allclose(
        ours.predict_interval(frame),
        JackknifePlus(LinearRegression()).fit(X, y).predict_interval(X),
    )
    held = cross_val_predict(LinearRegression(), X, y, cv=LeaveOneOut())
    np.testing.assert_allclose(ours.residuals_, y - held)


def test_saved_models_calibrate_themselves(models: TrainedModels) -> None:
    conformal = ConformalModels.of(models, 0.8)
    assert conformal.nested
    low, high = conformal.intervals([-3.0, -5.0])
    np.testing.assert_allclose((low + high) / 2, [-3.0, -5.0])
    errors = sorted(abs(row.log10_measured - row.log10_predicted) for row in models.training)
    assert high[0] + 3.0 == pytest.approx(errors[19])  # the ceil(25 * 0.8)th of 24
    plain = [row.model_copy(update={"nested_probability": None}) for row in models.training]
    other = ConformalModels.of(models.model_copy(update={"training": plain}), 0.8)
    assert not other.nested
    assert other.probabilities.tolist() == [row.probability for row in models.training]


def test_bad_input_is_refused(models: TrainedModels) -> None:
    with pytest.raises(SSEError, match=r"level=1\.0 is not between"):
        ConformalModels.of(models, 1.0)
    with pytest.raises(SSEError, match="1 of 2 leave-one-out scores are missing"):
        conformal_quantile([1.0, np.nan], 0.5)
    with pytest.raises(TrainingDataError, match="missing in 1 rows"):
        JackknifePlus(LinearRegression()).fit(np.ones((3, 1)), [1.0, np.nan, 2.0])
