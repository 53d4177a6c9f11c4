"""Decorations of one geometry, and what the features must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_flows.descriptors.crystal.arrays import read_crystal
from sse_flows.descriptors.crystal.decoration import (
    distinct_columns,
    find_slots,
    structure_features,
)
from sse_flows.descriptors.crystal.labels import STRUCTURE_LABELS, WARD_LABELS
from sse_flows.descriptors.crystal.tessellation import tessellate
from sse_flows.descriptors.crystal.ward import decorate
from sse_flows.errors import SSEError

SEEDS = st.integers(0, 10**6)
ORDERINGS = pytest.mark.parametrize("ordering", ["matminer", "magpie"])


def features(crystal, ordering="matminer"):
    lattice, numbers, positions = crystal
    return decorate(tessellate(lattice, positions), numbers, ordering=ordering)[0]


@ORDERINGS
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, sites=st.integers(1, 9))
def test_features_are_those_of_the_crystal_not_of_its_cell(
    low_symmetry, changes, ordering, seed, sites
):
    crystal = low_symmetry(seed, sites)
    expected = features(crystal, ordering)
    for name, change in changes.items():
        found = features(change(crystal, np.random.default_rng(seed)), ordering)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8, err_msg=name)


@ORDERINGS
def test_features_of_symmetric_crystals_do_not_depend_on_the_cell(symmetric, changes, ordering):
    for structure in symmetric.values():
        crystal = read_crystal(structure)
        expected = features(crystal, ordering)
        for name, change in changes.items():
            found = features(change(crystal, np.random.default_rng(0)), ordering)
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-7, err_msg=name)


def test_features_do_not_depend_on_the_scale(low_symmetry):
    crystal = low_symmetry(5)
    larger = crystal._replace(lattice=2.0 * crystal.lattice)
    np.testing.assert_allclose(features(larger), features(crystal), rtol=1e-10, atol=1e-10)


@ORDERINGS
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_a_batch_gives_what_its_members_give_alone(low_symmetry, ordering, seed, data):
    lattice, numbers, positions = low_symmetry(seed, 7)
    tessellation = tessellate(lattice, positions)
    of_site = np.unique(numbers, return_inverse=True)[1]
    elements = st.sampled_from([1, 3, 8, 11, 16, 26, 57])
    row = st.lists(elements, min_size=int(of_site.max()) + 1, max_size=int(of_site.max()) + 1)
    rows = np.array(data.draw(st.lists(row, min_size=1, max_size=6)))[:, of_site]
    batch = decorate(tessellation, rows, ordering=ordering)
    alone = [decorate(tessellation, one, ordering=ordering)[0] for one in rows]
    assert batch.shape == (len(rows), len(WARD_LABELS))
    np.testing.assert_allclose(batch, alone, rtol=1e-9, atol=1e-9)


def test_symmetric_prototypes_with_equal_sites(symmetric):
    lattice, numbers, positions = read_crystal(symmetric["spinel"])
    tessellation = tessellate(lattice, positions)
    children = [{3: a, 25: b, 8: c} for a in (3, 11) for b in (3, 13, 22) for c in (8, 16)]
    rows = np.array([[child[z] for z in numbers.tolist()] for child in children])
    alone = [structure_features(tessellation, one)[0] for one in rows]
    np.testing.assert_allclose(
        structure_features(tessellation, rows), alone, rtol=1e-10, atol=1e-10
    )


def test_slots_are_the_sites_that_always_carry_the_same_element():
    slots = find_slots(np.array([[3, 8, 3, 8, 26], [11, 8, 11, 8, 11]]))
    assert len(set(slots.of_site[[0, 2]])) == len(set(slots.of_site[[1, 3]])) == 1
    assert sorted(slots.sizes) == [1, 2, 2]
    numbers, amounts = slots.merged()
    compositions = [dict(zip(z, x, strict=True)) for z, x in zip(numbers, amounts, strict=True)]
    assert {k: v for k, v in compositions[1].items() if k} == {11: 3, 8: 2}


def test_one_kind_of_atom_is_ordered_by_definition(symmetric):
    found = dict(zip(WARD_LABELS, features(read_crystal(symmetric["bcc"])), strict=True))
    assert [found[f"mean ordering parameter shell {k}"] for k in (1, 2, 3)] == [0, 0, 0]
    assert found["mean local difference in Number"] == 0


@pytest.mark.parametrize("numbers", [[[3, 8]], [[3, 0, 8, 8, 8]], [[3, 119, 8, 8, 8]], []])
def test_what_does_not_fit_is_refused(symmetric, numbers):
    lattice, _, positions = read_crystal(symmetric["perovskite"])
    with pytest.raises(SSEError, match="atom"):
        structure_features(tessellate(lattice, positions), np.array(numbers))


def test_there_are_128_and_273():
    assert (len(STRUCTURE_LABELS), len(WARD_LABELS), len(set(WARD_LABELS))) == (128, 273, 273)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_distinct_columns_are_those_of_numpy(seed):
    rng = np.random.default_rng(seed)
    batch = rng.integers(1, 4, size=(3, 5))[:, rng.integers(0, 5, size=12)]
    kinds, of_column = distinct_columns(batch)
    expected, places = np.unique(batch, axis=1, return_inverse=True)
    assert (kinds == expected).all()
    assert (of_column == places.ravel()).all()
