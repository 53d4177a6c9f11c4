"""The backward elimination inside the folds of a cross-validation.

One elimination takes a minute or two, so leaving each compound out in turn would take hours. Here
are fewer folds and a cheaper elimination; the document says which.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold

from sse_flows.models.columns import Floats
from sse_flows.models.document import NestedSettings
from sse_flows.models.elimination import BackwardEliminationForest

N_SPLITS = 10
NESTED_TREES = 20


@dataclass(frozen=True)
class NestedElimination:
    """Predictions of every row by eliminations that have not seen it."""

    predictions: Floats
    """Shape (n_rows,), in units of the target."""
    chosen: dict[str, int]
    """In how many folds each column was left, most often first."""
    settings: NestedSettings


def cheaper(model: BackwardEliminationForest) -> BackwardEliminationForest:
    """The same elimination with at most 20 trees, three times as many to rank by, one confirmed."""
    trees = min(model.n_estimators, NESTED_TREES)
    fresh = clone(model)
    return fresh.set_params(n_estimators=trees, ranking_trees=3 * trees, n_confirm=1, progress=None)


def nested_elimination(
    model: BackwardEliminationForest, X: pd.DataFrame, y: Floats, n_splits: int = N_SPLITS
) -> NestedElimination:
    """Cross-validate the whole elimination, with the settings of `cheaper`.

    Parameters
    ----------
    model
        The elimination in use; not changed. Its seed, an integer, also shuffles the folds.
    X
        Shape (n_rows, n_columns); NaN where missing.
    y
        Shape (n_rows,).
    n_splits
        Folds; as many as rows where there are fewer.
    """
    fold_model = cheaper(model)
    seed = fold_model.random_state if isinstance(fold_model.random_state, int) else 0
    splits = KFold(min(n_splits, len(X)), shuffle=True, random_state=seed)
    predictions, chosen = np.empty(len(X)), Counter[str]()
    for training, held_out in splits.split(X):
        predictions[held_out], left = _without(fold_model, X, y, training, held_out)
        chosen.update(left)
    return NestedElimination(
        predictions,
        dict(chosen.most_common()),
        NestedSettings(
            n_splits=splits.get_n_splits(),
            n_estimators=fold_model.n_estimators,
            ranking_trees=fold_model.ranking_trees,
            n_confirm=fold_model.n_confirm,
            tolerance=fold_model.tolerance,
            random_state=seed,
        ),
    )


def _without(
    model: BackwardEliminationForest,
    X: pd.DataFrame,
    y: Floats,
    training: NDArray[Any],
    held_out: NDArray[Any],
) -> tuple[Floats, tuple[str, ...]]:
    fitted = clone(model).fit(X.iloc[training], y[training])
    return fitted.predict(X.iloc[held_out]), fitted.features_
