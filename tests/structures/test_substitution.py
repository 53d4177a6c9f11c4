"""Neutral decorations: complete, each once, the same however the prototype is written down."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Element, Lattice, Structure

from sse_flows.errors import SSEError
from sse_flows.structures.conductors import get_conductor
from sse_flows.structures.prototypes import load_prototypes, make_prototype, read_prototypes
from sse_flows.structures.substituents import Choice, choices_for
from sse_flows.structures.substitution import Substitution, decorated, numbers_of

SMALL = {"cations": ["P", "As", "Si", "Al", "Fe"], "anions": ["O", "S", "N", "Cl"]}


def elpasolite(first="Mg", second="Zn") -> Structure:
    """Li2 B B' Cl6: the two octahedral sites are mirror images of each other."""
    cell = Lattice.cubic(10.2)
    return Structure.from_spacegroup(
        "Fm-3m",
        cell,
        ["Li", first, second, "Cl"],
        [[0.25, 0.25, 0.25], [0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0, 0]],
    )


def brute_force(prototype, choices):
    """Elements of all neutral decorations with one state an element."""
    found = set()
    for combination in itertools.product(*choices):
        charge = sum(c.charge * n for c, n in zip(combination, prototype.counts, strict=True))
        states = {(c.number, c.charge) for c in combination}
        if charge == 0 and len(states) == len({number for number, _ in states}):
            found.add(tuple(c.number for c in combination))
    return found


def everything(substitution, size=1000):
    return [tuple(row) for chunk in substitution.chunks(size) for row in chunk.numbers.tolist()]


@pytest.mark.parametrize("name", ["li3ps4", "li6ps5cl", "li2tio3", "li10gep2s12"])
def test_children_are_those_of_brute_force_and_each_comes_once(name):
    prototype = load_prototypes([name])[0]
    choices = choices_for(prototype, **SMALL)
    substitution = Substitution(prototype, choices)
    found = everything(substitution, size=7)
    assert len(found) == len(set(found)) == substitution.counts.kept
    assert set(found) == brute_force(prototype, choices)
    assert substitution.assignments() >= len(found)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_every_child_is_neutral(data):
    prototype = load_prototypes(["li10gep2s12"])[0]
    states = st.builds(Choice, st.integers(3, 60), st.integers(1, 6))
    anions = st.builds(Choice, st.integers(61, 70), st.integers(-3, -1))
    kinds = [anions if group.role == "anion" else states for group in prototype.groups]
    lists = [st.lists(kind, min_size=1, max_size=5, unique=True) for kind in kinds]
    choices = [data.draw(one) for one in lists]
    for chunk in Substitution(prototype, choices).chunks(64):
        assert not (chunk.charges.astype(int) @ prototype.counts).any()


def test_the_default_lists_give_more_than_the_published_number():
    total = 0
    for prototype in load_prototypes():
        substitution = Substitution(prototype, choices_for(prototype))
        own = 0
        for chunk in substitution.chunks():
            assert not (chunk.charges.astype(int) @ prototype.counts).any()
            own += int(chunk.is_prototype.sum())
        assert own == 1
        total += substitution.counts.kept
    assert total >= 230_000


def test_chunks_do_not_change_the_children():
    prototype = load_prototypes(["li2tio3"])[0]
    substitution = Substitution(prototype, choices_for(prototype))
    assert everything(substitution, 100) == everything(substitution, 100_000)


def test_decorations_equal_by_symmetry_come_once():
    prototype = make_prototype(elpasolite(), "elpasolite")
    assert [g.count for g in prototype.groups if g.role == "cation"] == [1, 1]
    choices = choices_for(prototype, ["Mg", "Zn", "Ca"], ["Cl"])
    substitution = Substitution(prototype, choices)
    found = {frozenset(row[1:3]) for row in everything(substitution)}
    assert len(found) == substitution.counts.kept == 6  # 3 alike, 3 of two kinds instead of 6
    assert substitution.counts.duplicates == 3
    kept = [chunk.structure(i) for chunk in substitution.chunks() for i in range(len(chunk))]
    matcher = StructureMatcher()
    assert not any(matcher.fit(a, b) for a, b in itertools.combinations(kept, 2))


def test_sites_of_different_surroundings_are_not_exchanged():
    """La1 and La2 of the garnet differ: both orders are compounds of their own."""
    prototype = load_prototypes(["li7la3zr2o12"])[0]
    choices = choices_for(prototype, ["La", "Y"], ["O"], sites={"Zr": ["Zr"]})
    assert len(everything(Substitution(prototype, choices))) == 4


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_sites_and_the_cell_do_not_matter(seed):
    first = load_prototypes(["li2tio3"])[0]
    generator = np.random.default_rng(seed)
    cell = first.structure.copy()
    cell.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2 if seed else 1]])
    shift = generator.random(3)
    order = generator.permutation(len(cell))
    other = Structure(
        cell.lattice, [cell[i].species for i in order], cell.frac_coords[order] + shift
    )
    second = make_prototype(other, "li2tio3")
    assert [(g.name, g.count) for g in second.groups] == [(g.name, g.count) for g in first.groups]
    some = [choices_for(p, ["Ti", "Nb", "Sc", "Mg"], ["O", "F"]) for p in (first, second)]
    mine, others = (
        Substitution(p, c, scale_volume=True) for p, c in zip((first, second), some, strict=True)
    )
    assert sorted(everything(mine)) == sorted(everything(others))
    chunk, same = next(mine.chunks()), next(others.chunks())
    place = same.ids().index(chunk.ids()[3])
    assert StructureMatcher(scale=False).fit(chunk.structure(3), same.structure(place))


def test_the_prototype_itself_is_flagged_and_unchanged():
    prototype = load_prototypes(["li6ps5cl"])[0]
    substitution = Substitution(prototype, choices_for(prototype), scale_volume=True)
    chunk = next(substitution.chunks())
    (own,) = np.flatnonzero(chunk.is_prototype)
    assert chunk.formulas()[own] == "Li6PS5Cl"
    assert chunk.volume_ratio[own] == pytest.approx(1.0)
    assert StructureMatcher(scale=False).fit(chunk.structure(own), prototype.structure)


def test_an_element_has_one_state_in_a_compound():
    prototype = load_prototypes(["li2tio3"])[0]  # Fe2+ and Fe3+ would balance with F and O
    choices = choices_for(prototype, ["Fe2+", "Fe3+", "Ti4+"], ["O", "F"])
    for chunk in Substitution(prototype, choices).chunks():
        for numbers, charges in zip(chunk.numbers.tolist(), chunk.charges.tolist(), strict=True):
            assert len(set(zip(numbers, charges, strict=True))) == len(set(numbers))


def test_the_volume_follows_the_radii():
    prototype = load_prototypes(["li6ps5cl"])[0]
    sites = {"P": ["P"], "S": ["S"], "Cl": ["Cl", "Br", "I"]}
    scaled = Substitution(prototype, choices_for(prototype, sites=sites), scale_volume=True)
    chunk = next(scaled.chunks())
    ratio = dict(zip(chunk.formulas(), chunk.volume_ratio, strict=True))
    assert ratio["Li6PS5Cl"] == pytest.approx(1)
    assert 1 < ratio["Li6PS5Br"] < ratio["Li6PS5I"] < 1.2  # measured: 1.01 and 1.09
    fixed = Substitution(prototype, choices_for(prototype, sites=sites))
    assert (next(fixed.chunks()).volume_ratio == 1).all()


def test_the_mobile_ion_may_be_exchanged():
    prototype = load_prototypes(["li3ps4"])[0]
    choices = choices_for(prototype, ["P"], ["S"], mobile=["Li", "Na", "Ag"])
    chunk = next(Substitution(prototype, choices).chunks())
    assert sorted(chunk.formulas()) == ["Ag3PS4", "Li3PS4", "Na3PS4"]


def test_an_id_leads_back_to_the_crystal():
    prototype = load_prototypes(["li10gep2s12"])[0]
    choices = choices_for(prototype, ["Si", "P", "As"], ["S", "Se"])
    chunk = next(Substitution(prototype, choices).chunks())
    for row, name in enumerate(chunk.ids()):
        crystal = decorated(prototype, numbers_of(name, prototype))
        assert crystal.composition == chunk.structure(row).composition
        numbers = [site.specie.Z for site in crystal]
        assert numbers == chunk.site_numbers[row].tolist()


@pytest.mark.parametrize("name", ["li3ps4_Li-P", "li3ps4_Li-P-Xx", "other_Li-P-S", ""])
def test_a_wrong_id_is_named(name):
    with pytest.raises(SSEError, match="names no child"):
        numbers_of(name, load_prototypes(["li3ps4"])[0])


def test_too_many_groups_are_refused_with_a_mend():
    crystal = get_conductor("li3sccl6").structure  # twelve kinds of Cl
    prototype = make_prototype(crystal, "li3sccl6", anions="site")
    with pytest.raises(SSEError, match="Group the sites by element"):
        Substitution(prototype, choices_for(prototype))


def test_a_group_without_a_choice_is_named():
    prototype = load_prototypes(["li3ps4"])[0]
    with pytest.raises(SSEError, match="nothing may fill P"):
        Substitution(prototype, [[Choice(3, 1)], [], [Choice(16, -2)]])


def test_a_disordered_prototype_is_refused_by_name():
    half = Structure(Lattice.cubic(4), [{"Li": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    with pytest.raises(SSEError, match=r"half: .*partially occupied.*order"):
        make_prototype(half, "half")


def test_a_prototype_can_come_from_a_file(tmp_path):
    elpasolite().to(str(tmp_path / "mine.cif"), fmt="cif")
    (prototype,) = read_prototypes([tmp_path / "mine.cif"])
    assert prototype.id == "mine"
    assert prototype.formula == "Li2MgZnCl6"
    with pytest.raises(SSEError, match="neither a file nor one of the 6 built-in"):
        read_prototypes(["mine.cif"])
    (tmp_path / "b").mkdir()
    elpasolite().to(str(tmp_path / "b" / "mine.cif"), fmt="cif")
    with pytest.raises(SSEError, match="two prototypes are called mine"):
        read_prototypes([tmp_path / "mine.cif", tmp_path / "b" / "mine.cif"])


def test_atomic_numbers_are_those_of_the_groups():
    prototype = load_prototypes(["li7la3zr2o12"])[0]
    assert [Element.from_Z(z).symbol for z in prototype.numbers] == ["Li", "La", "La", "Zr", "O"]
    assert (prototype.numbers[prototype.labels] == prototype.structure.atomic_numbers).all()
