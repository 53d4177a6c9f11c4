"""Boosted trees read node by node in compiled code, many rows after the other.

scikit-learn predicts one tree at a time: every row is fetched from memory hundreds of times. Here a
few rows stay in the cache while all trees are read. The sums run in the same order, so predictions
are equal to the last bit.
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

_ROWS = 16
"""Rows that stay in the cache of a core."""


@dataclass(frozen=True)
class FlatTrees:
    """The nodes of all trees of a regressor, end to end.

    Attributes
    ----------
    roots
        First node of each tree, shape (trees,).
    features
        Column that a node asks for, -1 at a leaf, shape (nodes,).
    children
        Where a value at most the threshold leads, and where a larger one, shape (nodes, 2).
    values
        Threshold of a node, value of a leaf, shape (nodes,).
    baseline
        What the values of the leaves add to.
    """

    roots: NDArray[np.int64]
    features: NDArray[np.int32]
    children: NDArray[np.int32]
    values: Floats
    baseline: float

    @classmethod
    def of(cls, regressor: HistGradientBoostingRegressor) -> FlatTrees:
        """The trees of a fitted regressor of one output without categories."""
        trees: list[Any] = [stage[0].nodes for stage in regressor._predictors]
        nodes = np.concatenate(trees)
        sizes = [len(tree) for tree in trees]
        roots = np.cumsum([0, *sizes[:-1]])
        leaf = nodes["is_leaf"].astype(bool)
        below = np.stack([nodes["left"], nodes["right"]], axis=1) + np.repeat(roots, sizes)[:, None]
        return cls(
            roots,
            np.where(leaf, -1, nodes["feature_idx"]).astype(np.int32),
            below.astype(np.int32),
            np.where(leaf, nodes["value"], nodes["num_threshold"]),
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
        scale = 10.0**decimals
        _add_leaves(self.roots, self.features, self.children, self.values, values, scale, found)
        return found


@njit(cache=True)
def _add_leaves(
    roots: NDArray[np.int64],
    features: NDArray[np.int32],
    children: NDArray[np.int32],
    thresholds: Floats,
    rows: Floats,
    scale: float,
    found: Floats,
) -> None:
    for start in range(0, len(rows), _ROWS):
        near = np.rint(rows[start : start + _ROWS] * scale) / scale
        for root in roots:
            for row in range(len(near)):
                node = root
                column = features[node]
                while column >= 0:
                    node = children[node, np.int64(near[row, column] > thresholds[node])]
                    column = features[node]
                found[start + row] += thresholds[node]
