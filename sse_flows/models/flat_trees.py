"""Boosted trees read in compiled code, a few rows side by side.

scikit-learn predicts one tree at a time and one row after the other: every row is fetched from
memory hundreds of times, and each step waits for the one before. Here a few rows stay in the cache
while all trees are read, and they go down a tree together, a level at a time, without a branch. The
sums run in the same order, so predictions are equal to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.ensemble import HistGradientBoostingRegressor

    from sse_flows.models.columns import Floats

    Places = NDArray[np.uint32]

_ROWS = 16
"""Rows side by side."""


@dataclass(frozen=True)
class FlatTrees:
    """The nodes of all trees of a regressor, end to end.

    Attributes
    ----------
    roots, levels
        First node of each tree and its number of steps to the deepest leaf, shape (trees,).
    columns
        Column that a node asks for, shape (nodes,).
    thresholds
        Shape (nodes,).
    left, right
        Where a value at most the threshold leads and where a larger one; a leaf leads to itself.
        Shape (nodes,).
    leaves
        Values of the leaves, shape (nodes,).
    baseline
        What they are added to.
    """

    roots: Places
    levels: Places
    columns: Places
    thresholds: Floats
    left: Places
    right: Places
    leaves: Floats
    baseline: float

    @classmethod
    def of(cls, regressor: HistGradientBoostingRegressor) -> FlatTrees:
        """The trees of a fitted regressor of one output, without categories."""
        trees: list[Any] = [stage[0].nodes for stage in regressor._predictors]
        nodes = np.concatenate(trees)
        sizes = [len(tree) for tree in trees]
        roots = np.cumsum([0, *sizes[:-1]])
        first, leaf = np.repeat(roots, sizes), nodes["is_leaf"].astype(bool)
        own = np.arange(len(nodes))
        return cls(
            roots.astype(np.uint32),
            np.array([tree["depth"].max() for tree in trees], np.uint32),
            np.where(leaf, 0, nodes["feature_idx"]).astype(np.uint32),
            np.where(leaf, 0.0, nodes["num_threshold"]),
            np.where(leaf, own, nodes["left"] + first).astype(np.uint32),
            np.where(leaf, own, nodes["right"] + first).astype(np.uint32),
            np.where(leaf, nodes["value"], 0.0),
            float(regressor._baseline_prediction.item()),
        )

    def predict(self, values: Floats, decimals: int) -> Floats:
        """Sum of the leaves of each row, shape (n_rows,).

        Parameters
        ----------
        values
            Shape (n_rows, n_columns), nothing missing.
        decimals
            To which the values are rounded, as by `numpy.round`.
        """
        found = np.full(len(values), self.baseline)
        nodes = (self.columns, self.thresholds, self.left, self.right, self.leaves)
        _add_leaves(self.roots, self.levels, *nodes, values, 10.0**decimals, found)
        return found


@njit(cache=True)
def _add_leaves(
    roots: Places,
    levels: Places,
    columns: Places,
    thresholds: Floats,
    left: Places,
    right: Places,
    leaves: Floats,
    rows: Floats,
    scale: float,
    found: Floats,
) -> None:
    near = np.zeros((_ROWS, rows.shape[1]))
    at = np.empty(_ROWS, np.uint32)
    for start in range(0, len(rows), _ROWS):
        count = min(_ROWS, len(rows) - start)
        near[:count] = np.rint(rows[start : start + count] * scale) / scale
        for tree in range(len(roots)):
            at[:] = roots[tree]
            for _ in range(levels[tree]):
                for row in range(_ROWS):  # a fixed number, so that it is vectorised
                    node = at[row]
                    low, high = left[node], right[node]  # both, or there would be a branch
                    at[row] = high if near[row, columns[node]] > thresholds[node] else low
            for row in range(count):
                found[start + row] += leaves[at[row]]
