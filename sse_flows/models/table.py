"""The table that models are trained on and screen: one compound a row, checked once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models.columns import TrainingDataError

MIN_ROWS = 6
"""Below this a leave-one-out says nothing."""


def descriptor_values(table: pd.DataFrame, columns: Sequence[str] = DESCRIPTORS) -> pd.DataFrame:
    """Numeric columns of a table indexed by compound id; NaN where missing.

    Raises
    ------
    SSEError
        If a column is absent, an id occurs twice, or a value is not a finite number.
    """
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise SSEError(
            f"the table has no column {', '.join(absent)}",
            mend="Add the columns, with empty cells where a value is not known",
        )
    twice = table.index[table.index.duplicated()]
    if len(twice):
        raise SSEError(
            "the id occurs more than once in the table",
            compound=str(twice[0]),
            mend="Make the index of the table the compound id, one row each",
        )
    values = table[list(columns)].apply(pd.to_numeric, errors="coerce").astype(float)
    wrong = (values.isna() & table[list(columns)].notna()) | np.isinf(values)
    if wrong.to_numpy().any():
        row, column = np.argwhere(wrong.to_numpy())[0]
        name = columns[column]
        raise SSEError(
            f"{name} = {table[name].iloc[row]!r} is not a finite number",
            compound=str(table.index[row]),
            mend="Correct the value or leave the cell empty",
        )
    return values


def training_rows(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows with a measured conductivity, sorted by id, and why the others were left out.

    Parameters
    ----------
    table
        Index compound id; the 30 descriptors; `conductivity` in S/cm; perhaps `formula`.

    Returns
    -------
    The descriptors, `conductivity` and `formula` of the usable rows, and the reason of every other.

    Raises
    ------
    SSEError
        As `descriptor_values`, or if a conductivity is not positive.
    TrainingDataError
        If fewer than `MIN_ROWS` rows are left.
    """
    values = descriptor_values(table, (*DESCRIPTORS, "conductivity"))
    values.index = values.index.map(str)
    values["formula"] = _formulas(table)
    refused = values.index[values["conductivity"] <= 0]
    if len(refused):
        raise SSEError(
            f"conductivity {values['conductivity'][refused[0]]:g} S/cm is not positive",
            compound=refused[0],
            mend="Give the measured value in S/cm, or leave the cell empty",
        )
    unmeasured = values["conductivity"].isna()
    empty = values[list(DESCRIPTORS)].isna().all(axis=1) & ~unmeasured
    ignored = dict.fromkeys(values.index[unmeasured], "no measured conductivity")
    ignored |= dict.fromkeys(values.index[empty], "no descriptor is known")
    rows = values[~unmeasured & ~empty].sort_index()
    if len(rows) < MIN_ROWS:
        count = "1 compound has" if len(rows) == 1 else f"{len(rows)} compounds have"
        raise TrainingDataError(
            f"only {count} a measured conductivity and descriptors, {MIN_ROWS} are needed",
            mend="Add compounds with a known conductivity to the campaign",
        )
    return rows, dict(sorted(ignored.items()))


def data_hash(rows: pd.DataFrame) -> str:
    """SHA-256 of ids, descriptors and conductivities, whatever the order of rows and columns."""
    columns = sorted((*DESCRIPTORS, "conductivity"))
    ordered = rows[columns].sort_index()
    content = [
        [str(name), [None if np.isnan(value) else float(value).hex() for value in values]]
        for name, values in zip(ordered.index, ordered.to_numpy(dtype=float), strict=True)
    ]
    return hashlib.sha256(json.dumps([columns, content]).encode()).hexdigest()


def _formulas(table: pd.DataFrame) -> list[str]:
    if "formula" not in table.columns:
        return [""] * len(table)
    return ["" if pd.isna(value) else str(value) for value in table["formula"]]
