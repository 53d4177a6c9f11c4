"""Lines of a pool: what is read, and what is refused by name."""

from __future__ import annotations

import json

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.errors import SSEError
from sse_flows.screening.light import parse_line

SALT = {
    "id": "mp-1",
    "f": "LiCl",
    "n": 2,
    "cell": [3.6, 3.7, 3.8, 80.0, 95.0, 110.0],
    "sp": ["Li", "Cl"],
    "xyz": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "ehull": 0.02,
    "gap": 6.2,
}


def line(**changes):
    return json.dumps({**SALT, **changes})


def test_a_line_is_the_crystal_it_says():
    one = parse_line(line(), "pool:1")
    assert (one.id, one.formula, one.energy_above_hull, one.band_gap) == ("mp-1", "LiCl", 0.02, 6.2)
    given_cell = Lattice.from_parameters(*SALT["cell"])
    assert Lattice(one.crystal.lattice).parameters == pytest.approx(given_cell.parameters)
    assert one.structure.get_distance(0, 1) == pytest.approx(
        Structure(given_cell, SALT["sp"], SALT["xyz"]).get_distance(0, 1)
    )


def test_a_pymatgen_structure_on_a_line_is_the_same_crystal():
    structure = Structure(Lattice.from_parameters(*SALT["cell"]), SALT["sp"], SALT["xyz"])
    record = {"material_id": "mp-1", "structure": structure.as_dict(), "energy_above_hull": 0.02}
    one = parse_line(json.dumps(record), "pool:1")
    assert one.id == "mp-1"
    assert one.structure.matches(parse_line(line(), "x").structure)
    bare = parse_line(json.dumps(structure.as_dict()), "pool:7")
    assert bare.id == "pool:7"
    assert bare.energy_above_hull is None


def test_headers_and_empty_lines_hold_no_crystal():
    assert parse_line("", "p:1") is None
    assert parse_line(b"  \n", "p:1") is None
    assert parse_line('{"description": "a pool", "n": 22640}', "p:1") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"p:3: this is not JSON"),
        ("[1]", "p:3: this is no JSON object"),
        (line(cell=[1, 2, 3]), "mp-1: "),
        (line(cell=[3.6, 3.6, 0, 90, 90, 90]), "mp-1: .* is no cell"),
        (line(cell=[3.6, 3.6, 3.6, 10, 150, 90]), "mp-1: .* is no cell"),
        (line(cell=[3.6, 3.6, 3.6, 90, 90, 180]), "mp-1: .* is no cell"),
        (line(sp=["Li"]), "mp-1: the cell has shape"),
        (line(sp=["Li", "Xx"]), "mp-1: unknown elements: Xx"),
        (line(sp=["Li", 17]), "mp-1: a species is no element symbol"),
        (line(xyz=[[0, 0, 0], [0.5, None, 0.5]]), "mp-1: "),
        (line(xyz="here"), "mp-1: no crystal"),
        (line(ehull="low"), "mp-1: no crystal"),
        ('{"id": "a", "structure": {"@class": "Lattice"}}', "a: structure has @class"),
        ('{"id": "a", "cell": [1, 1, 1, 90, 90, 90]}', "a: no crystal .*'sp'"),
    ],
)
def test_what_is_no_crystal_is_named(text, message):
    with pytest.raises(SSEError, match=message):
        parse_line(text, "p:3")


def test_partial_occupancies_are_refused():
    half = Structure(Lattice.cubic(4), [{"Li": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    with pytest.raises(SSEError, match=r"half: .*partially occupied.*Order"):
        parse_line(json.dumps({"id": "half", "structure": half.as_dict()}), "p:1")


def test_unknown_numbers_are_none():
    one = parse_line(line(ehull=None, gap=float("nan")), "p:1")
    assert one.energy_above_hull is None
    assert one.band_gap is None
