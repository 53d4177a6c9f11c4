"""What handlers change, in turn, and where they give up."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.codes.espresso.handlers import (
    BandsHandler,
    BfgsHandler,
    DensityHandler,
    HopelessHandler,
    KilledHandler,
    LaunchHandler,
    MatrixHandler,
    PhScfHandler,
    ScfHandler,
    TimeHandler,
    TruncatedHandler,
    ph_handlers,
    pw_handlers,
)
from sse_flows.codes.espresso.inputs import Settings, read_input, write_ph, write_pw

BEGUN = "\n     Program PWSCF v.6.7MaX starts on 22Nov2026\n"
DONE = "\n   JOB DONE.\n"
ENDS = {
    ScfHandler: "     convergence NOT achieved after 100 iterations: stopping\n" + DONE,
    MatrixHandler: "     Error in routine cdiaghg (5):\n     S matrix not positive definite\n",
    BandsHandler: "     Error in routine setup (1):\n     too few bands\n",
    BfgsHandler: "     bfgs history already reset at previous step: stopping\n" + DONE,
    TimeHandler: "     Maximum CPU time exceeded\n" + DONE,
    LaunchHandler: "mpirun was unable to launch the specified application\n",
    KilledHandler: BEGUN + "     iteration #  3\n",
    TruncatedHandler: DONE,
    DensityHandler: BEGUN + "     Error in routine read_scf (1):\n     Reading ldaU ns\n",
    HopelessHandler: "     Error in routine readpp (1):\n     file X.UPF not found\n",
}
METAL = Structure(Lattice.cubic(3.4), ["Li"], [[0, 0, 0]])


@pytest.fixture
def calculation(tmp_path, stand_in, monkeypatch):
    """Writes an input and how the run of it ended."""
    for variable in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(variable, raising=False)

    def write(end: str, **namelists) -> str:
        settings = Settings({"Li": stand_in("Li")}, [2, 2, 2], input=namelists)
        write_pw(tmp_path / "pw.in", METAL, settings, "scf", "/pseudo")
        (tmp_path / "pw.out").write_text(end)
        return str(tmp_path)

    return write


def corrections(handler, folder: str) -> list:
    """What a handler does if each try ends the same way; the last is None."""
    done = []
    while len(done) < 30:
        action = handler.correct(folder)["actions"]
        done.append(action)
        if action is None:
            return done
        handler.n_applied_corrections += 1
    return done


@pytest.mark.parametrize("kind", ENDS, ids=lambda kind: kind.__name__)
def test_exactly_one_handler_acts_on_a_fault(calculation, kind):
    folder = calculation(ENDS[kind])
    assert [type(one) for one in pw_handlers() if one.check(folder)] == [kind]


def test_none_acts_on_a_good_run(calculation, tmp_path):
    folder = calculation("     convergence has been achieved in 9 iterations\n" + DONE)
    results = tmp_path / "out" / "pwscf.save" / "data-file-schema.xml"
    results.parent.mkdir(parents=True)
    results.write_text("</qes:espresso>\n")
    assert not [one for one in pw_handlers() if one.check(folder)]


def test_the_field_is_mixed_less_then_locally_then_solved_by_conjugate_gradients(
    calculation, tmp_path
):
    folder = calculation(ENDS[ScfHandler], electrons={"electron_maxstep": 80})
    handler, seen = ScfHandler(), []
    while handler.correct(folder)["actions"]:
        handler.n_applied_corrections += 1
        seen.append(dict(read_input(tmp_path / "pw.in")[0]["electrons"]))
    assert [one["mixing_beta"] for one in seen] == [0.3, 0.2, 0.1]
    assert [one.get("mixing_mode") for one in seen] == [None, "local-TF", "local-TF"]
    assert [one.get("diagonalization") for one in seen] == [None, None, "cg"]
    assert [one["electron_maxstep"] for one in seen] == [160, 320, 500]


def test_a_field_that_began_from_a_file_begins_anew(calculation, tmp_path):
    folder = calculation(ENDS[ScfHandler], electrons={"startingpot": "file"})
    ScfHandler().correct(folder)
    assert "startingpot" not in read_input(tmp_path / "pw.in")[0]["electrons"]


def test_every_failed_output_is_kept(calculation, tmp_path):
    folder = calculation(ENDS[ScfHandler])
    assert len(corrections(ScfHandler(), folder)) == 4
    assert len(list(tmp_path.glob("pw.out.failed.*"))) == 3


@pytest.mark.parametrize(
    ("kind", "tries"),
    [
        (MatrixHandler, 2),
        (BfgsHandler, 2),
        (LaunchHandler, 1),
        (KilledHandler, 1),
        (TruncatedHandler, 1),
        (DensityHandler, 1),
    ],
)
def test_handlers_give_up(calculation, kind, tries):
    done = corrections(kind(), calculation(ENDS[kind]))
    assert len(done) == tries + 1
    assert done[-1] is None


def test_fixed_occupations_are_smeared(calculation, tmp_path):
    folder = calculation(ENDS[BandsHandler], system={"occupations": "fixed", "nbnd": 1})
    BandsHandler().correct(folder)
    system = read_input(tmp_path / "pw.in")[0]["system"]
    assert system["occupations"] == "smearing"
    assert system["degauss"] > 0
    assert "nbnd" not in system


def test_too_few_bands_become_more(calculation, tmp_path):
    folder = calculation(ENDS[BandsHandler], system={"occupations": "smearing", "nbnd": 10})
    BandsHandler().correct(folder)
    assert read_input(tmp_path / "pw.in")[0]["system"]["nbnd"] == 17


def test_a_user_can_mend_what_no_handler_can(calculation):
    assert corrections(HopelessHandler(), calculation(ENDS[HopelessHandler])) == [None]


class TestTime:
    def end(self, calculation, tmp_path, state: bool = True, **control) -> str:
        folder = calculation(ENDS[TimeHandler], control=control)
        if state:
            (tmp_path / "out" / "pwscf.save").mkdir(parents=True)
            (tmp_path / "out" / "pwscf.save" / "data-file-schema.xml").write_text("")
            (tmp_path / "out" / "pwscf.restart_scf").write_text("")
        return folder

    def test_a_limit_of_the_users_own_grows_and_the_run_goes_on(self, calculation, tmp_path):
        folder = self.end(calculation, tmp_path, max_seconds=100)
        assert TimeHandler().correct(folder)["actions"] == ["restart"]
        control = read_input(tmp_path / "pw.in")[0]["control"]
        assert control["restart_mode"] == "restart"
        assert control["max_seconds"] == 200

    def test_a_run_stopped_before_its_first_step_starts_anew(self, calculation, tmp_path):
        folder = self.end(calculation, tmp_path, state=False, max_seconds=1)
        TimeHandler().correct(folder)
        assert "restart_mode" not in read_input(tmp_path / "pw.in")[0]["control"]

    @pytest.mark.parametrize(("left", "goes_on"), [(100, False), (4000, True)])
    def test_at_the_end_of_a_batch_job_it_gives_up(
        self, calculation, tmp_path, monkeypatch, left, goes_on
    ):
        import time

        folder = self.end(calculation, tmp_path)
        monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + left))
        assert bool(TimeHandler().correct(folder)["actions"]) is goes_on


def test_a_crash_starts_anew_without_the_damaged_files(calculation, tmp_path):
    folder = calculation(ENDS[KilledHandler], control={"restart_mode": "restart"})
    (tmp_path / "out" / "pwscf.save").mkdir(parents=True)
    KilledHandler().correct(folder)
    assert not (tmp_path / "out" / "pwscf.save").exists()
    assert "restart_mode" not in read_input(tmp_path / "pw.in")[0]["control"]


def test_what_there_is_to_go_on_from_outlives_a_command_that_does_not_start(calculation, tmp_path):
    folder = calculation(ENDS[LaunchHandler], control={"restart_mode": "restart"})
    (tmp_path / "out" / "pwscf.save").mkdir(parents=True)
    before = read_input(tmp_path / "pw.in")[0]
    LaunchHandler().correct(folder)
    assert (tmp_path / "out" / "pwscf.save").is_dir()
    assert read_input(tmp_path / "pw.in")[0] == before


OTHERS = """\
&CONTROL
 calculation = 'scf'
 prefix = 'si'
/
&SYSTEM
 ibrav = 2, celldm(1) = 10.2, nat = 1, ntyp = 1, ecutwfc = 12
/
&ELECTRONS
/
ATOMIC_SPECIES
Si 28.0855 Si.pz-vbc.UPF
ATOMIC_POSITIONS alat
Si 0 0 0
K_POINTS gamma
"""


def test_the_files_of_an_input_of_others_are_found_and_no_others_removed(tmp_path, monkeypatch):
    monkeypatch.delenv("ESPRESSO_TMPDIR", raising=False)
    (tmp_path / "si.in").write_text(OTHERS)
    (tmp_path / "si.out").write_text(BEGUN + DONE)
    (tmp_path / "si.save").mkdir()
    (tmp_path / "si.save" / "data-file-schema.xml").write_text("</qes:espresso>\n")
    handlers = [type(one)("si.in", "si.out") for one in pw_handlers()]
    assert not [one for one in handlers if one.check(str(tmp_path))]
    (tmp_path / "si.save" / "data-file-schema.xml").write_text("<qes:esp")
    (acting,) = [one for one in handlers if one.check(str(tmp_path))]
    acting.correct(str(tmp_path))
    assert isinstance(acting, TruncatedHandler)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["si.in", "si.out", "si.out.failed.1"]


def test_ph_mixes_less_and_keeps_the_files_of_pw(tmp_path, stand_in):
    write_ph(tmp_path / "ph.in", Settings({"Li": stand_in("Li")}, [2, 2, 2]))
    (tmp_path / "ph.out").write_text("     No convergence has been achieved\n" + DONE)
    (tmp_path / "out").mkdir()
    (acting,) = [one for one in ph_handlers() if one.check(str(tmp_path))]
    assert isinstance(acting, PhScfHandler)
    acting.correct(str(tmp_path))
    assert read_input(tmp_path / "ph.in")[0]["inputph"]["alpha_mix(1)"] == 0.3
    (tmp_path / "ph.out").write_text("     Program PHONON v.6.7MaX\n     Representation 1\n")
    (acting,) = [one for one in ph_handlers() if one.check(str(tmp_path))]
    acting.correct(str(tmp_path))
    assert (tmp_path / "out").is_dir()
