"""What a folder is left with, and what the next run takes of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from atomate2 import SETTINGS
from monty.json import MontyEncoder
from pymatgen.io.vasp import Poscar

from sse_flows.codes.vasp import run
from sse_flows.codes.vasp.code import Vasp
from sse_flows.codes.vasp.record import RECORD_FILE, Record


def forces():
    return Vasp(kpoints=[2, 2, 2]).of(["Li", "O"]).phonon_maker().phonon_displacement_maker


def moved(structure, distance=0.05):
    """The structure with its first atom displaced by so many Å."""
    other = structure.copy()
    other.translate_sites([0], [distance, 0, 0], frac_coords=False)
    return other


def set_state(folder: Path, state: str) -> None:
    record = json.loads((folder / RECORD_FILE).read_text())
    (folder / RECORD_FILE).write_text(json.dumps({**record, "state": state}))


def test_the_zipped_input_of_another_calculation_does_not_come_back(double, li2o):
    # custodian unzips all that is in a folder, over the input that was just written
    first = forces().run(li2o)
    assert (double / "POSCAR.gz").is_file()
    assert np.abs(first.output.forces).max() < 1e-3
    second = forces().run(moved(li2o))
    assert np.abs(second.output.forces).max() > 0.05
    written = Poscar.from_file(double / "POSCAR.gz").structure
    assert np.allclose(written.frac_coords, moved(li2o).frac_coords)


def test_no_document_holds_the_text_of_a_potcar(double, li2o):
    document = forces().run(li2o)
    text = json.dumps(document, cls=MontyEncoder)
    potcar = gzip.decompress((double / "POTCAR.gz").read_bytes()).decode()
    lines = {line.strip() for line in potcar.splitlines()} - {""}
    titles = {line.partition("=")[2].strip() for line in lines if "TITEL" in line}
    assert not [line for line in lines - titles if len(line) > 12 and line in text]
    assert all(title in text for title in titles)


def test_forces_of_another_structure_are_refused(double, li2o):
    document = forces().run(li2o)
    run._check_same_structure(document, li2o, double)
    turned = li2o.copy()
    turned.translate_sites([0], [0, 0, 1])
    run._check_same_structure(document, turned, double)  # the same by a lattice vector
    with pytest.raises(run.SSEError, match="another structure than was asked for"):
        run._check_same_structure(document, moved(li2o, 0.001), double)


@pytest.mark.parametrize("setting", ["atomate", True])
def test_a_worker_that_died_while_it_zipped_costs_nothing(double, li2o, monkeypatch, setting):
    monkeypatch.setattr(SETTINGS, "VASP_ZIP_FILES", setting)
    first = forces().run(li2o)
    for name in ("OUTCAR", "vasprun.xml"):
        zipped = (double / f"{name}.gz").read_bytes()
        (double / name).write_bytes(gzip.decompress(zipped))
        (double / f"{name}.gz").write_bytes(zipped[: len(zipped) // 2])
    monkeypatch.setattr(run, "run_vasp", None)  # any call would fail
    assert forces().run(li2o).output.energy == first.output.energy
    assert not (double / "OUTCAR").exists()


def test_a_killed_worker_leaves_its_geometry_and_a_failure_does_not(tmp_path, li2o):
    record = Record(tmp_path, "x")
    record.write("running")
    near = li2o.copy()
    near.scale_lattice(1.01 * li2o.volume)
    near.to(str(tmp_path / "CONTCAR"), fmt="poscar")
    again = Record(tmp_path, "x")
    assert again.start(li2o, is_ionic=True).volume == pytest.approx(near.volume)
    assert again.start(li2o, is_ionic=False) is li2o
    near.to(str(tmp_path / "POSCAR"), fmt="poscar")
    (tmp_path / "CONTCAR").write_text("")  # stopped before its first step
    assert again.start(li2o, is_ionic=True).volume == pytest.approx(near.volume)
    again.write("failed")
    assert Record(tmp_path, "x").start(li2o, is_ionic=True) is li2o
    assert not (tmp_path / "CONTCAR").exists()


@pytest.mark.parametrize(
    ("state", "kept"),
    [("stopped", True), ("running", False), ("crashed", False), ("failed", False)],
)
def test_wave_functions_are_kept_of_a_stop_in_good_order_alone(tmp_path, li2o, state, kept):
    Record(tmp_path, "x").write(state)
    for name in ("WAVECAR", "OUTCAR", "vasprun.xml", "POSCAR.gz"):
        (tmp_path / name).write_text("half of it")
    Record(tmp_path, "x").start(li2o, is_ionic=True)
    assert (tmp_path / "WAVECAR").exists() is kept
    # words of the run before would be taken for those of one that could not start
    left = {path.name for path in tmp_path.iterdir()}
    assert not left & {"OUTCAR", "vasprun.xml", "POSCAR.gz"}


@pytest.mark.parametrize("cut", ["nothing", "header", "digits", "lines", "far", "other", "nan"])
def test_a_geometry_that_cannot_be_right_is_not_used(tmp_path, li2o, cut):
    Record(tmp_path, "x").write("running")
    other = li2o.copy()
    other.scale_lattice(li2o.volume * (3 if cut == "far" else 1))
    text = Poscar(other).get_str(significant_figures=16)
    broken = {
        "nothing": "",
        "header": "Li O\n1.0\n",
        "digits": text.rstrip()[:-12],
        "lines": "\n".join(text.splitlines()[:-1]) + "\n",
        "far": text,
        "other": text.replace("Li", "Na"),
        "nan": text.replace("0.75", " NaN", 1),
    }[cut]
    (tmp_path / "CONTCAR").write_text(broken)
    assert Record(tmp_path, "x").start(li2o, is_ionic=True) is li2o
