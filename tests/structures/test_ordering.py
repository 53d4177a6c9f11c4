"""Ordering: counts, neutrality, exclusion of split positions, symmetry, bounds, determinism."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from pymatgen.transformations.standard_transformations import (
    OrderDisorderedStructureTransformation,
)

from sse_flows.errors import SSEError
from sse_flows.roles import oxidation_states
from sse_flows.structures.conductors import get_conductor
from sse_flows.structures.ordering import _fill, order, tidy
from sse_flows.structures.ordering_counts import (
    Counts,
    Orbit,
    compact_scaling,
    partial_orbits,
    pooled,
    whole_counts,
)
from sse_flows.structures.ordering_search import _make_blocks, _State, build_problem, search


def spinel_like(li=0.5):
    """Rock salt with mixed Li/Mg: 4 cation and 4 anion sites in a cubic cell."""
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cations = [{"Li": li, "Mg": 1 - li}] * 4
    anions = [{"Cl": li, "O": 1 - li}] * 4
    return Structure(Lattice.cubic(4.4), cations + anions, np.vstack([corners, corners + 0.5]))


def charge(structure, states):
    return sum(states[el.symbol] * n for el, n in structure.composition.items())


def test_ordered_passes_through_as_primitive_cell():
    salt = Structure.from_spacegroup(
        225, Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    salt.add_oxidation_state_by_guess()
    ordering = order(salt.make_supercell(2, in_place=False))
    assert len(ordering.structure) == 2
    assert ordering.warnings == []
    assert {str(sp) for sp in ordering.structure.composition} == {"Li", "Cl"}


STATES = {"Li": 1.0, "Mg": 2.0, "Cl": -1.0, "O": -2.0}


def whole_problem(cell):
    orbits = [o.sites for o in partial_orbits(cell)]
    halves = ({"Li": 2, "Mg": 2}, {"Cl": 2, "O": 2})
    counts = [halves[0] if "Li" in cell[o[0]].species_string else halves[1] for o in orbits]
    return build_problem(cell, orbits, counts, STATES)


def test_exact_search_is_as_good_as_pymatgens():
    cell = spinel_like()
    problem, kinds, positions = whole_problem(cell)
    found, _ = search(problem, [], deadline=time.monotonic() + 60)
    ours = _fill(cell, positions, found[0].kinds, kinds)
    ours.add_oxidation_state_by_element(STATES)
    cell.add_oxidation_state_by_element(STATES)
    theirs = OrderDisorderedStructureTransformation().apply_transformation(cell)
    energies = [EwaldSummation(s).total_energy for s in (ours, theirs)]
    assert energies[0] <= energies[1] + 1e-6
    assert energies[0] == pytest.approx(found[0].energy, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "atoms", "formula"),
    [
        ("latp", 73, "Li5AlTi7(PO4)12"),
        ("nasicon", 40, "Na3Zr2Si2PO12"),
        ("llto", 10, "LiLaTi2O6"),
        ("li6ps5br", 13, "Li6PS5Br"),
    ],
)
def test_built_in_conductors(name, atoms, formula):
    conductor = get_conductor(name)
    states = oxidation_states(conductor.structure, conductor.oxidation_states)
    ordering = order(conductor.structure, states, compound_id=name)
    ordered = ordering.structure
    assert ordered.is_ordered
    assert len(ordered) == atoms
    assert ordered.composition.reduced_composition == Composition(formula).reduced_composition
    assert charge(ordered, states) == pytest.approx(0, abs=1e-6)
    apart = ordered.distance_matrix[np.triu_indices(len(ordered), 1)]
    assert apart.min() > 1.3


def test_result_is_independent_of_the_cell_and_repeatable():
    structure = get_conductor("li6ps5br").structure
    first = order(structure).structure
    second = order(structure.get_primitive_structure()).structure
    assert first == order(structure).structure
    assert first.composition == second.composition
    groups = [SpacegroupAnalyzer(s).get_space_group_number() for s in (first, second)]
    assert groups[0] == groups[1]


def split_positions():
    """Li halfway on each of two positions 0.7 Å apart, beside F."""
    sites = [{"Li": 0.5}] * 4 + [{"F": 1.0}] * 2
    coords = [[0.45, 0, 0], [0.55, 0, 0], [0.45, 0.5, 0.5], [0.55, 0.5, 0.5]]
    coords += [[0, 0, 0], [0, 0.5, 0.5]]
    return Structure(Lattice.orthorhombic(4, 5, 5), sites, coords)


def test_split_positions_are_not_both_filled():
    ordered = order(split_positions(), {"Li": 1, "F": -1}).structure
    assert ordered.composition.reduced_formula == "LiF"
    assert ordered.distance_matrix[np.triu_indices(len(ordered), 1)].min() > 1.5


def test_unavoidable_overlap_is_refused():
    structure = split_positions()
    for i in range(4):
        structure[i] = {"Li": 1.0 if i < 2 else 0.9}
    structure.append({"Li": 0.99}, [0.5, 0.02, 0])
    with pytest.raises(SSEError, match=r"bad: .*Å apart.*occupancies"):
        order(structure, {"Li": 1, "F": -1}, compound_id="bad")


def test_too_large_is_refused():
    with pytest.raises(SSEError, match="max_atoms=5"):
        order(get_conductor("li6ps5br").structure, max_atoms=5)


def test_rounding_is_remarked_and_neutral():
    ordering = order(spinel_like(0.36), STATES, max_atoms=16)
    assert charge(ordering.structure, STATES) == 0
    assert "occupancies rounded" in ordering.warnings[0]


def test_time_limit_still_gives_a_structure():
    structure = get_conductor("li10gep2s12").structure
    begin = time.monotonic()
    ordering = order(structure, timeout=0.0)
    assert time.monotonic() - begin < 20
    assert ordering.structure.is_ordered
    assert any("stopped after 0 s" in w for w in ordering.warnings)


def test_whole_counts_prefer_neutrality_over_shares():
    orbits = [Orbit((0, 1, 2, 3), {"Ti": 0.85, "Al": 0.15}), Orbit((4, 5, 6), {"Li": 0.87})]
    charges = {"Ti": 4.0, "Al": 3.0, "Li": 1.0, "O": -2.0}
    counts = whole_counts(orbits, 1, charges, {"O": 9})
    assert counts.charge == 0
    assert counts.per_orbit == ({"Al": 1, "Ti": 3}, {"Li": 3})
    assert counts.error == pytest.approx(0.39 / 2.61)
    counts = whole_counts(orbits, 2, charges, {"O": 9})
    assert sum(counts.per_orbit[0].values()) == 8


def test_compact_scaling():
    assert compact_scaling(Lattice.cubic(4), 8) == (2, 2, 2)
    assert compact_scaling(Lattice.tetragonal(4, 12), 4) == (2, 2, 1)


def test_tidy_merges_sites_and_strips_charges():
    messy = Structure(Lattice.cubic(5), ["Li+", "Cl-"], [[0, 0, 0], [0.5] * 3])
    messy[0] = {"Li+": 0.5}
    messy.append({"Na+": 0.4999}, [0.0, 0.0, 1e-4])
    clean = tidy(messy)
    assert len(clean) == 2
    assert clean[0].species.get_el_amt_dict() == pytest.approx({"Li": 0.5, "Na": 0.5}, abs=1e-3)
    assert sum(clean[0].species.values()) == pytest.approx(1)


@pytest.fixture
def problem():
    return whole_problem(spinel_like())[0]


def test_swaps_keep_track_of_the_energy(problem):
    blocks = _make_blocks(problem, np.arange(problem.size))
    kinds = np.zeros(problem.size, dtype=int)
    for members, numbers in problem.groups:
        kinds[members] = np.repeat(np.arange(len(numbers)), numbers)
    state = _State(blocks, kinds)
    for members, _ in problem.groups:
        for a, b in itertools.combinations(members, 2):
            before = sum(e[0] for e in blocks.energies(state.kinds[None, :]))
            delta = state.delta(a, b)
            state.swap(a, b)
            after = sum(e[0] for e in blocks.energies(state.kinds[None, :]))
            assert after - before == pytest.approx(delta, abs=1e-8)


def test_annealing_finds_the_exact_minimum(problem, monkeypatch):
    deadline = time.monotonic() + 60
    exact, _ = search(problem, [], deadline=deadline)
    monkeypatch.setattr("sse_flows.structures.ordering_search._EXACT_LIMIT", 1)
    annealed, complete = search(problem, [], deadline=deadline)
    assert complete
    assert annealed[0].energy == pytest.approx(exact[0].energy)


def test_pooling_joins_only_orbits_that_can_trade_vacancies():
    orbits = [
        Orbit((0, 1), {"Li": 0.5}),
        Orbit((2,), {"Li": 0.5, "La": 0.5}),
        Orbit((3, 4), {"Li": 0.4}),
    ]
    counts = Counts(({"Li": 1}, {"Li": 1, "La": 0}, {"Li": 1}), 0.0, 0.0)
    places, joined = pooled(orbits, [[0, 1], [2], [3, 4]], counts)
    assert places == [[0, 1, 3, 4], [2]]
    assert joined.per_orbit == ({"Li": 2}, {"Li": 1, "La": 0})


def test_atoms_move_to_another_orbit_where_counts_would_overlap():
    # two close pairs of positions can hold two atoms, not the three counted
    pairs = [[x + d, y, 0.0] for x, y in ((0.25, 0.25), (0.25, 0.75)) for d in (-0.05, 0.05)]
    lone = [[0.75, y, z] for y in (0.2, 0.7) for z in (0.31, 0.72)]
    anions = [[x, y, 0.5] for x in (0.0, 0.5) for y in (0.0, 0.45)]
    sites = [{"Li": 0.75}] * 4 + [{"Li": 0.25}] * 4 + [{"F": 1.0}] * 4
    structure = Structure(Lattice.orthorhombic(7, 8, 6), sites, pairs + lone + anions)
    ordering = order(structure, {"Li": 1, "F": -1})
    assert ordering.structure.composition.reduced_formula == "LiF"
    apart = ordering.structure.distance_matrix[np.triu_indices(len(ordering.structure), 1)]
    assert apart.min() > 1.0
    assert any("moved between" in w for w in ordering.warnings)
