"""Compiled kernels of the periodic Voronoi tessellation.

Every face is found on its own: the plane half-way to a neighbour carries a large square, which
the planes of all other neighbours clip to the face. No polyhedron is put together, so corners
where many planes meet, as in every crystal of high symmetry, cannot spoil it: a face that
shrinks to an edge just gets an area of nearly zero.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MAX_CORNERS = 128
"""Room for the corners of one face while it is clipped."""

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
def _search(lattice, spacing, positions, center, cutoff, index, image, vector, square):
    """Fill in the periodic neighbours of a site within a cutoff; their number, or `TOO_CLOSE`.

    Counts on where the arrays are full. `spacing` is one over the distances of lattice planes.
    """
    capacity = len(index)
    limit = cutoff * spacing + 1e-9
    reach = np.floor(limit + 0.5).astype(np.int64)
    count = 0
    for j in range(len(positions)):
        u0 = positions[j, 0] - positions[center, 0]
        v0 = positions[j, 1] - positions[center, 1]
        w0 = positions[j, 2] - positions[center, 2]
        home = (np.floor(u0 + 0.5), np.floor(v0 + 0.5), np.floor(w0 + 0.5))
        for a in range(-reach[0], reach[0] + 1):
            u = u0 - home[0] + a
            if abs(u) > limit[0]:
                continue
            for b in range(-reach[1], reach[1] + 1):
                v = v0 - home[1] + b
                if abs(v) > limit[1]:
                    continue
                for c in range(-reach[2], reach[2] + 1):
                    w = w0 - home[2] + c
                    if abs(w) > limit[2]:
                        continue
                    x = u * lattice[0, 0] + v * lattice[1, 0] + w * lattice[2, 0]
                    y = u * lattice[0, 1] + v * lattice[1, 1] + w * lattice[2, 1]
                    z = u * lattice[0, 2] + v * lattice[1, 2] + w * lattice[2, 2]
                    r2 = x * x + y * y + z * z
                    itself = j == center and a == 0 and b == 0 and c == 0
                    if r2 >= cutoff * cutoff or itself:
                        continue
                    if r2 < SAME_PLACE * SAME_PLACE:
                        return TOO_CLOSE
                    if count < capacity:
                        index[count] = j
                        image[count, 0] = a - home[0]
                        image[count, 1] = b - home[1]
                        image[count, 2] = c - home[2]
                        vector[count, 0] = x
                        vector[count, 1] = y
                        vector[count, 2] = z
                        square[count] = r2
                    count += 1
    return count


@njit(cache=True, nogil=True)
def neighbors_within(lattice, spacing, positions, center, cutoff, expected):
    """Periodic neighbours of a site, nearest first.

    Returns
    -------
    tuple
        Status (their number, or below 0), site, image of that site, vector to it and its
        squared length.
    """
    size = expected
    while True:
        index = np.empty(size, np.int64)
        image = np.empty((size, 3), np.int64)
        vector = np.empty((size, 3))
        square = np.empty(size)
        count = _search(lattice, spacing, positions, center, cutoff, index, image, vector, square)
        if count > MAX_NEIGHBORS:
            count = OUT_OF_MEMORY
        if count <= size:
            break
        size = count
    order = np.argsort(square[: max(count, 0)])
    return count, index[order], _rows(image, order), _rows(vector, order), square[order]


@njit(cache=True, nogil=True)
def _rows(table, order):
    """Rows of a table of three columns in an order; faster here than fancy indexing."""
    rows = np.empty((len(order), 3), table.dtype)
    for k in range(len(order)):
        rows[k, 0] = table[order[k], 0]
        rows[k, 1] = table[order[k], 1]
        rows[k, 2] = table[order[k], 2]
    return rows


@njit(cache=True, nogil=True)
def _plane_axes(normal):
    """Two unit vectors that span the plane of a unit normal."""
    if abs(normal[0]) < 0.6:
        first = np.array([0.0, normal[2], -normal[1]])
    else:
        first = np.array([-normal[2], 0.0, normal[0]])
    first /= np.sqrt(np.sum(first * first))
    return first, np.cross(normal, first)


@njit(cache=True, nogil=True)
def _clip(corners, count, a, b, limit, scratch):
    """Cut a convex polygon to a x + b y <= limit in place; its number of corners."""
    kept = 0
    x0, y0 = corners[count - 1, 0], corners[count - 1, 1]
    over0 = a * x0 + b * y0 - limit
    for k in range(count):
        x, y = corners[k, 0], corners[k, 1]
        over = a * x + b * y - limit
        if (over > 0.0) != (over0 > 0.0):
            part = over0 / (over0 - over)
            scratch[kept, 0] = x0 + part * (x - x0)
            scratch[kept, 1] = y0 + part * (y - y0)
            kept += 1
        if over <= 0.0:
            scratch[kept, 0], scratch[kept, 1] = x, y
            kept += 1
        x0, y0, over0 = x, y, over
    for k in range(kept):
        corners[k, 0], corners[k, 1] = scratch[k, 0], scratch[k, 1]
    return kept


@njit(cache=True, nogil=True)
def _is_cut(corners, count, a, b, limit):
    for k in range(count):  # noqa: SIM110 - numba knows no generators in any()
        if a * corners[k, 0] + b * corners[k, 1] > limit:
            return True
    return False


@njit(cache=True, nogil=True)
def _polygon_area(corners, count):
    area = 0.0
    for k in range(1, count - 1):
        area += (corners[k, 0] - corners[0, 0]) * (corners[k + 1, 1] - corners[0, 1])
        area -= (corners[k + 1, 0] - corners[0, 0]) * (corners[k, 1] - corners[0, 1])
    return 0.5 * abs(area)


@njit(cache=True, nogil=True)
def _farthest(corners, count):
    """Largest squared distance of a corner from the middle of the plane."""
    far = 0.0
    for k in range(count):
        far = max(far, corners[k, 0] ** 2 + corners[k, 1] ** 2)
    return far


@njit(cache=True, nogil=True)
def _face(vector, square, face, side, corners, scratch):
    """Area of one face and the squared distance of its farthest corner from the site."""
    distance = np.sqrt(square[face])
    normal = vector[face] / distance
    first, second = _plane_axes(normal)
    height = 0.5 * distance
    corners[0, 0], corners[0, 1] = -side, -side
    corners[1, 0], corners[1, 1] = side, -side
    corners[2, 0], corners[2, 1] = side, side
    corners[3, 0], corners[3, 1] = -side, side
    count = 4
    far = 2.0 * side * side + height * height
    for k in range(len(square)):
        if 0.25 * square[k] > far:  # this plane, and all after it, pass beyond every corner
            break
        if k == face:
            continue
        x, y, z = vector[k, 0], vector[k, 1], vector[k, 2]
        a = first[0] * x + first[1] * y + first[2] * z
        b = second[0] * x + second[1] * y + second[2] * z
        limit = 0.5 * square[k] - height * (normal[0] * x + normal[1] * y + normal[2] * z)
        if _is_cut(corners, count, a, b, limit):
            count = _clip(corners, count, a, b, limit, scratch)
            if count < 3:
                return 0.0, 0.0
            far = _farthest(corners, count) + height * height
    return _polygon_area(corners, count), far


@njit(cache=True, nogil=True)
def cell_faces(vector, square, side, smallest):
    """Areas of the faces towards sorted neighbours, and the radius of the farthest corner.

    A plane farther away than every corner of the faces found carries none: the faces of a cell
    hang together, so it would share a corner with one of those.
    """
    corners = np.empty((MAX_CORNERS, 2))
    scratch = np.empty((MAX_CORNERS, 2))
    areas = np.zeros(len(square))
    far = 0.0
    for k in range(len(square)):
        if far > 0.0 and 0.25 * square[k] > far:
            break
        area, corner = _face(vector, square, k, side, corners, scratch)
        if area > smallest:
            areas[k] = area
            far = max(far, corner)
    return areas, np.sqrt(far)


@njit(cache=True, nogil=True)
def site_faces(lattice, spacing, positions, center, cutoff):
    """Faces of the cell of one site: status, site, image, area, distance; and the cutoff needed.

    The cutoff grows until it holds every neighbour that could touch the cell, which are those
    within twice the distance of its farthest corner.
    """
    volume = abs(np.linalg.det(lattice)) / len(positions)
    smallest = 1e-12 * volume ** (2.0 / 3.0)
    while True:
        expected = 64 + int(6.0 * cutoff**3 / volume)
        count, index, image, vector, square = neighbors_within(
            lattice, spacing, positions, center, cutoff, min(expected, MAX_NEIGHBORS)
        )
        if count < 0:
            return count, index, image, square, square, cutoff
        if count >= 4:
            areas, radius = cell_faces(vector, square, 4.0 * cutoff, smallest)
            if 0.0 < 2.0 * radius <= cutoff:
                kept = np.nonzero(areas)[0]
                distance = np.sqrt(square[kept])
                return len(kept), index[kept], _rows(image, kept), areas[kept], distance, cutoff
            if 2.0 * radius < 2.0 * cutoff:
                cutoff = max(2.04 * radius, 1.02 * cutoff)
                continue
        cutoff *= 1.5


@njit(cache=True, nogil=True)
def all_faces(lattice, positions):
    """Faces of all cells of a short-edged lattice with positions in [0, 1).

    Returns
    -------
    tuple
        Status (0, or below 0 with the site), offsets (sites + 1,), and per face site, image,
        area and distance.
    """
    n = len(positions)
    inverse = np.linalg.inv(lattice)
    spacing = np.sqrt(np.sum(inverse * inverse, axis=0))
    cutoff = 1.9 * (abs(np.linalg.det(lattice)) / n) ** (1.0 / 3.0)
    offsets = np.zeros(n + 1, np.int64)
    index = np.empty(24 * n + 64, np.int64)
    image = np.empty((24 * n + 64, 3), np.int64)
    area = np.empty(24 * n + 64)
    distance = np.empty(24 * n + 64)
    for i in range(n):
        found, j, where, face, apart, cutoff = site_faces(lattice, spacing, positions, i, cutoff)
        if found < 0:
            return found, i, offsets, index, image, area, distance
        start, stop = offsets[i], offsets[i] + found
        if stop > len(index):
            room = np.empty(len(index) + found, np.int64)
            index = np.append(index, room)
            image = np.append(image, np.empty((len(room), 3), np.int64), axis=0)
            area = np.append(area, np.empty(len(room)))
            distance = np.append(distance, np.empty(len(room)))
        index[start:stop], image[start:stop] = j, where
        area[start:stop], distance[start:stop] = face, apart
        offsets[i + 1] = stop
    end = offsets[n]
    return 0, 0, offsets, index[:end], image[:end], area[:end], distance[:end]
