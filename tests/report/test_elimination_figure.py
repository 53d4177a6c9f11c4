"""The path of an elimination, and the line that ends it."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_flows.models.document import EliminationRound
from sse_flows.models.elimination import BackwardEliminationForest
from sse_flows.report.elimination_figure import elimination_figure, elimination_limits


def rounds(*rmse: float, chosen: int = 1) -> list[EliminationRound]:
    n = len(rmse)
    return [
        EliminationRound(
            n_features=n - i,
            dropped="" if i == 0 else "band_gap",
            features=["x"] * (n - i),
            rmse=value,
            r2=0.1 * i,
            chosen=n - i == chosen,
        )
        for i, value in enumerate(rmse)
    ]


def elements(drawing: str, cls: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(str(drawing)).iter() if e.get("class") == cls]


def test_limits_follow_the_smallest_error_so_far():
    assert elimination_limits([2.0, 1.0, 1.05, 0.9], 0.1) == pytest.approx([2.2, 1.1, 1.1])
    assert elimination_limits([2.0], 0.1) == []


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=40))
def test_limits_never_rise(rmse):
    assert np.all(np.diff(elimination_limits(rmse, 0.1)) <= 0)


def test_limits_are_those_of_the_estimator():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20, 5))
    y = X[:, 0] + 0.3 * X[:, 1] + 0.1 * rng.normal(size=20)
    forest = BackwardEliminationForest(5, ranking_trees=10, n_confirm=1).fit(X, y)
    table = forest.cv_results_
    limits = elimination_limits(list(table["rmse"]), forest.tolerance)
    passed = table["rmse"].to_numpy()[1:] <= limits
    kept = table["n_features"].to_numpy()[1:] >= len(forest.features_)
    assert list(passed) == list(kept)


def test_every_round_with_its_scores_and_what_went():
    drawing = elimination_figure(rounds(2.0, 1.5, 1.9, chosen=2), 0.1)
    assert len(elements(drawing, "dot series-0")) == 3
    assert len(elements(drawing, "dot series-1")) == 3
    assert len(elements(drawing, "threshold")) == 2
    assert len(elements(drawing, "limit")) == 1
    assert "2 left, without band gap: RMSE 1.50 decades, R² 0.10" in drawing
    xs = [float(e.get("cx")) for e in elements(drawing, "dot series-0")]
    assert xs == sorted(xs)  # from all descriptors at the left to few


def test_one_round_has_no_limit():
    drawing = elimination_figure(rounds(2.0), 0.1)
    assert not elements(drawing, "limit")
    assert "(all)" in drawing


def test_names_are_escaped():
    path = rounds(2.0, 1.0)
    path[1].dropped = "<script>"
    assert "<script>" not in elimination_figure(path, 0.1)
