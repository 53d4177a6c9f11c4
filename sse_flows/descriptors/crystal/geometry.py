"""What the geometry alone says: 15 of the 128 structure features, whatever atoms are on the sites.

L. Ward et al., Phys. Rev. B 96, 024104 (2017). A face counts with its area over the largest area
of the same cell.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sse_flows.descriptors.crystal.arrays import FloatArray
from sse_flows.descriptors.crystal.tessellation import Tessellation


def face_weights(tessellation: Tessellation) -> FloatArray:
    """Area of each face over the largest of its cell, shape (faces,)."""
    largest = np.maximum.reduceat(tessellation.areas, tessellation.offsets[:-1])
    return tessellation.areas / largest[tessellation.centers]


@njit(cache=True, nogil=True)
def five_statistics(values: FloatArray) -> FloatArray:
    """Minimum, maximum, range, mean and mean absolute deviation of site values."""
    low, high, mean = values.min(), values.max(), values.mean()
    return np.array([low, high, high - low, mean, np.abs(values - mean).mean()])


def coordination_numbers(tessellation: Tessellation) -> FloatArray:
    """Effective coordination number of each site, (Σw)² / Σw² over its faces, shape (sites,)."""
    weights, starts = face_weights(tessellation), tessellation.offsets[:-1]
    return np.add.reduceat(weights, starts) ** 2 / np.add.reduceat(weights**2, starts)


def coordination_features(tessellation: Tessellation) -> FloatArray:
    """The 5 statistics of the effective coordination number."""
    return five_statistics(coordination_numbers(tessellation))


def heterogeneity_features(tessellation: Tessellation) -> FloatArray:
    """Variation of bond lengths between and within sites and of cell volumes: 9 features."""
    weights, starts = face_weights(tessellation), tessellation.offsets[:-1]
    total = np.add.reduceat(weights, starts)
    bond = np.add.reduceat(weights * tessellation.distances, starts) / total
    deviation = weights * np.abs(tessellation.distances - bond[tessellation.centers])
    variation = np.add.reduceat(deviation, starts) / total / bond
    relative = bond / bond.mean()
    size = tessellation.volumes / tessellation.volumes.mean()
    return np.array(
        [
            np.abs(relative - 1.0).mean(),
            relative.max(),
            relative.min(),
            *five_statistics(variation),
            np.abs(size - 1.0).mean(),
        ]
    )


def packing_features(tessellation: Tessellation) -> FloatArray:
    """Share of the volume within the largest spheres that fit into the cells: 1 feature."""
    radius = 0.5 * np.minimum.reduceat(tessellation.distances, tessellation.offsets[:-1])
    return np.array([4.0 / 3.0 * np.pi * np.sum(radius**3) / tessellation.volumes.sum()])
