"""Merging of duplicates."""

from __future__ import annotations

import time

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.structures.compound import Compound
from sse_flows.structures.duplicates import merge_duplicates

SALT = Structure.from_spacegroup(
    225, Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
CESIUM_LIKE = Structure(Lattice.cubic(3.2), ["Li", "Cl"], [[0, 0, 0], [0.5] * 3])


def compound(name, structure=SALT, **known):
    return Compound(
        compound_id=name,
        formula="LiCl",
        mobile_ion="Li",
        structure=structure,
        source=f"{name}.cif",
        **known,
    )


def test_same_crystal_in_another_cell_is_merged():
    other = SALT.get_primitive_structure().make_supercell([2, 1, 1], in_place=False)
    other.add_oxidation_state_by_element({"Li": 1, "Cl": -1})
    other.apply_strain(0.01)
    (merged,) = merge_duplicates([compound("a"), compound("b", other, aliases=["c"])])
    assert merged.compound_id == "a"
    assert merged.aliases == ["b", "c"]
    assert merged.structure == SALT


def test_polymorphs_stay_apart_and_in_order():
    compounds = [compound("a"), compound("b", CESIUM_LIKE), compound("c")]
    merged = merge_duplicates(compounds)
    assert [c.compound_id for c in merged] == ["a", "b"]
    assert merged[1] is compounds[1]


def test_missing_properties_are_filled_in_with_their_source():
    first = compound("a", band_gap=6.0, property_source="p1")
    second = compound("b", band_gap=5.0, energy_above_hull=0.0, property_source="p2", family="f")
    third = compound("c", conductivity=1e-9, conductivity_source="10.1/x")
    (merged,) = merge_duplicates([first, second, third])
    assert (merged.band_gap, merged.energy_above_hull, merged.family) == (6.0, 0.0, "f")
    assert merged.property_source == "p1; p2"
    assert (merged.conductivity, merged.conductivity_source) == (1e-9, "10.1/x")
    assert first.energy_above_hull is None


@pytest.mark.parametrize(("ratio", "warned"), [(8.0, False), (20.0, True)])
def test_conflicting_conductivities(ratio, warned):
    pair = [compound("a", conductivity=1e-4), compound("b", conductivity=1e-4 * ratio)]
    (merged,) = merge_duplicates(pair)
    assert merged.conductivity == 1e-4
    assert bool(merged.warnings) is warned


def test_other_mobile_ion_is_another_compound():
    other = compound("b").model_copy(update={"mobile_ion": "Cl"})
    assert len(merge_duplicates([compound("a"), other])) == 2


def test_disordered_are_compared_by_occupancy():
    half, third = SALT.copy(), SALT.copy()
    for structure, filling in ((half, 0.5), (third, 1 / 3)):
        for i in range(4):
            structure[i] = {"Li": filling}
    names = [compound("a", half), compound("b", half.copy()), compound("c", third)]
    assert [c.aliases for c in merge_duplicates(names)] == [["b"], []]


def test_many_formulas_are_quick():
    pool = []
    for i in range(500):
        x = (i % 499 + 1) / 500
        structure = SALT.copy()
        structure[0] = {"Li": x, "Na": 1 - x}
        pool.append(compound(f"c{i}", structure))
    begin = time.monotonic()
    merged = merge_duplicates(pool)
    assert len(merged) < len(pool)
    assert time.monotonic() - begin < 10
