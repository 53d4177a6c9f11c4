"""Controls tell noise from signal, and relatives from strangers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from sse_flows.errors import SSEError
from sse_flows.models import BestSubsetClassifier, leave_one_out
from sse_flows.models.columns import TrainingDataError
from sse_flows.models.controls import leave_one_group_out, scramble_control


def _data(signal: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(24, 4))
    return X, signal * X[:, 0] + rng.normal(size=24) > 0.1


def test_a_signal_is_above_the_scrambled_scores_and_noise_is_not() -> None:
    estimator = BestSubsetClassifier(1, missing="median")
    strong = scramble_control(estimator, *_data(20.0), n_permutations=19)
    assert strong.p_value == pytest.approx(1 / 20)
    assert strong.accuracy > strong.quantile_95 >= strong.median > 0.5
    noise = scramble_control(estimator, *_data(0.0), n_permutations=9)
    assert noise.p_value > 0.1
    assert not hasattr(estimator, "loo_accuracy_")


def test_p_value_counts_ties_against_us() -> None:
    X, y = _data(1.0)
    told: list[tuple[int, int]] = []
    control = scramble_control(
        BestSubsetClassifier(1, missing="median"),
        X,
        y,
        n_permutations=9,
        progress=lambda *n: told.append(n),
    )
    as_good = sum(one >= control.accuracy - 1e-12 for one in control.scrambled)
    assert control.p_value == pytest.approx((as_good + 1) / 10)
    assert told[-1] == (9, 9)
    assert len(control.scrambled) == 9
    rng = np.random.default_rng(0)
    first = BestSubsetClassifier(1, missing="median").fit(X, rng.permutation(y))
    assert control.scrambled[0] == first.loo_accuracy_


def test_grouped_predictions_are_scikit_learns() -> None:
    X, y = _data(3.0)
    groups = np.arange(24) % 5
    ours = leave_one_group_out(LogisticRegression(), pd.DataFrame(X), y, groups)
    expected = cross_val_predict(LogisticRegression(), X, y, groups=groups, cv=LeaveOneGroupOut())
    assert ours.scores.accuracy == accuracy_score(y, expected)
    assert ours.scores.selection == "inside the folds"
    assert ours.groups == {"0": 5, "1": 5, "2": 5, "3": 5, "4": 4}
    value = leave_one_group_out(LinearRegression(), X, X[:, 0], groups)
    assert value.scores.rmse == pytest.approx(0.0, abs=1e-9)
    assert value.baseline.r2 < 0


def test_relatives_leak_and_groups_stop_it() -> None:
    rng = np.random.default_rng(0)
    families = np.repeat(np.arange(8), 4)
    X = rng.normal(size=(8, 3))[families] + 0.01 * rng.normal(size=(32, 3))
    y = rng.normal(size=8)[families]
    plain = leave_one_out(KNeighborsRegressor(1), X, y).scores
    grouped = leave_one_group_out(KNeighborsRegressor(1), X, y, families).scores
    assert plain.r2 == pytest.approx(1.0)
    assert grouped.r2 < 0.2


def test_bad_input_is_refused() -> None:
    X, y = _data(1.0)
    with pytest.raises(SSEError, match="n_permutations=0"):
        scramble_control(BestSubsetClassifier(1, missing="median"), X, y, n_permutations=0)
    with pytest.raises(TrainingDataError, match="group is missing in 23 of 24 rows"):
        leave_one_group_out(LogisticRegression(), X, y, ["a"] + [None] * 23)
    with pytest.raises(TrainingDataError, match="1 group is no cross-validation"):
        leave_one_group_out(LogisticRegression(), X, y, ["a"] * 24)
    with pytest.raises(TrainingDataError, match="2 groups for 24 rows"):
        leave_one_group_out(LogisticRegression(), X, y, ["a", "b"])
    with pytest.raises(TrainingDataError, match="without group False only one class"):
        leave_one_group_out(LogisticRegression(), X, y, y)
    with pytest.raises(TrainingDataError, match="missing in 1 rows"):
        leave_one_group_out(LinearRegression(), X, np.r_[np.nan, X[1:, 0]], np.arange(24))
