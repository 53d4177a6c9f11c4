"""The real pw.x and ph.x on cheap crystals: numbers against differences of the energy, and faults
that are provoked.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from sse_flows.codes.espresso.code import Espresso
from sse_flows.codes.espresso.inputs import read_input
from sse_flows.codes.espresso.job import Launch
from sse_flows.codes.espresso.makers import BandGapMaker, BornMaker, RelaxMaker, ScfMaker
from sse_flows.errors import SSEError

pytestmark = [pytest.mark.espresso, pytest.mark.usefixtures("espresso_here")]

GPA = 160.21766  # eV/Å^3
SYSTEM = {"ecutwfc": 24, "occupations": "fixed", "smearing": None, "degauss": None}


def settings(elements: str = "Si", kpoints: int = 2, **more):
    namelists = {"system": SYSTEM, **more}
    mesh = [kpoints] * 3
    return (
        Espresso("tight", functional="LDA", kpoints=mesh, input=namelists).of([elements])._settings
    )


def run(maker, structure: Structure, folder: str, prev_dir: Path | None = None):
    """Document of a calculation in a folder of its own."""
    Path(folder).mkdir(exist_ok=True)
    with contextlib.chdir(folder):
        return maker.run(structure, prev_dir)


def test_forces_are_differences_of_the_energy(silicon):
    maker, energies, step = ScfMaker(settings(), keep_density=True), [], 0.01
    middle = run(maker, silicon, "middle")
    for sign in (1, -1):
        moved = silicon.copy()
        moved.translate_sites([0], [sign * step, 0, 0], frac_coords=False)
        energies.append(run(maker, moved, f"moved{sign}", Path("middle")).output.energy)
    force = middle.output.forces[0][0]
    assert abs(force) > 0.1
    assert force == pytest.approx(-(energies[0] - energies[1]) / (2 * step), rel=1e-3)
    np.testing.assert_allclose(np.sum(middle.output.forces, axis=0), 0.0, atol=1e-3)


def test_stress_is_the_difference_of_the_energy(silicon):
    maker, energies, shear = ScfMaker(settings()), [], 0.005
    middle = run(maker, silicon, "middle")
    for sign in (1, -1):
        strain = np.eye(3)
        strain[0, 1] = strain[1, 0] = sign * shear
        lattice = Lattice(silicon.lattice.matrix @ strain)
        cell = Structure(lattice, silicon.species, silicon.frac_coords)
        energies.append(run(maker, cell, f"sheared{sign}").output.energy)
    expected = (energies[0] - energies[1]) / (4 * shear) / silicon.volume * GPA
    assert abs(expected) > 0.1
    assert middle.output.stress[0][1] == pytest.approx(expected, rel=0.05)


def test_a_relaxation_keeps_the_symmetry_and_ends_without_forces_and_stress(silicon):
    cubic = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.6), ["Si"], [[0, 0, 0]])
    start = cubic.get_primitive_structure().copy(site_properties={"magmom": [0.0, 0.0]})
    document = run(RelaxMaker(settings(kpoints=3), stress_max=0.1), start, "relax")
    assert document.structure.site_properties == start.site_properties
    assert document.structure.get_space_group_info()[0] == "Fd-3m"
    assert np.abs(document.output.stress).max() < 0.1
    edge = (4 * document.structure.volume) ** (1 / 3)
    assert edge == pytest.approx(5.40, abs=0.05)  # the local density's, with few k points
    assert document.input.calculation == "vc-relax"
    assert document.version.startswith(("6", "7"))


def test_the_document_fits_atomate2(silicon):
    store = JobStore(MemoryStore())
    job = ScfMaker(settings()).make(silicon)
    output = run_locally(job, store=store, log=False, ensure_success=True)[job.uuid][1].output
    assert np.shape(output.output.forces) == (2, 3)
    assert output.output.energy_per_atom == pytest.approx(output.output.energy / 2)
    assert output.uuid == job.uuid
    assert output.dir_name.endswith(str(Path.cwd()))
    assert output.structure == silicon
    assert output.formula_pretty == "Si"


def test_the_forces_serve_the_phonon_flow_of_atomate2(silicon, tmp_path):
    """atomate2's own flow for force fields, with our makers in the places of its own."""
    from atomate2.forcefields.flows.phonons import PhononMaker

    crystal = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.40), ["Si"], [[0, 0, 0]])
    maker = PhononMaker(
        bulk_relax_maker=None,
        static_energy_maker=ScfMaker(settings()),
        phonon_displacement_maker=ScfMaker(settings(), name="forces"),
        born_maker=None,
        min_length=3.0,
        prefer_90_degrees=False,
        create_thermal_displacements=False,
    )
    flow = maker.make(crystal.get_primitive_structure())
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(flow, store=store, log=False, create_folders=True, ensure_success=True)
    document = flow.output.resolve(store)
    assert document.total_dft_energy == pytest.approx(-106.5, abs=1.0)  # eV, of one atom
    top = np.max(document.phonon_bandstructure.bands)
    assert 14.0 < top < 17.5  # THz; measured: 15.5


def test_handlers_serve_a_plain_run_of_custodian(silicon, tmp_path):
    """What docs/espresso.md shows, on an input of any origin."""
    from custodian import Custodian

    from sse_flows.codes.espresso.handlers import pw_handlers
    from sse_flows.codes.espresso.job import ProgramJob

    Path("si.in").write_text(PLAIN)
    job = ProgramJob(["pw.x"], "si.in", "si.out")
    custodian = Custodian(pw_handlers("si.in", "si.out"), [job], max_errors=10)
    (log,) = custodian.run()
    assert [one["actions"] for one in log["corrections"]] == [["mixing_beta 0.3"]]
    assert "convergence has been achieved" in Path("si.out").read_text()
    assert Path("tmp/si.save/data-file-schema.xml").is_file()


PLAIN = """\
&CONTROL
  calculation = 'scf'
  prefix = 'si'
  outdir = './tmp/'
  pseudo_dir = '/usr/share/espresso/pseudo'
/
&SYSTEM
  ibrav = 2
  celldm(1) = 10.2
  nat = 2
  ntyp = 1
  ecutwfc = 12
/
&ELECTRONS
  electron_maxstep = 2
/
ATOMIC_SPECIES
Si 28.0855 Si.pz-vbc.UPF
ATOMIC_POSITIONS alat
Si 0.00 0.00 0.00
Si 0.25 0.25 0.25
K_POINTS automatic
2 2 2 0 0 0
"""


def test_the_density_of_a_like_crystal_saves_iterations_and_changes_nothing(silicon):
    maker = ScfMaker(settings(), keep_density=True)
    run(maker, silicon, "before")
    moved = silicon.copy()
    moved.translate_sites([0], [0.005, 0, 0], frac_coords=False)
    fresh = run(maker, moved, "fresh")
    started = run(maker, moved, "started", Path("before").resolve())
    assert started.density_from
    assert started.output.scf_iterations < fresh.output.scf_iterations
    np.testing.assert_allclose(started.output.forces, fresh.output.forces, atol=1e-4)
    assert started.output.energy == pytest.approx(fresh.output.energy, abs=1e-6)


def test_the_density_of_another_cell_is_not_used(silicon):
    maker = ScfMaker(settings(), keep_density=True)
    run(maker, silicon, "before")
    other = silicon.copy().apply_strain(0.01)
    assert run(maker, other, "other", Path("before").resolve()).density_from is None
    assert run(maker, other, "gone", Path("nothing")).density_from is None


def test_only_a_density_that_is_wanted_stays_on_the_disk(silicon):
    for keep in (True, False):
        run(ScfMaker(settings(), keep_density=keep), silicon, f"keep{keep}")
        names = {path.name for path in Path(f"keep{keep}").rglob("*")}
        assert any(name.startswith("charge-density") for name in names) is keep
        assert not any(name.startswith("wfc") for name in names)


def test_a_gap_needs_empty_bands_and_is_the_known_one(silicon):
    more = {"system": {**SYSTEM, "nbnd": 8}}
    document = run(BandGapMaker(settings(**more), density=2), silicon, "gap")
    assert document.input.kpoints == [4, 4, 4]
    assert 0.2 < document.output.band_gap < 0.8  # the local-density gap is about 0.5 eV
    assert document.output.is_gap_direct is False
    assert run(ScfMaker(settings()), silicon, "no-empty").output.band_gap is None


def test_a_metal_is_told_and_has_no_born_charges():
    aluminium = Structure(
        Lattice.cubic(4.05), ["Al"] * 4, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    ).get_primitive_structure()
    smeared = {"system": {"ecutwfc": 15}}
    document = run(ScfMaker(settings("Al", **smeared)), aluminium, "al")
    assert document.output.band_gap == 0.0
    born = BornMaker(settings("Al")).make.original(
        BornMaker(settings("Al")), aluminium, band_gap=document.output.band_gap
    )
    assert born.born is None
    assert born.note


def test_a_field_that_does_not_converge_is_mended(silicon):
    maker = ScfMaker(settings(electrons={"electron_maxstep": 2}))
    document = run(maker, silicon, "few")
    assert document.corrections == ["mixing_beta 0.3"]
    clean = run(ScfMaker(settings()), silicon, "clean")
    assert document.output.energy == pytest.approx(clean.output.energy, abs=1e-6)
    assert "NOT achieved" in Path("few/pw.out.failed.1").read_text()


def test_a_run_that_ran_out_of_time_goes_on(silicon):
    maker = ScfMaker(settings(kpoints=6, control={"max_seconds": 1}))
    document = run(maker, silicon, "short")
    assert "restart" in document.corrections
    whole = run(ScfMaker(settings(kpoints=6)), silicon, "whole")
    assert document.output.energy == pytest.approx(whole.output.energy, abs=1e-6)
    np.testing.assert_allclose(document.output.forces, whole.output.forces, atol=1e-4)


def test_a_job_stopped_by_its_batch_system_goes_on_when_it_is_run_again(silicon, monkeypatch):
    from sse_flows.codes.espresso import handlers, job
    from sse_flows.codes.espresso.resume import has_state

    limited = ScfMaker(settings(kpoints=6))
    with monkeypatch.context() as patch:
        patch.setattr(job, "seconds_for_calculation", lambda: 1)
        patch.setattr(handlers, "seconds_left", lambda: 60.0)
        with pytest.raises(SSEError, match="time of the job was up") as caught:
            run(limited, silicon, "cut")
    assert "goes on from where it stopped" in caught.value.mend
    state = has_state(Path("cut"))
    run(limited, silicon, "cut")
    assert (read_input(Path("cut/pw.in"))[0]["control"].get("restart_mode") == "restart") is state


def wrapper(folder: Path, script: str) -> Launch:
    """A command that does something to the first run of the real pw.x."""
    import shutil

    program = folder / "bin" / "pw.x"
    program.parent.mkdir()
    real = shutil.which("pw.x")
    program.write_text(
        f'#!/bin/sh\nif [ ! -f seen ]; then touch seen\n{script}\nfi\nexec {real} "$@"\n'.replace(
            "REAL", str(real)
        )
    )
    program.chmod(0o755)
    return Launch(str(program))


def test_a_killed_run_is_started_again(silicon, espresso_here):
    launch = wrapper(espresso_here, 'REAL "$@" & sleep 0.3; kill -9 $!; wait; exit 137')
    document = run(ScfMaker(settings(kpoints=6), launch=launch), silicon, "killed")
    assert document.corrections == ["started again"]


def test_a_run_stopped_by_hand_is_not_taken_for_a_result(silicon, espresso_here):
    launch = wrapper(espresso_here, "touch pwscf.EXIT")
    with pytest.raises(SSEError, match="somebody stopped the calculation"):
        run(ScfMaker(settings(), launch=launch), silicon, "stopped")
    assert "JOB DONE." in Path("stopped/pw.out").read_text()


def test_fixed_occupations_of_a_metal_are_smeared():
    lattice = Lattice([[0, 2.0, 2.0], [2.0, 0, 2.0], [2.0, 2.0, 0]])
    aluminium = Structure(lattice, ["Al"], [[0, 0, 0]])
    maker = ScfMaker(settings("Al", system={**SYSTEM, "ecutwfc": 15}))
    document = run(maker, aluminium, "fixed")
    assert document.corrections == ["occupations smearing"]
    assert document.output.band_gap == 0.0


def test_a_solver_that_fails_is_exchanged():
    """Iron atoms that overlap; the program ends by MPI_Abort, which loses what is in its buffer."""
    lattice = Lattice([[0, 2.0, 2.0], [2.0, 0, 2.0], [2.0, 2.0, 0]])
    iron = Structure(lattice, ["Fe"] * 2, [[0, 0, 0], [3**-0.5] * 3], coords_are_cartesian=True)
    code = Espresso(
        pseudopotentials={"Fe": "Fe.pbe-nd-rrkjus.UPF"},
        functional="PBE",
        kpoints=[1, 1, 2],
        spin="none",
        input={"system": {"ecutwfc": 15, "ecutrho": 60}, "electrons": {"conv_thr": 1e-5}},
    )
    document = run(ScfMaker(code.of(["Fe"])._settings), iron, "overlapping")
    assert document.corrections == ["diagonalization cg"]
    assert "S matrix not positive definite" in Path("overlapping/pw.out.failed.1").read_text()


def test_a_relaxation_stuck_in_the_noise_of_its_forces_is_mended(silicon):
    moved = silicon.copy()
    moved.translate_sites([1], [-0.1, 0.15, -0.05], frac_coords=False)
    noisy = {"system": {**SYSTEM, "ecutwfc": 10}, "electrons": {"conv_thr": 1e-3}}
    maker = RelaxMaker(settings(**noisy, ions={"upscale": 1}), force_max=0.001, relax_cell=False)
    document = run(maker, moved, "stuck")
    assert document.corrections == ["conv_thr 1e-11"]
    assert "history already reset" in Path("stuck/pw.out.failed.1").read_text()
    assert np.abs(document.output.forces).max() < 0.001


@pytest.mark.parametrize(
    ("namelists", "reason"),
    [
        ({"electrons": {"conv_thr": "small"}}, "refuses its input"),
        ({"system": {**SYSTEM, "ecutwfc": -3}}, "Quantum ESPRESSO stopped with an error"),
    ],
)
def test_wrong_keys_are_the_users_to_mend(silicon, namelists, reason):
    with pytest.raises(SSEError, match=reason) as caught:
        run(ScfMaker(settings(**namelists)), silicon, "wrong")
    assert "code.input" in caught.value.mend


def test_spins_that_agree_change_nothing(silicon):
    polarised = Espresso(
        "tight",
        functional="LDA",
        kpoints=[2, 2, 2],
        spin="polarised",
        input={"system": {"ecutwfc": 24}},
    ).of(["Si"])
    document = run(ScfMaker(polarised._settings), silicon, "two")
    plain = run(ScfMaker(settings(system={"ecutwfc": 24})), silicon, "one")
    assert document.input.polarised
    assert document.output.magnetization == pytest.approx(0.0, abs=1e-3)
    assert plain.output.magnetization is None
    assert document.output.energy == pytest.approx(plain.output.energy, abs=1e-4)
    assert document.output.band_gap == pytest.approx(plain.output.band_gap, abs=1e-3)
