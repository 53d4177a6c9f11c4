"""Descriptor tables of a campaign: computed here, shipped, or brought by the user."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from sse_flows.descriptors.document import DescriptorSet

BUILTIN_TABLE = "conductors_descriptors.csv"
"""Descriptors of the built-in conductors, computed by campaigns/conductors.yaml."""


def table_path(table: str) -> Path:
    """File of ``"builtin"`` or of a user's table.

    Raises
    ------
    SSEError
        There is no such file.
    """
    path = (
        Path(str(files("sse_flows") / "data" / BUILTIN_TABLE))
        if table == "builtin"
        else Path(table).expanduser()
    )
    if not path.is_file():
        raise SSEError(
            f"the descriptor table {path} does not exist",
            mend="Name a CSV written by `sse results --format csv`, a results folder, or builtin",
        )
    return path


def table_hash(table: str) -> str:
    """SHA-256 of a table's file."""
    return hashlib.sha256(table_path(table).read_bytes()).hexdigest()


def joined_table(
    sets: Iterable[DescriptorSet | None],
    table: str | None,
    conductivities: dict[str, float] | None = None,
    properties: dict[str, dict[str, float]] | None = None,
) -> pd.DataFrame:
    """One table of the given descriptors and, where not computed anew, those of another table.

    Parameters
    ----------
    sets
        Descriptors; None for a compound that failed.
    table
        ``"builtin"``, the path of a CSV file, or None.
    conductivities
        Measured conductivities in S/cm by id, in place of the table's own.
    properties
        Band gaps (eV) and energies above hull (eV/atom) by id, in place of the table's own.
    """
    import pandas as pd

    from sse_flows.descriptors.table import descriptor_table, read_descriptor_csv
    from sse_flows.screening.properties import with_properties

    joined = descriptor_table([one for one in sets if one is not None])
    if table is not None:
        shipped = read_descriptor_csv(table_path(table))
        shipped = shipped.loc[~shipped.index.isin(joined.index)]
        joined = pd.concat([joined, shipped]) if len(joined) else shipped
    if conductivities:
        joined = with_conductivities(joined, conductivities)
    return with_properties(joined, properties) if properties else joined


def with_conductivities(table: pd.DataFrame, given: dict[str, float]) -> pd.DataFrame:
    """The table with the given conductivities (S/cm, by id) in place of its own.

    Raises
    ------
    SSEError
        None of the ids is in the table.
    """
    import numpy as np
    import pandas as pd

    names = table.index.map(str)
    if not set(names) & set(given):
        raise SSEError(
            f"none of the {len(given)} measured compounds is among the {len(names)} described, "
            f"for example {next(iter(given), 'none')} and {next(iter(names), 'none')}",
            mend="Use the ids of the descriptors in the table of conductivities",
        )
    changed = table.copy()
    known = pd.Series(names.map(given.get), index=table.index, dtype=float)
    changed["conductivity"] = known.fillna(changed["conductivity"])
    changed["log10_conductivity"] = np.log10(changed["conductivity"])
    changed.loc[known.notna(), "conductivity_source"] = "the table of measured conductivities"
    return changed


def read_any_table(table: str, mobile_ion: str) -> pd.DataFrame:
    """Descriptors of a CSV file, of the built-in conductors, or of a store.

    Parameters
    ----------
    table
        A CSV file, ``"builtin"``, or a pool as in :func:`sse_flows.campaign.stored.open_pool`.
    mobile_ion
        Which descriptors of a store to read.

    Raises
    ------
    SSEError
        There is no such table or store, or it cannot be read.
    """
    from pandas.errors import EmptyDataError, ParserError

    from sse_flows.campaign.places import IMPORTED
    from sse_flows.campaign.stored import read_pool_sets
    from sse_flows.descriptors.table import descriptor_table, read_descriptor_csv

    if table in IMPORTED or Path(table).expanduser().is_dir():
        return descriptor_table(read_pool_sets(table, mobile_ion))
    path = table_path(table)
    try:
        return read_descriptor_csv(path)
    except (ParserError, EmptyDataError, UnicodeDecodeError) as error:
        raise SSEError(
            f"{path} is not a CSV file ({' '.join(str(error).split())})",
            mend="Write it with `sse results --format csv`",
        ) from error
