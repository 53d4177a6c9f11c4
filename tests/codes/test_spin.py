"""Which crystals are computed with spins, and how an order reaches their supercells."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.codes.spin import carry_moments, has_order, is_polarised, ordered_cell
from sse_flows.errors import SSEError

LITHIA = Structure(
    Lattice.cubic(4.6), ["O", "Li", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
)


def test_spin_is_treated_where_it_is_to_be_expected():
    iron = Structure(Lattice.cubic(2.9), ["Fe"], [[0, 0, 0]])
    oxygen = Structure(Lattice.cubic(12), ["O", "O"], [[0, 0, 0], [0, 0, 0.1]])
    moments = LITHIA.copy(site_properties={"magmom": [1.0, 0.0, 0.0]})
    assert [is_polarised(one, "auto") for one in (iron, oxygen, moments, LITHIA)] == [
        True,
        True,
        True,
        False,
    ]
    assert not is_polarised(iron, "none")
    assert is_polarised(LITHIA, "polarised")


# rock salt of manganese and oxygen, layers along c up and down
LAYERS = Structure(
    Lattice.tetragonal(3.14, 4.44),
    ["Mn", "Mn", "O", "O"],
    [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0, 0, 0.5]],
    site_properties={"magmom": [4.3, -4.3, 0.02, -0.02]},
)


def moments(structure: Structure) -> list[float]:
    return structure.site_properties["magmom"]


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ([4.3, -4.3, 0.0, 0.0], True),
        ([4.3, 4.3, -0.1, 0.0], False),
        ([4.3, -1.2, None, None], True),
        ([0.01, -0.01, 0.0, 0.0], False),
    ],
)
def test_moments_that_stand_against_each_other_are_an_order(given, ordered):
    assert has_order(LAYERS.copy(site_properties={"magmom": given})) is ordered


def test_a_structure_without_moments_has_no_order():
    assert not has_order(LITHIA)


def test_the_primitive_cell_is_that_of_the_order_and_not_of_the_crystal():
    double = LAYERS.copy()
    double.make_supercell([2, 1, 1])
    double.add_oxidation_state_by_element({"Mn": 2, "O": -2})
    cell = ordered_cell(double)
    assert len(cell) == 4
    assert sorted(moments(cell)) == [-1.0, 0.0, 0.0, 1.0]
    bare = LAYERS.copy()
    bare.remove_site_property("magmom")
    assert len(bare.get_primitive_structure()) == 2


@pytest.mark.parametrize("matrix", [np.diag([2, 2, 1]), [[1, 1, 0], [-1, 1, 0], [0, 0, 2]]])
def test_a_displaced_supercell_has_the_pattern_of_its_cell(matrix):
    """Neighbours within a layer agree, those of the next layer do not, whatever the supercell."""
    from sse_flows.phonons.flow import _displaced
    from sse_flows.phonons.phonopy_adapter import pymatgen_structure

    phonon = _displaced(LAYERS, np.array(matrix), 0.01, 1e-4)
    for cell in phonon.supercells_with_displacements:
        found = carry_moments(LAYERS, pymatgen_structure(cell))
        layer = np.rint(found.cart_coords[:, 2] / (LAYERS.lattice.c / 2)).astype(int) % 2
        manganese = np.array([site.specie.symbol == "Mn" for site in found])
        expected = np.where(manganese, np.where(layer == 0, 4.3, -4.3), moments(found))
        np.testing.assert_allclose(moments(found), expected)
        assert np.abs(np.array(moments(found))[~manganese]).max() < 0.1


def test_a_cell_that_has_relaxed_since_still_lends_its_moments():
    supercell = LAYERS.copy()
    supercell.make_supercell([3, 3, 2])
    expected = moments(supercell)
    supercell.remove_site_property("magmom")
    strained = supercell.apply_strain([0.03, 0.03, -0.02], inplace=False)
    assert moments(carry_moments(LAYERS, strained)) == expected


def test_a_supercell_of_another_cell_is_refused():
    for other in (LITHIA, LAYERS.copy().apply_strain(0.3)):
        with pytest.raises(SSEError, match="does not fit"):
            carry_moments(LAYERS, other)
