"""Composition features, and the search for neutral oxidation states."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from sse_flows.descriptors.crystal import composition as module
from sse_flows.descriptors.crystal.charges import can_be_neutral, whole_amounts
from sse_flows.descriptors.crystal.composition import composition_features, pack_compositions
from sse_flows.descriptors.crystal.elements import oxidation_states
from sse_flows.descriptors.crystal.labels import COMPOSITION_LABELS
from sse_flows.errors import SSEError

FORMULAS = (
    "Li2O",
    "Fe3O4",
    "Li7La3Zr2O12",
    "NaCl",
    "LiFePO4",
    "Si",
    "Li6PS5Cl",
    "Xe",
    "Li10GeP2S12",
)


def by_label(formula, **options):
    values = composition_features(*pack_compositions([Composition(formula)]), **options)[0]
    return dict(zip(COMPOSITION_LABELS, values, strict=True))


def test_values_by_hand():
    found = by_label("Li2O")
    assert found["0-norm"] == 2
    assert found["2-norm"] == pytest.approx(np.sqrt(5) / 3)
    assert found["MagpieData mean Number"] == pytest.approx(14 / 3)
    assert found["MagpieData mode Number"] == 3
    assert found["MagpieData avg_dev Number"] == pytest.approx(20 / 9)
    assert found["frac p valence electrons"] == pytest.approx(4 / 8)
    assert found["max ionic char"] == pytest.approx(1 - np.exp(-((3.44 - 0.98) ** 2) / 4))
    assert found["avg ionic char"] == pytest.approx(found["max ionic char"] * 2 / 9)


def test_of_equal_amounts_the_smallest_value_is_the_mode():
    assert by_label("NaCl")["MagpieData mode Number"] == 11
    assert by_label("LiNaO2")["MagpieData mode Number"] == 8


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.integers(1, 98), st.integers(1, 20), min_size=1, max_size=7), st.data())
def test_order_and_multiples_do_not_matter(amounts, data):
    numbers = data.draw(st.permutations(list(amounts)))
    x = np.array([amounts[z] for z in numbers], float)
    first = composition_features(np.array([list(amounts)]), np.array([list(amounts.values())]))
    padded = np.array([[*numbers, 0, 0]]), np.array([[*(3 * x), 0, 0]])
    np.testing.assert_allclose(composition_features(*padded), first, rtol=1e-12, atol=1e-12)


def test_blocks_do_not_show(monkeypatch):
    packed = pack_compositions([Composition(formula) for formula in FORMULAS])
    whole = composition_features(*packed)
    monkeypatch.setattr(module, "BLOCK", 2)
    np.testing.assert_array_equal(composition_features(*packed), whole)


def brute_force(amounts: dict[int, int], mixed: bool) -> bool:
    """All combinations of oxidation states, one by one."""
    if len(amounts) < 2:
        return True
    sums = []
    for z, x in amounts.items():
        states = oxidation_states(fill=mixed)[z]
        choices = combinations_with_replacement(states, x) if mixed else ([s] * x for s in states)
        sums.append({sum(one) for one in choices} if states else set())
    return any(sum(one) == 0 for one in product(*sums))


@pytest.mark.parametrize("mixed", [False, True])
@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(1, 98), st.integers(1, 6), min_size=1, max_size=4))
def test_neutrality_is_that_of_a_plain_search(mixed, amounts):
    whole = dict(zip(amounts, whole_amounts(tuple(amounts.values())), strict=True))
    found = can_be_neutral(tuple(amounts), tuple(amounts.values()), mixed_valence=mixed)
    assert found == brute_force(whole, mixed)


def test_mixed_valence():
    assert by_label("Fe3O4")["compound possible"] == 0
    assert by_label("Fe3O4", mixed_valence=True)["compound possible"] == 1
    assert by_label("NaCl")["compound possible"] == 1
    assert by_label("Na2Cl")["compound possible"] == 0
    assert by_label("Xe")["compound possible"] == 1


@pytest.mark.parametrize(
    ("amounts", "whole"),
    [
        ([2, 4], (1, 2)),
        ([0.5, 1.5], (1, 3)),
        ([6.4, 3, 1.4, 0.6, 12], (32, 15, 7, 3, 60)),
        ([1 / 3, 2 / 3], (1, 2)),
    ],
)
def test_whole_amounts(amounts, whole):
    assert whole_amounts(tuple(amounts)) == whole


def test_species_of_one_element_are_taken_together():
    numbers, amounts = pack_compositions([Composition({"Fe2+": 1, "Fe3+": 2, "O2-": 4})])
    assert dict(zip(numbers[0], amounts[0], strict=True)) == {26: 3, 8: 4}


@pytest.mark.parametrize("bad", [{}, {"Li": 0}, {"Li": -1}, {"Xx": 1}])
def test_what_is_no_composition_is_refused(bad):
    with pytest.raises(SSEError, match=r"no composition|unknown"):
        pack_compositions([bad])
