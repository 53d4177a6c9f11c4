"""Features of the geometry alone: textbook values."""

from __future__ import annotations

import numpy as np
import pytest

from sse_flows.descriptors.crystal.arrays import read_crystal
from sse_flows.descriptors.crystal.geometry import (
    coordination_features,
    five_statistics,
    heterogeneity_features,
    packing_features,
)
from sse_flows.descriptors.crystal.tessellation import tessellate


def tessellated(structure):
    lattice, _, positions = read_crystal(structure)
    return tessellate(lattice, positions)


@pytest.mark.parametrize(
    ("name", "efficiency"),
    [
        ("fcc", np.pi * np.sqrt(2) / 6),
        ("bcc", np.pi * np.sqrt(3) / 8),
        ("diamond", np.pi * 3**0.5 / 16),
    ],
)
def test_packing_efficiency(symmetric, name, efficiency):
    assert packing_features(tessellated(symmetric[name]))[0] == pytest.approx(efficiency, rel=1e-12)


def test_coordination_numbers(symmetric):
    np.testing.assert_allclose(
        coordination_features(tessellated(symmetric["fcc"])), [12, 12, 0, 12, 0], atol=1e-9
    )
    ratio = 1 / (1.5 * np.sqrt(3))  # areas of squares over those of hexagons
    bcc = (8 + 6 * ratio) ** 2 / (8 + 6 * ratio**2)
    assert coordination_features(tessellated(symmetric["bcc"]))[3] == pytest.approx(bcc, rel=1e-12)


def test_equal_sites_do_not_vary(symmetric):
    found = heterogeneity_features(tessellated(symmetric["fcc"]))
    np.testing.assert_allclose(found, [0, 1, 1, 0, 0, 0, 0, 0, 0], atol=1e-10)


def test_five_statistics():
    np.testing.assert_allclose(five_statistics(np.array([1.0, 2.0, 6.0])), [1, 6, 5, 3, 2])
