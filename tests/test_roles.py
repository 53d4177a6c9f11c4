"""Roles of the elements: known chemistry, and what must not depend on how a formula is written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from sse_flows.errors import SSEError
from sse_flows.roles import Roles, assign_roles, oxidation_states

FORMULAS = {
    "Li3PS4": (("S",), ("P",)),
    "Li3P": (("P",), ()),
    "LiH": (("H",), ()),
    "LiBH4": (("H",), ("B",)),
    "LiAlH4": (("H",), ("Al",)),
    "LiNH2": (("N",), ("H",)),
    "LiOH": (("O",), ("H",)),
    "Li6PS5Br": (("Br", "S"), ("P",)),
    "Li3OCl": (("O", "Cl"), ()),
    "Li10GeP2S12": (("S",), ("Ge", "P")),
    "Li7La3Zr2O12": (("O",), ("La", "Zr")),
    "LiClO4": (("O",), ("Cl",)),
    "LiIO3": (("O",), ("I",)),
    "Li2O2": (("O",), ()),
    "LiN3": (("N",), ()),
    "LiSn": (("Sn",), ()),
    "LiSCN": (("N", "S"), ("C",)),
    "Li1.3Al0.3Ti1.7P3O12": (("O",), ("Al", "P", "Ti")),
    "Li20.2Ge2P4S24": (("S",), ("Ge", "P")),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_roles_of_known_compounds(formula):
    anions, cations = FORMULAS[formula]
    assert assign_roles(formula, "Li") == Roles("Li", anions, cations)


@pytest.mark.parametrize(
    ("formula", "element", "state"),
    [("LiMn2O4", "Mn", 3.5), ("Fe3O4", "Fe", 8 / 3), ("Na2S4", "S", -0.5), ("LiFePO4", "Fe", 2)],
)
def test_average_states_of_mixed_valence(formula, element, state):
    assert oxidation_states(formula)[element] == pytest.approx(state, abs=1e-5)


def test_first_wanted_ion_is_taken():
    assert assign_roles("NaLi3S2", ["Na", "Li"]).mobile == "Na"
    assert assign_roles("NaLi3S2", ["Li", "Na"]).cations == ("Na",)


def test_missing_mobile_ion_names_compound_and_mend():
    with pytest.raises(SSEError, match=r"salt: NaCl holds none of .* Li, K.*mobile_ions"):
        assign_roles("NaCl", ["Li", "K"], compound_id="salt")


def test_alloy_is_refused():
    with pytest.raises(SSEError, match="no anion"):
        assign_roles("LiMg", "Li")


def test_overrides_decide():
    assert assign_roles("LiSn", "Li", {"Sn": -1}).anions == ("Sn",)
    assert oxidation_states("LiFeO2", {"Fe": 2})["Fe"] == 2
    assert assign_roles("LiBH4", "Li", {"B": -5, "H": 1}).anions == ("B",)


def test_decoration_is_believed_if_neutral_and_complete():
    structure = Structure(Lattice.cubic(4), ["Li", "H"], [[0, 0, 0], [0.5] * 3])
    structure.add_oxidation_state_by_element({"Li": -1, "H": 1})
    assert oxidation_states(structure) == {"Li": -1.0, "H": 1.0}
    structure.add_oxidation_state_by_element({"Li": 1, "H": 1})
    assert oxidation_states(structure) == {"Li": 1.0, "H": -1.0}


def test_group():
    roles = Roles("Li", ("S",), ("P",))
    assert [roles.group(el) for el in ("Li", "S", "P")] == ["mobile", "anion", "cation"]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(FORMULAS)), st.integers(1, 7))
def test_states_are_neutral_and_independent_of_the_formula_unit(formula, factor):
    composition = Composition(formula)
    states = oxidation_states(composition)
    charge = sum(states[el.symbol] * n for el, n in composition.items())
    assert abs(charge) < 0.03 * composition.num_atoms
    assert oxidation_states(composition * factor) == pytest.approx(states, abs=1e-5)
