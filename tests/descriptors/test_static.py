"""The static descriptors do not depend on how a crystal is written down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from sse_flows.descriptors.document import STATIC_DESCRIPTORS
from sse_flows.descriptors.static import shortest_distance, static_descriptors

LI2O = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.6), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
)
LI3N = Structure(
    Lattice.hexagonal(3.65, 3.87),
    ["Li", "Li", "Li", "N"],
    [[0, 0, 0.5], [1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0], [0, 0, 0]],
)
LICOO2 = Structure.from_spacegroup(
    "R-3m", Lattice.hexagonal(2.82, 14.05), ["Li", "Co", "O"],
    [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.26]],
)  # fmt: skip
CRYSTALS = {"Li2O": (LI2O, ["O"]), "Li3N": (LI3N, ["N"]), "LiCoO2": (LICOO2, ["O"])}


def described(structure: Structure, anions: list[str]):
    return static_descriptors(
        structure, mobile="Li", anions=anions, band_gap=1.0, formation_energy=-2.0
    )


def test_known_values():
    values = described(LI2O, ["O"])
    assert list(values) == list(STATIC_DESCRIPTORS)
    volume = 4.6**3
    assert values == pytest.approx(
        {
            "band_gap": 1.0,
            "formation_energy": -2.0,
            "volume_per_formula": volume / 4,
            "volume_per_mobile": volume / 8,
            "volume_per_anion": volume / 4,
            "volume_per_atom": volume / 12,
            "distance_mobile_anion": 4.6 * 3**0.5 / 4,
            "distance_mobile_mobile": 2.3,
            "formula_units": 4,
            "density": 4 * 29.8814 / volume * 1.66053907,
            "formula_mass": 29.8814,
            "mobile_per_formula": 2,
        },
        rel=1e-5,
    )


def test_what_is_not_given_is_none():
    values = static_descriptors(LI2O, mobile="Li", anions=["S"])
    missing = {name for name, value in values.items() if value is None}
    assert missing == {
        "band_gap",
        "formation_energy",
        "volume_per_anion",
        "distance_mobile_anion",
    }


def test_formula_units_are_of_the_conventional_cell():
    assert described(LICOO2.get_primitive_structure(), ["O"])["formula_units"] == 3
    assert described(LI3N, ["N"])["formula_units"] == 1


def test_an_atom_alone_in_its_cell_has_its_own_images_as_neighbours():
    chain = Structure(Lattice.orthorhombic(3, 12, 15), ["Li"], [[0, 0, 0]])
    assert shortest_distance(chain, "Li", ["Li"]) == pytest.approx(3)
    assert shortest_distance(chain, "Li", ["O"]) is None
    skewed = Structure(Lattice([[10, 0, 0], [29, 1, 0], [0, 0, 30]]), ["Li"], [[0, 0, 0]])
    assert shortest_distance(skewed, "Li", ["Li"]) == pytest.approx(2**0.5)


def rewritten(structure: Structure, seed: int) -> Structure:
    """The same crystal in another cell, turned, shifted, wrapped, its atoms shuffled."""
    random = np.random.default_rng(seed)
    matrix = np.diag(random.integers(1, 3, 3)) @ np.triu(random.integers(-1, 2, (3, 3)), 1)
    cell = structure.make_supercell(matrix + np.diag(random.integers(1, 3, 3)), in_place=False)
    turn = Rotation.random(random_state=random).as_matrix()
    shifted = (cell.frac_coords + random.random(3)) % 1
    order = random.permutation(len(cell))
    return Structure(
        Lattice(cell.lattice.matrix @ turn.T),
        [cell[i].specie for i in order],
        shifted[order],
    )


@pytest.mark.parametrize("name", CRYSTALS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_cell_of_the_crystal_gives_the_same(name, seed):
    structure, anions = CRYSTALS[name]
    assert described(rewritten(structure, seed), anions) == pytest.approx(
        described(structure, anions), rel=1e-6
    )
