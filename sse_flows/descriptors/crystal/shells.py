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
    kinds, count = np.ascontiguousarray(labels, np.int64), int(labels.max()) + 1
    crystal = tessellation.offsets, tessellation.neighbors, tessellation.images, tessellation.areas
    if ordering == "magpie":
        return _magpie_shells(*crystal, kinds, count)
    if ordering == "matminer":
        return _matminer_shells(*crystal, kinds, count)
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
def _image_codes(images):
    """One number for each translation; that of a sum of translations is the sum of theirs."""
    codes = np.empty(len(images), np.int64)
    for f in range(len(images)):
        codes[f] = (images[f, 0] * 65_536 + images[f, 1]) * 65_536 + images[f, 2]
    return codes


@njit(cache=True, nogil=True)
def _find(offsets, neighbors, codes, i, site, code):
    """The face of site i towards a site in an image; -1 if there is none."""
    for f in range(offsets[i], offsets[i + 1]):
        if codes[f] == code and neighbors[f] == site:
            return f
    return -1


@njit(cache=True, nogil=True)
def _add(target, factor, row):
    """Add a multiple of a row; without the temporary arrays of ``+=``."""
    for k in range(len(row)):
        target[k] += factor * row[k]


@njit(cache=True, nogil=True)
def _returns(offsets, neighbors, codes, weights, back):
    """Summed weight of the walks of two and of three steps that end where they began."""
    n = len(offsets) - 1
    two, three = np.zeros(n), np.zeros(n)
    for i in range(n):
        for f in range(offsets[i], offsets[i + 1]):
            j = neighbors[f]
            two[i] += weights[f] * back[f]
            for e in range(offsets[j], offsets[j + 1]):
                last = _find(offsets, neighbors, codes, i, neighbors[e], codes[f] + codes[e])
                if last >= 0:
                    three[i] += weights[f] * weights[e] * back[last]
    return two, three


@njit(cache=True, nogil=True)
def _matminer_shells(offsets, neighbors, images, areas, labels, count):
    n = len(labels)
    weights, back = areas.copy(), areas.copy()  # over the largest of the one cell and the other
    for i in range(n):
        weights[offsets[i] : offsets[i + 1]] /= areas[offsets[i] : offsets[i + 1]].max()
    for f in range(len(areas)):
        j = neighbors[f]
        back[f] = areas[f] * weights[offsets[j]] / areas[offsets[j]]
    shells = np.zeros((3, n, count))
    shells[0] = _first_shell(offsets, neighbors, weights, labels, count)
    two, three = _returns(offsets, neighbors, _image_codes(images), weights, back)
    every = np.zeros((n, count))  # all walks of two steps
    for i in range(n):
        for f in range(offsets[i], offsets[i + 1]):
            _add(every[i], weights[f], shells[0, neighbors[f]])
        shells[1, i] = every[i]
        shells[1, i, labels[i]] -= two[i]
    for i in range(n):
        for f in range(offsets[i], offsets[i + 1]):
            j = neighbors[f]
            _add(shells[2, i], weights[f], every[j])
            # i-j-x-j with x not i, whose walks the next line takes away
            shells[2, i, labels[j]] += weights[f] * (weights[f] * back[f] - two[j])
        _add(shells[2, i], -two[i], shells[0, i])  # i-x-i-y
        shells[2, i, labels[i]] -= three[i]
    return shells


@njit(cache=True, nogil=True)
def _magpie_shells(offsets, neighbors, images, areas, labels, count):
    n, codes = len(labels), _image_codes(images)
    shells = np.zeros((3, n, count))
    first = _first_shell(offsets, neighbors, areas, labels, count)
    total = np.zeros(n)
    for i in range(n):
        total[i] = first[i].sum()
        shells[0, i] = first[i] / total[i]
    for i in range(n):
        for f in range(offsets[i], offsets[i + 1]):
            j = neighbors[f]
            step = areas[f] / total[i] / (total[j] - areas[f])  # the face is as large from j
            _add(shells[1, i], step, first[j])
            shells[1, i, labels[i]] -= step * areas[f]
            for e in range(offsets[j], offsets[j + 1]):
                k, code = neighbors[e], codes[f] + codes[e]
                if k == i and code == 0:
                    continue
                home = _find(offsets, neighbors, codes, i, k, code)
                closing = areas[home] if home >= 0 else 0.0
                part = step * areas[e] / (total[k] - areas[e] - closing)
                _add(shells[2, i], part, first[k])
                shells[2, i, labels[j]] -= part * areas[e]
                shells[2, i, labels[i]] -= part * closing
    return shells
