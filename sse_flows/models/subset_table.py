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
        Numbers above it are positive; of labels the second in sorted order is.
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
    classes, positive = _classes(rows[target], threshold)
    names = list(features) if features is not None else _default_features(rows, target)
    if target in names:
        raise SSEError(f"the target {target} is among the features", mend="Leave it out of them")
    values = rows[names].astype(float).astype(object)
    document = SubsetTable(
        target=target,
        classes=classes,
        ids=[str(name) for name in rows.index],
        positive=positive.tolist(),
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


def _classes(
    column: pd.Series, threshold: float | None
) -> tuple[tuple[str, str], NDArray[np.bool_]]:
    """Names of the classes, and which rows are of the second."""
    name = column.name
    if threshold is not None:
        if not is_numeric_dtype(column):
            raise SSEError(
                f"{name} holds text, not numbers that a threshold divides",
                mend="Leave out --threshold for a column of labels",
            )
        return (
            (f"{name} <= {threshold:g}", f"{name} > {threshold:g}"),
            (column > threshold).to_numpy(),
        )
    labels = sorted(column.unique().tolist())
    if len(labels) != 2:
        shown = ", ".join(str(label) for label in labels[:5]) + (", ..." if labels[5:] else "")
        raise SSEError(
            f"{name} has {len(labels)} kinds of value, not two ({shown})",
            mend="Give --threshold for a column of numbers, or a column of two labels",
        )
    return (str(labels[0]), str(labels[1])), (column == labels[1]).to_numpy()
