"""Going on where a calculation stopped: what is read from a folder, and the real pw.x cut off."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.codes import born
from sse_flows.codes.espresso import handlers, job
from sse_flows.codes.espresso.code import Espresso
from sse_flows.codes.espresso.inputs import PH_OUTPUT, Settings, edit_input, read_input, write_pw
from sse_flows.codes.espresso.job import Launch
from sse_flows.codes.espresso.makers import BandGapMaker, BornMaker, RelaxMaker, ScfMaker
from sse_flows.codes.espresso.outputs import xml_path
from sse_flows.codes.espresso.resume import (
    Progress,
    changes,
    is_finished,
    last_geometry,
    prepare_restart,
    set_geometry,
    take_up,
)
from sse_flows.errors import OutOfTimeError, SSEError

LITHIA = Structure(
    Lattice.cubic(4.0), ["O", "Li", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
)
STEP = """\
CELL_PARAMETERS (angstrom)
   {edge}   0.000000000   0.000000000
   0.000000000   {edge}   0.000000000
   0.000000000   0.000000000   {edge}

ATOMIC_POSITIONS (angstrom)
O             0.0000000000        0.0000000000       -0.0000000000
Li            1.0000000000        1.0000000000        1.0000000000   0 0 0
Li            3.0000000000        3.0000000000        3.0000000000
{end}"""


@pytest.fixture
def draft(tmp_path, stand_in):
    """Writes the input of a relaxation of a structure."""

    def write(structure: Structure = LITHIA, **namelists) -> Path:
        pseudo = {symbol: stand_in(symbol) for symbol in ("Li", "O")}
        settings = Settings(pseudo, [2, 2, 2], input=namelists)
        write_pw(tmp_path / "pw.draft", structure, settings, "vc-relax", "/pseudo")
        return tmp_path / "pw.draft"

    return write


def step(edge: float, end: str = "\nWriting output data file\n") -> str:
    return STEP.format(edge=f"{edge:.9f}", end=end)


class TestGeometry:
    def read(self, folder: Path, text: str, like: Structure = LITHIA) -> Structure | None:
        (folder / "pw.out").write_text(text)
        return last_geometry(folder, like)

    def test_the_last_whole_one_counts(self, tmp_path):
        found = self.read(tmp_path, step(4.1) + step(4.2))
        assert found.lattice.a == pytest.approx(4.2)
        np.testing.assert_allclose(found.cart_coords[2], 3.0)
        assert [site.specie.symbol for site in found] == ["O", "Li", "Li"]

    def test_one_that_is_cut_off_does_not(self, tmp_path):
        whole = step(4.1)
        for length in range(40, len(step(4.2, "")), 17):
            found = self.read(tmp_path, whole + step(4.2, "")[:length])
            assert found.lattice.a == pytest.approx(4.1), length

    def test_the_last_line_of_pw_is_no_atom(self, tmp_path):
        assert self.read(tmp_path, step(4.1, "End final coordinates\n")) is not None

    def test_a_fixed_cell_is_that_of_the_input(self, tmp_path):
        atoms = step(9.0)[step(9.0).index("ATOMIC") :]
        assert self.read(tmp_path, atoms).lattice == LITHIA.lattice

    def test_other_atoms_are_of_another_crystal(self, tmp_path):
        other = LITHIA.copy()
        other.replace(0, "S")
        assert self.read(tmp_path, step(4.1), other) is None
        assert self.read(tmp_path, "     iteration #  3\n") is None

    def test_moments_of_the_sites_are_kept(self, tmp_path):
        spins = LITHIA.copy(site_properties={"magmom": [1.0, -1.0, 0.0]})
        found = self.read(tmp_path, step(4.1), spins)
        assert found.site_properties["magmom"] == [1.0, -1.0, 0.0]

    def test_one_put_into_an_input_is_that_of_the_input(self, tmp_path, draft):
        moved = LITHIA.copy().apply_strain(0.01)
        moved.translate_sites([1], [0.01, 0.02, 0.03], frac_coords=False)
        path = draft()
        set_geometry(path, moved)
        (tmp_path / "edited").write_text(path.read_text())
        again = draft(moved)
        (tmp_path / "pw.in").write_text((tmp_path / "edited").read_text())
        (tmp_path / "pw.out").write_text("     Maximum CPU time exceeded\n")
        (tmp_path / "out" / "pwscf.save").mkdir(parents=True)
        xml_path(tmp_path).write_text("")
        (tmp_path / "out" / "pwscf.restart_scf").write_text("")
        assert prepare_restart(tmp_path, again)
        assert read_input(tmp_path / "pw.in")[0]["control"]["restart_mode"] == "restart"


class TestTakingUp:
    def test_a_new_calculation_begins_with_its_first_round(self, tmp_path, draft):
        progress = take_up(tmp_path, draft(), LITHIA)
        assert (progress.round, progress.structure) == (1, LITHIA)

    def test_one_that_was_killed_goes_on_in_its_round(self, tmp_path, draft):
        second = LITHIA.copy().apply_strain(0.05)
        take_up(tmp_path, draft(), LITHIA).next(second).save(tmp_path)
        assert take_up(tmp_path, draft(), LITHIA).structure == second
        (tmp_path / "pw.out").write_text(step(4.15))
        progress = take_up(tmp_path, draft(), LITHIA)
        assert progress.round == 2
        assert progress.structure.lattice.a == pytest.approx(4.15)

    def test_geometries_of_the_round_before_are_not_gone_back_to(self, tmp_path, draft):
        first = take_up(tmp_path, draft(), LITHIA)
        (tmp_path / "pw.out").write_text(step(4.15))
        second = LITHIA.copy().apply_strain(0.05)
        first.next(second).save(tmp_path)
        assert take_up(tmp_path, draft(), LITHIA).structure == second

    def test_other_settings_begin_anew(self, tmp_path, draft):
        take_up(tmp_path, draft(), LITHIA).next(LITHIA).save(tmp_path)
        assert take_up(tmp_path, draft(system={"ecutwfc": 80}), LITHIA).round == 1

    def test_one_that_failed_for_good_begins_its_round_anew(self, tmp_path, draft):
        take_up(tmp_path, draft(), LITHIA)
        (tmp_path / "pw.out").write_text(step(4.15) + "     convergence NOT achieved\n")
        assert take_up(tmp_path, draft(), LITHIA).structure == LITHIA

    def test_a_damaged_note_is_as_none(self, tmp_path, draft):
        Progress("x", 3, LITHIA).save(tmp_path)
        note = tmp_path / "progress.json"
        note.write_text(note.read_text()[:50])
        assert take_up(tmp_path, draft(), LITHIA).round == 1


class TestDensity:
    """What is left of a self-consistent field that was killed."""

    def left(self, folder: Path, path: Path) -> None:
        path.rename(folder / "pw.in")
        (folder / "pw.out").write_text("     Program PWSCF v.7.3\n     iteration #  3\n")
        xml_path(folder).parent.mkdir(parents=True)
        xml_path(folder).write_text("")
        (xml_path(folder).parent / "charge-density.dat").write_text("")

    def test_a_density_in_the_folder_is_the_start(self, tmp_path, draft):
        self.left(tmp_path, draft())
        assert prepare_restart(tmp_path, draft())
        assert read_input(tmp_path / "pw.in")[0]["electrons"]["startingpot"] == "file"
        assert (tmp_path / "pw.out.failed.1").is_file()

    def test_not_for_other_settings(self, tmp_path, draft):
        self.left(tmp_path, draft(system={"ecutwfc": 80}))
        assert not prepare_restart(tmp_path, draft())
        assert "startingpot" not in read_input(tmp_path / "pw.in")[0]["electrons"]

    def test_a_state_that_is_not_gone_on_with_is_removed(self, tmp_path, draft):
        """Or it is taken for that of the next run that is stopped."""
        self.left(tmp_path, draft())
        for name in ("restart_scf", "wfc1", "mix1"):
            (tmp_path / "out" / f"pwscf.{name}").write_text("")
        assert prepare_restart(tmp_path, draft())
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["pwscf.save"]

    def test_not_after_a_failure(self, tmp_path, draft):
        self.left(tmp_path, draft())
        (tmp_path / "pw.out").write_text("     convergence NOT achieved\n")
        assert not prepare_restart(tmp_path, draft())


class TestCorrections:
    """What handlers changed before a calculation was stopped."""

    def stop(self, folder: Path, draft, text: str) -> None:
        prepare_restart(folder, draft())
        edit_input(folder / "pw.in", {"electrons": {"mixing_beta": 0.3, "startingpot": "file"}})
        (folder / "pw.out").write_text("     Program PWSCF v.6.7 starts\n" + text)

    def test_they_are_kept_and_told(self, tmp_path, draft):
        self.stop(tmp_path, draft, "     Maximum CPU time exceeded\n")
        path = draft()
        asked = read_input(path)[0]
        prepare_restart(tmp_path, path)
        keys = read_input(tmp_path / "pw.in")[0]["electrons"]
        assert keys["mixing_beta"] == 0.3
        assert "startingpot" not in keys
        assert changes(asked, tmp_path / "pw.in") == ["mixing_beta 0.3"]
        assert not path.exists()

    def test_not_in_another_calculation(self, tmp_path, draft):
        self.stop(tmp_path, draft, "     Maximum CPU time exceeded\n")
        path = draft(system={"ecutwfc": 80})
        asked = read_input(path)[0]
        prepare_restart(tmp_path, path)
        assert changes(asked, tmp_path / "pw.in") == []

    def test_not_where_they_did_not_help(self, tmp_path, draft):
        self.stop(tmp_path, draft, "     convergence NOT achieved\n")
        prepare_restart(tmp_path, draft())
        assert "mixing_beta" not in read_input(tmp_path / "pw.in")[0]["electrons"]

    def test_what_is_finished_with_them_is_finished(self, tmp_path, draft):
        self.stop(tmp_path, draft, "   JOB DONE.\n")
        xml_path(tmp_path).parent.mkdir(parents=True)
        xml_path(tmp_path).write_text("</qes:espresso>\n")
        (xml_path(tmp_path).parent / "wfc1.dat").write_text("")
        assert is_finished(tmp_path, draft())
        assert not is_finished(tmp_path, draft(system={"ecutwfc": 80}))


SYSTEM = {"ecutwfc": 24, "occupations": "fixed", "smearing": None, "degauss": None}


def settings(kpoints: int = 3, **more) -> Settings:
    namelists = {"system": SYSTEM, **more}
    code = Espresso("tight", functional="LDA", kpoints=[kpoints] * 3, input=namelists)
    return code.of(["Si"])._settings


def run(maker, structure: Structure, folder: str):
    Path(folder).mkdir(exist_ok=True)
    with contextlib.chdir(folder):
        return maker.run(structure)


def killer(folder: Path, when: str, program: str = "pw.x") -> Launch:
    """A command that kills the real program once a test of the shell holds in its folder."""
    real = shutil.which(program)
    path = folder / "bin" / program
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f'#!/bin/sh\n{real} "$@" & pid=$!\n'
        f"while kill -0 $pid 2>/dev/null; do\n{when} && kill -9 $pid && exit 137\nsleep 0.02\n"
        "done\nwait $pid\n"
    )
    path.chmod(0o755)
    return Launch(str(path.with_name("pw.x")))


def far_from_its_place() -> Structure:
    """Silicon that takes several steps to relax."""
    crystal = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.6), ["Si"], [[0, 0, 0]])
    primitive = crystal.get_primitive_structure()
    primitive.translate_sites([0], [0.1, 0.1, 0.1], frac_coords=False)
    return primitive


@pytest.fixture
def stretched() -> Structure:
    return far_from_its_place()


@functools.cache
def never_stopped(kpoints: int):
    """Document of its relaxation; run within the first test that asks."""
    with tempfile.TemporaryDirectory() as folder:
        return run(RelaxMaker(settings(kpoints)), far_from_its_place(), folder)


def check_same(document, kpoints: int) -> None:
    """Equal to what relaxations from different starts leave."""
    whole = never_stopped(kpoints)
    assert document.output.energy == pytest.approx(whole.output.energy, abs=1e-4)
    assert document.structure.volume == pytest.approx(whole.structure.volume, rel=2e-3)
    assert np.abs(document.output.forces).max() < 2e-3


@pytest.mark.espresso
def test_a_relaxation_that_is_killed_goes_on_from_its_last_geometry(stretched, espresso_here):
    once = "[ ! -f seen ] && [ $(grep -c ^ATOMIC_POS pw.out) -ge 3 ] && touch seen"
    maker = RelaxMaker(settings(), launch=killer(espresso_here, once))
    document = run(maker, stretched, "killed")
    assert document.corrections == ["started again from the last geometry"]
    check_same(document, 3)


@pytest.mark.espresso
def test_run_again_it_goes_on_in_the_round_where_it_was(stretched, espresso_here):
    """A node that is lost takes custodian with it, which would try once more."""
    second = "grep -q '\"round\": 2' progress.json && [ $(grep -c 'iteration #' pw.out) -ge 2 ]"
    exact = {"stress_max": 1e-4, "rounds": 2}
    maker = RelaxMaker(settings(), launch=killer(espresso_here, second), **exact)
    with pytest.raises(SSEError, match="killed or crashed"):
        run(maker, stretched, "killed")
    before = take_up_note("killed")
    assert before.round == 2
    assert before.structure.volume < stretched.volume - 1.0
    with pytest.raises(SSEError, match="after 2 relaxations"):
        run(RelaxMaker(settings(), **exact), stretched, "killed")
    first = read_input(Path("killed/pw.in"))[1]
    assert not any("-2.80000000" in line for line in first)  # not the cell that it began with
    assert take_up_note("killed").round == 2


def take_up_note(folder: str) -> Progress:
    import json

    data = json.loads((Path(folder) / "progress.json").read_text())
    return Progress(data["asked"], data["round"], Structure.from_dict(data["structure"]))


@pytest.mark.espresso
def test_a_relaxation_out_of_time_goes_on_in_the_next_batch_job(
    stretched, espresso_here, monkeypatch
):
    maker, stops = RelaxMaker(settings(5)), 0
    with monkeypatch.context() as patch:
        patch.setattr(job, "seconds_for_calculation", lambda: 2)
        patch.setattr(handlers, "seconds_left", lambda: 60.0)
        with pytest.raises(OutOfTimeError, match="time of the job was up"):
            run(maker, stretched, "cut")
        while stops < 2:  # and once more, where the machine is slow enough
            stops += 1
            with contextlib.suppress(OutOfTimeError):
                run(maker, stretched, "cut")
                break
    document = run(maker, stretched, "cut")
    check_same(document, 5)
    assert list(Path("cut").glob("pw.out.failed.*"))


@pytest.mark.espresso
@pytest.mark.parametrize("batch_ends", [False, True])
def test_a_relaxation_out_of_time_in_its_last_field_goes_on_from_its_cell(
    stretched, stopper, monkeypatch, batch_ends
):
    """pw.x itself cannot: "error reading file", as the plane waves are others there."""
    launch = stopper("G-vectors are recalculated")
    maker = RelaxMaker(settings(5), launch=launch)
    if batch_ends:
        with monkeypatch.context() as patch:
            patch.setattr(handlers, "seconds_left", lambda: 60.0)
            with pytest.raises(OutOfTimeError):
                run(maker, stretched, "cut")
    document = run(maker, stretched, "cut")
    assert document.corrections == ([] if batch_ends else ["started again from the last geometry"])
    assert "restart_mode" not in read_input(Path("cut/pw.in"))[0]["control"]
    assert "-2.80000000" not in Path("cut/pw.in").read_text()  # not the cell that it began with
    check_same(document, 5)


@pytest.mark.espresso
def test_what_was_mended_before_the_stop_does_not_fail_again(silicon, stopper, monkeypatch):
    hard = settings(2, electrons={"electron_maxstep": 2})
    maker = ScfMaker(hard, launch=stopper("iteration #  4"))
    with monkeypatch.context() as patch:
        patch.setattr(handlers, "seconds_left", lambda: 60.0)
        with pytest.raises(OutOfTimeError):
            run(maker, silicon, "cut")
    document = run(maker, silicon, "cut")
    assert document.corrections == ["electron_maxstep 100, mixing_beta 0.3"]
    assert read_input(Path("cut/pw.in"))[0]["control"]["restart_mode"] == "restart"
    outputs = [path.read_text() for path in Path("cut").glob("pw.out*")]
    assert sum("convergence NOT achieved" in text for text in outputs) == 1
    whole = run(ScfMaker(settings(2)), silicon, "whole")
    assert document.output.energy == pytest.approx(whole.output.energy, abs=1e-6)


@pytest.mark.espresso
@pytest.mark.parametrize("batch_ends", [False, True])
def test_a_band_gap_out_of_time_goes_on_at_its_k_point(silicon, stopper, monkeypatch, batch_ends):
    """And not with the ground state, or it would never arrive where a batch job is too short."""
    bands = settings(2, system={**SYSTEM, "nbnd": 8})
    maker = BandGapMaker(bands, launch=stopper("Band Structure Calculation"))
    if batch_ends:
        with monkeypatch.context() as patch:
            patch.setattr(handlers, "seconds_left", lambda: 60.0)
            with pytest.raises(OutOfTimeError):
                run(maker, silicon, "cut")
        ground_state = Path("cut/pw.out").stat().st_mtime
    document = run(maker, silicon, "cut")
    if batch_ends:
        assert Path("cut/pw.out").stat().st_mtime == ground_state
    whole = run(BandGapMaker(bands), silicon, "whole")
    assert document.output.band_gap == pytest.approx(whole.output.band_gap, abs=1e-4)
    assert document.output.energy == pytest.approx(whole.output.energy, abs=1e-6)
    assert document.input.kpoints == whole.input.kpoints == [4, 4, 4]


@pytest.mark.espresso
def test_born_charges_that_were_cut_off_go_on_in_ph(espresso_here, silicon, monkeypatch):
    monkeypatch.setattr(born, "MAX_CHARGE", 10.0)  # few k points
    maker = BornMaker(settings(3, inputph={"tr2_ph": 1e-12}))
    whole = BornMaker.make.original(maker, silicon)
    cut = espresso_here / "cut"
    cut.mkdir()
    launch = killer(cut, "[ -f ph.out ] && [ $(grep -c 'iter #' ph.out) -ge 2 ]", "ph.x")
    (cut / "bin" / "pw.x").symlink_to(shutil.which("pw.x"))
    with contextlib.chdir(cut):
        killed = BornMaker(maker.settings, launch=launch)
        with pytest.raises(SSEError, match="killed or crashed"):
            BornMaker.make.original(killed, silicon)
        ground_state = xml_path(cut).stat().st_mtime
        document = BornMaker.make.original(maker, silicon)
    assert xml_path(cut).stat().st_mtime == ground_state  # pw.x did not run again
    assert read_input(cut / "ph.in")[0]["inputph"]["recover"] is True
    assert "JOB DONE" in (cut / PH_OUTPUT).read_text()
    np.testing.assert_allclose(document.dielectric, whole.dielectric, rtol=1e-3)
    np.testing.assert_allclose(document.born, whole.born, atol=1e-3)
