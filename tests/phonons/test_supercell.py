"""Supercells: images far enough apart, symmetry kept, no larger than needed."""

from __future__ import annotations

import numpy as np
import pytest
from phonopy.structure.cells import get_supercell
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from sse_flows.errors import SSEError
from sse_flows.phonons.phonopy_adapter import phonopy_atoms, pymatgen_structure
from sse_flows.phonons.supercell import smallest_supercell


def primitive(group: str, lattice: Lattice, species: list[str], coords: list) -> Structure:
    structure = Structure.from_spacegroup(group, lattice, species, coords)
    return SpacegroupAnalyzer(structure).get_primitive_standard_structure()


ORIGIN, HALF, QUARTER = [0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]
CRYSTALS = {
    "cubic P": primitive("Pm-3m", Lattice.cubic(4.1), ["Cs", "Cl"], [ORIGIN, HALF]),
    "cubic F": primitive("Fm-3m", Lattice.cubic(4.62), ["O", "Li"], [ORIGIN, QUARTER]),
    "cubic I": primitive("Im-3m", Lattice.cubic(3.5), ["Li"], [ORIGIN]),
    "tetragonal I": primitive("I4/mmm", Lattice.tetragonal(3.2, 7.9), ["Na"], [ORIGIN]),
    "hexagonal": primitive("P6_3/mmc", Lattice.hexagonal(3.2, 5.1), ["Mg"], [[1 / 3, 2 / 3, 0.25]]),
    "flat hexagonal": primitive("P6/mmm", Lattice.hexagonal(3.65, 3.87), ["Li"], [ORIGIN]),
    "rhombohedral": primitive(
        "R-3m", Lattice.hexagonal(2.85, 14.1), ["Li", "Co", "O"], [HALF, ORIGIN, [0, 0, 0.24]]
    ),
    "orthorhombic C": primitive(
        "Cmcm", Lattice.orthorhombic(2.9, 5.9, 4.9), ["U"], [[0, 0.1, 0.25]]
    ),
    "monoclinic C": primitive("C2/m", Lattice.monoclinic(5.2, 9.0, 5.1, 109), ["Li"], [ORIGIN]),
    "triclinic": Structure(
        Lattice.from_parameters(5.1, 6.3, 7.4, 83, 98, 71), ["Li", "F"], [ORIGIN, [0.4, 0.5, 0.3]]
    ),
    # a cell whose shortest translation is far shorter than any of its edges
    "triclinic skewed": Structure(
        Lattice([[6.0, 0, 0], [5.0, 4.0, 0], [5.0, 1.5, 5.0]]),
        ["Li", "F"],
        [ORIGIN, [0.4, 0.5, 0.3]],
    ),
    "long needle": Structure(Lattice.tetragonal(3.0, 21.0), ["Li", "F"], [ORIGIN, [0.5, 0.5, 0.3]]),
}


def built(structure: Structure, matrix: list[list[int]]) -> Structure:
    """The supercell as phonopy makes it from the matrix."""
    cell = get_supercell(phonopy_atoms(structure), np.array(matrix))
    return pymatgen_structure(cell)


def shortest_image(structure: Structure) -> float:
    steps = np.array([s for s in np.ndindex(7, 7, 7) if s != (3, 3, 3)]) - 3
    return float(np.linalg.norm(steps @ structure.lattice.matrix, axis=1).min())


@pytest.mark.parametrize("min_length", [4.0, 8.0, 10.0, 13.7])
@pytest.mark.parametrize("name", CRYSTALS)
def test_all_images_are_at_least_that_far_apart(name, min_length):
    cell = CRYSTALS[name]
    matrix = smallest_supercell(cell, min_length, max_atoms=5000)
    supercell = built(cell, matrix)
    assert len(supercell) == round(abs(np.linalg.det(matrix))) * len(cell)
    assert shortest_image(supercell) >= min_length - 1e-6
    assert min(supercell.lattice.abc) >= min_length - 1e-6


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_point_group_is_kept(name):
    cell = CRYSTALS[name]
    supercell = built(cell, smallest_supercell(cell, 9.0, max_atoms=5000))
    # rotations of the crystal that map the lattice of the supercell on itself
    operations = SpacegroupAnalyzer(cell, 1e-3).get_point_group_operations(cartesian=True)
    for operation in operations:
        turned = supercell.lattice.matrix @ operation.rotation_matrix.T
        steps = turned @ np.linalg.inv(supercell.lattice.matrix)
        assert np.allclose(steps, np.rint(steps), atol=1e-4)


@pytest.mark.parametrize("name", CRYSTALS)
def test_it_is_not_wastefully_large(name):
    cell = CRYSTALS[name]
    volume = abs(np.linalg.det(smallest_supercell(cell, 10.0, max_atoms=5000))) * cell.volume
    shortest = min(cell.lattice.get_lll_reduced_lattice().abc)
    # the cube of the length wanted, and up to one repeat more each way
    assert volume < 4 * (10.0 + shortest) ** 2 * max(10.0 + shortest, *cell.lattice.abc)


def test_a_cell_that_is_large_enough_stays_as_it_is():
    cell = Structure(Lattice.cubic(10.0), ["Li", "F"], [ORIGIN, HALF])
    assert smallest_supercell(cell, 10.0) == np.eye(3, dtype=int).tolist()


@pytest.mark.parametrize(("min_length", "cells", "edge"), [(4.6, 4, 4.62), (9.2, 27, 9.8005)])
def test_of_primitive_and_conventional_cells_the_smaller_supercell_is_taken(
    min_length, cells, edge
):
    cell = CRYSTALS["cubic F"]
    matrix = smallest_supercell(cell, min_length)
    assert round(abs(np.linalg.det(matrix))) == cells
    assert built(cell, matrix).lattice.abc == pytest.approx([edge] * 3, abs=1e-3)


def test_one_too_large_is_refused_with_what_to_change():
    with pytest.raises(SSEError, match="more than 50") as caught:
        smallest_supercell(CRYSTALS["cubic F"], 10.0, max_atoms=50)
    assert "phonons.min_length" in caught.value.mend
    assert "phonons.max_atoms" in caught.value.mend
    assert "10.0 Å" in caught.value.message
