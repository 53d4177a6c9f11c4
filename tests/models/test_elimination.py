"""Backward elimination: its scores are scikit-learn's, its rule the one it states."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sse_flows.errors import SSEError
from sse_flows.models.columns import TrainingDataError
from sse_flows.models.elimination import BackwardEliminationForest
from sse_flows.models.trees import Bootstrap, out_of_bag


def _data(n: int = 18) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(n, 6)), columns=list("abcdef"))
    y = -4 + 2 * frame["b"].to_numpy() + 0.1 * rng.normal(size=n)
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    return frame.assign(same=1.0, gone=np.nan), y


@pytest.fixture(scope="module")
def fitted() -> BackwardEliminationForest:
    return BackwardEliminationForest(15, ranking_trees=30).fit(*_data())


def test_every_round_is_scikit_learns_leave_one_out(fitted) -> None:
    X, y = _data()
    for row in fitted.cv_results_.itertuples():
        forest = RandomForestRegressor(15, random_state=0)
        pipeline = make_pipeline(SimpleImputer(strategy="median"), forest)
        expected = cross_val_predict(pipeline, X[row.features], y, cv=LeaveOneOut())
        assert row.rmse == pytest.approx(np.sqrt(np.mean((expected - y) ** 2)))
        assert row.r2 == pytest.approx(1 - np.mean((expected - y) ** 2) / y.var())
        if row.chosen:
            np.testing.assert_allclose(fitted.loo_predictions_, expected)


def test_one_column_goes_each_round_and_the_cause_stays(fitted) -> None:
    path = fitted.cv_results_
    assert fitted.dropped_ == {"same": "constant (1)", "gone": "missing in every row"}
    assert path["n_features"].tolist() == list(range(6, 6 - len(path), -1))
    for before, after in zip(path["features"], path["features"][1:], strict=False):
        assert set(after) < set(before)
    assert path["dropped"].tolist()[0] == ""
    assert "b" in fitted.features_
    assert path["chosen"].sum() == 1
    assert list(_data()[0].columns[fitted.get_support()]) == list(fitted.features_)


@pytest.mark.parametrize("tolerance", [0.0, 0.1, 10.0])
def test_it_stops_before_the_error_rises_beyond_the_tolerance(tolerance) -> None:
    model = BackwardEliminationForest(8, tolerance=tolerance, ranking_trees=10, n_confirm=1)
    path = model.fit(*_data()).cv_results_
    best = path["rmse"].cummin().shift()
    kept = path["rmse"] <= (1 + tolerance) * best.fillna(np.inf)
    assert kept[:-1].all()
    assert path["chosen"].to_numpy().nonzero()[0][0] == kept.to_numpy().nonzero()[0][-1]
    assert kept.iloc[-1] == (path["n_features"].iloc[-1] == 1 and path["chosen"].iloc[-1])


def test_confirming_all_candidates_is_the_full_elimination() -> None:
    X, y = _data()
    few = BackwardEliminationForest(8, ranking_trees=10, n_confirm=1).fit(X, y)
    full = BackwardEliminationForest(8, ranking_trees=10, n_confirm=6).fit(X, y)
    assert full.cv_results_["rmse"][1] <= few.cv_results_["rmse"][1]
    five = [[c for c in "abcdef" if c != gone] for gone in "abcdef"]
    pipeline = make_pipeline(
        SimpleImputer(strategy="median"), RandomForestRegressor(8, random_state=0)
    )
    errors = [
        np.mean((cross_val_predict(pipeline, X[c], y, cv=LeaveOneOut()) - y) ** 2) for c in five
    ]
    assert full.cv_results_["features"][1] == five[int(np.argmin(errors))]


def test_out_of_bag_is_scikit_learns() -> None:
    X, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30.0)
    forest = RandomForestRegressor(60, oob_score=True, random_state=3).fit(X, y)
    ours = out_of_bag(X, y, Bootstrap.draw(30, 60, 3), max_features=1.0)
    np.testing.assert_allclose(ours, forest.oob_prediction_)


def test_same_seed_same_path_and_importances_of_the_chosen(fitted) -> None:
    again = BackwardEliminationForest(15, ranking_trees=30).fit(*_data())
    pd.testing.assert_frame_equal(again.cv_results_, fitted.cv_results_)
    assert fitted.feature_importances_.sum() == pytest.approx(1.0)
    assert (fitted.feature_importances_[~fitted.support_] == 0).all()
    same = BackwardEliminationForest(5, ranking_trees=5, n_confirm=1).fit(*_data())
    other = BackwardEliminationForest(5, ranking_trees=5, n_confirm=1, random_state=1).fit(*_data())
    assert other.cv_results_["rmse"][0] != same.cv_results_["rmse"][0]


def test_it_works_in_a_pipeline_and_tells_its_progress() -> None:
    X, y = _data()
    told: list[tuple[int, float]] = []
    model = BackwardEliminationForest(
        5, ranking_trees=5, n_confirm=1, progress=lambda *one: told.append(one)
    )
    pipeline = make_pipeline(StandardScaler(), model).fit(X.drop(columns="gone"), y)
    assert pipeline.predict(X.drop(columns="gone")).shape == y.shape
    assert told == list(
        zip(model.cv_results_["n_features"], model.cv_results_["rmse"], strict=True)
    )


def test_bad_input_is_refused() -> None:
    X, y = _data()
    with pytest.raises(TrainingDataError, match="missing in 1 rows"):
        BackwardEliminationForest().fit(X, np.where(np.arange(len(y)) == 3, np.nan, y))
    with pytest.raises(SSEError, match=r"tolerance=-0\.1"):
        BackwardEliminationForest(tolerance=-0.1).fit(X, y)
    with pytest.raises(SSEError, match="'n_confirm': 0"):
        BackwardEliminationForest(n_confirm=0).fit(X, y)


@parametrize_with_checks(
    [BackwardEliminationForest(1, ranking_trees=2, n_confirm=1, min_features=8)]
)
def test_is_a_scikit_learn_estimator(estimator, check) -> None:
    check(estimator)
