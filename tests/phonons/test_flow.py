"""The phonon flow: the forces of displaced supercells become a LatticeDynamics document."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from jobflow import JobStore, Maker, job, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from sse_flows.errors import SSEError
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.flow import (
    BIG_ARRAYS,
    LatticeDynamicsMaker,
    _displaced,
    born_charges,
    choose_supercell,
    collect_lattice_dynamics,
    start_of_supercells,
)
from sse_flows.units import THZ_TO_MEV

LITHIA = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.65), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
).get_primitive_structure()
MATRIX = (2 * np.eye(3, dtype=int)).tolist()


def collected(forces, **more) -> LatticeDynamics:
    return collect_lattice_dynamics.original(
        LITHIA,
        MATRIX,
        {"forces": forces, "uuids": ["job 1", "job 2"]},
        displacement=0.01,
        symprec=1e-4,
        method="springs",
        compound_id="li2o",
        **more,
    )


@pytest.fixture(scope="module")
def spring_forces() -> np.ndarray:
    """Forces (n, n_supercell, 3), eV/Å, of springs from each atom to its nearest neighbours."""
    phonon = _displaced(LITHIA, MATRIX, 0.01, 1e-4)
    cell = phonon.supercell
    lattice = Lattice(cell.cell)
    vectors = lattice.get_points_in_sphere  # periodic images of every pair
    number = len(cell)
    constants = np.zeros((number, 3, number, 3))
    for i in range(number):
        for _, distance, j, image in vectors(cell.scaled_positions, cell.positions[i], 3.0):
            if distance < 1e-3:
                continue
            bond = (cell.scaled_positions[j] + image) @ cell.cell - cell.positions[i]
            block = 2.0 * np.outer(bond, bond) / distance**2 + 0.2 * np.eye(3)
            constants[i, :, j] -= block
            constants[i, :, i] += block
    moved = [(c.positions - cell.positions) for c in phonon.supercells_with_displacements]
    return np.array([-np.einsum("iajb,jb->ia", constants, shift) for shift in moved])


def test_the_supercell_is_chosen_by_preset():
    assert choose_supercell.original(LITHIA, "primitive_2x2x2", 30.0, 10) == MATRIX
    chosen = choose_supercell.original(LITHIA, "min_length", 9.0, 1000)
    assert abs(np.linalg.det(chosen)) > 8
    with pytest.raises(SSEError, match="more than 10"):
        choose_supercell.original(LITHIA, "min_length", 9.0, 10)


def phonopys_band_centers(cell, matrix, forces, mesh) -> dict[str, float]:
    """Band centres (meV) by phonopy's own force constants, modes and full mesh."""
    phonon = _displaced(cell, matrix, 0.01, 1e-4)
    phonon.produce_force_constants(forces=forces)
    phonon.run_mesh(mesh, with_eigenvectors=True, is_mesh_symmetry=False, is_gamma_center=True)
    found = phonon.get_mesh_dict()
    energies = found["frequencies"] * THZ_TO_MEV  # (q, band)
    density = (np.abs(found["eigenvectors"]) ** 2).reshape(len(energies), -1, 3, energies.shape[1])
    density = density.sum(axis=2) * (energies > 1e-2)[:, None]  # (q, atom, band)
    symbols = np.array(phonon.primitive.symbols)
    chosen = {"total": slice(None), **{one: symbols == one for one in set(symbols)}}
    return {
        name: float((density[:, atoms] * energies[:, None]).sum() / density[:, atoms].sum())
        for name, atoms in chosen.items()
    }


def test_band_centres_are_those_of_phonopy_from_the_same_forces(spring_forces):
    document = collected(spring_forces)
    expected = phonopys_band_centers(LITHIA, MATRIX, spring_forces, document.mesh)
    assert document.band_center == pytest.approx(expected, rel=1e-3)


def test_the_document_says_what_it_was_made_from(spring_forces):
    document = collected(spring_forces, energy=-12.0)
    assert (document.compound_id, document.method) == ("li2o", "springs")
    assert document.energy_per_atom == pytest.approx(-4.0)
    assert document.provenance["displacement"] == "0.01 Å"
    assert document.provenance["displaced supercells"] == str(len(spring_forces))
    assert document.provenance["first force job"] == "job 1"
    assert document.unitcell == LITHIA


def test_a_wrong_number_of_forces_is_an_error(spring_forces):
    assert len(spring_forces) == 2
    with pytest.raises(SSEError, match=r"\(1, 24, 3\) \(needed: \(2, 24, 3\)\)") as caught:
        collected(spring_forces[:1])
    assert caught.value.compound == "li2o"
    assert "run them again" in caught.value.mend


def test_forces_of_another_supercell_or_nan_are_an_error(spring_forces):
    with pytest.raises(SSEError, match="needed"):
        collected(spring_forces[:, :12])
    broken = spring_forces.copy()
    broken[1, 3, 0] = np.nan
    with pytest.raises(SSEError, match="NaN"):
        collected(broken)


@pytest.mark.forcefield
class TestWithAForceField:
    """SevenNet-0 on LiF through jobflow's own runner."""

    @pytest.fixture(scope="class")
    def run(self, tmp_path_factory):
        from sse_flows.codes.forcefield import ForceField

        cell = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(4.08), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        ).get_primitive_structure()
        field = ForceField("SevenNet-0")
        maker = LatticeDynamicsMaker(field.phonon_maker(), field.method, min_length=4.0)
        flow = maker.make(cell, "lif", energy=-10.0)
        store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
        store.connect()
        run_locally(
            flow,
            store=store,
            create_folders=False,
            root_dir=tmp_path_factory.mktemp("phonons"),
            ensure_success=True,
            log=False,
        )
        return flow, store, cell

    def document(self, run) -> LatticeDynamics:
        flow, store, _ = run
        output = store.get_output(flow.output.uuid, load=True)
        return LatticeDynamics.model_validate(
            {key: value for key, value in output.items() if not key.startswith("@")}
        )

    def test_band_centres_are_those_of_phonopy_from_the_same_forces(self, run):
        document = self.document(run)
        _, store, cell = run
        displaced = store.query_one({"index": 2}, properties=["uuid"])["uuid"]
        forces = np.array(store.get_output(displaced, load=True)["forces"])
        matrix = np.array(document.supercell_matrix, dtype=int)
        expected = phonopys_band_centers(cell, matrix, forces, document.mesh)
        assert document.band_center == pytest.approx(expected, rel=1e-3)
        assert 30 < document.band_center["total"] < 60

    def test_the_document_has_its_labels_and_big_arrays_are_stored_apart(self, run):
        document = self.document(run)
        assert (document.compound_id, document.formula) == ("lif", "LiF")
        assert document.method.startswith("SevenNet-0 (sevenn")
        assert document.energy_per_atom == pytest.approx(-5.0)
        flow, store, _ = run
        slim = store.get_output(flow.output.uuid, load=False)
        stored = [name for name in BIG_ARRAYS if document.model_dump()[name] is not None]
        assert "force_constants" in stored
        assert all("blob_uuid" in slim[name] for name in stored)

    def test_atomate2s_own_document_and_relaxation_are_left_out(self, run):
        _, store, _ = run
        names = {doc["name"] for doc in store.query(properties=["name"])}
        assert names.isdisjoint({"generate_frequencies_eigenvectors", "relax"})
        assert {"choose_supercell", "collect_lattice_dynamics"} <= names


@dataclass
class StandIn(Maker):
    """Stands in for a calculation; its output says where it ran."""

    name: str = "stand-in"

    @job
    def make(self, structure: Structure, prev_dir=None) -> dict:
        return {"dir_name": "somewhere", "atoms": len(structure), "formula": structure.formula}


def start(structure: Structure) -> dict:
    """Output of the job that computes the undisplaced supercell, or does not."""
    one = start_of_supercells(structure, MATRIX, 0.01, 1e-4, StandIn())
    store = JobStore(MemoryStore())
    run_locally(one, store=store, log=False, ensure_success=True)
    return store.get_output(one.uuid)


def test_many_displaced_supercells_start_from_the_undisplaced_one():
    crooked = LITHIA.copy()
    crooked.translate_sites([1], [0.02, 0.01, 0.03])
    output = start(crooked)
    assert output["dir_name"] == "somewhere"
    assert output["atoms"] == 8 * len(crooked)


def test_few_displaced_supercells_are_not_worth_a_start():
    assert start(LITHIA) == {"dir_name": None}


def test_the_undisplaced_supercell_has_the_atoms_of_the_displaced_ones(monkeypatch):
    from pymatgen.io.phonopy import get_pmg_structure

    from sse_flows.phonons import flow

    monkeypatch.setattr(flow, "WORTH_A_START", 0)
    kept = []
    monkeypatch.setattr(StandIn, "make", lambda self, structure: kept.append(structure))
    start_of_supercells.original(LITHIA, MATRIX, 0.01, 1e-4, StandIn())
    for cell in _displaced(LITHIA, MATRIX, 0.01, 1e-4).supercells_with_displacements:
        displaced = get_pmg_structure(cell)
        assert displaced.species == kept[0].species
        moved = np.linalg.norm(displaced.cart_coords - kept[0].cart_coords, axis=1)
        assert np.sort(moved)[-1] == pytest.approx(0.01, abs=1e-6)
        assert np.sort(moved)[-2] < 1e-9


def test_born_charges_that_failed_are_none():
    assert born_charges.original(None, None) == {"born": None, "dielectric": None}
