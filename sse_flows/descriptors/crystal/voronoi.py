"""Compiled kernels of the periodic Voronoi tessellation.

Every face is found on its own: the plane half-way to a neighbour carries a large square, which
the planes of all other neighbours clip to the face. No polyhedron is put together, so corners
where many planes meet, as in every crystal of high symmetry, cannot spoil it: a face that
shrinks to an edge just gets an area of nearly zero.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sse_flows.descriptors.crystal.neighbors import (
    MAX_NEIGHBORS,
    neighbors_within,
    reduce_lattice,
    sort_into_bins,
    take_rows,
)

MAX_CORNERS = 128
"""Room for the corners of one face while it is clipped."""


@njit(cache=True, nogil=True)
def _plane_axes(x, y, z):
    """Two unit vectors that span the plane of a unit normal; plain numbers, as arrays cost more."""
    if abs(x) < 0.6:
        length = np.sqrt(y * y + z * z)
        a, b, c = 0.0, z / length, -y / length
    else:
        length = np.sqrt(x * x + z * z)
        a, b, c = -z / length, 0.0, x / length
    return a, b, c, y * c - z * b, z * a - x * c, x * b - y * a


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
    n0, n1, n2 = vector[face, 0] / distance, vector[face, 1] / distance, vector[face, 2] / distance
    a0, a1, a2, b0, b1, b2 = _plane_axes(n0, n1, n2)
    height = 0.5 * distance
    corners[0, 0], corners[0, 1] = -side, -side
    corners[1, 0], corners[1, 1] = side, -side
    corners[2, 0], corners[2, 1] = side, side
    corners[3, 0], corners[3, 1] = -side, side
    count = 4
    far = 2.0 * side * side  # of a corner from the middle of the plane, squared
    for k in range(len(square)):
        if 0.25 * square[k] > far + height * height:  # this plane and all after it pass beyond
            break
        if k == face:
            continue
        x, y, z = vector[k, 0], vector[k, 1], vector[k, 2]
        limit = 0.5 * square[k] - height * (n0 * x + n1 * y + n2 * z)
        a, b = a0 * x + a1 * y + a2 * z, b0 * x + b1 * y + b2 * z
        if limit > 0.0 and limit * limit > far * (a * a + b * b):  # passes beyond every corner
            continue
        if _is_cut(corners, count, a, b, limit):
            count = _clip(corners, count, a, b, limit, scratch)
            if count < 3:
                return 0.0, 0.0
            far = _farthest(corners, count)
    return _polygon_area(corners, count), far + height * height


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
def site_faces(lattice, spacing, bins, position, volume, cutoff):
    """Faces of the cell of one site: status, site, image, area, distance; a cutoff for the next.

    The cutoff grows until it holds every neighbour that could touch the cell, which are those
    within twice the distance of its farthest corner. `volume` is the mean of a site.
    """
    smallest = 1e-12 * volume ** (2.0 / 3.0)
    while True:
        expected = 64 + int(6.0 * cutoff**3 / volume)
        count, index, image, vector, square = neighbors_within(
            lattice, spacing, bins, position, cutoff, min(expected, MAX_NEIGHBORS)
        )
        if count < 0:
            return count, index, image, square, square, cutoff
        if count >= 4:
            areas, radius = cell_faces(vector, square, 4.0 * cutoff, smallest)
            if 0.0 < 2.0 * radius <= cutoff:
                kept = np.nonzero(areas)[0]
                distance = np.sqrt(square[kept])
                faces = (index[kept], take_rows(image, kept), areas[kept], distance)
                return len(kept), *faces, 2.2 * radius
            if 2.0 * radius < 2.0 * cutoff:
                cutoff = max(2.04 * radius, 1.02 * cutoff)
                continue
        cutoff *= 1.5


@njit(cache=True, nogil=True)
def reduced_faces(lattice, positions):
    """Faces of all cells of a short-edged lattice with positions in [0, 1].

    Returns
    -------
    tuple
        Status (0, or below 0 with the site), offsets (sites + 1,), and per face site, image,
        area and distance.
    """
    n = len(positions)
    bins = sort_into_bins(lattice, positions)
    inverse = np.linalg.inv(lattice)
    spacing = np.sqrt(np.sum(inverse * inverse, axis=0))
    volume = abs(np.linalg.det(lattice)) / n
    cutoff = 1.9 * volume ** (1.0 / 3.0)
    offsets = np.zeros(n + 1, np.int64)
    index = np.empty(24 * n + 64, np.int64)
    image = np.empty((24 * n + 64, 3), np.int64)
    area = np.empty(24 * n + 64)
    distance = np.empty(24 * n + 64)
    for i in range(n):
        found, j, where, face, apart, cutoff = site_faces(
            lattice, spacing, bins, positions[i], volume, cutoff
        )
        if found < 0:
            return found, i, offsets, index, image, area, distance
        start, stop = offsets[i], offsets[i] + found
        if stop > len(index):
            room = len(index) + found
            index = np.append(index, np.empty(room, np.int64))
            image = np.append(image, np.empty((room, 3), np.int64), axis=0)
            area = np.append(area, np.empty(room))
            distance = np.append(distance, np.empty(room))
        index[start:stop], image[start:stop] = j, where
        area[start:stop], distance[start:stop] = face, apart
        offsets[i + 1] = stop
    end = offsets[n]
    return 0, 0, offsets, index[:end], image[:end], area[:end], distance[:end]


@njit(cache=True, nogil=True)
def all_faces(lattice, positions):
    """Faces of all cells of a crystal, whatever its lattice and wherever its sites are given.

    Returns
    -------
    tuple
        As `reduced_faces`, with images for the lattice and positions given, and the volume of
        each cell (sites,).
    """
    n = len(positions)
    change = reduce_lattice(lattice)
    moved = positions @ np.linalg.inv(change)
    home = np.floor(moved)
    status, site, offsets, index, image, area, distance = reduced_faces(
        change @ lattice, moved - home
    )
    volumes = np.zeros(n)
    if status == 0:
        for i in range(n):
            for f in range(offsets[i], offsets[i + 1]):
                volumes[i] += area[f] * distance[f] / 6.0
                step = image[f] - home[index[f]] + home[i]
                for k in range(3):
                    whole = step[0] * change[0, k] + step[1] * change[1, k] + step[2] * change[2, k]
                    image[f, k] = np.int64(np.round(whole))
    return status, site, offsets, index, image, area, distance, volumes
