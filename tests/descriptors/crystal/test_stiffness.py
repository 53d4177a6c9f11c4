"""Einstein-like frequencies: crystals that can be done by hand, and invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_flows.descriptors.crystal.arrays import read_crystal
from sse_flows.descriptors.crystal.elements import property_column
from sse_flows.descriptors.crystal.stiffness import (
    LAWS,
    SOFTNESS,
    STIFFNESS_LABELS,
    stiffness_features,
)
from sse_flows.descriptors.crystal.tessellation import tessellate
from sse_flows.errors import SSEError


def features(crystal):
    lattice, numbers, positions = crystal
    return stiffness_features(tessellate(lattice, positions), numbers)[0]


def by_label(structure):
    return dict(zip(STIFFNESS_LABELS, features(read_crystal(structure)), strict=True))


def test_face_centred_cubic_by_hand(symmetric):
    found, d = by_label(symmetric["fcc"]), 4.05 / np.sqrt(2)
    mass, radius = property_column("AtomicWeight")[13], property_column("CovalentRadius")[13] / 100
    laws = [d**-3, d**-4, d**-6, np.exp((2 * radius - d) / SOFTNESS), d**-4]
    for law, kappa in zip(LAWS, laws, strict=True):
        einstein = pytest.approx(np.sqrt(12 * kappa / mass), rel=1e-9)
        assert found[f"mean Einstein frequency {law}"] == einstein
        assert found[f"root mean square Einstein frequency {law}"] == einstein
        assert found[f"spread Einstein frequency {law}"] == pytest.approx(0, abs=1e-9)
        bond = pytest.approx(np.sqrt(2 * kappa / mass), rel=1e-9)
        assert found[f"maximum stiffest bond frequency {law}"] == bond
        assert found[f"mean bond frequency {law}"] == bond
    assert found["minimum shortest bond"] == pytest.approx(d)
    assert found["minimum relative shortest bond"] == pytest.approx(d / (2 * radius))
    assert found["mean cell volume"] == pytest.approx(4.05**3 / 4)
    assert found["maximum electronegativity difference"] == 0


def test_polar_bonds_are_stiffer(symmetric):
    found = by_label(symmetric["rock salt"])
    plain = found["maximum stiffest bond frequency d^-4"]
    ratio = found["maximum stiffest bond frequency polar d^-4"] / plain
    apart = 3.16 - 0.98
    assert ratio == pytest.approx(np.sqrt(1 + apart**2))


def test_light_atoms_vibrate_faster(symmetric):
    lattice, numbers, positions = read_crystal(symmetric["rock salt"])
    heavier = np.where(numbers == 17, 53, numbers)
    light, heavy = stiffness_features(tessellate(lattice, positions), np.array([numbers, heavier]))
    index = STIFFNESS_LABELS.index("root mean square Einstein frequency d^-4")
    assert light[index] > heavy[index]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), sites=st.integers(1, 9))
def test_features_are_those_of_the_crystal_not_of_its_cell(low_symmetry, changes, seed, sites):
    crystal = low_symmetry(seed, sites)
    expected = features(crystal)
    for name, change in changes.items():
        found = features(change(crystal, np.random.default_rng(seed)))
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8, err_msg=name)


def test_frequencies_scale_with_the_power_of_the_law(low_symmetry):
    crystal = low_symmetry(2)
    before = features(crystal)
    after = features(crystal._replace(lattice=2.0 * crystal.lattice))
    for law, power in {"d^-3": -1.5, "d^-4": -2, "d^-6": -3, "polar d^-4": -2}.items():
        for k, label in enumerate(STIFFNESS_LABELS):
            if f"frequency {law}" in label:
                assert after[k] == pytest.approx(2.0**power * before[k], rel=1e-9, abs=1e-12)


def test_a_batch_gives_what_its_members_give_alone(low_symmetry):
    lattice, numbers, positions = low_symmetry(4)
    tessellation = tessellate(lattice, positions)
    rows = np.array([numbers, numbers[::-1]])
    alone = [stiffness_features(tessellation, row)[0] for row in rows]
    np.testing.assert_array_equal(stiffness_features(tessellation, rows), alone)
    assert len(set(STIFFNESS_LABELS)) == len(alone[0])


def test_the_wrong_number_of_atoms_is_refused(symmetric):
    lattice, _, positions = read_crystal(symmetric["fcc"])
    with pytest.raises(SSEError, match="2 atoms"):
        stiffness_features(tessellate(lattice, positions), np.array([3, 8]))
