"""The built-in table of conductors is complete, consistent and agrees with other collections."""

import csv
from collections import defaultdict
from itertools import pairwise
from math import log10
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from pymatgen.core import Composition, Element
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from sse_flows.errors import SSEError
from sse_flows.structures.conductors import (
    SUPERIONIC,
    Conductor,
    Crystal,
    get_conductor,
    load_conductors,
)

CONDUCTORS = load_conductors()
CRYSTALS = [
    *((c.id, c) for c in CONDUCTORS),
    *((f"{c.id}-approximant", c.approximant) for c in CONDUCTORS if c.approximant),
]

COMPULSORY = {
    "Li3P": 1.0e-3,
    "Li4BN3H10": None,
    "Li6PS5I": None,
    "Li2CaN2H2": None,
    "Li10GeP2S12": None,
    "Li1.3Al0.3Ti1.7P3O12": None,
    "Li7La3Zr2O12": None,
    "Li0.5La0.5TiO3": None,
    "Li6PS5Br": None,
}

each_conductor = pytest.mark.parametrize("conductor", CONDUCTORS, ids=lambda c: c.id)
each_crystal = pytest.mark.parametrize(
    "crystal", [c for _, c in CRYSTALS], ids=[name for name, _ in CRYSTALS]
)
ORDERED = [(name, c) for name, c in CRYSTALS if c.is_ordered]
# where sites are disordered, the occupancies decide the symmetry
each_ordered = pytest.mark.parametrize(
    "crystal", [c for _, c in ORDERED], ids=[name for name, _ in ORDERED]
)
each_approximated = pytest.mark.parametrize(
    "conductor", [c for c in CONDUCTORS if c.approximant], ids=lambda c: c.id
)


def same(first: Composition, second: Composition) -> bool:
    """Whether two compositions are the same but for an integer and rounding (1e-3 of an atom)."""
    return first.fractional_composition.almost_equals(second.fractional_composition, atol=1e-5)


def test_size_and_ids():
    assert len(CONDUCTORS) >= 45
    assert len({c.id for c in CONDUCTORS}) == len(CONDUCTORS)
    assert load_conductors() is not load_conductors()  # a caller may change its list
    assert load_conductors()[0] is CONDUCTORS[0]


def test_both_classes_and_ten_decades():
    superionic = [c for c in CONDUCTORS if c.is_superionic]
    assert 0.38 <= len(superionic) / len(CONDUCTORS) <= 0.5
    assert all(c.conductivity > SUPERIONIC for c in superionic)
    measured = [c.conductivity for c in CONDUCTORS if c.conductivity_bound is None]
    assert log10(max(measured) / min(measured)) >= 10


def test_sodium_conductors_are_among_them():
    sodium = [c for c in CONDUCTORS if c.mobile_ion == "Na"]
    assert len(sodium) >= 6
    assert any(c.is_superionic for c in sodium)
    assert not all(c.is_superionic for c in sodium)


@pytest.mark.parametrize(("formula", "conductivity"), COMPULSORY.items())
def test_compulsory_ones(formula, conductivity):
    found = [c for c in CONDUCTORS if same(Composition(c.formula), Composition(formula))]
    assert found
    if conductivity is not None:
        assert found[0].conductivity == conductivity


def test_both_polymorphs_of_lithium_nitride():
    beta, alpha = get_conductor("li3n-beta"), get_conductor("li3n-alpha")
    assert beta.conductivity == 2.085e-4
    assert (beta.space_group.symbol, alpha.space_group.symbol) == ("P6_3/mmc", "P6/mmm")


@each_conductor
def test_formula_is_what_the_sites_give(conductor):
    assert same(conductor.structure.composition, Composition(conductor.formula))
    assert conductor.mobile_ion in conductor.structure.composition


@each_conductor
def test_charges_balance(conductor):
    composition = conductor.structure.composition
    if conductor.oxidation_states:
        states = conductor.oxidation_states
        assert set(states) == {element.symbol for element in composition}
        charge = sum(states[element.symbol] * n for element, n in composition.items())
        assert charge / composition.num_atoms == pytest.approx(0, abs=1e-6)
    else:
        exact = Composition(conductor.formula)  # the guess needs integers
        factor = next(f for f in range(1, 25) if is_integral(exact * f))
        scaled = Composition({el: round(n) for el, n in (exact * factor).items()})
        assert scaled.oxi_state_guesses(max_sites=-1)


def is_integral(composition: Composition) -> bool:
    return all(abs(n - round(n)) < 1e-6 for n in composition.values())


@each_crystal
def test_density(crystal):
    assert 0.5 < crystal.structure.density < 8


@each_crystal
def test_multiplicities_and_occupancies(crystal):
    structure = crystal.structure
    for site in crystal.sites:
        images = [s for s in structure if s.label == site.label]
        assert len(images) == int(site.wyckoff[:-1])
        assert 0 < sum(site.species.values()) <= 1
        assert all(0 < occupancy <= 1 for occupancy in site.species.values())


@each_crystal
def test_sites_that_are_filled_together_are_apart(crystal):
    structure = crystal.structure
    distances = structure.distance_matrix
    filled = np.array([sum(site.species.values()) for site in structure])
    for i, j in zip(*np.triu_indices(len(structure), 1), strict=True):
        if filled[i] + filled[j] > 1 + 1e-6:
            pair = structure[int(i)], structure[int(j)]
            assert distances[i, j] > closest(*pair), pair


def closest(first, second) -> float:
    """Shortest acceptable distance (Å): 0.6 of the summed atomic radii, 0.7 Å with hydrogen."""
    elements = [max(site.species, key=site.species.get) for site in (first, second)]
    if Element("H") in elements:
        return 0.7
    return 0.6 * sum(float(element.atomic_radius) for element in elements)


@each_ordered
def test_space_group_is_recovered(crystal):
    analyzer = SpacegroupAnalyzer(crystal.structure, symprec=1e-4)
    assert analyzer.get_space_group_number() == crystal.space_group.number


@each_ordered
def test_symmetry_is_exact_to_rounding(crystal):
    """Phonon codes look for symmetry within 1e-5 Å: five printed decimals must not break it."""
    loose, tight = (
        SpacegroupAnalyzer(crystal.structure, symprec=symprec).get_space_group_operations()
        for symprec in (1e-2, 1e-6)
    )
    assert len(tight) == len(loose)


@each_conductor
def test_every_number_has_a_source(conductor):
    assert conductor.structure_doi or conductor.structure_source
    has_property = conductor.band_gap is not None or conductor.energy_above_hull is not None
    assert bool(conductor.band_gap_source) == has_property
    assert 285 <= conductor.temperature <= 310


@each_approximated
def test_approximant_conducts_the_same_ion(conductor):
    ours, near = conductor.structure.composition, conductor.approximant.structure.composition
    assert set(ours) == set(near)
    for element in ours:
        assert near.get_atomic_fraction(element) == pytest.approx(
            ours.get_atomic_fraction(element), rel=0.2, abs=0.015
        )


def test_unknown_id_lists_near_matches():
    with pytest.raises(SSEError, match="li3n-beta") as caught:
        get_conductor("Li3N-bta")
    assert caught.value.compound == "Li3N-bta"
    with pytest.raises(SSEError, match="load_conductors"):
        get_conductor("zzzzzzzz")


def test_unknown_fields_and_bad_dois_are_refused():
    entry = get_conductor("lii").model_dump()
    with pytest.raises(ValidationError, match="extra"):
        Conductor.model_validate(entry | {"sigma": 1.0})
    with pytest.raises(ValidationError, match="conductivity_doi"):
        Conductor.model_validate(entry | {"conductivity_doi": "doi:10.1/x"})
    with pytest.raises(ValidationError, match="frozen"):
        get_conductor("lii").conductivity = 1.0


def test_rounded_thirds_land_on_the_axis():
    crystal = Crystal.model_validate(
        {
            "space_group": {"symbol": "P6_3/mmc", "number": 194},
            "lattice": {"a": 4, "b": 4, "c": 7, "alpha": 90, "beta": 90, "gamma": 120},
            "sites": [
                {"label": "N", "wyckoff": "2c", "species": {"N": 1}, "xyz": [0.3334, 0.6666, 0.25]}
            ],
        }
    )
    assert len(crystal.structure) == 2
    assert np.allclose(crystal.structure[0].frac_coords, [1 / 3, 2 / 3, 1 / 4], rtol=0, atol=1e-9)


def test_conductivities_agree_with_other_collections(shared_data: Path):
    others = measured_elsewhere(shared_data)
    compared = 0
    for conductor in CONDUCTORS:
        values = others.get(key(conductor.formula))
        if not values or conductor.conductivity_bound:
            continue
        compared += 1
        nearest = min(values, key=lambda v: abs(log10(v / conductor.conductivity)))
        assert abs(log10(nearest / conductor.conductivity)) <= 1, (conductor.id, values)
    assert compared >= 30


def key(formula: str) -> str:
    return Composition(formula).fractional_composition.get_integer_formula_and_factor()[0]


def measured_elsewhere(folder: Path) -> dict[str, list[float]]:
    """Formula -> conductivities (S/cm) in OBELiX, Laskowski and Krenzer."""
    tables = {
        "obelix_train.csv": ("Reduced Composition", "sigma_S_cm"),
        "laskowski_sse.csv": ("Structure", "σ(RT)(S cm-1)"),
        "krenzer_li_phonon_descriptors.csv": ("formula", "sigma_RT_S_cm"),
    }
    found = defaultdict(list)
    for name, (formula, conductivity) in tables.items():
        with (folder / name).open(encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines):
                try:
                    found[key(row[formula])].append(float(row[conductivity]))
                except ValueError:
                    continue  # a bound, a mixture or no value
    return found


def test_table_is_grouped_by_family():
    families = [c.family for c in CONDUCTORS]
    changes = sum(before != after for before, after in pairwise(families))
    assert changes == len(set(families)) - 1
