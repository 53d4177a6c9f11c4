"""Site disorder: values that can be worked out by hand, and invariance to the choice of cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.core.operations import SymmOp

from sse_flows.roles import Roles
from sse_flows.structures.disorder import site_disorder

ROLES = Roles("Li", ("S", "Br"), ("P", "La"))


def rock_salt(cations, anions):
    """Eight sites of a face-centred cell."""
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    coords = np.vstack([corners, corners + 0.5])
    return Structure(Lattice.cubic(5.5), [cations] * 4 + [anions] * 4, coords)


def entropy(*shares):
    return -sum(x * math.log(x) for x in shares)


def test_ordered_is_zero():
    disorder = site_disorder(rock_salt({"Li": 1}, {"Br": 1}), ROLES)
    assert disorder.model_dump() == {"mobile": 0, "anion": 0, "cation": 0, "total": 0}


def test_half_filled_sites_have_ln_2():
    disorder = site_disorder(rock_salt({"Li": 0.5}, {"Br": 1}), ROLES)
    assert disorder.mobile == pytest.approx(math.log(2))
    assert disorder.anion == 0
    assert disorder.total == pytest.approx(math.log(2) / 2)


def test_mixed_anions_count_wholly_for_the_anions():
    disorder = site_disorder(rock_salt({"Li": 1}, {"S": 0.3, "Br": 0.7}), ROLES)
    assert disorder.anion == pytest.approx(entropy(0.3, 0.7))
    assert disorder.mobile == 0


def test_a_site_of_two_groups_is_shared_by_occupancy():
    structure = Structure(
        Lattice.cubic(6),
        [{"Li": 0.5, "La": 0.5}, {"Li": 1}, {"S": 1}],
        [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.5]],
    )
    disorder = site_disorder(structure, ROLES)
    assert disorder.mobile == pytest.approx(0.5 * math.log(2) / 1.5)
    assert disorder.cation == pytest.approx(math.log(2))


def test_rounded_occupancies_are_no_vacancies():
    disorder = site_disorder(rock_salt({"Li": 0.998}, {"S": 0.333, "Br": 0.666}), ROLES)
    assert disorder.mobile == 0
    assert disorder.anion == pytest.approx(entropy(1 / 3, 2 / 3), rel=1e-3)


@settings(max_examples=10, deadline=None)
@given(
    st.floats(0.05, 0.95),
    st.floats(0.05, 0.95),
    st.tuples(*[st.integers(1, 2)] * 3),
    st.floats(0, 360),
    st.randoms(use_true_random=False),
)
def test_independent_of_the_cell(filling, share, scaling, angle, random):
    structure = rock_salt({"Li": filling}, {"S": share, "Br": 1 - share})
    expected = site_disorder(structure, ROLES)
    primitive = structure.get_primitive_structure()
    assert len(primitive) == 2
    other = primitive.make_supercell(scaling, in_place=False)
    other.apply_operation(SymmOp.from_axis_angle_and_translation([1, 2, 3], angle))
    sites = list(other)
    random.shuffle(sites)
    measured = site_disorder(Structure.from_sites(sites), ROLES)
    assert np.allclose(
        list(measured.model_dump().values()), list(expected.model_dump().values()), atol=1e-9
    )
