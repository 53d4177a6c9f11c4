"""Descriptor documents as a table, and documents and tables back from a CSV file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sse_flows.descriptors.document import DESCRIPTORS, DescriptorSet
from sse_flows.errors import SSEError

if TYPE_CHECKING:
    import pandas as pd

LABELS: tuple[str, ...] = ("formula", "mobile_ion", "anions", "family")
"""Columns of text before the descriptors."""

MEASURED: tuple[str, ...] = ("conductivity", "log10_conductivity", "energy_above_hull")
"""Columns of numbers after the descriptors: S/cm, log10 of it, eV/atom."""

SOURCES: tuple[str, ...] = ("conductivity_source", "method")
"""Columns of text after them: DOI or file of the conductivity, what gave the forces."""

COLUMNS: tuple[str, ...] = (*LABELS, *DESCRIPTORS, *MEASURED, *SOURCES)
"""All columns, in order; the index is ``compound_id``."""


def descriptor_table(sets: Iterable[DescriptorSet]) -> pd.DataFrame:
    """One row a compound.

    Parameters
    ----------
    sets
        Descriptor documents, of different compounds.

    Returns
    -------
    DataFrame
        Index ``compound_id``, columns `COLUMNS` in the units of ``descriptors.document.UNITS``;
        NaN where a value is missing.

    Raises
    ------
    SSEError
        If a compound occurs twice.
    """
    import pandas as pd

    rows = [_row(one) for one in sets]
    table = pd.DataFrame(rows, columns=["compound_id", *COLUMNS]).set_index("compound_id")
    return _typed(table)


def read_descriptor_csv(path: str | Path) -> pd.DataFrame:
    """Read a table as ``descriptor_table(...).to_csv(path)`` or a user wrote it.

    Raises
    ------
    SSEError
        If a column is missing, an id occurs twice, or a number is none.
    """
    import pandas as pd

    text = {"compound_id": str, **dict.fromkeys((*LABELS, *SOURCES), str)}
    # "NA" may be a label; only an empty field is missing
    table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
    absent = [name for name in ("compound_id", *DESCRIPTORS) if name not in table.columns]
    if absent:
        raise SSEError(
            f"{path} lacks the columns {', '.join(absent)}",
            mend="Write it with `descriptor_table`, or add the columns (empty where unknown)",
        )
    return _typed(table.set_index("compound_id").reindex(columns=list(COLUMNS)))


def descriptor_sets(table: pd.DataFrame) -> list[DescriptorSet]:
    """Documents of the rows of a table, the way back from :func:`descriptor_table`.

    Flags and provenance are not in a table; a missing value is said to be empty in it.

    Raises
    ------
    SSEError
        If a row has no formula or no mobile ion.
    """
    return [_document(str(name), row) for name, row in table.iterrows()]


def _document(compound_id: str, row: pd.Series) -> DescriptorSet:
    """One row as a document."""
    text = {name: _text(row[name]) for name in (*LABELS, *SOURCES)}
    lost = [name for name in ("formula", "mobile_ion") if text[name] is None]
    if lost:
        raise SSEError(
            f"the table has no {' and no '.join(lost)}",
            compound=compound_id,
            mend="Fill in the column",
        )
    values = {name: _number(row[name]) for name in DESCRIPTORS}
    conductivity, log = _number(row["conductivity"]), _number(row["log10_conductivity"])
    if conductivity is None and log is not None:
        conductivity = 10.0**log
    return DescriptorSet(
        compound_id=compound_id,
        formula=str(text["formula"]),
        mobile_ion=str(text["mobile_ion"]),
        anions=(text["anions"] or "").split(),
        family=text["family"],
        values=values,
        missing={n: "empty in the table" for n, value in values.items() if value is None},
        conductivity=conductivity,
        conductivity_source=text["conductivity_source"],
        energy_above_hull=_number(row["energy_above_hull"]),
        method=text["method"] or "not stated in the table",
    )


def _number(value: float) -> float | None:
    """None for NaN."""
    return None if math.isnan(value) else float(value)


def _text(value: object) -> str | None:
    """None for what pandas puts where there is no text: None or NaN."""
    return value if isinstance(value, str) and value else None


def _row(one: DescriptorSet) -> dict[str, object]:
    """Fields of the document by column name."""
    log = None if one.conductivity is None else math.log10(one.conductivity)
    return {
        **one.model_dump(include={"compound_id", *COLUMNS}),
        "anions": " ".join(one.anions) or None,
        **one.values,
        "log10_conductivity": log,
    }


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers as floats, text as objects with None where missing; ids unique."""
    twice = table.index[table.index.duplicated()].unique().tolist()
    if twice:
        raise SSEError(
            f"compounds occur more than once: {', '.join(map(str, twice))}",
            mend="Keep one descriptor document per compound",
        )
    try:
        table = table.astype(dict.fromkeys((*DESCRIPTORS, *MEASURED), float))
    except ValueError as problem:
        raise SSEError(
            f"the descriptor table holds text in a column of numbers ({problem})",
            mend="Leave the field empty where a value is unknown",
        ) from problem
    for name in (*LABELS, *SOURCES):
        column = table[name].astype(object)
        table[name] = column.where(column.notna(), None)
    return table
