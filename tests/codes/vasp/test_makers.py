"""Jobs run by a stand-in for VASP (no VASP was run in any test)."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Incar, Kpoints, Poscar

from sse_flows.codes.vasp import run
from sse_flows.codes.vasp.code import Vasp
from sse_flows.codes.vasp.makers import STRESS_MAX, BornMaker, check_stress
from sse_flows.codes.vasp.record import RECORD_FILE
from sse_flows.codes.walltime import MARGIN
from sse_flows.errors import OutOfTimeError, SSEError


def code(**fields) -> Vasp:
    return Vasp(kpoints=[2, 2, 2], **fields).of(["Li", "O"])


def state(folder) -> str:
    return json.loads((folder / RECORD_FILE).read_text())["state"]


@pytest.fixture
def short_of_time(monkeypatch):
    """A batch job that ends while the calculation runs."""
    monkeypatch.setattr(run, "CHECK_INTERVAL", 0.2)
    monkeypatch.setenv("VASP_DOUBLE_STEP_SECONDS", "0.1")

    def end(seconds: float) -> None:
        # 30: how often the clock is looked at, which a start must leave time for
        monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time() + MARGIN + 30 + seconds)))

    yield end
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)


def test_a_relaxation_keeps_the_space_group_and_gives_energy_gap_and_forces(double, li2o):
    rough = li2o.copy()
    rough.scale_lattice(1.05 * li2o.volume)
    document = code().relax_maker(force_max=0.001).run(rough)
    assert document.structure.get_space_group_info()[1] == 225
    assert np.abs(document.output.forces).max() < 0.002
    assert document.output.band_gap > 1.0
    assert np.abs(document.output.stress).max() < STRESS_MAX
    assert document.output.energy == pytest.approx(3 * document.output.energy_per_atom)
    assert document.dir_name.endswith("job/static")
    # a second relaxation starts with the plane waves of the relaxed cell
    assert (double / "relax-2").is_dir()
    first = Poscar.from_file(double / "relax-2" / "POSCAR.gz").structure
    assert first.volume == pytest.approx(document.structure.volume, rel=5e-3)
    assert not list(double.glob("*/WAVECAR*"))


def test_a_cell_under_stress_is_not_relaxed(double, li2o):
    # no atom of an antifluorite can move: its forces are zero at any volume
    squeezed = li2o.copy()
    squeezed.scale_lattice(0.97 * li2o.volume)
    document = code().phonon_maker().phonon_displacement_maker.run(squeezed)
    assert np.abs(document.output.forces).max() < 1e-3
    with pytest.raises(SSEError, match=r"under a stress of \d+ kbar"):
        check_stress(document)


def test_the_atoms_come_sorted_and_made_symmetric(double, li2o):
    places = [2, 0, 1]
    rough = Structure(
        li2o.lattice, [li2o.species[i] for i in places], np.round(li2o.frac_coords[places], 3)
    )
    rough.translate_sites([1], [0.001, 0.0005, 0.0])  # as a file with few digits would have it
    document = code().relax_maker(force_max=0.01).run(rough)
    assert [site.specie.symbol for site in document.structure] == ["Li", "Li", "O"]
    assert document.structure.get_space_group_info(symprec=1e-4)[1] == 225


def test_a_molecule_keeps_its_box_and_has_one_k_point(double):
    box = Structure(Lattice.cubic(6), ["O", "O"], [[0, 0, 0], [0.2, 0, 0]])
    maker = code().relax_maker(force_max=0.01)
    maker.relax_cell = False
    document = maker.run(box)
    assert document.structure.lattice == box.lattice
    incar = Incar.from_file(double / "relax-1" / "INCAR.gz")
    assert (incar["ISIF"], incar["ISPIN"]) == (2, 2)
    assert not (double / "relax-2").exists()


def test_a_relaxation_that_does_not_arrive_is_an_error(double, li2o):
    far = li2o.copy()
    far.scale_lattice(1.3 * li2o.volume)
    with pytest.raises(SSEError) as caught:
        code().relax_maker(force_max=1e-4, steps=2).run(far)
    assert "relax.steps" in str(caught.value)


def test_born_charges_are_read_and_metals_have_none(double, li2o):
    maker = code().born_maker()
    document = maker.make.original(maker, li2o, band_gap=5.0)
    born = np.array(document.born)
    assert born.shape == (3, 3, 3)
    assert np.abs(born.sum(axis=0)).max() < 1e-3
    assert born[0][0][0] > 0 > born[2][0][0]
    assert np.array(document.dielectric)[0][0] > 1
    metal = maker.make.original(maker, li2o, band_gap=0.0)
    assert (metal.born, metal.dielectric) == (None, None)
    assert "metal" in metal.note


def test_linear_response_has_no_keys_that_vasp_refuses_there(double, li2o):
    maker: BornMaker = code(incar={"NCORE": 4, "KPAR": 2}).born_maker()
    maker.make.original(maker, li2o)
    incar = Incar.from_file(double / "INCAR.gz")
    assert ("NCORE" in incar, incar["KPAR"]) == (False, 2)


def test_linear_response_at_gamma_alone_is_not_left_to_vasp_gam(double, li2o):
    maker = Vasp(kpoints=[1, 1, 1]).of(["Li", "O"]).born_maker()
    maker.make.original(maker, li2o)
    # the double's vasp_gam stops at LEPSILON, and the job would have failed
    assert list(Kpoints.from_file(double / "KPOINTS.gz").kpts[0]) == [1, 1, 1]


def test_a_left_handed_cell_is_turned_round(double, li2o):
    moved = li2o.copy()
    moved.translate_sites([0], [0.02, 0.01, 0], frac_coords=False)
    axes = li2o.lattice.matrix[[1, 0, 2]]
    swapped = Structure(axes, moved.species, moved.cart_coords, coords_are_cartesian=True)
    maker = code().phonon_maker().phonon_displacement_maker
    document = maker.run(swapped)
    assert document.corrections == []  # custodian would exchange two axes, but not their k points
    right = maker.run(moved)
    assert np.allclose(document.output.forces, right.output.forces, atol=1e-5)


def test_forces_of_a_displaced_atom_pull_it_back(double, li2o):
    maker = code().phonon_maker().phonon_displacement_maker
    moved = li2o.copy()
    moved.translate_sites([0], [0.02, 0, 0], frac_coords=False)
    forces = np.array(maker.run(moved).output.forces)
    assert forces[0][0] < 0
    assert np.abs(forces.sum(axis=0)).max() < 1e-4


def test_a_relaxation_stopped_for_want_of_time_goes_on_where_it_was(
    double, li2o, short_of_time, monkeypatch
):
    far = li2o.copy()
    far.scale_lattice(1.15 * li2o.volume)
    maker = code().relax_maker(force_max=0.001)
    monkeypatch.setenv("VASP_DOUBLE_STEP_SECONDS", "0.3")  # 3 s an ionic step
    short_of_time(11)
    with pytest.raises(OutOfTimeError, match="was stopped before the end of its batch job"):
        maker.run(far)
    assert state(double / "relax-1") == "stopped"
    reached = Poscar.from_file(double / "relax-1" / "CONTCAR", check_for_potcar=False).structure
    assert abs(reached.volume / far.volume - 1) > 1e-3
    monkeypatch.delenv("SLURM_JOB_END_TIME")
    monkeypatch.delenv("VASP_DOUBLE_STEP_SECONDS")
    document = maker.run(far)
    start = Poscar.from_file(double / "relax-1" / "POSCAR.orig.gz").structure
    assert np.allclose(start.lattice.matrix, reached.lattice.matrix)
    shutil.rmtree(double / "relax-1")
    shutil.rmtree(double / "relax-2")
    shutil.rmtree(double / "static")
    at_once = maker.run(far)
    assert document.output.energy == pytest.approx(at_once.output.energy, abs=1e-5)


def test_a_static_calculation_cut_off_is_never_taken_for_a_result(
    double, li2o, short_of_time, monkeypatch
):
    maker = code().phonon_maker().phonon_displacement_maker
    monkeypatch.setenv("VASP_DOUBLE_STEP_SECONDS", "1.0")
    short_of_time(2)
    with pytest.raises(OutOfTimeError):
        maker.run(li2o)
    assert "hard stop" in (double / "OUTCAR").read_text()
    assert Incar.from_file(double / "INCAR")["LWAVE"] is True  # a start for the next batch job
    monkeypatch.delenv("SLURM_JOB_END_TIME")
    monkeypatch.delenv("VASP_DOUBLE_STEP_SECONDS")
    assert maker.run(li2o).state.value == "successful"


def test_what_was_stopped_in_a_scratch_folder_comes_back(
    double, li2o, short_of_time, monkeypatch, tmp_path
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    maker = code().phonon_maker().phonon_displacement_maker
    maker.run_vasp_kwargs = {"scratch_dir": str(scratch)}
    monkeypatch.setenv("VASP_DOUBLE_STEP_SECONDS", "1.0")
    short_of_time(2)
    with pytest.raises(OutOfTimeError, match=f"in {double}"):
        maker.run(li2o)
    assert "hard stop" in (double / "OUTCAR").read_text()
    assert state(double) == "stopped"
    assert not list(scratch.iterdir())


def test_what_is_done_is_not_done_again(double, li2o, monkeypatch):
    maker = code().relax_maker(force_max=0.01)
    first = maker.run(li2o)
    monkeypatch.setattr(run, "run_vasp", None)  # any call would fail
    assert maker.run(li2o).output.energy == first.output.energy
