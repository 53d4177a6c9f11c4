"""The Voronoi tessellation: known polyhedra, another code, and what must hold for any crystal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, Voronoi

from sse_flows.descriptors.crystal.arrays import read_crystal
from sse_flows.descriptors.crystal.tessellation import tessellate
from sse_flows.descriptors.crystal.voronoi import reduce_lattice
from sse_flows.errors import SSEError

ORIGIN = np.zeros((1, 3))
SEEDS = st.integers(0, 2**32 - 1)


def large(tessellation):
    """Areas that are not rounding, sorted."""
    areas = tessellation.areas
    return np.sort(areas[areas > 1e-9])


def test_simple_cubic_has_six_squares():
    found = tessellate(3.0 * np.eye(3), ORIGIN)
    np.testing.assert_allclose(large(found), [9.0] * 6, rtol=1e-13)
    np.testing.assert_allclose(found.volumes, [27.0], rtol=1e-13)


def test_face_centred_cubic_has_a_rhombic_dodecahedron():
    found = tessellate(2.0 * (np.ones((3, 3)) - np.eye(3)), ORIGIN)  # edge 4
    np.testing.assert_allclose(large(found), [4.0**2 * np.sqrt(2) / 8] * 12, rtol=1e-13)


def test_body_centred_cubic_has_a_truncated_octahedron():
    found = tessellate(2.0 * (np.ones((3, 3)) - 2 * np.eye(3)), ORIGIN)  # edge 4
    edge = 4.0 * np.sqrt(2) / 4
    squares, hexagons = [edge**2] * 6, [1.5 * np.sqrt(3) * edge**2] * 8
    np.testing.assert_allclose(large(found), [*squares, *hexagons], rtol=1e-13)


def qhull_volumes(crystal) -> list[float]:
    """Volume of each cell by Qhull, from a cluster of 5 x 5 x 5 cells."""
    steps = np.stack(np.meshgrid(*[range(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    steps = steps[np.argsort(np.abs(steps).sum(axis=1), kind="stable")]  # the middle cell first
    points = ((crystal.positions % 1.0)[None] + steps[:, None]).reshape(-1, 3) @ crystal.lattice
    diagram = Voronoi(points)
    regions = [diagram.regions[diagram.point_region[i]] for i in range(len(crystal.numbers))]
    return [ConvexHull(diagram.vertices[region]).volume for region in regions]


def test_cells_are_those_of_qhull(low_symmetry):
    for seed in range(5):
        crystal = low_symmetry(seed, sites=8)
        found = tessellate(crystal.lattice, crystal.positions)
        np.testing.assert_allclose(found.volumes, qhull_volumes(crystal), rtol=1e-9)


def check_faces(lattice, positions):
    """Volumes fill the cell, images give the distances, every face is there from both sides."""
    found = tessellate(lattice, positions)
    i, j = found.centers, found.neighbors
    assert found.volumes.sum() == pytest.approx(abs(np.linalg.det(lattice)), rel=1e-10)
    apart = (positions[j] + found.images - positions[i]) @ lattice
    np.testing.assert_allclose(np.linalg.norm(apart, axis=1), found.distances, rtol=1e-9)
    normals = (found.areas / found.distances)[:, None] * apart  # a closed surface
    np.testing.assert_allclose(np.add.reduceat(normals, found.offsets[:-1]), 0, atol=1e-8)
    faces = zip(i, j, map(tuple, found.images), found.areas, strict=True)
    areas = {(a, b, image): area for a, b, image, area in faces if area > 1e-9}
    for (a, b, image), area in areas.items():
        back = areas[b, a, tuple(-x for x in image)]
        assert back == pytest.approx(area, rel=1e-7, abs=1e-10)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, sites=st.integers(1, 12))
def test_faces_of_any_crystal_fit_together(low_symmetry, changes, seed, sites):
    crystal = low_symmetry(seed, sites)
    for change in ("translation", "skewed cell"):
        crystal = changes[change](crystal, np.random.default_rng(seed))
    check_faces(crystal.lattice, crystal.positions)


def test_faces_of_symmetric_crystals_fit_together(symmetric):
    for structure in symmetric.values():
        check_faces(structure.lattice.matrix, structure.frac_coords)


def test_large_and_sparse_cells(low_symmetry):
    crystal = low_symmetry(1, sites=300)
    check_faces(crystal.lattice, crystal.positions)
    check_faces(30.0 * np.eye(3), np.array([[0.1, 0.2, 0.3]]))
    slab = np.diag([3.0, 3.0, 40.0])
    check_faces(slab, np.array([[0.0, 0.0, 0.01], [0.5, 0.5, 0.05], [0.0, 0.0, 0.09]]))


def test_a_scaled_tessellation_is_that_of_the_scaled_crystal(low_symmetry):
    crystal = low_symmetry(3)
    scaled = tessellate(crystal.lattice, crystal.positions).scaled(1.3)
    direct = tessellate(1.3 * crystal.lattice, crystal.positions)
    for name in ("areas", "distances", "volumes"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(direct, name), atol=1e-10)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_reduced_cells_are_compact(low_symmetry, changes, seed):
    crystal = low_symmetry(seed, 1)
    skewed = changes["skewed cell"](crystal, np.random.default_rng(seed)).lattice
    matrix = reduce_lattice(np.ascontiguousarray(skewed))
    assert abs(np.linalg.det(matrix)) == pytest.approx(1)
    np.testing.assert_array_equal(matrix, np.round(matrix))
    edges = np.linalg.norm(matrix @ skewed, axis=1).prod()
    assert edges < 2.01 * abs(np.linalg.det(skewed))  # the bound for Minkowski-reduced cells


@pytest.mark.parametrize("other", [[0.0, 0.0, 0.0], [1.0, -2.0, 3.0], [0.001, 1.0, 0.0]])
def test_sites_at_the_same_place_are_refused(other):
    with pytest.raises(SSEError, match="place of another"):
        tessellate(4.0 * np.eye(3), np.array([[0.0, 0.0, 0.0], other]))


def test_a_vacuum_without_end_is_refused():
    with pytest.raises(SSEError, match="neighbours"):
        tessellate(np.diag([2.0, 2.0, 2000.0]), np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.001]]))


def test_structures_are_read(symmetric):
    lattice, _, positions = read_crystal(symmetric["spinel"])
    assert tessellate(lattice, positions).n_sites == 14
