"""Features of the geometry alone: textbook values."""

from __future__ import annotations

import numpy as np
import pytest

from sse_flows.descriptors.crystal.arrays import read_crystal
from sse_flows.descriptors.crystal.geometry import five_statistics, geometry_features
from sse_flows.descriptors.crystal.tessellation import tessellate


def features(structure):
    lattice, _, positions = read_crystal(structure)
    cells = tessellate(lattice, positions)
    return geometry_features(cells.offsets, cells.areas, cells.distances, cells.volumes)


@pytest.mark.parametrize(
    ("name", "efficiency"),
    [
        ("fcc", np.pi * np.sqrt(2) / 6),
        ("bcc", np.pi * np.sqrt(3) / 8),
        ("diamond", np.pi * 3**0.5 / 16),
    ],
)
def test_packing_efficiency(symmetric, name, efficiency):
    assert features(symmetric[name])[14] == pytest.approx(efficiency, rel=1e-12)


def test_coordination_numbers(symmetric):
    np.testing.assert_allclose(features(symmetric["fcc"])[:5], [12, 12, 0, 12, 0], atol=1e-9)
    ratio = 1 / (1.5 * np.sqrt(3))  # areas of squares over those of hexagons
    bcc = (8 + 6 * ratio) ** 2 / (8 + 6 * ratio**2)
    assert features(symmetric["bcc"])[3] == pytest.approx(bcc, rel=1e-12)


def test_equal_sites_do_not_vary(symmetric):
    found = features(symmetric["fcc"])[5:14]
    np.testing.assert_allclose(found, [0, 1, 1, 0, 0, 0, 0, 0, 0], atol=1e-10)


def test_five_statistics():
    np.testing.assert_allclose(five_statistics(np.array([1.0, 2.0, 6.0])), [1, 6, 5, 3, 2])
