"""The random forest of log10 conductivity."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sse_flows.models import ConductivityForest, TrainingDataError, leave_one_out


def _data(n: int = 20) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(n, 4)), columns=list("abcd"))
    y = -4 + 2 * frame["b"].to_numpy() + 0.1 * rng.normal(size=n)
    return frame.mask(rng.random(frame.shape) < 0.1), y


def test_equals_scikit_learn_with_the_imputer_inside_the_folds() -> None:
    X, y = _data()
    ours = leave_one_out(ConductivityForest(n_estimators=10), X, y)
    forest = RandomForestRegressor(n_estimators=10, random_state=0)
    pipeline = make_pipeline(SimpleImputer(strategy="median"), forest)
    expected = cross_val_predict(pipeline, X, y, cv=LeaveOneOut())
    np.testing.assert_array_equal(ours.predictions, expected)
    assert ours.scores.rmse == pytest.approx(np.sqrt(np.mean((expected - y) ** 2)))
    assert ours.scores.mae == pytest.approx(np.mean(np.abs(expected - y)))
    assert ours.scores.rmse < ours.baseline.rmse


def test_importances_name_the_cause_and_skip_useless_columns() -> None:
    X, y = _data(40)
    X = X.assign(same=1.0, gone=np.nan)
    model = ConductivityForest(n_estimators=20).fit(X, y)
    assert model.dropped_ == {"same": "constant (1)", "gone": "missing in every row"}
    assert X.columns[model.feature_importances_.argmax()] == "b"
    assert model.feature_importances_.sum() == pytest.approx(1.0)
    assert (model.feature_importances_[4:] == 0).all()


def test_missing_target_is_refused() -> None:
    X, y = _data()
    y[3] = np.nan
    with pytest.raises(TrainingDataError, match="missing in 1 rows"):
        ConductivityForest().fit(X, y)


@parametrize_with_checks([ConductivityForest(n_estimators=5)])
def test_is_a_scikit_learn_estimator(estimator, check) -> None:
    check(estimator)
