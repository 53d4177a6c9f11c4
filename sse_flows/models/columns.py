"""What every model of a descriptor table asks of its rows and columns before it is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from sse_flows.errors import SSEError

Floats = NDArray[np.float64]


class TrainingDataError(SSEError, ValueError):
    """A table that no model can be fitted to; a ValueError too, as scikit-learn's tools expect."""


def usable_columns(
    values: Floats, names: Sequence[str]
) -> tuple[NDArray[np.bool_], dict[str, str]]:
    """Columns that can carry information, and why the others cannot.

    Parameters
    ----------
    values
        Shape (n_rows, n_columns); NaN where missing.
    names
        Column names, used as keys of the reasons.

    Returns
    -------
    Mask of the usable columns, shape (n_columns,), and the reason of each column left out.

    Raises
    ------
    TrainingDataError
        If no column is left.
    """
    reasons: dict[str, str] = {}
    for name, column in zip(names, values.T, strict=True):
        present = column[~np.isnan(column)]
        if present.size == 0:
            reasons[name] = "missing in every row"
        elif present.min() == present.max():
            reasons[name] = f"constant ({present[0]:g})"
    usable = np.array([name not in reasons for name in names])
    if not usable.any():
        raise TrainingDataError(
            f"none of {len(names)} columns can be used: {reasons}",
            mend="Bring rows in which at least one descriptor varies",
        )
    return usable, reasons


def column_names(estimator: Any) -> list[str]:
    """Names of the columns an estimator was fitted to; ``x0``, ``x1``, ... without a DataFrame."""
    if hasattr(estimator, "feature_names_in_"):
        return [str(name) for name in estimator.feature_names_in_]
    return [f"x{i}" for i in range(estimator.n_features_in_)]


def checked_rows(estimator: Any, X: ArrayLike, y: ArrayLike, least: int) -> tuple[Floats, Floats]:
    """Values and target of a regressor being fitted; NaN is allowed in the values alone.

    Raises
    ------
    TrainingDataError
        If the target is missing somewhere.
    ValueError
        If there is no target, or fewer than `least` rows.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    check_target(y)
    return validate_data(
        estimator,
        X,
        y,
        dtype=np.float64,
        ensure_all_finite="allow-nan",
        ensure_min_samples=least,
        y_numeric=True,
    )


def check_target(y: ArrayLike) -> None:
    """Refuse a target with missing values.

    Raises
    ------
    TrainingDataError
        Naming how many are missing.
    """
    missing = int(pd.isna(np.asarray(y)).sum())
    if missing:
        raise TrainingDataError(
            f"the target is missing in {missing} rows",
            mend="Leave rows without a measured conductivity out of the training table",
        )


def encode_classes(y: ArrayLike, least: int = 2) -> tuple[NDArray[Any], Floats]:
    """The two classes, sorted, and the target as 0.0 and 1.0.

    Parameters
    ----------
    y
        Labels, shape (n_rows,).
    least
        Members that each class needs: 2 for leave-one-out, 3 for its nested form, since no fold may
        hold a single class.

    Raises
    ------
    TrainingDataError
        If there are not two classes or one of them is too small.
    """
    check_target(y)
    labels = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) > 2:
        kind = type_of_target(labels)
        raise TrainingDataError(
            f"Only binary classification is supported. The type of the target is {kind}",
            mend="Divide the conductivities into two classes by one threshold",
        )
    if len(classes) < 2 or counts.min() < least:
        found = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        raise TrainingDataError(
            f"two classes of at least {least} rows each are needed, but the rows per class are "
            f"{found}{' (only one class)' if len(classes) == 1 else ''}",
            mend="Bring more compounds of the rarer class or move the threshold",
        )
    return classes, codes.astype(float)
