"""atomate2's own makers and flows, run from end to end on the double."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from atomate2.vasp.flows.core import DoubleRelaxMaker
from atomate2.vasp.flows.phonons import PhononMaker
from atomate2.vasp.jobs.core import DielectricMaker, StaticMaker, TightRelaxMaker
from atomate2.vasp.jobs.phonons import PhononDisplacementMaker
from jobflow import SETTINGS, Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from phonopy import Phonopy
from phonopy.interface.vasp import read_vasp
from phonopy.structure.atoms import PhonopyAtoms

from sse_flows.testing.vasp_double import QUICK_CUSTODIAN, is_double
from sse_flows.testing.vasp_double.faults import STATE_FILE

_QUICK = {"run_vasp_kwargs": {"custodian_kwargs": QUICK_CUSTODIAN}}


@pytest.fixture
def run(double, tmp_path, monkeypatch):
    """Run jobs here; returns their outputs by name."""
    monkeypatch.setattr(SETTINGS, "JOB_STORE", JobStore(MemoryStore()))

    def locally(jobs) -> dict:
        flow = jobs if isinstance(jobs, Flow) else Flow([jobs])
        store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
        run_locally(
            flow,
            create_folders=True,
            ensure_success=True,
            root_dir=tmp_path,
            store=store,
            log=False,
        )
        store.connect()
        documents = store.query(load=True)
        return {document["name"]: document["output"] for document in documents}

    return locally


def test_a_relaxation_and_a_static_run(run, li2o):
    relax = TightRelaxMaker(**_QUICK).make(li2o)
    static = StaticMaker(**_QUICK).make(relax.output.structure, prev_dir=relax.output.dir_name)
    outputs = run(Flow([relax, static]))
    for name in ("tight relax", "static"):
        assert outputs[name]["state"] == "successful"
        assert is_double(outputs[name])
    assert np.abs(outputs["tight relax"]["output"]["forces"]).max() < 1e-3
    energies = [outputs[name]["output"]["energy"] for name in ("tight relax", "static")]
    assert energies[0] == pytest.approx(energies[1], abs=1e-6)
    assert outputs["static"]["output"]["bandgap"] > 4
    assert is_double(Path(outputs["static"]["dir_name"].split(":")[-1]))


def test_a_double_relaxation_with_a_fault(run, li2o, tmp_path, monkeypatch):
    monkeypatch.setenv("VASP_DOUBLE_FAULT", "zbrent@relax, brmix@relax")
    monkeypatch.setenv("VASP_DOUBLE_FAULT_STATE", str(tmp_path / STATE_FILE))
    outputs = run(DoubleRelaxMaker.from_relax_maker(TightRelaxMaker(**_QUICK)).make(li2o))
    assert (tmp_path / STATE_FILE).read_text().split()[::2] == ["zbrent", "brmix"]
    assert len(list(tmp_path.glob("job_*/error.1.tar.gz"))) == 1
    assert len(list(tmp_path.glob("job_*/error.2.tar.gz"))) == 1
    assert {output["state"] for output in outputs.values()} == {"successful"}


def test_phonons_with_born_charges(run, li2o):
    """Force constants, Born charges and no soft modes from atomate2's flow as it is."""
    maker = PhononMaker(
        bulk_relax_maker=TightRelaxMaker(**_QUICK),
        static_energy_maker=StaticMaker(**_QUICK),
        born_maker=DielectricMaker(**_QUICK),
        phonon_displacement_maker=PhononDisplacementMaker(**_QUICK),
        min_length=9.0,
        prefer_90_degrees=True,
        store_force_constants=True,
        generate_frequencies_eigenvectors_kwargs={"tmin": 0, "tmax": 301, "tstep": 300},
    )
    outputs = run(maker.make(li2o))
    document = outputs["generate_frequencies_eigenvectors"]
    born, dielectric = np.array(document["born"]), np.array(document["epsilon_static"])
    assert np.abs(born.sum(axis=0)).max() < 1e-4
    assert sorted(born[:, 0, 0].round(3)) == [-2, 1, 1]
    assert dielectric[0, 0] == pytest.approx(np.sqrt(95 / 5.4), rel=0.05)
    assert _softest(document) > -0.05  # THz
    entropy = document["entropies"][-1]
    assert 40 < entropy < 80  # J/(K mol); softer than real Li2O, which has 38


def _softest(document: dict) -> float:
    matrix = np.array(document["supercell_matrix"])
    primitive = document["structure"]
    lattice = np.array(primitive["lattice"]["matrix"])
    sites = [site["abc"] for site in primitive["sites"]]
    symbols = [site["species"][0]["element"] for site in primitive["sites"]]
    cell = PhonopyAtoms(symbols, cell=lattice, scaled_positions=sites)
    phonon = Phonopy(cell, matrix.T, primitive_matrix=document["primitive_matrix"])
    phonon.force_constants = np.array(document["force_constants"]["force_constants"])
    phonon.symmetrize_force_constants()
    phonon.run_mesh([7, 7, 7], is_gamma_center=True)
    return float(phonon.get_mesh_dict()["frequencies"].min())


def test_phonopy_reads_its_contcar(inputs, vasp, li2o):
    folder = inputs(TightRelaxMaker(), li2o)
    vasp(folder)
    assert list(read_vasp(folder / "CONTCAR").symbols) == ["Li", "Li", "O"]
