"""Reference structures of the elements."""

from __future__ import annotations

import numpy as np
import pytest

from sse_flows.errors import SSEError
from sse_flows.structures.elements import (
    element_entry,
    element_structure,
    formation_energy,
    is_molecule,
    known_elements,
)

# g/cm^3 at room temperature, CRC Handbook of Chemistry and Physics
DENSITIES = {
    "Li": 0.534, "Be": 1.85, "B": 2.46, "C": 2.26, "Na": 0.97, "Mg": 1.74, "Al": 2.70, "Si": 2.33,
    "P": 2.69, "Ca": 1.54, "Ti": 4.51, "Mn": 7.3, "Fe": 7.87, "Zn": 7.13, "Ga": 5.91, "Ge": 5.32,
    "As": 5.75, "Se": 4.81, "Sr": 2.64, "Zr": 6.52, "In": 7.31, "Sn": 5.77, "Sb": 6.68, "Te": 6.23,
    "Ba": 3.62, "La": 6.15, "Sm": 7.52, "W": 19.3, "Pb": 11.34, "Bi": 9.79,
}  # fmt: skip
REQUIRED = """
    H Li Be B C N O F Na Mg Al Si P S Cl K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Rb Sr
    Y Zr Nb Mo Ag Cd In Sn Sb Te I Cs Ba La Ce Pr Nd Sm Gd Dy Er Yb Lu Hf Ta W Re Ir Pt Au Tl
    Pb Bi
""".split()  # noqa: SIM905


def test_all_elements_are_there_with_a_source():
    assert set(REQUIRED) <= set(known_elements())
    assert all(element_entry(el).source for el in known_elements())


@pytest.mark.parametrize("symbol", REQUIRED)
def test_density_and_distances(symbol):
    structure = element_structure(symbol)
    if symbol in DENSITIES:
        assert structure.density == pytest.approx(DENSITIES[symbol], rel=0.05)
    nearest = min(n.nn_distance for n in structure.get_neighbors(structure[0], 5.6))
    assert nearest > 0.7
    assert {site.specie.symbol for site in structure} == {symbol}


def test_s8_crown():
    ring = element_structure("S")
    distances = np.sort(ring.distance_matrix, axis=1)
    assert np.allclose(distances[:, 1:3], 2.055, atol=1e-6)
    middle = ring[0]
    first, second = (n for n in ring.get_neighbors(middle, 2.2))
    u, v = first.coords - middle.coords, second.coords - middle.coords
    angle = np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
    assert angle == pytest.approx(108.0, abs=1e-6)


def test_molecules():
    assert [el for el in known_elements() if is_molecule(el)] == ["H", "N", "O", "F", "S", "Cl"]
    assert element_structure("O").distance_matrix[0, 1] == pytest.approx(1.2075)


def test_unknown_element():
    with pytest.raises(SSEError, match="Pu"):
        element_structure("Pu")


def test_formation_energy():
    references = {"Li": -1.9, "O": -4.9}
    assert formation_energy(-4.0, "Li2O", references) == pytest.approx(-4.0 + (2 * 1.9 + 4.9) / 3)
    assert formation_energy(-1.9, "Li", references) == pytest.approx(0)
    with pytest.raises(SSEError, match=r"LiF.*no reference energy of F"):
        formation_energy(-3.0, "LiF", references)
