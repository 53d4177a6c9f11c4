"""The smallest supercell that keeps periodic images apart and the symmetry intact."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from sse_flows.errors import SSEError


def smallest_supercell(
    structure: Structure, min_length: float, max_atoms: int = 1000, symprec: float = 1e-3
) -> list[list[int]]:
    """Supercell of fewest atoms whose periodic images are at least `min_length` apart.

    Multiples of the cell itself and of its conventional cell are tried: both keep the point group,
    which a free search over lattices would break at the price of many more displacements.

    Parameters
    ----------
    structure
        The primitive cell, Å.
    min_length
        Shortest allowed lattice vector of the supercell, Å; its edges are longer or equal.
    max_atoms
        Refuse anything larger.
    symprec
        Tolerance for the conventional cell, Å.

    Returns
    -------
    list of list of int
        (3, 3) matrix in phonopy's convention: the columns are the supercell's vectors in terms of
        the cell's.

    Raises
    ------
    SSEError
        No supercell within `max_atoms`.
    """
    bases = [np.eye(3, dtype=int), _conventional_basis(structure, symprec)]
    found = [_multiple(structure.lattice, basis, min_length) for basis in bases]
    best = min(found, key=_determinant)
    atoms = _determinant(best) * len(structure)
    if atoms > max_atoms:
        raise SSEError(
            f"a supercell with edges of {min_length} Å holds {atoms} atoms, more than {max_atoms}",
            mend="Lower phonons.min_length or raise phonons.max_atoms",
        )
    return best.tolist()


def _determinant(matrix: np.ndarray) -> int:
    return abs(round(np.linalg.det(matrix)))


def _conventional_basis(structure: Structure, symprec: float) -> np.ndarray:
    """Columns: the conventional vectors in terms of the cell's (integers for a primitive cell)."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    dataset = SpacegroupAnalyzer(structure, symprec=symprec).get_symmetry_dataset()
    basis = np.linalg.inv(dataset.transformation_matrix)
    rounded = np.rint(basis).astype(int)
    return rounded if np.allclose(basis, rounded, atol=1e-4) else np.eye(3, dtype=int)


def _multiple(lattice: Lattice, basis: np.ndarray, min_length: float) -> np.ndarray:
    """Fewest repeats along the vectors of a basis that keep all images apart."""
    vectors = basis.T @ lattice.matrix
    lengths = np.linalg.norm(vectors, axis=1)
    repeats = np.maximum(1, np.ceil(min_length / lengths - 1e-6)).astype(int)
    # skewed cells have translations shorter than any edge: grow the shortest edge until none is
    while _shortest_translation(repeats[:, None] * vectors) < min_length - 1e-6:
        shortest = repeats * lengths
        repeats[np.isclose(shortest, shortest.min(), rtol=1e-3)] += 1
    return basis * repeats[None, :]


def _shortest_translation(vectors: np.ndarray) -> float:
    return min(Lattice(vectors).get_lll_reduced_lattice().abc)
