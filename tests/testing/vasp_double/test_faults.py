"""Faults on demand: custodian notices each, and the run it corrects goes through."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from atomate2.vasp.jobs.core import RelaxMaker
from atomate2.vasp.run import DEFAULT_HANDLERS, run_vasp
from custodian.custodian import (
    MaxCorrectionsPerJobError,
    NonRecoverableError,
    ReturnCodeError,
    ValidationError,
)
from custodian.vasp.handlers import FrozenJobErrorHandler, VaspErrorHandler, WalltimeHandler
from custodian.vasp.jobs import VaspJob
from monty.serialization import loadfn
from pymatgen.io.vasp import Incar, Kpoints, Outcar, Vasprun

from sse_flows.testing.vasp_double import QUICK_CUSTODIAN
from sse_flows.testing.vasp_double.faults import FAULTS, STATE_FILE, VARIABLE, Faults

_ALL_HANDLED = sorted(set(FAULTS) & set(VaspErrorHandler.error_msgs))
_UNMENDED = {"read_error"}
_QUICKLY_TESTED = {"brmix", "zbrent", "edddav", "inv_rot_mat", "real_optlay"}
_NEEDS = {
    "algo_tet": {"ALGO": "All", "ISMEAR": -5},
    "eddrmm": {"ALGO": "Fast"},
    "zheev": {"ALGO": "Fast"},
}
_SLOW = [
    name if name in _QUICKLY_TESTED else pytest.param(name, marks=pytest.mark.slow)
    for name in _ALL_HANDLED
    if name not in _UNMENDED
]


@pytest.fixture
def run_here(inputs, li2o, monkeypatch):
    """Run a relaxation under atomate2's custodian in a folder, with a fault."""

    def run(fault: str, handlers=DEFAULT_HANDLERS, **incar) -> Path:
        folder = inputs(RelaxMaker(), li2o, **{"LREAL": "Auto", "NCORE": 2, "KPAR": 2, **incar})
        Kpoints.monkhorst_automatic((2, 2, 2)).write_file(folder / "KPOINTS")
        monkeypatch.chdir(folder)
        monkeypatch.setenv(VARIABLE, fault)
        run_vasp(
            vasp_cmd=os.environ["ATOMATE2_VASP_CMD"],
            vasp_gamma_cmd=os.environ["ATOMATE2_VASP_GAMMA_CMD"],
            handlers=handlers,
            custodian_kwargs=QUICK_CUSTODIAN,
        )
        return folder

    return run


def corrections(folder: Path) -> list[str]:
    """What custodian found and corrected."""
    runs = loadfn(folder / "custodian.json")
    return [error for job in runs for done in job["corrections"] for error in done["errors"]]


@pytest.mark.parametrize("name", _ALL_HANDLED)
def test_messages_are_those_custodian_knows(name, tmp_path):
    Incar({"NSW": 1}).write_file(tmp_path / "INCAR")
    (tmp_path / "vasp.out").write_text(f" {FAULTS[name].message}\n")
    handler = VaspErrorHandler()
    assert handler.check(str(tmp_path))
    assert name in handler.errors


@pytest.mark.parametrize("name", _SLOW)
def test_custodian_mends_what_vasp_says(run_here, name):
    folder = run_here(name, **_NEEDS.get(name, {}))
    assert name in corrections(folder)
    assert Vasprun(folder / "vasprun.xml").converged
    assert (folder / STATE_FILE).read_text().split()[0] == name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nelm", "Unconverged"),
        ("nsw", "Unconverged"),
        ("positive_energy", "Positive energy"),
        ("potim", "POTIM"),
        ("large_entropy", "LargeSigma"),
        ("memory", "out_of_memory"),
        ("kpoints_trans", "kpoints_trans"),
        ("mesh_symmetry", "mesh_symmetry"),
    ],
)
def test_custodian_mends_what_files_show(run_here, name, found):
    folder = run_here(name, NELM=20, NSW=20, ALGO="Fast")
    assert found in corrections(folder)
    assert Vasprun(folder / "vasprun.xml").converged


def test_a_frozen_run_is_ended_and_mended(run_here):
    handlers = [FrozenJobErrorHandler(timeout=1)]
    folder = run_here("frozen", handlers, ALGO="Fast")
    assert corrections(folder) == ["Frozen job"]
    assert Incar.from_file(folder / "INCAR")["ALGO"] == "Normal"


@pytest.mark.parametrize(
    ("name", "error", "why"),
    [
        ("read_error", NonRecoverableError, "VaspErrorHandler"),
        ("truncated_vasprun", ValidationError, "VasprunXMLValidator"),
        ("killed", ValidationError, "VasprunXMLValidator"),
        ("killed_late", ValidationError, "VasprunXMLValidator"),
        ("crash", ValidationError, "VasprunXMLValidator"),
        ("disk_full", ValidationError, "VasprunXMLValidator"),
        ("brmix*99", MaxCorrectionsPerJobError, "Max errors"),
    ],
)
def test_what_cannot_be_mended_is_noticed(run_here, name, error, why):
    with pytest.raises((error, ReturnCodeError), match=why):
        run_here(name)


def test_a_truncated_outcar_has_no_end(inputs, vasp, li2o):
    folder = inputs(RelaxMaker(), li2o)
    vasp(folder, VASP_DOUBLE_FAULT="truncated_outcar")
    assert "General timing" not in (folder / "OUTCAR").read_text()


def test_walltime_stops_a_slow_run_with_its_files_whole(run_here, monkeypatch):
    monkeypatch.setenv("VASP_DOUBLE_STEP_SECONDS", "0.1")
    monkeypatch.delenv("CUSTODIAN_WALLTIME_START", raising=False)
    handlers = [WalltimeHandler(wall_time=2, buffer_time=1)]
    monkeypatch.delenv("CUSTODIAN_WALLTIME_START")
    run_here("", handlers, EDIFFG=-1e-9, NSW=99)  # custodian ends it without an error
    assert Outcar("OUTCAR").is_stopped
    assert 0 < len(Vasprun("vasprun.xml").ionic_steps) < 99


def test_faults_happen_as_often_as_asked(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "brmix*2, nelm@static")
    seen = []
    for kind in ("relax", "relax", "relax", "static", "static"):
        faults = Faults(tmp_path, kind)
        seen.append(faults.name)
        faults.note()
    assert seen == ["brmix", "brmix", None, "nelm", None]


def test_a_file_in_the_folder_asks_too_and_states_are_shared(tmp_path, monkeypatch):
    monkeypatch.setenv("VASP_DOUBLE_FAULT_STATE", str(tmp_path / "state"))
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        (folder / VARIABLE).write_text("killed\n")
    first = Faults(tmp_path / "one", "static")
    assert first.at("start") is None
    assert first.at("electronic") is FAULTS["killed"]
    assert Faults(tmp_path / "two", "static").name is None


def test_unknown_faults_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "gremlins")
    with pytest.raises(ValueError, match="gremlins"):
        Faults(tmp_path, "relax")


def test_custodian_finds_the_programs(double):
    assert VaspJob(["vasp_std"]).vasp_cmd == ("vasp_std",)
    assert {path.name for path in Path(double["ATOMATE2_VASP_CMD"]).parent.iterdir()} == {
        "vasp_std",
        "vasp_gam",
        "vasp_ncl",
    }
