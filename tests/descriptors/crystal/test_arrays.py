"""Crystals as arrays."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.descriptors.crystal.arrays import atomic_numbers, read_crystal
from sse_flows.errors import SSEError

CUBE = 4.0 * np.eye(3)


def test_a_structure_and_its_arrays_are_the_same(symmetric):
    structure = symmetric["antifluorite"]
    one = read_crystal(structure)
    other = read_crystal((structure.lattice.matrix, structure.species, structure.frac_coords))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_symbols_and_numbers_and_charged_species_are_understood():
    charged = Structure(CUBE, ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    for crystal in (charged, (CUBE, ["Li", "Cl"], charged.frac_coords)):
        assert read_crystal(crystal).numbers.tolist() == [3, 17]
    assert atomic_numbers(["D", "T", "H"]).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("crystal", "message"),
    [
        (7, "not a crystal"),
        ((CUBE, ["Li"]), "not a crystal"),
        ((CUBE, ["Xx"], [[0, 0, 0]]), "Xx"),
        ((CUBE, ["Li", "Li"], [[0, 0, 0]]), "2 species and 1 positions"),
        ((CUBE, [], []), "0 species"),
        ((CUBE, [0], [[0, 0, 0]]), "atomic numbers"),
        ((CUBE, [119], [[0, 0, 0]]), "atomic numbers"),
        ((CUBE, ["Li"], [[0, np.nan, 0]]), "finite"),
        ((CUBE[:2], ["Li"], [[0, 0, 0]]), "shape"),
        (([[1, 0, 0], [0, 1, 0], [1, 1, 0]], ["Li"], [[0, 0, 0]]), "in a plane"),
    ],
)
def test_what_is_no_crystal_is_refused(crystal, message):
    with pytest.raises(SSEError, match=message):
        read_crystal(crystal)


def test_disorder_is_refused():
    disordered = Structure(Lattice.cubic(4), [{"Li": 0.5, "Na": 0.5}], [[0, 0, 0]])
    with pytest.raises(SSEError, match="partially occupied") as refused:
        read_crystal(disordered)
    assert "Order" in refused.value.mend
