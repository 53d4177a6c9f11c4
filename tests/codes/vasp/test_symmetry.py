"""The space group that VASP would find is the one that the structure has within the tolerance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from sse_flows.codes.vasp.symmetry import check_symmetry, right_handed, symmetrised
from sse_flows.errors import SSEError

VASP_SYMPREC = 1e-5


def crystal(name: str) -> Structure:
    group, lattice, species, sites = {
        "antifluorite": (225, Lattice.cubic(4.6), ["Li", "O"], [[0.25] * 3, [0, 0, 0]]),
        "rutile": (136, Lattice.tetragonal(4.6, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
        "wurtzite": (
            186,
            Lattice.hexagonal(3.2, 5.2),
            ["Zn", "O"],
            [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.38]],
        ),
        "monoclinic": (
            14,
            Lattice.monoclinic(5.2, 6.1, 7.4, 103),
            ["Li", "S"],
            [[0.1, 0.2, 0.3], [0.4, 0.1, 0.8]],
        ),
    }[name]
    whole = Structure.from_spacegroup(group, lattice, species, sites)
    return whole.get_primitive_structure().get_sorted_structure()


@pytest.mark.parametrize("name", ["antifluorite", "rutile", "wurtzite", "monoclinic"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_structure_with_few_digits_gets_its_space_group_back(name, seed):
    exact = crystal(name)
    rng = np.random.default_rng(seed)
    rough = Structure(
        exact.lattice.matrix + 1e-4 * rng.uniform(-1, 1, (3, 3)),
        exact.species,
        exact.frac_coords + 3e-4 * rng.uniform(-1, 1, (len(exact), 3)),
    )
    made = symmetrised(rough)
    group = exact.get_space_group_info(symprec=VASP_SYMPREC)
    assert made.get_space_group_info(symprec=VASP_SYMPREC) == group
    assert made.species == rough.species
    assert made.volume == pytest.approx(rough.volume, rel=1e-3)
    assert np.abs(made.distance_matrix - rough.distance_matrix).max() < 0.02  # Å


def test_a_left_handed_cell_keeps_its_atoms_where_they_are():
    exact = crystal("monoclinic")
    assert right_handed(exact) is exact
    left = Structure(
        exact.lattice.matrix[[1, 0, 2]], exact.species, exact.cart_coords, coords_are_cartesian=True
    )
    made = right_handed(left)
    assert np.linalg.det(made.lattice.matrix) > 0
    np.testing.assert_allclose(made.cart_coords, exact.cart_coords, atol=1e-10)
    assert made.lattice.abc == pytest.approx(left.lattice.abc)  # and so the k points


def test_what_is_symmetric_stays_as_it_is():
    exact = crystal("rutile")
    made = symmetrised(exact)
    np.testing.assert_allclose(made.lattice.matrix, exact.lattice.matrix, atol=1e-8)
    np.testing.assert_allclose(made.cart_coords, exact.cart_coords, atol=1e-8)


def test_lost_symmetry_is_an_error_and_gained_symmetry_a_note():
    high = crystal("antifluorite")
    low = high.copy()
    low.translate_sites([0], [0.05, 0.02, 0.0])
    with pytest.raises(SSEError, match=r"changed from Fm-3m \(225\) to .* on relaxing"):
        check_symmetry(high, low)
    assert check_symmetry(high, high) is None
    note = check_symmetry(low, high)
    assert note is not None
    assert note.endswith("became Fm-3m (225)")
