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


@njit(cache=True, nogil=True)
def geometry_features(offsets, areas, distances, volumes):
    """Coordination (5 features), heterogeneity (9) and packing (1), in one pass over the faces.

    Parameters
    ----------
    offsets, areas, distances, volumes
        Of a `Tessellation`.

    Returns
    -------
    ndarray
        Shape (15,): the five statistics over sites of (Σw)² / Σw²; of mean bond lengths Σwd/Σw
        over their mean the mean absolute deviation from 1, the maximum and the minimum; the five
        statistics of the variation of bond lengths within a site; the mean absolute deviation of
        relative cell volumes; and the share of the volume within the largest spheres that fit
        into the cells.
    """
    n = len(volumes)
    coordination, bond, variation = np.empty(n), np.empty(n), np.empty(n)
    spheres = 0.0
    for i in range(n):
        faces = slice(offsets[i], offsets[i + 1])
        d, w = distances[faces], areas[faces] / areas[faces].max()
        total = w.sum()
        coordination[i] = total**2 / (w * w).sum()
        bond[i] = (w * d).sum() / total
        variation[i] = (w * np.abs(d - bond[i])).sum() / total / bond[i]
        spheres += 4.0 / 3.0 * np.pi * (0.5 * d.min()) ** 3
    relative, size = bond / bond.mean(), volumes / volumes.mean()
    features = np.empty(15)
    features[:5] = five_statistics(coordination)
    features[5] = np.abs(relative - 1.0).mean()
    features[6], features[7] = relative.max(), relative.min()
    features[8:13] = five_statistics(variation)
    features[13] = np.abs(size - 1.0).mean()
    features[14] = spheres / volumes.sum()
    return features
