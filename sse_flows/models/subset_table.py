"""Any table as the question of a best-subset search: which columns, which classes."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pandas as pd
from pandas.api.types import is_numeric_dtype

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models.subset_document import SubsetTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def subset_table(
    table: pd.DataFrame,
    target: str,
    *,
    threshold: float | None = None,
    positive: str | None = None,
    features: Sequence[str] | None = None,
) -> tuple[SubsetTable, list[str]]:
    """The rows with a target.

    Parameters
    ----------
    table
        One row each; the index holds ids.
    target
        Column of two labels, or of numbers if there is a threshold.
    threshold
        Numbers above it are positive.
    positive
        The positive one of two labels; by default the second in sorted order.
    features
        Columns to try. By default the 30 descriptors where the table has them all, else every
        column of numbers but the target.

    Returns
    -------
    The rows with a target, and the ids of those without, which are left out.

    Raises
    ------
    SSEError
        If a column is absent or holds text, or the target has not two kinds of value.
    """
    _check_present(table, [target, *(features or [])])
    there = table[target].notna()
    rows = table[there]
    if threshold is None:
        classes, is_positive = _labels(rows[target], positive)
    else:
        classes, is_positive = _divided(rows[target], threshold)
    names = list(features) if features is not None else _default_features(rows, target)
    if target in names:
        raise SSEError(f"the target {target} is among the features", mend="Leave it out of them")
    values = rows[names].astype(float).astype(object)
    document = SubsetTable(
        target=target,
        classes=classes,
        ids=[str(name) for name in rows.index],
        positive=is_positive.tolist(),
        features=names,
        values=values.where(rows[names].notna(), None).to_numpy().tolist(),
    )
    return document, [str(name) for name in table.index[~there]]


def _check_present(table: pd.DataFrame, names: Sequence[str]) -> None:
    columns = [str(name) for name in table.columns]
    for name in names:
        if name not in columns:
            close = get_close_matches(name, columns, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"It has {', '.join(columns)}"
            raise SSEError(f"the table has no column {name}", mend=hint)
    text = [name for name in names[1:] if not is_numeric_dtype(table[name])]
    if text:
        raise SSEError(
            f"{', '.join(text)} {'holds' if len(text) == 1 else 'hold'} text, not numbers",
            mend="Leave such columns out of --features, or code them as numbers",
        )


def _default_features(rows: pd.DataFrame, target: str) -> list[str]:
    if set(DESCRIPTORS) <= set(rows.columns):
        return [name for name in DESCRIPTORS if name != target]
    names = [str(c) for c in rows.columns if c != target and is_numeric_dtype(rows[c])]
    if not names:
        raise SSEError("the table has no column of numbers beside the target")
    return names


def _divided(column: pd.Series, threshold: float) -> tuple[tuple[str, str], NDArray[np.bool_]]:
    """Names of the classes below and above a threshold, and which rows are above."""
    if not is_numeric_dtype(column):
        raise SSEError(
            f"{column.name} holds text, not numbers that a threshold divides",
            mend="Leave out --threshold for a column of labels",
        )
    names = f"{column.name} <= {threshold:g}", f"{column.name} > {threshold:g}"
    return names, (column > threshold).to_numpy()


def _labels(column: pd.Series, positive: str | None) -> tuple[tuple[str, str], NDArray[np.bool_]]:
    """The two labels, the positive one last, and which rows have it."""
    labels = sorted(column.unique().tolist(), key=lambda label: (str(label) == positive, label))
    names = [str(label) for label in labels]
    if len(labels) != 2:
        raise SSEError(
            f"{column.name} has {len(labels)} kinds of value, not two "
            f"({', '.join(names[:5])}{', ...' if names[5:] else ''})",
            mend="Give --threshold for a column of numbers, or a column of two labels",
        )
    if positive not in (None, *names):
        raise SSEError(f"{positive!r} is none of {' and '.join(names)}", mend="Name one of them")
    return (names[0], names[1]), (column == labels[1]).to_numpy()
