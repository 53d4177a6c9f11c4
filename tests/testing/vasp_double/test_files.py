"""Files of the double as pymatgen, emmet and ASE read them."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from atomate2.vasp.jobs.core import DielectricMaker, RelaxMaker, StaticMaker, TightRelaxMaker
from emmet.core.tasks import TaskDoc
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Chgcar, Incar, Kpoints, Oszicar, Outcar, Poscar, Potcar, Vasprun
from pymatgen.io.vasp.outputs import Eigenval, Locpot, Xdatcar

from sse_flows.testing.vasp_double import MARK, is_double
from sse_flows.testing.vasp_double.library import wanted_symbols

_INPUTS = {"INCAR", "POSCAR", "KPOINTS"}


def test_a_static_run_is_read(inputs, vasp, li2o):
    folder = inputs(StaticMaker(), li2o, LORBIT=11)
    assert vasp(folder).returncode == 0
    run = Vasprun(folder / "vasprun.xml", parse_potcar_file=True)
    outcar, oszicar = Outcar(folder / "OUTCAR"), Oszicar(folder / "OSZICAR")
    assert run.converged
    assert run.vasp_version.startswith("6.")
    assert run.final_energy == pytest.approx(oszicar.final_energy, abs=1e-6)
    assert run.final_energy == pytest.approx(outcar.final_energy, abs=1e-6)
    assert outcar.nelect == run.parameters["NELECT"] == 12
    assert sum(run.actual_kpoints_weights) == pytest.approx(1, abs=1e-6)
    assert len(outcar.data["nplwvs_at_kpoints"]) == len(run.actual_kpoints)
    assert outcar.run_stats["Total CPU time used (sec)"] > 0
    np.testing.assert_allclose(run.ionic_steps[-1]["forces"], 0, atol=1e-6)
    assert Eigenval(folder / "EIGENVAL").nelect == 12
    assert len(Xdatcar(folder / "XDATCAR")) == 1
    assert Poscar.from_file(folder / "CONTCAR").structure.matches(li2o)
    assert Locpot.from_file(folder / "LOCPOT").structure.matches(li2o)


def test_every_file_says_what_it_is(inputs, vasp, li2o):
    folder = inputs(StaticMaker(), li2o, LWAVE=True, LCHARG=True, ISPIN=2)
    vasp(folder)
    written = [path for path in folder.iterdir() if path.name not in _INPUTS]
    assert len(written) > 15
    assert [path.name for path in written if MARK not in path.read_text()] == []
    Chgcar.from_file(folder / "CHGCAR")


def test_documents_say_what_they_come_from(inputs, vasp, li2o, tmp_path):
    folder = inputs(StaticMaker(), li2o)
    vasp(folder)
    document = TaskDoc.from_directory(folder)
    assert document.state == "successful"
    assert is_double(document)
    assert is_double(document.model_dump())
    assert is_double(document.calcs_reversed[0].vasp_version)
    assert is_double(document.calcs_reversed[0].input.potcar_spec)
    assert not is_double({"vasp_version": "6.4.2"})
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    (zipped / "OUTCAR.relax2.gz").write_bytes(gzip.compress((folder / "OUTCAR").read_bytes()))
    assert is_double(zipped)
    assert is_double(str(zipped))
    assert not is_double(tmp_path)


def test_band_gaps_follow_chemistry(inputs, vasp, li2o):
    vasp(folder := inputs(StaticMaker(), li2o))
    gap = Vasprun(folder / "vasprun.xml").get_band_structure(efermi="smart").get_band_gap()
    assert 4 < gap["energy"] < 7
    shutil.rmtree(folder)
    metal = Structure.from_spacegroup("Im-3m", Lattice.cubic(3.4), ["Li"], [[0, 0, 0]])
    vasp(folder := inputs(StaticMaker(), metal.get_primitive_structure()))
    assert Vasprun(folder / "vasprun.xml").get_band_structure(efermi="smart").is_metal()


def test_a_relaxation_keeps_the_space_group_and_arrives(inputs, vasp, li2o):
    stretched = li2o.to_conventional()
    stretched.apply_strain([0, 0, 0.03])
    before = stretched.get_space_group_info(symprec=1e-4)
    assert before[0] == "I4/mmm"
    folder = inputs(TightRelaxMaker(), stretched)
    vasp(folder)
    run = Vasprun(folder / "vasprun.xml")
    energies = [step["e_0_energy"] for step in run.ionic_steps]
    assert run.converged
    assert energies[-1] < energies[0]
    assert np.abs(run.ionic_steps[-1]["forces"]).max() < 0.001
    assert np.abs(run.ionic_steps[-1]["stress"]).max() < 1  # kB
    final = Poscar.from_file(folder / "CONTCAR").structure
    assert final.matches(run.final_structure, scale=False)
    assert final.get_space_group_info(symprec=1e-2)[0] == "Fm-3m"


@pytest.mark.parametrize(
    ("isif", "volume", "shape", "ions"), [(2, 0, 0, 1), (4, 0, 1, 1), (7, 1, 0, 0)]
)
def test_isif_says_what_moves(inputs, vasp, li2o, isif, volume, shape, ions):
    start = li2o.copy()
    start.apply_strain([0, 0, 0.03])
    start.perturb(0.05)
    folder = inputs(RelaxMaker(), start, ISIF=isif, EDIFFG=-0.01)
    vasp(folder)
    run = Vasprun(folder / "vasprun.xml")
    assert run.converged
    final = run.final_structure
    assert (abs(final.volume - start.volume) > 1e-3) == volume
    ratios = np.array(final.lattice.abc) / np.array(start.lattice.abc)
    assert (np.ptp(ratios) > 1e-4) == shape
    moved = start.frac_coords - final.frac_coords
    assert (np.abs(moved - np.rint(moved)).max() > 1e-4) == ions


def test_too_few_steps_do_not_converge(inputs, vasp, li2o):
    folder = inputs(TightRelaxMaker(), li2o, NSW=2)
    vasp(folder)
    assert not Vasprun(folder / "vasprun.xml").converged_ionic
    folder = inputs(StaticMaker(), li2o, NELM=3)
    vasp(folder)
    assert not Vasprun(folder / "vasprun.xml").converged_electronic


def test_responses_obey_the_sum_rule_and_symmetry(inputs, vasp):
    nitride = Structure.from_spacegroup(
        "P6/mmm",
        Lattice.hexagonal(3.65, 3.88),
        ["Li", "Li", "N"],
        [[0, 0, 0.5], [1 / 3, 2 / 3, 0], [0, 0, 0]],
    )
    folder = inputs(DielectricMaker(), nitride)
    vasp(folder)
    outcar, run = Outcar(folder / "OUTCAR"), Vasprun(folder / "vasprun.xml")
    assert run.converged
    born = np.array(outcar.born)
    np.testing.assert_allclose(born.sum(axis=0), 0, atol=1e-4)
    assert born[3, 0, 0] == pytest.approx(born[3, 1, 1], abs=1e-5)  # nitrogen, on the axis
    assert abs(born[3, 0, 0] - born[3, 2, 2]) > 0.1
    np.testing.assert_allclose(born[1], born[2], atol=1e-5)
    tensor = np.array(outcar.dielectric_tensor)
    np.testing.assert_allclose(tensor, run.epsilon_static, atol=1e-5)
    assert tensor[0, 0] == pytest.approx(tensor[1, 1], abs=1e-5)
    assert np.trace(outcar.dielectric_ionic_tensor) > 0
    np.testing.assert_allclose(run.epsilon_ionic, outcar.dielectric_ionic_tensor, atol=1e-5)
    assert (np.abs(run.normalmode_eigenvals) < 1e-3).sum() == 3
    document = TaskDoc.from_directory(folder)
    assert np.shape(document.calcs_reversed[0].output.outcar["born"]) == (4, 3, 3)


def test_moments_stay_on_open_shells(inputs, vasp):
    oxide = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.2), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).get_primitive_structure()
    folder = inputs(StaticMaker(), oxide, ISPIN=2, MAGMOM={"Ni": 2.0, "O": 0.6}, LORBIT=11)
    vasp(folder)
    outcar = Outcar(folder / "OUTCAR")
    assert [site["tot"] for site in outcar.magnetization] == pytest.approx([1.8, 0])
    assert outcar.total_mag == pytest.approx(1.8)
    assert len(Vasprun(folder / "vasprun.xml").eigenvalues) == 2


@pytest.mark.parametrize(
    "kpoints",
    [
        Kpoints.gamma_automatic((3, 3, 3)),
        Kpoints.monkhorst_automatic((4, 4, 4)),
        Kpoints.automatic_gamma_density(Structure(Lattice.cubic(4), ["Li"], [[0, 0, 0]]), 500),
        Kpoints(
            style=Kpoints.supported_modes.Line_mode,
            num_kpts=5,
            kpts=[(0, 0, 0), (0.5, 0, 0)],
            labels=["G", "X"],
        ),
    ],
)
def test_kinds_of_kpoints(inputs, vasp, li2o, kpoints):
    folder = inputs(StaticMaker(), li2o)
    kpoints.write_file(folder / "KPOINTS")
    assert vasp(folder).returncode == 0
    run = Vasprun(folder / "vasprun.xml")
    assert sum(run.actual_kpoints_weights) == pytest.approx(1, abs=1e-6)
    assert run.kpoints.style == kpoints.style
    if kpoints.num_kpts == 0:
        assert len(run.actual_kpoints) < np.prod(kpoints.kpts[0]) / 2


def test_spacing_takes_the_place_of_a_kpoints_file(inputs, vasp, li2o):
    folder = inputs(StaticMaker(), li2o, KSPACING=0.5)
    (folder / "KPOINTS").unlink(missing_ok=True)
    assert vasp(folder).returncode == 0
    run = Vasprun(folder / "vasprun.xml")
    assert run.kpoints.kpts == [(5, 5, 5)]  # 2π over 2.65 Å between planes, over 0.5
    assert run.get_band_structure(efermi="smart").get_band_gap()["energy"] > 4


def test_finite_fields_give_the_same_tensors(inputs, vasp, li2o):
    vasp(folder := inputs(DielectricMaker(), li2o))
    linear = Vasprun(folder / "vasprun.xml").epsilon_static
    vasp(folder := inputs(StaticMaker(), li2o, LCALCEPS=True))
    np.testing.assert_allclose(Vasprun(folder / "vasprun.xml").epsilon_static, linear)


@pytest.mark.forcefield
def test_forces_can_come_from_a_learned_force_field(inputs, vasp, li2o):
    calculator = pytest.importorskip("chgnet.model.dynamics").CHGNetCalculator()
    vasp(folder := inputs(StaticMaker(), li2o), VASP_DOUBLE_MODEL="CHGNet")
    run = Vasprun(folder / "vasprun.xml")
    atoms = li2o.to_ase_atoms()
    atoms.calc = calculator
    assert run.final_energy == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    assert is_double(folder)


def test_stopcar_ends_a_run_in_good_order(inputs, vasp, li2o):
    folder = inputs(TightRelaxMaker(), li2o)
    (folder / "STOPCAR").write_text("LSTOP = .TRUE.")
    vasp(folder)
    assert Outcar(folder / "OUTCAR").is_stopped
    assert len(Vasprun(folder / "vasprun.xml").ionic_steps) == 1
    assert not (folder / "STOPCAR").exists()
    (folder / "STOPCAR").write_text("LABORT = .TRUE.")
    assert vasp(folder).returncode == 0
    assert "hard stop" in (folder / "OUTCAR").read_text()
    assert "DAV:   2" not in (folder / "OSZICAR").read_text()


def test_steps_can_be_made_slow(inputs, vasp, li2o):
    folder = inputs(StaticMaker(), li2o)
    began = time.monotonic()
    vasp(folder, VASP_DOUBLE_STEP_SECONDS="0.1")
    steps = len(Oszicar(folder / "OSZICAR").electronic_steps[0])
    assert time.monotonic() - began > 0.1 * steps
    outcar = Outcar(folder / "OUTCAR")
    outcar.read_pattern({"step": r"LOOP\+.+real time(.+)"}, postprocess=float)
    assert outcar.data["step"][0][0] > 0.1 * steps


@pytest.mark.parametrize("missing", ["INCAR", "POSCAR", "POTCAR", "CHGCAR"])
def test_missing_input_ends_the_run(inputs, vasp, li2o, missing):
    folder = inputs(StaticMaker(), li2o, ICHARG=11)
    (folder / missing).unlink(missing_ok=True)
    done = vasp(folder)
    assert done.returncode == 1
    assert missing in done.stdout


def test_real_pseudopotentials_are_refused(inputs, vasp, li2o):
    folder = inputs(StaticMaker(), li2o)
    text = (folder / "POTCAR").read_text()
    (folder / "POTCAR").write_text(text.replace(MARK, "01Jan2000"))
    done = vasp(folder)
    assert done.returncode == 1
    assert "uses its own alone" in done.stdout


def test_only_the_first_process_works(inputs, vasp, li2o):
    folder = inputs(StaticMaker(), li2o)
    assert vasp(folder, SLURM_PROCID="1").returncode == 0
    assert not (folder / "OUTCAR").exists()
    vasp(folder, SLURM_PROCID="0", SLURM_NTASKS="4")
    assert Outcar(folder / "OUTCAR").run_stats["cores"] == 4


def test_forces_can_come_from_ase(inputs, vasp):
    copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.7), ["Cu"], [[0, 0, 0]])
    folder = inputs(TightRelaxMaker(), copper.get_primitive_structure())
    vasp(folder, VASP_DOUBLE_MODEL="ase.calculators.emt:EMT")
    final = Vasprun(folder / "vasprun.xml").final_structure
    assert final.to_conventional().lattice.a == pytest.approx(3.61, abs=0.03)  # of EMT


def test_ase_reads_the_outcar(inputs, vasp, li2o):
    import ase.io

    vasp(folder := inputs(TightRelaxMaker(), li2o))
    frames = ase.io.read(folder / "OUTCAR", index=":")
    steps = Vasprun(folder / "vasprun.xml").ionic_steps
    assert len(frames) == len(steps)
    assert frames[0].get_potential_energy() == pytest.approx(steps[0]["e_0_energy"], abs=1e-6)
    np.testing.assert_allclose(frames[0].get_forces(), steps[0]["forces"], atol=1e-5)
    from ase.units import GPa

    in_kbar = -frames[0].get_stress(voigt=False) / (0.1 * GPa)
    np.testing.assert_allclose(in_kbar, steps[0]["stress"], atol=1e-2)


def test_a_static_run_is_quick(inputs, vasp, li2o):
    folder = inputs(StaticMaker(), li2o.make_supercell(2, in_place=False))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    vasp(folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 2.0  # CPU seconds; measured 0.3


def test_the_library_has_what_the_sets_ask_for(double):
    library = Path(os.environ["PMG_VASP_PSP_DIR"])
    assert len(wanted_symbols()) > 200
    for symbol in ("Li_sv", "O", "Ti_pv", "Ga_d", "W_sv", "Yb_3", "H"):
        potcar = Potcar([symbol], functional="PBE_54")[0]
        assert MARK in potcar.TITEL
        assert potcar.symbol == symbol
        assert potcar.element == symbol.split("_")[0]
        assert potcar.functional == "PBE"
        assert not potcar.is_valid  # of no known file
        assert potcar.zval > 0
    assert (library / "POT_GGA_PAW_PBE_52" / "POTCAR.Li.gz").is_file()


def test_incar_is_read_as_vasp_does(inputs, vasp, li2o):
    folder = inputs(StaticMaker(), li2o)
    (folder / "INCAR").write_text(
        "NSW = 0 ; ISMEAR=0 # Gaussian\n! nothing\nSIGMA = 5.0d-2\nMAGMOM = 2*1.5 0.5\nISPIN = 2\n"
        "LREAL = Auto\nLCHARG = .FALSE.\nSYSTEM = a < b & c\n"
    )
    assert vasp(folder).returncode == 0
    incar = Vasprun(folder / "vasprun.xml").incar
    assert incar["SIGMA"] == 0.05
    assert incar["MAGMOM"] == [1.5, 1.5, 0.5]
    assert incar["LCHARG"] is False
    assert isinstance(incar, Incar)
