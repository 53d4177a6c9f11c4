"""Lists of elements for sites: what is understood and what is refused."""

from __future__ import annotations

import pytest

from sse_flows.errors import SSEError
from sse_flows.structures.prototypes import load_prototypes
from sse_flows.structures.substituents import (
    Choice,
    choices_for,
    default_choices,
    parse_choices,
    substituent_table,
)


def test_an_element_brings_its_states_and_a_species_its_own():
    assert parse_choices(["Fe"], "cation") == (Choice(26, 3), Choice(26, 2))
    assert parse_choices(["Fe2+", "Fe"], "cation") == (Choice(26, 2), Choice(26, 3))
    assert parse_choices(["Na+", "F-", "P3-"][:1], "mobile") == (Choice(11, 1),)
    assert parse_choices(["P3-"], "anion") == (Choice(15, -3),)


@pytest.mark.parametrize(
    ("species", "role", "message"),
    [
        ([], "cation", "no element is given"),
        (["Xx"], "cation", "'Xx' is no element"),
        (["fe"], "cation", "'fe' is no element"),
        ([""], "anion", "'' is no element"),
        (["D"], "cation", "'D' is no element"),
        (["He"], "cation", "no oxidation state of He is known for cation sites"),
        (["Fe"], "anion", r"no oxidation state of Fe .*Fe2-"),
        (["S2-"], "cation", "S2- cannot fill cation sites"),
        (["Li+"], "anion", r"Li\+ cannot fill anion sites"),
        (["Li0+"], "cation", "cannot fill"),
    ],
)
def test_bad_lists_are_named_with_a_mend(species, role, message):
    with pytest.raises(SSEError, match=message) as caught:
        parse_choices(species, role)
    assert caught.value.mend


def test_lists_go_to_their_groups():
    prototype = load_prototypes(["li7la3zr2o12"])[0]
    given = choices_for(prototype, ["Y"], ["O"], sites={"La1": ["La"], "Zr": ["Hf", "Zr"]})
    by_name = dict(zip((g.name for g in prototype.groups), given, strict=True))
    assert by_name["La1"] == (Choice(57, 3),)
    assert by_name["La2"] == (Choice(39, 3),)
    assert by_name["Zr"] == (Choice(72, 4), Choice(40, 4))
    assert by_name["Li"] == (Choice(3, 1),)
    with pytest.raises(SSEError, match=r"no sites called Ge.*Li, La1, La2, Zr, O"):
        choices_for(prototype, sites={"Ge": ["Si"]})


def test_the_mobile_ion_is_no_default_cation():
    prototype = load_prototypes(["li3ps4"])[0]
    default = choices_for(prototype, mobile=["Li", "Na"])
    assert {3, 11}.isdisjoint(choice.number for choice in default[1])
    assert Choice(3, 1) in choices_for(prototype, cations=["Li", "P"])[1]


def test_the_table_agrees_with_known_states():
    from pymatgen.core import Element

    table = substituent_table()
    for listed in (table.cations, table.anions, table.mobile):
        for symbol, states in listed.items():
            known = {*Element(symbol).oxidation_states, *Element(symbol).icsd_oxidation_states}
            assert set(states) <= known, symbol
            assert not Element(symbol).is_radioactive or symbol == "Bi"
    assert len(default_choices("cation")) > len(table.cations)
