"""An antiferromagnetic order from the cell to every INCAR, and what became of it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.phonopy import get_pmg_structure
from pymatgen.io.vasp import Incar, Poscar

from sse_flows.campaign.keys import content_key
from sse_flows.codes.vasp.code import Vasp
from sse_flows.codes.vasp.magnetism import changed_moments, start_moments
from sse_flows.codes.vasp.record import Record
from sse_flows.codes.vasp.symmetry import check_symmetry
from sse_flows.errors import SSEError
from sse_flows.phonons.flow import _displaced

# LiFeO2: rock salt with layers of lithium and of iron, whose neighbours within a layer stand
# against each other
UP = [0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0]
FERRITE = Structure(
    Lattice.tetragonal(4.35, 3.9),
    ["Li", "Li", "Fe", "Fe", "O", "O", "O", "O"],
    [
        *([0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]),
        *([0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]),
    ],
    site_properties={"magmom": UP},
)
IRON = 2  # of its sites, the first that is up


def code(**fields) -> Vasp:
    return Vasp(kpoints=[2, 2, 2], **fields).of(["Li", "Fe", "O"])


def forces(given: Vasp):
    return given.with_order(FERRITE).phonon_maker().phonon_displacement_maker


def written(maker, structure: Structure, generator: str = "input_set_generator") -> Incar:
    return copy.deepcopy(getattr(maker, generator)).get_input_set(structure).incar


def moments_of(structure: Structure) -> list[float]:
    return structure.site_properties["magmom"]


def expected(structure: Structure, size: float = 5.0) -> list[float]:
    """MAGMOM by places alone: iron at (1/2, 0, z) of the cell is up, at (0, 1/2, z) down."""
    places = np.linalg.solve(FERRITE.lattice.matrix.T, structure.cart_coords.T).T
    odd = np.rint(2 * places[:, 0]).astype(int) % 2
    iron = np.array([site.specie.symbol == "Fe" for site in structure])
    return np.where(iron, np.where(odd == 1, size, -size), 0.0).tolist()


def moved(matrix: list[list[int]], number: int = 0) -> Structure:
    """A displaced supercell as atomate2 makes it of the cell, without moments."""
    phonon = _displaced(FERRITE, np.array(matrix), 0.01, 1e-3)
    return get_pmg_structure(phonon.supercells_with_displacements[number])


def test_an_order_is_in_the_incar_of_each_step_and_its_moments_in_the_document(double):
    rough = FERRITE.copy()
    rough.scale_lattice(1.03 * FERRITE.volume)
    places = [6, 3, 0, 4, 2, 7, 1, 5]  # as no POSCAR has them
    mixed = Structure.from_sites([rough[i] for i in places])
    document = code().relax_maker(force_max=0.01).run(mixed)
    folders = sorted(path.name for path in double.iterdir())
    assert {"relax-1", "static"} <= set(folders)
    for folder in folders:
        incar = Incar.from_file(double / folder / "INCAR.gz")
        poscar = Poscar.from_file(double / folder / "POSCAR.gz").structure
        assert (incar["ISPIN"], incar["LORBIT"]) == (2, 11)
        iron = [m for m, s in zip(incar["MAGMOM"], poscar, strict=True) if s.specie.symbol == "Fe"]
        assert sorted(iron) == [-5.0, 5.0]
        assert sum(map(abs, incar["MAGMOM"])) == 10.0
    # the stand-in keeps nine tenths of what it starts with
    assert sorted(moments_of(document.structure)) == [-4.5, *[0.0] * 6, 4.5]
    assert document.corrections == []
    up = moments_of(document.structure).index(4.5)
    before = mixed.get_sorted_structure()
    assert moments_of(before)[up] == 1.0
    assert np.allclose(document.structure.frac_coords[up], before.frac_coords[up], atol=1e-6)


def test_a_displaced_supercell_is_computed_with_the_order_of_its_cell(double):
    supercell = moved([[2, 0, 0], [0, 1, 0], [0, 0, 1]])
    document = forces(code()).run(supercell)
    incar = Incar.from_file(double / "INCAR.gz")
    assert (incar["ISPIN"], incar["NSW"]) == (2, 0)
    assert incar["MAGMOM"] == expected(Poscar.from_file(double / "POSCAR.gz").structure)
    assert np.allclose(moments_of(document.structure), 0.9 * np.array(expected(supercell)))


@given(
    st.sampled_from(
        [np.diag([2, 2, 1]), np.diag([1, 2, 3]), [[1, 1, 0], [-1, 1, 0], [0, 0, 2]]],
    ),
    st.integers(0, 3),
    st.permutations(range(8)),
    st.floats(0.97, 1.03),
)
@settings(max_examples=25, deadline=None)
def test_moments_follow_the_places_of_atoms_whatever_their_numbers(matrix, number, order, scale):
    from sse_flows.codes.spin import carry_moments

    supercell = moved(np.array(matrix).tolist(), number)
    cell = Structure.from_sites([FERRITE[i] for i in order])
    cell.scale_lattice(scale * cell.volume)
    strained = supercell.copy()
    strained.scale_lattice(scale * supercell.volume)
    found = start_moments(carry_moments(cell, strained), {"Fe": 5})
    assert found == expected(supercell)


def test_sites_give_directions_and_elements_sizes():
    cobalt = FERRITE.copy()
    cobalt.replace_species({"Fe": "Co"})
    usual = {"Co": 0.6, "Fe": 5}  # atomate2's
    assert max(start_moments(cobalt, usual)) == 5.0  # and not the state of low spin
    assert max(start_moments(cobalt, {**usual, "Co": 2.5})) == 2.5
    relaxed = FERRITE.copy(site_properties={"magmom": [0.01, 0, 3.71, -3.7, 0.2, -0.2, 0, 0]})
    assert start_moments(relaxed, usual) == [5.0 * up for up in UP]
    other = FERRITE.copy()
    other.replace_species({"Fe": "Ti"})
    assert start_moments(other, {"Fe": 5}) == UP  # no less than 1 μB where nobody knows


def test_the_users_keys_win_over_an_order(potcars):
    own = code(incar={"MAGMOM": {"Fe": 4.2}, "LORBIT": 12})
    incar = written(own.relax_maker(), FERRITE, "static")
    assert (incar["MAGMOM"], incar["LORBIT"]) == ([4.2 * up for up in UP], 12)
    assert code(incar={"ISPIN": 2}, spin="none").keeps_order
    spins = written(forces(code(incar={"ISPIN": 2})), FERRITE)
    assert (spins["ISPIN"], spins["MAGMOM"]) == (2, [5.0 * up for up in UP])
    for without in (code(spin="none"), code(incar={"ISPIN": 1})):
        assert not without.keeps_order
        incar = written(without.relax_maker(), FERRITE)
        assert (incar["ISPIN"], "MAGMOM" in incar, "LORBIT" in incar) == (1, False, False)


def test_born_charges_are_computed_in_the_order_too(potcars):
    incar = written(code().born_maker(), FERRITE)
    assert incar["MAGMOM"] == [5.0 * up for up in UP]
    assert "LORBIT" not in incar


def test_parallel_moments_are_written_as_ever(potcars):
    parallel = FERRITE.copy(site_properties={"magmom": [abs(up) for up in UP]})
    incar = written(code().relax_maker(), parallel)
    assert (incar["MAGMOM"], "LORBIT" in incar) == ([abs(up) for up in UP], False)
    bare = FERRITE.copy()
    bare.remove_site_property("magmom")
    assert written(code().relax_maker(), bare)["MAGMOM"] == [0.6, 0.6, 5, 5, 0.6, 0.6, 0.6, 0.6]


def test_a_maker_without_an_order_has_the_key_that_it_had_before_there_was_one(potcars):
    maker = code().phonon_maker().phonon_displacement_maker.as_dict()
    assert maker["order"] is None
    assert content_key(maker) == content_key({k: v for k, v in maker.items() if k != "order"})


def test_a_relaxation_that_was_killed_goes_on_in_its_order(tmp_path):
    """The CONTCAR that it goes on from has no moments."""
    Record(tmp_path, "x").write("running")
    reached = FERRITE.copy().apply_strain(0.01, inplace=False)
    Poscar(reached).write_file(tmp_path / "CONTCAR")
    start = Record(tmp_path, "x").start(FERRITE, is_ionic=True)
    assert start.volume == pytest.approx(reached.volume)
    assert start_moments(start, {"Fe": 5}) == [5.0 * up for up in UP]


def test_an_order_that_relaxing_destroys_is_told(double):
    weak = code(incar={"MAGMOM": {"Fe": 0.05}})
    document = weak.relax_maker(force_max=0.01).run(FERRITE)
    (note,) = document.corrections
    assert note == "the magnetic order changed on relaxing (Fe 3: 0.04 μB, Fe 4: -0.04 μB)"


def test_forces_of_another_order_are_refused(double):
    maker = forces(code(incar={"MAGMOM": {"Fe": 0.05}}))
    with pytest.raises(SSEError, match=r"magnetic order changed \(Fe 3: 0.04 μB, Fe 4: -0.04 μB\)"):
        maker.run(moved([[1, 0, 0], [0, 1, 0], [0, 0, 1]]))


@pytest.mark.parametrize(
    ("found", "changed"),
    [
        ([0, 0, 3.7, -3.7, 0.1, -0.1, 0, 0], ""),
        ([0, 0, 0.3, -0.3, 0, 0, 0, 0], ""),
        ([0, 0, 3.7, 3.6, 0, 0, 0, 0], "Fe 4: 3.60 μB"),
        ([0, 0, 3.7, -0.02, 0, 0, 0, 1.2], "Fe 4: -0.02 μB, O 8: 1.20 μB"),
    ],
)
def test_moments_that_are_lost_turned_or_gained_are_named(found, changed):
    other = FERRITE.copy(site_properties={"magmom": found})
    assert changed_moments(FERRITE, other) == changed


def test_an_order_may_strain_its_crystal_as_far_as_its_own_symmetry_goes():
    """Rows of iron along a up and down in turn: the square of the chemical cell becomes oblong."""
    rows = FERRITE.copy(site_properties={"magmom": UP})
    rows.make_supercell([2, 1, 1])
    x = np.rint(rows.cart_coords[:, 0] / (4.35 / 2)).astype(int)
    stripes = [
        0.0 if site.specie.symbol != "Fe" else (1.0 if n % 4 in (0, 1) else -1.0)
        for site, n in zip(rows, x, strict=True)
    ]
    rows.add_site_property("magmom", stripes)
    oblong = rows.apply_strain([0.06, -0.06, 0.0], inplace=False)
    bare = rows.copy()
    bare.remove_site_property("magmom")
    with pytest.raises(SSEError, match="space group changed"):
        check_symmetry(bare, oblong)
    check_symmetry(rows, oblong)
    shifted = rows.copy()
    shifted.translate_sites([0], [0.1, 0.07, 0.05], frac_coords=False)
    with pytest.raises(SSEError, match="space group changed"):
        check_symmetry(rows, shifted)
