"""Input files: presets, cutoffs, k points, spin, and editing what was written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from sse_flows.codes.espresso.inputs import (
    Settings,
    edit_input,
    merge,
    mesh,
    presets,
    pw_namelists,
    read_input,
    unknown_keys,
    write_ph,
    write_pw,
)
from sse_flows.errors import SSEError

LITHIA = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.6), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
).get_primitive_structure()


@pytest.fixture
def settings(stand_in) -> Settings:
    pair = {"Li": stand_in("Li"), "O": stand_in("O", cutoff_wfc=55.0, cutoff_rho=400.0)}
    return Settings(pair, [2, 2, 2], 50.0)


@pytest.mark.parametrize("name", sorted(presets()))
def test_presets_use_keys_that_pw_knows(name):
    assert not unknown_keys(presets()[name]["input"])


def test_the_published_preset_says_what_the_paper_says():
    preset = presets()["jaafreh2024"]
    assert (preset["functional"], preset["kpoints"], preset["cutoff"]) == ("PBE", [5, 5, 5], 50)
    assert preset["phonons"] == {"supercell": "primitive_2x2x2", "displacement": 0.01}
    assert preset["input"]["electrons"]["conv_thr"] == 1e-6


@given(
    edges=st.tuples(*[st.floats(2.0, 30.0)] * 3),
    spacing=st.floats(0.1, 1.0),
    times=st.integers(1, 4),
)
def test_a_spacing_gives_supercells_a_mesh_at_least_as_fine(edges, spacing, times):
    cell = Structure(Lattice.orthorhombic(*edges), ["Li"], [[0, 0, 0]])
    small, large = mesh(cell, spacing), mesh(cell * (times, times, times), spacing)
    lengths = np.array(cell.lattice.reciprocal_lattice.abc)
    assert (lengths / small <= spacing * (1 + 1e-6)).all()
    assert all(a <= b * times < a + times + 1e-9 for a, b in zip(small, large, strict=True))


def test_cutoffs_suit_the_hardest_element_and_are_no_less_than_the_preset(stand_in):
    soft = Settings({"Li": stand_in("Li", cutoff_wfc=30.0, cutoff_rho=120.0)}, 0.3, 50.0)
    assert soft.cutoffs({"Li"}) == (50.0, 200.0)
    hard = Settings({"Li": stand_in("Li"), "O": stand_in("O", cutoff_wfc=77.2)}, 0.3, 50.0)
    assert hard.cutoffs({"Li", "O"}) == (78.0, 320.0)
    assert hard.cutoffs({"Li"}) == (50.0, 320.0)


@pytest.mark.parametrize(("kind", "ratio"), [("NC", 4), ("US", 8), ("PAW", 8)])
def test_a_file_without_cutoffs_gets_those_of_its_kind(stand_in, kind, ratio):
    bare = stand_in("Li", kind=kind, cutoff_wfc=0.0, cutoff_rho=0.0)
    assert Settings({"Li": bare}, 0.3, 50.0).cutoffs({"Li"}) == (50.0, 50.0 * ratio)


def test_what_the_user_writes_wins_and_null_removes(settings):
    given = {"SYSTEM": {"ecutwfc": 33, "degauss": None}, "electrons": {"MIXING_BETA": 0.2}}
    base = {"system": {"degauss": 0.01, "smearing": "mv"}}
    user = Settings(settings.pseudopotentials, [2, 2, 2], 50.0, input=merge(base, given))
    namelists = pw_namelists(LITHIA, user, "scf", "/pseudo")
    assert namelists["system"]["ecutwfc"] == 33
    assert namelists["system"]["smearing"] == "mv"
    assert "degauss" not in namelists["system"]
    assert namelists["electrons"] == {"mixing_beta": 0.2}


def test_files_and_kind_of_calculation_are_not_the_users(settings):
    asked = {"control": {"outdir": "/tmp", "prefix": "x", "calculation": "md", "nstep": 3}}
    user = Settings(settings.pseudopotentials, [2, 2, 2], input=asked)
    control = pw_namelists(LITHIA, user, "scf", "/pseudo")["control"]
    assert (control["outdir"], control["prefix"]) == ("out", "pwscf")
    assert (control["calculation"], control["nstep"]) == ("scf", 3)


def test_sections_that_a_calculation_has_no_use_for_are_left_out(settings):
    both = {"ions": {"bfgs_ndim": 1}, "cell": {"press": 0.0}, "inputph": {"tr2_ph": 1e-16}}
    user = Settings(settings.pseudopotentials, [2, 2, 2], input=both)
    sections = {kind: set(pw_namelists(LITHIA, user, kind, "p")) for kind in ("scf", "vc-relax")}
    assert not sections["scf"] & {"ions", "cell", "inputph"}
    assert {"ions", "cell"} <= sections["vc-relax"]


def test_unknown_keys_are_found_wherever_they_stand():
    written = {"system": {"ecutwfc": 1, "ecut": 2, "Hubbard_U(1)": 3}, "foo": {"bar": 1}}
    assert unknown_keys(written) == ["system.ecut", "foo.bar"]


def test_the_written_crystal_is_the_one_given(settings, tmp_path):
    from ase.io import read

    write_pw(tmp_path / "pw.in", LITHIA, settings, "scf", "/pseudo")
    atoms = read(tmp_path / "pw.in", format="espresso-in")
    assert atoms.get_chemical_symbols() == [site.specie.symbol for site in LITHIA]
    np.testing.assert_allclose(atoms.cell.array, LITHIA.lattice.matrix, atol=1e-9)
    np.testing.assert_allclose(atoms.positions, LITHIA.cart_coords, atol=1e-9)


@pytest.mark.parametrize(("tricks", "expected"), [(True, "gamma"), (False, "automatic")])
def test_gamma_alone_uses_real_wave_functions_unless_forbidden(
    settings, tmp_path, tricks, expected
):
    alone = Settings(settings.pseudopotentials, [1, 1, 1])
    write_pw(tmp_path / "pw.in", LITHIA, alone, "scf", "/pseudo", gamma_tricks=tricks)
    assert f"K_POINTS {expected}" in (tmp_path / "pw.in").read_text()


def test_oxidation_states_do_not_matter(settings, tmp_path):
    charged = LITHIA.copy().add_oxidation_state_by_element({"Li": 1, "O": -2})
    for name, cell in (("a", LITHIA), ("b", charged)):
        write_pw(tmp_path / name, cell, settings, "scf", "/pseudo")
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_a_disordered_structure_and_an_element_without_file_are_refused(settings, tmp_path):
    mixed = LITHIA.copy()
    mixed.replace(0, {"Li": 0.5, "O": 0.5})
    with pytest.raises(SSEError, match="disordered"):
        write_pw(tmp_path / "pw.in", mixed, settings, "scf", "/pseudo")
    sulphide = LITHIA.copy()
    sulphide.replace_species({"O": "S"})
    with pytest.raises(SSEError, match="no pseudopotential of S"):
        write_pw(
            tmp_path / "pw.in",
            sulphide,
            Settings({"Li": settings.pseudopotentials["Li"]}, [1, 1, 1]),
            "scf",
            "/pseudo",
        )


def test_cutoffs_by_hand_below_those_of_the_files_are_told(settings):
    both = {"Li", "O"}
    assert not settings.low_cutoffs(both)
    assert not settings.with_input(system={"ecutwfc": 55, "ecutrho": 400.0}).low_cutoffs(both)
    low = settings.with_input(system={"ECUTWFC": 54.5, "ecutrho": 300})
    name = settings.pseudopotentials["O"].file
    assert f"ecutwfc of 54.5 Ry is below the 55 Ry of {name}" in low.low_cutoffs(both)
    assert f"ecutrho of 300 Ry is below the 400 Ry of {name}" in low.low_cutoffs({"O"})
    assert low.cutoffs(both) == (55.0, 300.0)


def test_starting_moments_stand_in_the_input(stand_in, tmp_path):
    rust = Structure(Lattice.cubic(4.2), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    pair = {"Fe": stand_in("Fe"), "O": stand_in("O")}
    write_pw(tmp_path / "pw.in", rust, Settings(pair, [1, 1, 1]), "scf", "/pseudo")
    system = read_input(tmp_path / "pw.in")[0]["system"]
    assert system["nspin"] == 2
    assert system["starting_magnetization(1)"] == 0.5
    assert system["starting_magnetization(2)"] == 0.0


def test_editing_changes_keys_and_nothing_else(settings, tmp_path):
    path = tmp_path / "pw.in"
    write_pw(path, LITHIA, settings, "scf", "/pseudo")
    before, cards = read_input(path)
    edit_input(path, {"electrons": {"mixing_beta": 0.3}, "system": {"ecutwfc": None}})
    after, same = read_input(path)
    assert same == cards
    assert after["electrons"] == {**before.get("electrons", {}), "mixing_beta": 0.3}
    assert set(before["system"]) - set(after["system"]) == {"ecutwfc"}
    assert after["control"] == before["control"]


def test_the_input_of_ph_asks_for_the_response_to_a_field(settings, tmp_path):
    own = Settings(settings.pseudopotentials, [2, 2, 2], input={"inputph": {"tr2_ph": 1e-16}})
    write_ph(tmp_path / "ph.in", own)
    inputph = read_input(tmp_path / "ph.in")[0]["inputph"]
    assert inputph["epsil"] is True
    assert inputph["trans"] is False
    assert inputph["tr2_ph"] == 1e-16
