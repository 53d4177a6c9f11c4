"""The Voronoi tessellation of a crystal: geometry only, it knows no elements."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sse_flows.descriptors.crystal import voronoi
from sse_flows.descriptors.crystal.arrays import FloatArray, IntArray
from sse_flows.errors import SSEError

VOLUME_TOLERANCE = 1e-8
"""Relative: the cells of all sites must fill the crystal."""


@dataclass(frozen=True)
class Tessellation:
    """Faces of the Voronoi cells of all sites, those of site i at ``offsets[i]:offsets[i + 1]``.

    Every face occurs twice, once from each of its two sites.

    Attributes
    ----------
    offsets
        Where the faces of each site begin, shape (sites + 1,).
    neighbors
        Site on the other side, shape (faces,).
    images
        Lattice translation that takes that site, at the position given, to the other side of the
        face of site i at its position given, shape (faces, 3).
    areas, distances
        Area of the face, Å^2, and distance between its two sites, Å, shape (faces,).
    volumes
        Volume of each cell, Å^3, shape (sites,).
    """

    offsets: IntArray
    neighbors: IntArray
    images: IntArray
    areas: FloatArray
    distances: FloatArray
    volumes: FloatArray

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.volumes)

    @property
    def centers(self) -> IntArray:
        """Site that each face belongs to, shape (faces,)."""
        return np.repeat(np.arange(self.n_sites), np.diff(self.offsets))

    def scaled(self, factor: float) -> Tessellation:
        """The same geometry with all lengths multiplied."""
        return replace(
            self,
            areas=self.areas * factor**2,
            distances=self.distances * factor,
            volumes=self.volumes * factor**3,
        )


def tessellate(lattice: FloatArray, positions: FloatArray) -> Tessellation:
    """Tessellate a crystal, whatever the shape of its cell and wherever its sites are given.

    Parameters
    ----------
    lattice
        Rows are the lattice vectors, Å, shape (3, 3).
    positions
        Fractional coordinates, shape (sites, 3).

    Raises
    ------
    SSEError
        If two sites are at the same place, the cell is too empty (a site has tens of thousands
        of neighbours within the radius of its cell), or the cells do not fill the crystal.
    """
    lattice = np.ascontiguousarray(lattice, float)
    change = voronoi.reduce_lattice(lattice)
    moved = np.asarray(positions, float) @ np.linalg.inv(change)
    home = np.floor(moved)
    status, site, offsets, neighbors, images, areas, distances = voronoi.all_faces(
        change @ lattice, np.ascontiguousarray(moved - home)
    )
    if status < 0:
        raise _no_tessellation(status, site)
    centers = np.repeat(np.arange(len(moved)), np.diff(offsets))
    back = (images - home[neighbors] + home[centers]) @ change
    volumes = np.add.reduceat(areas * distances / 6.0, offsets[:-1])
    _check_volume(volumes.sum(), abs(np.linalg.det(lattice)))
    whole = np.rint(back).astype(np.int64)
    return Tessellation(offsets, neighbors, whole, areas, distances, volumes)


def _no_tessellation(status: int, site: int) -> SSEError:
    if status == voronoi.TOO_CLOSE:
        return SSEError(
            f"site {site + 1} is at the place of another (nearer than {voronoi.SAME_PLACE} Å)",
            mend="Remove duplicate sites",
        )
    return SSEError(
        f"the cell of site {site + 1} would need more than {voronoi.MAX_NEIGHBORS} neighbours",
        mend="Give a crystal without a wide vacuum",
    )


def _check_volume(found: float, expected: float) -> None:
    if abs(found / expected - 1.0) > VOLUME_TOLERANCE:
        raise SSEError(
            f"the Voronoi cells have {found:.6g} Å^3 together, the crystal {expected:.6g} Å^3",
            mend="Check the positions; please report the structure if they are right",
        )
