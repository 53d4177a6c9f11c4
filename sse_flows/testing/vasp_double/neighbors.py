"""Pairs of atoms within a cutoff, over all periodic images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sse_flows.testing.vasp_double.crystal import Array, Crystal


@dataclass(frozen=True)
class Pairs:
    """Each pair once.

    Parameters
    ----------
    first, second
        Numbers of the atoms, shape (pairs,).
    vectors
        From the first to the second, Å, shape (pairs, 3).
    distances
        Å, shape (pairs,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    vectors: Array
    distances: Array

    def where(self, mask: NDArray[np.bool_]) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.first[mask], self.second[mask], self.vectors[mask], self.distances[mask])


def find_pairs(crystal: Crystal, cutoff: float) -> Pairs:
    """All pairs nearer than `cutoff` (Å), an atom and its own images included."""
    lattice, wrapped = crystal.lattice, crystal.fractional % 1.0
    positions = wrapped @ lattice
    found = [_pairs_of(shift, positions, lattice, cutoff) for shift in _half(lattice, cutoff)]
    first, second, vectors = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Pairs(first, second, vectors, np.linalg.norm(vectors, axis=1))


def _half(lattice: Array, cutoff: float) -> list[tuple[int, ...]]:
    """Lattice translations that matter, one of each ± pair."""
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    reach = np.ceil(cutoff / heights).astype(int) + 1
    return [s for s in product(*(range(-n, n + 1) for n in reach)) if s >= (0, 0, 0)]


def _pairs_of(
    shift: tuple[int, ...], positions: Array, lattice: Array, cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    step = np.asarray(shift) @ lattice
    low, high = positions.min(axis=0), positions.max(axis=0)
    if (np.maximum(low + step - high, low - high - step) > cutoff).any():  # boxes far apart
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, np.zeros((0, 3))
    vectors = positions[None, :, :] + step - positions[:, None, :]
    near = np.einsum("ijk,ijk->ij", vectors, vectors) < cutoff**2
    if shift == (0, 0, 0):
        near &= np.triu(np.ones_like(near), 1)
    first, second = np.nonzero(near)
    return first, second, vectors[first, second]
