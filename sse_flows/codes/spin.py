"""Which crystals are computed with spins, and in which order, the same in every code."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from sse_flows.errors import SSEError

MAGNETIC = frozenset(("V", "Cr", "Mn", "Fe", "Co", "Ni"))
"""Elements that start with a magnetic moment where spin is ``auto``."""

ORDERED = 0.5
"""Bohr magnetons; moments of both signs beyond it are a magnetic order."""

_NO_MOMENT = 1e-3  # Bohr magnetons
_WHOLE = 0.1  # how far a relaxed supercell may be from whole multiples of the cell before
_SAME_SITE = 0.7  # Å, from the site in the cell before


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


def has_order(structure: Structure) -> bool:
    """Whether moments of the sites stand against each other, which no code finds by itself."""
    moments = _moments(structure)
    return bool(moments.size and moments.max() > ORDERED and moments.min() < -ORDERED)


def directions(structure: Structure) -> np.ndarray:
    """1 for moments up, -1 for those down, 0 below `ORDERED`; shape (sites,)."""
    moments = _moments(structure)
    return np.where(np.abs(moments) > ORDERED, np.sign(moments), 0.0)


def ordered_cell(structure: Structure) -> Structure:
    """Primitive cell of the magnetic order, without oxidation states.

    Moments below `ORDERED` are left out: they follow by themselves, and would make sites differ
    that are alike.
    """
    bare = Structure(
        structure.lattice,
        [site.specie.symbol for site in structure],
        structure.frac_coords,
        site_properties={"magmom": directions(structure).tolist()},
    )
    return bare.get_primitive_structure(use_site_props=True)


def carry_moments(order: Structure, structure: Structure) -> Structure:
    """A supercell with the moments of the cell that it was made of.

    Parameters
    ----------
    order
        Cell with moments, Å; it may be slightly strained against the supercell.
    structure
        Supercell, its atoms displaced or not, in any order; Å.

    Raises
    ------
    SSEError
        It is no supercell of this cell.
    """
    multiples = structure.lattice.matrix @ np.linalg.inv(order.lattice.matrix)
    whole = np.rint(multiples)
    if np.abs(multiples - whole).max() > _WHOLE or abs(np.linalg.det(whole)) < 1 - _WHOLE:
        raise _no_supercell(structure)
    lattice = Lattice(np.linalg.inv(whole) @ structure.lattice.matrix)
    sites = lattice.get_fractional_coords(structure.cart_coords)
    shift = sites[:, None] - order.frac_coords[None]
    distance = np.linalg.norm((shift - np.rint(shift)) @ lattice.matrix, axis=2)
    kinds, known = (np.array([s.specie.symbol for s in one]) for one in (structure, order))
    distance[kinds[:, None] != known[None]] = np.inf
    if distance.min(axis=1).max() > _SAME_SITE:
        raise _no_supercell(structure)
    moments = _moments(order)[distance.argmin(axis=1)]
    return structure.copy(site_properties={**structure.site_properties, "magmom": moments.tolist()})


def _no_supercell(structure: Structure) -> SSEError:
    return SSEError(
        f"the cell with magnetic moments does not fit {structure.composition.formula}",
        mend="Give moments to the very cell that the supercells are made of",
    )


def _moments(structure: Structure) -> np.ndarray:
    found = structure.site_properties.get("magmom") or []
    return np.array([float(moment or 0.0) for moment in found])
