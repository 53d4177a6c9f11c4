"""A crystal as three arrays: building a pymatgen Structure costs as much as all its features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from pymatgen.core import Structure

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

MAX_NUMBER = 118
"""Largest atomic number known."""


class CrystalArrays(NamedTuple):
    """An ordered crystal.

    Attributes
    ----------
    lattice
        Rows are the lattice vectors, Å, shape (3, 3).
    numbers
        Atomic numbers, shape (sites,).
    positions
        Fractional coordinates, shape (sites, 3), anywhere (they are wrapped where needed).
    """

    lattice: FloatArray
    numbers: IntArray
    positions: FloatArray


def read_crystal(crystal: Any) -> CrystalArrays:
    """Take a crystal from a pymatgen Structure or (lattice, species, fractional coordinates).

    Parameters
    ----------
    crystal
        An ordered Structure, `CrystalArrays`, or a triple of lattice vectors (3, 3) in Å, element
        symbols or atomic numbers, and fractional coordinates (sites, 3).

    Raises
    ------
    SSEError
        If sites are disordered, shapes do not fit, numbers are not finite, an element is unknown
        or the cell has no volume.
    """
    if hasattr(crystal, "lattice") and hasattr(crystal, "frac_coords"):
        arrays = _from_structure(crystal)
    else:
        arrays = _from_triple(crystal)
    _check(arrays)
    return arrays


def _from_structure(structure: Structure) -> CrystalArrays:
    if not structure.is_ordered:
        raise SSEError(
            f"{structure.composition.formula} has partially occupied sites",
            mend="Order the structure first (sse_flows.structures.ordering)",
        )
    return CrystalArrays(
        np.array(structure.lattice.matrix, float),
        np.array([site.specie.Z for site in structure], np.int64),
        np.array(structure.frac_coords, float).reshape(-1, 3),
    )


def _from_triple(crystal: Sequence[Any]) -> CrystalArrays:
    try:
        lattice, species, positions = crystal
        return CrystalArrays(
            np.array(lattice, float),
            atomic_numbers(species),
            np.array(positions, float).reshape(-1, 3),
        )
    except (TypeError, ValueError) as problem:
        raise SSEError(
            f"this is not a crystal ({problem})",
            mend="Give a pymatgen Structure or (lattice (3, 3), species, fractional (sites, 3))",
        ) from problem


def atomic_numbers(species: Any) -> IntArray:
    """Atomic numbers of symbols or pymatgen's elements and species; numbers pass.

    Deuterium and tritium count as hydrogen.

    Raises
    ------
    SSEError
        If a symbol is not an element.
    """
    numbers = np.asarray(species)
    if numbers.dtype.kind == "O":
        numbers = np.array([getattr(one, "symbol", one) for one in species])
    if numbers.dtype.kind not in "US":
        return numbers.astype(np.int64)
    from ase.data import atomic_numbers as table

    known = {**table, "D": 1, "T": 1}
    unknown = sorted({str(one) for one in numbers.flat} - known.keys())
    if unknown:
        raise SSEError(f"unknown elements: {', '.join(unknown)}", mend="Give element symbols")
    return np.array([known[str(one)] for one in numbers.flat], np.int64).reshape(numbers.shape)


def _check(crystal: CrystalArrays) -> None:
    """Refuse what cannot be a crystal."""
    lattice, numbers, positions = crystal
    if lattice.shape != (3, 3) or len(numbers) != len(positions) or len(numbers) == 0:
        raise SSEError(
            f"the cell has shape {lattice.shape}, with {len(numbers)} species and "
            f"{len(positions)} positions",
            mend="Give three lattice vectors, and a species and a position for every site",
        )
    if not (np.isfinite(lattice).all() and np.isfinite(positions).all()):
        raise SSEError("the cell or a position is not a finite number")
    if numbers.min() < 1 or numbers.max() > MAX_NUMBER:
        raise SSEError(f"atomic numbers {numbers.min()} to {numbers.max()} are not all elements")
    edges = np.linalg.norm(lattice, axis=1).prod()
    if abs(np.linalg.det(lattice)) <= 1e-9 * edges:
        raise SSEError("the lattice vectors lie in a plane", mend="Give a cell with a volume")
