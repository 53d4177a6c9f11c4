"""The models of the published study beside one another, by the published protocol and by ours.

R. Jaafreh et al. (2024) filtered the 271 features of Ward 2017 by their correlations and compared
tree models by 10-fold cross-validation. Here the filter works inside the folds, and folds are by
composition unless asked otherwise: with random folds a compound's polymorphs are in the training
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import (
    AdaBoostRegressor,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeRegressor

from sse_flows.descriptors.crystal.labels import PAPER_LABELS
from sse_flows.errors import SSEError
from sse_flows.models.band_center import training_set
from sse_flows.models.band_center_data import TrainingCompound
from sse_flows.models.band_center_rows import N_ELEMENT, ROW_LABELS, ElementRows
from sse_flows.models.band_center_train import families, scores_of
from sse_flows.models.columns import Floats
from sse_flows.models.correlation import CorrelationFilter

if TYPE_CHECKING:
    import pandas as pd


def _xgboost(random_state: int) -> Any:
    try:
        from xgboost import XGBRegressor
    except ImportError as problem:
        raise SSEError("xgboost is not installed", mend="pip install xgboost") from problem
    return XGBRegressor(n_estimators=100, n_jobs=1, random_state=random_state)


def _lightgbm(random_state: int) -> Any:
    try:
        from lightgbm import LGBMRegressor
    except ImportError as problem:
        raise SSEError("lightgbm is not installed", mend="pip install lightgbm") from problem
    return LGBMRegressor(n_estimators=100, n_jobs=1, random_state=random_state, verbose=-1)


PUBLISHED: dict[str, Callable[[int], Any]] = {
    "extra trees": lambda seed: ExtraTreesRegressor(100, random_state=seed),
    "random forest": lambda seed: RandomForestRegressor(100, random_state=seed),
    "gradient boosting": lambda seed: GradientBoostingRegressor(random_state=seed),
    "hist gradient boosting": lambda seed: HistGradientBoostingRegressor(random_state=seed),
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "adaboost": lambda seed: AdaBoostRegressor(random_state=seed),
    "decision tree": lambda seed: DecisionTreeRegressor(random_state=seed),
}
"""Regressors by name, given a seed, with their libraries' default settings."""


def published_model(name: str, *, threshold: float | None = 0.8, random_state: int = 0) -> Pipeline:
    """One of the published models behind the correlation filter.

    Parameters
    ----------
    name
        Of `PUBLISHED`.
    threshold
        Of the filter; None for none.
    random_state
        Seed.

    Raises
    ------
    SSEError
        If the name is unknown or its library is not installed.
    """
    if name not in PUBLISHED:
        raise SSEError(f"model {name!r} is not one of {', '.join(PUBLISHED)}")
    steps: list[tuple[str, Any]] = [("model", PUBLISHED[name](random_state))]
    if threshold is not None:
        steps.insert(0, ("filter", CorrelationFilter(threshold)))
    return Pipeline(steps)


def cross_predict(
    estimator: Any,
    features: Floats,
    target: Floats,
    groups: Sequence[str] | None = None,
    *,
    n_folds: int = 10,
    random_state: int = 0,
) -> Floats:
    """Out-of-fold predictions, shape (n_rows,).

    Parameters
    ----------
    estimator
        Cloned for every fold.
    features, target
        Shapes (n_rows, n_columns) and (n_rows,).
    groups
        Rows of one group are in one fold, by default any row in any.
    n_folds, random_state
        Number of folds, and the seed by which rows or groups are shuffled.
    """
    splitter = (GroupKFold if groups is not None else KFold)(
        n_folds, shuffle=True, random_state=random_state
    )
    found = np.empty(len(target))
    for learned, tested in splitter.split(features, groups=groups):
        fitted = clone(estimator).fit(features[learned], target[learned])
        found[tested] = fitted.predict(features[tested])
    return found


def compare_models(
    features: pd.DataFrame,
    target: Floats,
    groups: Sequence[str] | None = None,
    *,
    models: Sequence[str] | Mapping[str, Any] = ("extra trees", "gradient boosting"),
    masks: Mapping[str, Any] | None = None,
    n_folds: int = 10,
    random_state: int = 0,
) -> pd.DataFrame:
    """Cross-validated scores of several models on the same folds.

    Parameters
    ----------
    features
        One compound a row.
    target
        Band centres, meV, shape (n_rows,).
    groups
        See `cross_predict`.
    models
        Names of `PUBLISHED`, or estimators by name.
    masks
        Families of rows scored apart, by name.
    n_folds, random_state
        See `cross_predict`.

    Returns
    -------
    DataFrame
        Columns `model`, `family`, `n_compounds`, `r2`, `mae`, `rmse` (meV).
    """
    import pandas as pd

    chosen = models if isinstance(models, Mapping) else {m: published_model(m) for m in models}
    values, target, rows = features.to_numpy(float), np.asarray(target, float), []
    for name, estimator in chosen.items():
        found = cross_predict(
            estimator, values, target, groups, n_folds=n_folds, random_state=random_state
        )
        for family, mask in {"all": np.ones(len(target), bool), **(masks or {})}.items():
            score = scores_of(target[mask], found[mask])
            rows.append({"model": name, "family": family, **score.model_dump()})
    return pd.DataFrame(rows)


def feature_importances(
    estimator: Any, features: pd.DataFrame, target: Floats, *, repeats: int = 5, seed: int = 0
) -> pd.Series:
    """Permutation importances: how much the MAE, meV, grows when a column is shuffled.

    Those of a filtered pipeline are zero for columns left out. `features` and `target` should be
    compounds that the fitted estimator has not seen.
    """
    import pandas as pd
    from sklearn.inspection import permutation_importance

    found = permutation_importance(
        estimator,
        features.to_numpy(float),
        target,
        n_repeats=repeats,
        random_state=seed,
        scoring="neg_mean_absolute_error",
    )
    return pd.Series(found.importances_mean, index=features.columns).sort_values(ascending=False)


def learning_curve(
    estimator: Any,
    features: Floats,
    target: Floats,
    groups: Sequence[str],
    *,
    shares: Sequence[float] = (0.1, 0.2, 0.4, 0.7, 1.0),
    n_folds: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """Scores of models of a growing share of the training groups.

    Returns
    -------
    DataFrame
        Columns `share`, `n_training` (mean over folds), `r2`, `mae`, `rmse` (meV).
    """
    import pandas as pd

    names = np.asarray(groups)
    splitter = GroupKFold(n_folds, shuffle=True, random_state=random_state)
    rng = np.random.default_rng(random_state)
    place = dict(zip(dict.fromkeys(groups), rng.permutation(len(set(groups))), strict=True))
    rank = np.array([place[name] for name in names]) / len(place)
    rows = []
    for share in shares:
        found, sizes = np.empty(len(target)), []
        for learned, tested in splitter.split(features, groups=names):
            part = learned[rank[learned] < share]
            sizes.append(len(part))
            fitted = clone(estimator).fit(features[part], target[part])
            found[tested] = fitted.predict(features[tested])
        score = scores_of(target, found).model_dump(exclude={"n_compounds"})
        rows.append({"share": share, "n_training": float(np.mean(sizes)), **score})
    return pd.DataFrame(rows)


def compare_compounds(
    compounds: Sequence[TrainingCompound],
    models: Sequence[str] | Mapping[str, Any],
    *,
    n_folds: int = 10,
    random_state: int = 0,
    n_jobs: int = 1,
) -> tuple[pd.DataFrame, dict[str, SSEError]]:
    """`compare_models` on the 271 features of compounds, folds by composition, by family.

    Returns
    -------
    tuple
        The table of `compare_models`, and what went wrong with compounds left out.
    """
    data, failures = training_set(compounds, n_jobs=n_jobs)
    table = compare_models(
        paper_features(data.rows),
        data.totals,
        data.rows.groups(),
        models=models,
        masks=families(data.rows),
        n_folds=n_folds,
        random_state=random_state,
    )
    return table, failures


def paper_features(rows: ElementRows) -> pd.DataFrame:
    """The 271 features of Ward 2017, one crystal a row."""
    import pandas as pd

    first = np.searchsorted(rows.owners, np.arange(len(rows.ids)))
    columns = [ROW_LABELS.index(name, N_ELEMENT) for name in PAPER_LABELS]
    return pd.DataFrame(rows.features[first][:, columns], index=rows.ids, columns=PAPER_LABELS)
