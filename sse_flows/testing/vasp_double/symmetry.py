"""Space-group operations: forces made symmetric as VASP makes them, and k-points reduced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sse_flows.testing.vasp_double.crystal import Array, Crystal
from sse_flows.testing.vasp_double.model import Evaluated


@dataclass(frozen=True)
class Symmetry:
    """Operations of a crystal.

    Parameters
    ----------
    rotations
        In fractional coordinates, shape (operations, 3, 3).
    images
        Which atom each atom is carried to, shape (operations, atoms).
    """

    rotations: NDArray[np.int64]
    images: NDArray[np.int64]

    def symmetrized(self, crystal: Crystal, evaluated: Evaluated) -> Evaluated:
        """Mean of forces and stress over the operations."""
        into, back = crystal.lattice.T, np.linalg.inv(crystal.lattice.T)
        forces, stress = np.zeros_like(evaluated.forces), np.zeros((3, 3))
        for rotation, image in zip(self.rotations, self.images, strict=True):
            turn = into @ rotation @ back
            forces[image] += evaluated.forces @ turn.T
            stress += turn @ evaluated.stress @ turn.T
        n = len(self.rotations)
        return Evaluated(evaluated.energy, forces / n, stress / n)


def find_symmetry(crystal: Crystal, precision: float) -> Symmetry:
    """Operations within a tolerance (Å); the identity alone where spglib finds none."""
    rotations, translations = _operations(crystal, precision)
    images = [
        _image(crystal.fractional @ rotation.T + translation, crystal)
        for rotation, translation in zip(rotations, translations, strict=True)
    ]
    return Symmetry(rotations, np.array(images))


def point_group(crystal: Crystal, precision: float) -> NDArray[np.int64]:
    """Rotations in fractional coordinates, each once, shape (rotations, 3, 3)."""
    return np.unique(_operations(crystal, precision)[0], axis=0)


def _operations(crystal: Crystal, precision: float) -> tuple[NDArray[np.int64], Array]:
    import spglib

    cell: Any = (crystal.lattice, crystal.fractional, crystal.types)
    try:
        found = spglib.get_symmetry(cell, symprec=precision)
    except Exception:  # newer versions raise where older ones returned None
        found = None
    if found is None:
        return np.eye(3, dtype=np.int64)[None], np.zeros((1, 3))
    return np.array(found["rotations"]), np.array(found["translations"])


def _image(moved: Array, crystal: Crystal) -> NDArray[np.int64]:
    gap = moved[:, None, :] - crystal.fractional[None, :, :]
    gap -= np.rint(gap)
    return np.argmin(np.einsum("ijk,ijk->ij", gap @ crystal.lattice, gap @ crystal.lattice), axis=1)
