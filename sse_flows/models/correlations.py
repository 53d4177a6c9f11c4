"""Pearson correlations of descriptors with each other and with the conductivity."""

from __future__ import annotations

import pandas as pd

from sse_flows.models.columns import Floats
from sse_flows.models.document import Correlations

LEAST_PAIRS = 3
"""Two compounds always lie on a line."""
DIGITS = 6


def correlations(values: pd.DataFrame, log10_conductivity: Floats) -> Correlations:
    """Correlations over the rows of which both values are known.

    Parameters
    ----------
    values
        Descriptors, shape (n_rows, n_columns); NaN where missing.
    log10_conductivity
        log10(S/cm), shape (n_rows,); NaN where not measured.
    """
    target = pd.Series(log10_conductivity, index=values.index, dtype=float)
    joined = values.astype(float).assign(**{_TARGET: target})
    steady = joined.columns[joined.nunique() < 2]
    found = joined.corr(min_periods=LEAST_PAIRS)
    # rounding may leave a constant column with a spread of 1e-17 and a correlation of noise
    found.loc[steady, :] = found.loc[:, steady] = float("nan")
    names = list(values.columns)
    return Correlations(
        descriptors=names,
        matrix=[_row(row) for row in found.loc[names, names].to_numpy()],
        log10_conductivity=_row(found[_TARGET].loc[names].to_numpy()),
    )


_TARGET = "log10_conductivity"


def _row(values: Floats) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), DIGITS) for value in values]
