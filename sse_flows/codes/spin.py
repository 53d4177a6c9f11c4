"""Which crystals are computed with spins, the same in every code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.core import Structure

MAGNETIC = frozenset(("V", "Cr", "Mn", "Fe", "Co", "Ni"))
"""Elements that start with a magnetic moment where spin is ``auto``."""

_NO_MOMENT = 1e-3  # Bohr magnetons


def has_moments(structure: Structure) -> bool:
    """Whether sites of a structure carry magnetic moments of their own."""
    moments = structure.site_properties.get("magmom") or []
    return any(abs(moment or 0.0) > _NO_MOMENT for moment in moments)


def is_polarised(structure: Structure, spin: str) -> bool:
    """Whether a calculation starts with magnetic moments.

    Parameters
    ----------
    structure
        What is computed.
    spin
        ``polarised``, ``none``, or ``auto``: where there are `MAGNETIC` elements, moments of the
        sites, or oxygen alone, whose molecule is a triplet.
    """
    if spin != "auto":
        return spin == "polarised"
    symbols = {element.symbol for element in structure.composition.elements}
    return bool(symbols & MAGNETIC) or symbols == {"O"} or has_moments(structure)
