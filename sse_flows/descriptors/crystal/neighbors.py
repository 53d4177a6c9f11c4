"""Compiled search for the periodic neighbours of a site, in a time that the crystal's size leaves.

Sites are sorted into bins that hold about one each, so a search looks at the bins around a site
and not at all sites.
"""

from __future__ import annotations

import numpy as np
from numba import njit

OUT_OF_MEMORY = -1
"""Status: more neighbours are needed than `MAX_NEIGHBORS`."""

TOO_CLOSE = -2
"""Status: two sites are at the same place."""

MAX_NEIGHBORS = 60_000
"""Neighbours one site may have within the radius that encloses its cell."""

SAME_PLACE = 1e-2
"""Sites nearer than this, Å, are taken for one."""


@njit(cache=True, nogil=True)
def reduce_lattice(lattice):
    """Unimodular integer matrix M that makes the rows of M @ lattice short, shape (3, 3).

    Each vector is shortened by the others, and by the sum of the others, until none gets shorter.
    """
    matrix = np.eye(3)
    shortened = True
    while shortened:
        shortened = False
        for i in range(3):
            for sign in (0.0, 1.0, -1.0):
                for j in range(3):
                    if i == j:
                        continue
                    step = matrix[j] + sign * matrix[3 - i - j]
                    vector, other = matrix[i] @ lattice, step @ lattice
                    count = np.round(np.sum(vector * other) / np.sum(other * other))
                    new = vector - count * other
                    if np.sum(new * new) < (1.0 - 1e-9) * np.sum(vector * vector):
                        matrix[i] -= count * step
                        shortened = True
    return matrix


@njit(cache=True, nogil=True)
def sort_into_bins(lattice, positions):
    """Sort sites into bins of the cell, about one site a bin.

    Parameters
    ----------
    lattice
        Short-edged, rows in Å, shape (3, 3).
    positions
        Fractional coordinates in [0, 1], shape (sites, 3).

    Returns
    -------
    tuple
        Bins along each axis (3,), where the sites of each bin begin (bins + 1,), sites in the
        order of their bins (sites,), and their Cartesian positions in that order (sites, 3).
    """
    n = len(positions)
    inverse = np.linalg.inv(lattice)
    width = (abs(np.linalg.det(lattice)) / n) ** (1.0 / 3.0)
    shape = np.empty(3, np.int64)
    for k in range(3):
        height = 1.0 / np.sqrt(np.sum(inverse[:, k] ** 2))
        shape[k] = min(max(1, int(height / width)), n)
    own = np.empty(n, np.int64)
    starts = np.zeros(shape[0] * shape[1] * shape[2] + 1, np.int64)
    for i in range(n):
        own[i] = 0
        for k in range(3):
            own[i] = own[i] * shape[k] + min(int(positions[i, k] * shape[k]), shape[k] - 1)
        starts[own[i] + 1] += 1
    starts = np.cumsum(starts)
    order = np.argsort(own, kind="mergesort")
    places = np.empty((n, 3))
    for k in range(n):
        places[k] = _cartesian(lattice, positions[order[k]])
    return shape, starts, order, places


@njit(cache=True, nogil=True)
def _cartesian(lattice, vector):
    x = vector[0] * lattice[0, 0] + vector[1] * lattice[1, 0] + vector[2] * lattice[2, 0]
    y = vector[0] * lattice[0, 1] + vector[1] * lattice[1, 1] + vector[2] * lattice[2, 1]
    z = vector[0] * lattice[0, 2] + vector[1] * lattice[1, 2] + vector[2] * lattice[2, 2]
    return x, y, z


@njit(cache=True, nogil=True)
def _search(lattice, bins, position, low, high, cutoff, index, image, vector, square):
    """Fill in the neighbours of a position in a range of bins; their number, or `TOO_CLOSE`.

    Counts on where the arrays are full. The site itself, at distance zero, is left out.
    """
    shape, starts, order, places = bins
    x0, y0, z0 = _cartesian(lattice, position)
    count, itself = 0, 0
    for p in range(low[0], high[0] + 1):
        a = p // shape[0]
        for q in range(low[1], high[1] + 1):
            b = q // shape[1]
            for r in range(low[2], high[2] + 1):
                c = r // shape[2]
                x1, y1, z1 = _cartesian(lattice, (a, b, c))
                row = (p - a * shape[0]) * shape[1] + q - b * shape[1]
                one = row * shape[2] + r - c * shape[2]
                for k in range(starts[one], starts[one + 1]):
                    x, y, z = places[k, 0] + x1, places[k, 1] + y1, places[k, 2] + z1
                    x, y, z = x - x0, y - y0, z - z0
                    r2 = x * x + y * y + z * z
                    if r2 >= cutoff * cutoff:
                        continue
                    if r2 < SAME_PLACE * SAME_PLACE:
                        itself += 1
                        continue
                    if count < len(index):
                        index[count] = order[k]
                        image[count, 0], image[count, 1], image[count, 2] = a, b, c
                        vector[count, 0], vector[count, 1], vector[count, 2] = x, y, z
                        square[count] = r2
                    count += 1
    return count if itself == 1 else TOO_CLOSE


@njit(cache=True, nogil=True)
def neighbors_within(lattice, spacing, bins, position, cutoff, expected):
    """Periodic neighbours of a site, nearest first.

    Parameters
    ----------
    lattice, spacing
        Rows in Å, and one over the distances of lattice planes.
    bins
        From `sort_into_bins`.
    position
        Fractional coordinates of the site, shape (3,).
    cutoff
        Å.
    expected
        Their number; more cost another search.

    Returns
    -------
    tuple
        Status (their number, or below 0), site, image of that site, vector to it and its
        squared length.
    """
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for k in range(3):
        reach = cutoff * spacing[k] + 1e-9
        low[k] = np.floor((position[k] - reach) * bins[0][k])
        high[k] = np.floor((position[k] + reach) * bins[0][k])
    size = expected
    while True:
        index = np.empty(size, np.int64)
        image = np.empty((size, 3), np.int64)
        vector = np.empty((size, 3))
        square = np.empty(size)
        count = _search(lattice, bins, position, low, high, cutoff, index, image, vector, square)
        if count > MAX_NEIGHBORS:
            count = OUT_OF_MEMORY
        if count <= size:
            break
        size = count
    order = np.argsort(square[: max(count, 0)])
    return count, index[order], take_rows(image, order), take_rows(vector, order), square[order]


@njit(cache=True, nogil=True)
def take_rows(table, order):
    """Rows of a table of three columns in an order; faster here than fancy indexing."""
    rows = np.empty((len(order), 3), table.dtype)
    for k in range(len(order)):
        rows[k, 0] = table[order[k], 0]
        rows[k, 1] = table[order[k], 1]
        rows[k, 2] = table[order[k], 2]
    return rows
