"""The real pw.x and ph.x under mpirun, with pools of k points."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Structure

from sse_flows.codes import born
from sse_flows.codes.espresso import handlers
from sse_flows.codes.espresso.check import find_program
from sse_flows.codes.espresso.code import Espresso
from sse_flows.codes.espresso.inputs import Settings, read_input
from sse_flows.codes.espresso.job import Launch
from sse_flows.codes.espresso.makers import BornMaker, RelaxMaker, ScfMaker
from sse_flows.errors import OutOfTimeError, SSEError

pytestmark = [pytest.mark.espresso, pytest.mark.usefixtures("espresso_here")]
SERIAL, POOLS = Launch("pw.x"), Launch("mpirun -np 2 pw.x -nk 2")


@pytest.fixture(autouse=True)
def open_mpi(monkeypatch):
    """Two ranks, on one core if need be."""
    if shutil.which("mpirun") is None:
        pytest.skip("mpirun is not on PATH")
    program = find_program()
    if program is None or "MPI" not in str(program.parallel):
        pytest.skip("this pw.x is not parallel")
    monkeypatch.setenv("OMPI_MCA_mpi_yield_when_idle", "1")
    monkeypatch.setenv("OMPI_MCA_rmaps_base_oversubscribe", "1")


@pytest.fixture
def settings() -> Settings:
    """Silicon with few k points."""
    system = {"ecutwfc": 20, "occupations": "fixed", "smearing": None, "degauss": None}
    namelists = {"system": system, "inputph": {"tr2_ph": 1e-12}}
    return (
        Espresso("tight", functional="LDA", kpoints=[2, 2, 2], input=namelists).of(["Si"])._settings
    )


def run(maker, structure: Structure, folder: str):
    Path(folder).mkdir(exist_ok=True)
    with contextlib.chdir(folder):
        if isinstance(maker, BornMaker):
            return BornMaker.make.original(maker, structure)
        return maker.run(structure)


def processors(folder: str, output: str) -> bool:
    """Whether two ranks in two pools wrote an output."""
    text = (Path(folder) / output).read_text()
    return (
        "running on     2 processors" in text
        and "K-points division:     npool     =       2" in text
    )


def test_pools_give_what_one_process_gives(silicon, settings):
    one, two = (
        run(ScfMaker(settings, launch=launch), silicon, name)
        for launch, name in ((SERIAL, "one"), (POOLS, "two"))
    )
    assert processors("two", "pw.out")
    assert not processors("one", "pw.out")
    assert two.output.energy == pytest.approx(one.output.energy, abs=1e-6)
    np.testing.assert_allclose(two.output.forces, one.output.forces, atol=1e-4)
    np.testing.assert_allclose(two.output.stress, one.output.stress, atol=1e-2)


def test_more_pools_than_ranks_are_the_users_to_mend(silicon, settings):
    maker = ScfMaker(settings, launch=Launch("mpirun -np 2 pw.x -nk 3"))
    with pytest.raises(SSEError, match="parallel options do not suit") as caught:
        run(maker, silicon, "pools")
    assert "code.command" in caught.value.mend


def test_a_relaxation_in_pools_arrives(silicon, settings):
    document = run(
        RelaxMaker(settings, launch=POOLS, stress_max=1.0, force_max=0.01), silicon, "two"
    )
    assert processors("two", "pw.out")
    assert np.abs(document.output.forces).max() < 0.01


def test_ph_is_run_in_the_pools_of_pw(silicon, settings, monkeypatch):
    monkeypatch.setattr(born, "MAX_CHARGE", 20.0)  # few k points
    one, two = (
        run(BornMaker(settings, launch=launch), silicon, name)
        for launch, name in ((SERIAL, "one"), (POOLS, "two"))
    )
    assert processors("two", "ph.out")
    np.testing.assert_allclose(two.dielectric, one.dielectric, rtol=1e-3)
    np.testing.assert_allclose(two.born, one.born, atol=1e-3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("", ""), POOLS),
        (("mpirun -np 2", "-nk 2"), SERIAL),
        (("mpirun -np 2", "-nk 1"), POOLS),
    ],
)
def test_a_run_that_other_processes_stopped_goes_on_from_its_density(
    silicon, settings, stopper, monkeypatch, before, after
):
    """Their wave functions and iteration are of no use to others: pw.x fails or never ends."""
    with monkeypatch.context() as patch:
        patch.setattr(handlers, "seconds_left", lambda: 60.0)
        maker = ScfMaker(settings, launch=stopper("iteration #  5", *before))
        with pytest.raises(OutOfTimeError):
            run(maker, silicon, "cut")
    assert list(Path("cut/out").glob("*.restart_scf*"))
    document = run(ScfMaker(settings, launch=after), silicon, "cut")
    keys = read_input(Path("cut/pw.in"))[0]
    assert "restart_mode" not in keys["control"]
    assert keys["electrons"]["startingpot"] == "file"
    assert not document.corrections
    whole = run(ScfMaker(settings, launch=SERIAL), silicon, "whole")
    assert document.output.energy == pytest.approx(whole.output.energy, abs=1e-6)
    np.testing.assert_allclose(document.output.forces, whole.output.forces, atol=1e-4)
    assert document.output.scf_iterations < whole.output.scf_iterations
