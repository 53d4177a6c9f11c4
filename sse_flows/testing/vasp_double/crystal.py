"""The crystal that the double works on, and its POSCAR."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Crystal:
    """Atoms in a periodic cell.

    Parameters
    ----------
    lattice
        Cell vectors as rows, Å, shape (3, 3).
    fractional
        Fractional coordinates, shape (atoms, 3).
    species
        Element of each atom.
    counts
        Number of atoms of each block of the POSCAR, in its order; blocks match the POTCAR's.
    comment
        First line of the POSCAR.
    """

    lattice: Array
    fractional: Array
    species: tuple[str, ...]
    counts: tuple[int, ...]
    comment: str = ""

    @property
    def positions(self) -> Array:
        """Cartesian coordinates, Å, shape (atoms, 3)."""
        return self.fractional @ self.lattice

    @property
    def volume(self) -> float:
        """Volume of the cell, Å^3."""
        return float(abs(np.linalg.det(self.lattice)))

    @property
    def blocks(self) -> list[tuple[str, int]]:
        """Element and number of atoms of each block."""
        starts = np.cumsum([0, *self.counts[:-1]])
        return [(self.species[start], n) for start, n in zip(starts, self.counts, strict=True)]

    @property
    def types(self) -> NDArray[np.int64]:
        """Number of the block of each atom, shape (atoms,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def moved(self, positions: Array, lattice: Array | None = None) -> Crystal:
        """The same atoms at other Cartesian positions, Å, in another cell if one is given."""
        cell = self.lattice if lattice is None else lattice
        return replace(self, lattice=cell, fractional=positions @ np.linalg.inv(cell))


def read_poscar(path: Path) -> Crystal:
    """Read a POSCAR of VASP 5 or later; selective dynamics and velocities are passed over.

    Raises
    ------
    ValueError
        It has no symbols, or fewer coordinates than atoms.
    """
    lines = path.read_text().splitlines()
    scale = float(lines[1].split()[0])
    lattice = np.array([[float(x) for x in line.split()[:3]] for line in lines[2:5]])
    if scale < 0:
        scale = (-scale / abs(np.linalg.det(lattice))) ** (1 / 3)
    lattice = lattice * scale
    symbols = [symbol.split("_")[0].split("/")[0] for symbol in lines[5].split()]
    counts = [int(n) for n in lines[6].split()]
    start = 8 if lines[7].strip()[:1].lower() == "s" else 7
    coordinates = np.array(
        [[float(x) for x in line.split()[:3]] for line in lines[start + 1 :][: sum(counts)]]
    )
    if len(coordinates) != sum(counts):
        raise ValueError(f"{len(coordinates)} coordinates of {sum(counts)} atoms in {path}")
    if lines[start].strip()[:1].lower() in "ck":
        coordinates = coordinates * scale @ np.linalg.inv(lattice)
    species = tuple(s for s, n in zip(symbols, counts, strict=True) for _ in range(n))
    return Crystal(lattice, coordinates, species, tuple(counts), lines[0].strip())


def poscar_text(crystal: Crystal, comment: str, velocities: bool = False) -> str:
    """Text of a POSCAR or CONTCAR."""
    names = " ".join(f"{element:>4s}" for element, _ in crystal.blocks)
    numbers = " ".join(f"{n:4d}" for _, n in crystal.blocks)
    rows = [comment, "   1.0", *vectors(crystal.lattice), names, numbers, "Direct"]
    rows += vectors(crystal.fractional % 1.0)
    if velocities:
        rows += ["", *vectors(np.zeros_like(crystal.fractional))]
    return "\n".join(rows) + "\n"


def vectors(array: Array, width: int = 22, decimals: int = 16) -> list[str]:
    """Rows of numbers in fixed columns."""
    return ["".join(f" {x:{width}.{decimals}f}" for x in row) for row in array]
