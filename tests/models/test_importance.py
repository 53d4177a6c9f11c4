"""Leave-one-out permutation importance against brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sse_flows.models.importance import held_out_importance


def test_importances_are_the_mean_over_all_other_rows() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(9, 3)), columns=list("abc"))
    y = 3 * X["b"].to_numpy() + 0.1 * rng.normal(size=9)
    predictions, rises = held_out_importance(LinearRegression(), X, y)
    plain = cross_val_predict(LinearRegression(), X, y, cv=LeaveOneOut())
    assert predictions == pytest.approx(plain)
    squares = []
    for row in range(9):
        others = [i for i in range(9) if i != row]
        model = LinearRegression().fit(X.iloc[others], y[others])
        for other in others:
            swapped = X.iloc[[row]].copy()
            swapped["b"] = X["b"].iloc[other]
            squares.append((model.predict(swapped)[0] - y[row]) ** 2)
    expected = np.sqrt(np.mean(squares)) - np.sqrt(np.mean((plain - y) ** 2))
    assert rises["b"] == pytest.approx(expected)
    assert next(iter(rises)) == "b"
    assert max(abs(rises["a"]), abs(rises["c"])) < 0.1 * rises["b"]
