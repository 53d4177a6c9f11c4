"""Walks over the faces of the tessellation: what is in the first three neighbour shells.

A walk starts at a site and crosses a face with every step. Walks that come back to a site (of the
infinite crystal) where they have been are left out. Two definitions of a walk's weight exist:

matminer
    the product of the face weights, area over the largest area of the cell the step leaves;
magpie
    the probability of the walk: the area of each face over the summed area of the faces of that
    cell which lead to a site not yet visited (Ward 2017; the original Java code).

Shells 2 and 3 are sums over all walks, so they are found from products of per-site sums less the
few walks that return, and never listed one by one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numba import njit

from sse_flows.descriptors.crystal.arrays import FloatArray, IntArray
from sse_flows.descriptors.crystal.geometry import face_weights
from sse_flows.descriptors.crystal.tessellation import Tessellation
from sse_flows.errors import SSEError

Ordering = Literal["matminer", "magpie"]
ORDERINGS: tuple[Ordering, ...] = ("matminer", "magpie")


def shell_weights(
    tessellation: Tessellation, labels: IntArray, *, ordering: Ordering = "matminer"
) -> FloatArray:
    """Weight of each label in the first three neighbour shells of each site.

    Parameters
    ----------
    tessellation
        Of the crystal.
    labels
        What is on each site, 0 to L - 1, shape (sites,).
    ordering
        The weight of a walk: matminer's or Magpie's.

    Returns
    -------
    ndarray
        Shape (3, sites, L). Magpie's sum to 1 over the labels.

    Raises
    ------
    SSEError
        If `ordering` is not one of the two.
    """
    faces = (tessellation.offsets, tessellation.neighbors, tessellation.images)
    kinds, count = np.ascontiguousarray(labels, np.int64), int(labels.max()) + 1
    if ordering == "magpie":
        return _magpie_shells(*faces, tessellation.areas, kinds, count)
    if ordering == "matminer":
        weights = face_weights(tessellation)
        largest = np.maximum.reduceat(tessellation.areas, tessellation.offsets[:-1])
        back = tessellation.areas / largest[tessellation.neighbors]
        return _matminer_shells(*faces, weights, back, kinds, count)
    raise SSEError(f"{ordering=} is not one of {ORDERINGS}")


@njit(cache=True, nogil=True)
def _first_shell(offsets, neighbors, weights, labels, count):
    """Summed weight of the faces of each site by the label across, shape (sites, count)."""
    found = np.zeros((len(labels), count))
    for i in range(len(labels)):
        for f in range(offsets[i], offsets[i + 1]):
            found[i, labels[neighbors[f]]] += weights[f]
    return found


@njit(cache=True, nogil=True)
def _find(offsets, neighbors, images, i, site, a, b, c):
    """The face of site i towards a site in an image; -1 if there is none."""
    for f in range(offsets[i], offsets[i + 1]):
        if neighbors[f] == site and images[f, 0] == a and images[f, 1] == b and images[f, 2] == c:
            return f
    return -1


@njit(cache=True, nogil=True)
def _returns(offsets, neighbors, images, weights, back):
    """Summed weight of the walks of two and of three steps that end where they began."""
    n = len(offsets) - 1
    two, three = np.zeros(n), np.zeros(n)
    for i in range(n):
        for f in range(offsets[i], offsets[i + 1]):
            j, t = neighbors[f], images[f]
            two[i] += weights[f] * back[f]
            for e in range(offsets[j], offsets[j + 1]):
                s = images[e]
                a, b, c = t[0] + s[0], t[1] + s[1], t[2] + s[2]
                last = _find(offsets, neighbors, images, i, neighbors[e], a, b, c)
                if last >= 0:
                    three[i] += weights[f] * weights[e] * back[last]
    return two, three


@njit(cache=True, nogil=True)
def _matminer_shells(offsets, neighbors, images, weights, back, labels, count):
    n = len(labels)
    shells = np.zeros((3, n, count))
    shells[0] = _first_shell(offsets, neighbors, weights, labels, count)
    two, three = _returns(offsets, neighbors, images, weights, back)
    every = np.zeros((n, count))  # all walks of two steps
    for i in range(n):
        for f in range(offsets[i], offsets[i + 1]):
            every[i] += weights[f] * shells[0, neighbors[f]]
        shells[1, i] = every[i]
        shells[1, i, labels[i]] -= two[i]
    for i in range(n):
        for f in range(offsets[i], offsets[i + 1]):
            j = neighbors[f]
            shells[2, i] += weights[f] * every[j]
            # i-j-x-j with x not i, whose walks the next line takes away
            shells[2, i, labels[j]] += weights[f] * (weights[f] * back[f] - two[j])
        shells[2, i] -= two[i] * shells[0, i]  # i-x-i-y
        shells[2, i, labels[i]] -= three[i]
    return shells


@njit(cache=True, nogil=True)
def _magpie_shells(offsets, neighbors, images, areas, labels, count):
    n = len(labels)
    shells = np.zeros((3, n, count))
    first = _first_shell(offsets, neighbors, areas, labels, count)
    total = np.zeros(n)
    for i in range(n):
        total[i] = first[i].sum()
        shells[0, i] = first[i] / total[i]
    for i in range(n):
        for f in range(offsets[i], offsets[i + 1]):
            j, t = neighbors[f], images[f]
            step = areas[f] / total[i] / (total[j] - areas[f])  # the face is as large from j
            shells[1, i] += step * first[j]
            shells[1, i, labels[i]] -= step * areas[f]
            for e in range(offsets[j], offsets[j + 1]):
                k, s = neighbors[e], images[e]
                a, b, c = t[0] + s[0], t[1] + s[1], t[2] + s[2]
                if k == i and a == 0 and b == 0 and c == 0:
                    continue
                home = _find(offsets, neighbors, images, i, k, a, b, c)
                closing = areas[home] if home >= 0 else 0.0
                part = step * areas[e] / (total[k] - areas[e] - closing)
                shells[2, i] += part * first[k]
                shells[2, i, labels[j]] -= part * areas[e]
                shells[2, i, labels[i]] -= part * closing
    return shells
