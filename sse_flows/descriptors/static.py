"""The static descriptors of J. Kim et al. (2024): what the relaxed crystal alone tells.

Pure functions of an ordered structure. The formula unit is pymatgen's reduced formula. See
docs/definitions.md.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pymatgen.core import Structure

from sse_flows.errors import SSEError

SYMPREC: float = 0.01
"""Tolerance of the symmetry search for the conventional cell, Å: pymatgen's, above the noise of
relaxed cells."""


def reduced_formula_units(structure: Structure) -> float:
    """Formula units (reduced formula) in the given cell."""
    return float(structure.composition.get_reduced_composition_and_factor()[1])


def formula_units_conventional(structure: Structure, *, symprec: float = SYMPREC) -> float:
    """Formula units in the conventional cell of the crystal, whatever cell is given.

    Parameters
    ----------
    structure
        Ordered structure.
    symprec
        Tolerance of spglib, Å.

    Raises
    ------
    SSEError
        If spglib finds no space group (atoms that overlap).
    """
    import spglib

    cell = (
        structure.lattice.matrix.tolist(),
        structure.frac_coords.tolist(),
        list(structure.atomic_numbers),
    )
    found = spglib.get_symmetry_dataset(cell, symprec=symprec)
    if found is None:
        raise SSEError(
            f"no space group of {structure.composition.reduced_formula} at {symprec=}",
            mend="Look for atoms that overlap in the structure",
        )
    per_atom = reduced_formula_units(structure) / len(structure)
    return float(np.round(per_atom * len(found.std_types), 9))


def count_atoms(structure: Structure, elements: Iterable[str]) -> int:
    """Atoms of the given elements in the cell."""
    wanted = set(elements)
    return sum(site.specie.symbol in wanted for site in structure)


def shortest_distance(structure: Structure, first: str, others: Iterable[str]) -> float | None:
    """Shortest distance between an atom of `first` and one of `others`, over all periodic images.

    Parameters
    ----------
    structure
        Ordered structure.
    first
        Element symbol.
    others
        Element symbols; may hold `first`: an atom is a neighbour of its own images.

    Returns
    -------
    float or None
        Å; None if one of the two kinds is absent.
    """
    symbols = np.array([site.specie.symbol for site in structure])
    partners = np.isin(symbols, sorted(set(others)))
    if not (symbols == first).any() or not partners.any():
        return None
    radius = 1.5 * structure.volume ** (1 / 3) / len(structure) ** (1 / 3)
    while True:  # ends: every atom has images at a lattice vector's distance
        centres, neighbours, _, distances = structure.get_neighbor_list(radius)
        pairs = (symbols[centres] == first) & partners[neighbours]
        if pairs.any():
            return float(distances[pairs].min())
        radius *= 1.5


def static_descriptors(
    structure: Structure,
    *,
    mobile: str,
    anions: Iterable[str],
    band_gap: float | None = None,
    formation_energy: float | None = None,
    symprec: float = SYMPREC,
) -> dict[str, float | None]:
    """All 12 static descriptors.

    Parameters
    ----------
    structure
        Ordered, relaxed crystal in any cell.
    mobile, anions
        The mobile ion M and the anions A.
    band_gap
        eV, as the source of the structure states it.
    formation_energy
        eV/atom.
    symprec
        Tolerance of spglib for the conventional cell, Å.

    Returns
    -------
    dict
        In the units and the order of ``descriptors.document.STATIC_DESCRIPTORS``; None for what
        is not known.
    """
    units = reduced_formula_units(structure)
    n_mobile, n_anion = count_atoms(structure, [mobile]), count_atoms(structure, anions)
    volume = structure.volume
    return {
        "band_gap": band_gap,
        "formation_energy": formation_energy,
        "volume_per_formula": volume / units,
        "volume_per_mobile": volume / n_mobile if n_mobile else None,
        "volume_per_anion": volume / n_anion if n_anion else None,
        "volume_per_atom": volume / len(structure),
        "distance_mobile_anion": shortest_distance(structure, mobile, anions),
        "distance_mobile_mobile": shortest_distance(structure, mobile, [mobile]),
        "formula_units": formula_units_conventional(structure, symprec=symprec),
        "density": float(structure.density),
        "formula_mass": float(structure.composition.weight) / units,
        "mobile_per_formula": n_mobile / units,
    }
