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
            mend="Name a CSV written by `sse results --format csv`, or builtin",
        )
    return path


def table_hash(table: str) -> str:
    """SHA-256 of a table's file."""
    return hashlib.sha256(table_path(table).read_bytes()).hexdigest()


def joined_table(sets: Iterable[DescriptorSet | None], table: str | None) -> pd.DataFrame:
    """One table of the given descriptors and, where not computed anew, those of another table."""
    import pandas as pd

    from sse_flows.descriptors.table import descriptor_table, read_descriptor_csv

    computed = descriptor_table([one for one in sets if one is not None])
    if table is None:
        return computed
    shipped = read_descriptor_csv(table_path(table))
    shipped = shipped.loc[~shipped.index.isin(computed.index)]
    return pd.concat([computed, shipped]) if len(computed) else shipped
