"""Permutation importance by leave-one-out: what a descriptor is worth for an unseen compound.

The importance by permutation of rows that a forest was grown on (L. Breiman, Mach. Learn. 45, 5
(2001), shuffles those it was not) praises whatever the trees have learned by heart. Here the value
of a held-out compound is replaced by that of each other compound in turn, so that the mean over all
permutations is exact and nothing is drawn at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from sse_flows.models.columns import Floats


def held_out_importance(
    estimator: Any, X: pd.DataFrame, y: Floats
) -> tuple[Floats, dict[str, float]]:
    """Leave-one-out predictions and how much worse they get without each column.

    Parameters
    ----------
    estimator
        A regressor; cloned, never changed.
    X
        Shape (n_rows, n_columns); NaN where missing.
    y
        Shape (n_rows,).

    Returns
    -------
    Predictions, shape (n_rows,), and the rise of the root mean square error by column, in units of
    `y`, largest first.
    """
    names, n_rows = list(X.columns), len(X)
    predictions = np.empty(n_rows)
    squares = np.empty((n_rows, len(names)))
    for row in range(n_rows):
        others = np.arange(n_rows) != row
        model = clone(estimator).fit(X.iloc[others], y[others])
        said = model.predict(_with_others(X, row, others))
        predictions[row] = said[0]
        errors = said[1:].reshape(len(names), -1) - y[row]
        squares[row] = np.mean(errors**2, axis=1)
    plain = np.sqrt(np.mean((predictions - y) ** 2))
    rises = dict(zip(names, np.sqrt(squares.mean(axis=0)) - plain, strict=True))
    ordered = sorted(rises.items(), key=lambda item: (-item[1], names.index(item[0])))
    return predictions, {name: float(rise) for name, rise in ordered}


def _with_others(X: pd.DataFrame, row: int, others: np.ndarray) -> pd.DataFrame:
    """The row as it is, then for each column with the values of all other rows in it."""
    values = X.to_numpy(dtype=float)
    count, columns = int(others.sum()), values.shape[1]
    blocks = np.tile(values[row], (columns, count, 1))
    for column in range(columns):
        blocks[column, :, column] = values[others, column]
    table = np.vstack([values[row], blocks.reshape(-1, columns)])
    return pd.DataFrame(table, columns=X.columns)
