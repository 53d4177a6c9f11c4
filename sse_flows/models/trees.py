"""Random forests of a few dozen rows, many times over.

`RandomForestRegressor` spends most of its time on 50 rows in checking its input, once a tree. Here
the same trees are grown from the same seeds and the same bootstrap samples, which depend on the
number of rows only and are therefore drawn once for all folds and all sets of columns: predictions
are those of scikit-learn's forest, and forests of different columns differ by the columns alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.tree import DecisionTreeRegressor

from sse_flows.models.columns import Floats

Singles = NDArray[np.float32]
"""What scikit-learn's trees read."""


@dataclass(frozen=True)
class Bootstrap:
    """What chance gives the trees of one forest."""

    seeds: list[int]
    counts: Floats
    """How often each tree sees each row, shape (n_trees, n_rows)."""

    @classmethod
    def draw(cls, n_rows: int, n_trees: int, random_state: int) -> Self:
        """As ``RandomForestRegressor(n_trees, random_state=random_state)`` would."""
        stumps = RandomForestRegressor(n_trees, max_depth=1, random_state=random_state)
        stumps.fit(np.zeros((n_rows, 1)), np.zeros(n_rows))
        samples = stumps.estimators_samples_
        return cls(
            [tree.random_state for tree in stumps.estimators_],
            np.array([np.bincount(rows, minlength=n_rows) for rows in samples], dtype=float),
        )

    def grow(self, values: Singles, target: Floats, **settings: Any) -> list[Any]:
        """Trees of a forest; values of shape (n_rows, n_columns), nothing missing."""
        column = np.ascontiguousarray(target, dtype=float).reshape(-1, 1)
        trees = []
        with config_context(skip_parameter_validation=True, assume_finite=True):
            for seed, counts in zip(self.seeds, self.counts, strict=True):
                tree = DecisionTreeRegressor(random_state=seed, **settings)
                tree.fit(values, column, sample_weight=counts, check_input=False)
                trees.append(tree.tree_)
        return trees


def out_of_bag(values: Floats, target: Floats, bootstrap: Bootstrap, **settings: Any) -> Floats:
    """Mean prediction of each row by the trees that have not seen it, shape (n_rows,).

    A row that every tree has seen is NaN.
    """
    compact = np.ascontiguousarray(values, dtype=np.float32)
    trees = bootstrap.grow(compact, target, **settings)
    predictions = np.array([tree.predict(compact)[:, 0] for tree in trees])
    unseen = bootstrap.counts == 0
    total, votes = np.sum(predictions * unseen, axis=0), unseen.sum(axis=0)
    return np.divide(total, votes, out=np.full(len(target), np.nan), where=votes > 0)


@dataclass(frozen=True)
class Folds:
    """Every leave-one-out fold of a table, imputed by the medians of its own rows."""

    training: Singles
    """Shape (n_rows, n_rows - 1, n_columns)."""
    held_out: Singles
    """Shape (n_rows, n_columns)."""
    target: Floats

    @classmethod
    def of(cls, values: Floats, target: Floats) -> Self:
        """Folds of `values`, shape (n_rows, n_columns), NaN where missing."""
        training, held_out = [], []
        for row in range(len(target)):
            imputer = SimpleImputer(strategy="median", keep_empty_features=True)
            training.append(imputer.fit_transform(np.delete(values, row, axis=0)))
            held_out.append(imputer.transform(values[[row]])[0])
        return cls(np.array(training, np.float32), np.array(held_out, np.float32), target)

    def predict(self, columns: list[int], bootstrap: Bootstrap, **settings: Any) -> Floats:
        """Prediction of every row by a forest of the others on some columns, shape (n_rows,)."""
        predictions = np.empty(len(self.target))
        for row, (table, left_out) in enumerate(zip(self.training, self.held_out, strict=True)):
            compact = np.ascontiguousarray(table[:, columns])
            trees = bootstrap.grow(compact, np.delete(self.target, row), **settings)
            one = np.ascontiguousarray(left_out[columns]).reshape(1, -1)
            predictions[row] = np.mean([tree.predict(one)[0, 0] for tree in trees])
        return predictions
