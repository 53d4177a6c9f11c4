"""The sites of a structure as codes without fractional occupations take them."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from pymatgen.core import Structure


def site_symbols(structure: Structure, chosen: Container[str], what: str) -> list[str]:
    """Element of each site.

    Parameters
    ----------
    structure
        An ordered cell.
    chosen
        Elements that the code has what it needs for.
    what
        What it needs, such as ``POTCAR``.

    Raises
    ------
    SSEError
        The structure is disordered, or an element is not among those chosen.
    """
    if not structure.is_ordered:
        raise SSEError(f"{structure.composition.reduced_formula} is disordered", mend="Order it")
    symbols = [site.specie.symbol for site in structure]
    missing = sorted(symbol for symbol in set(symbols) if symbol not in chosen)
    if missing:
        raise SSEError(f"no {what} of {', '.join(missing)} was chosen")
    return symbols
