"""Phonons of the Materials Project, in emmet's own models, become our documents."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from pymatgen.core import Structure

from sse_flows.errors import SSEError
from sse_flows.phonons.materials_project import (
    TASK_FIELDS,
    Listing,
    dynamics_of,
    fetch_task,
    list_phonons,
    phonon_dos,
)
from sse_flows.phonons.modes import lattice_dynamics
from sse_flows.units import THZ_TO_MEV

emmet = pytest.importorskip("emmet.core.phonon")
LISTING = Listing("mp-1960", "phonopy", "aaaaaabc")
WHEN = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def expected(springs):
    return lattice_dynamics(
        **springs.arguments(), compound_id="mp-1960", method="springs", with_bands=False
    )


@pytest.fixture(scope="module")
def task(springs, expected):
    """The cell, the matrices and no Born charges."""
    return emmet.PhononBSDOSTask.from_structure(
        meta_structure=springs.unitcell,
        structure=springs.unitcell,
        identifier="aaaaaabc",
        phonon_method="phonopy",
        last_updated=WHEN,
        supercell_matrix=np.diag([2.0, 2.0, 2.0]).tolist(),
        primitive_matrix=expected.primitive_matrix,
        total_dft_energy=-4.5,
        code="vasp",
    )


@pytest.fixture(scope="module")
def dos(expected):
    """The DOS in THz and 1/THz, projected on the sites of the primitive cell."""
    projected = np.array(expected.projected_dos) * THZ_TO_MEV
    return emmet.PhononDOS(
        structure=expected.primitive,
        frequencies=(np.array(expected.energies) / THZ_TO_MEV).tolist(),
        densities=projected.sum(axis=0).tolist(),
        projected_densities=projected.tolist(),
    )


def plain(document):
    """As the client gives it without models."""
    return document.model_dump(mode="json")


def changed(document, **fields):
    return document.model_copy(update=fields)


class TestDos:
    @pytest.mark.parametrize("form", [lambda one: one, plain], ids=["models", "plain data"])
    def test_in_our_units(self, task, dos, expected, form):
        found = phonon_dos(form(task), form(dos), LISTING)
        assert found.formula == "Li2O"
        assert found.source_id == "aaaaaabc"
        assert found.method == "displaced supercells, vasp (Materials Project)"
        width = found.energies[1] - found.energies[0]
        assert np.sum(found.densities) * width == pytest.approx(9, rel=1e-6)  # three atoms
        np.testing.assert_allclose(np.sum(found.projected_densities, axis=0), found.densities)
        assert 0 <= found.negative_share < 1e-4  # the Gaussians of acoustic modes at Γ

    def test_centres_are_those_of_the_modes(self, task, dos, expected):
        found = phonon_dos(task, dos, LISTING)
        assert found.band_center() == pytest.approx(expected.band_center["total"], rel=1e-4)
        for element in ("Li", "O"):
            center = found.band_center(element)
            assert center == pytest.approx(expected.band_center[element], rel=1e-4)
        with pytest.raises(KeyError, match="holds no S"):
            found.band_center("S")

    def test_centre_does_not_depend_on_normalisation_or_on_an_uneven_grid(self, task, dos):
        whole = phonon_dos(task, dos, LISTING).band_center()
        scaled = changed(dos, densities=(0.1 * np.array(dos.densities)).tolist())
        assert phonon_dos(task, scaled, LISTING).band_center() == pytest.approx(whole)
        keep = np.unique(np.r_[np.arange(0, 200, 2), np.arange(200, len(dos.frequencies))])
        uneven = emmet.PhononDOS(
            structure=dos.structure,
            frequencies=np.array(dos.frequencies)[keep].tolist(),
            densities=np.array(dos.densities)[keep].tolist(),
        )
        assert phonon_dos(task, uneven, LISTING).band_center() == pytest.approx(whole, rel=1e-3)

    def test_imaginary_modes_count_in_the_share_and_not_in_the_centre(self, task):
        grid = np.linspace(-2, 10, 241)
        modes = np.exp(-((grid + 1) ** 2) / 0.02) + 3 * np.exp(-((grid - 5) ** 2) / 0.02)
        one = emmet.PhononDOS(frequencies=grid.tolist(), densities=modes.tolist())
        found = phonon_dos(task, one, LISTING)
        assert found.negative_share == pytest.approx(0.25, rel=1e-6)
        assert found.band_center() == pytest.approx(5 * THZ_TO_MEV, rel=1e-6)
        assert found.projected_densities is None
        assert found.band_center("Li") is None

    def test_projections_of_another_cell_are_left_out(self, task, dos):
        found = phonon_dos(task, changed(dos, structure=None), LISTING)
        assert found.projected_densities is None
        assert "3 x" in found.provenance["projections"]
        assert len(found.structure) == 12

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"densities": [1.0]}, "frequencies and"),
            ({"frequencies": [3.0, 2.0], "densities": [1.0, 1.0]}, "do not ascend"),
            ({"frequencies": [1.0, 2.0], "densities": [1.0, float("nan")]}, "NaN"),
            ({"frequencies": [1.0, 2.0], "densities": [0.0, 0.0]}, "no modes"),
        ],
    )
    def test_malformed_is_refused(self, task, dos, fields, message):
        with pytest.raises(SSEError, match=message) as caught:
            phonon_dos(task, changed(dos, projected_densities=None, **fields), LISTING)
        assert caught.value.compound == "mp-1960"
        assert caught.value.mend

    def test_without_a_structure_is_refused(self, task, dos):
        with pytest.raises(SSEError, match="no structure"):
            phonon_dos(changed(task, structure=None), changed(dos, structure=None), LISTING)


class TestDynamics:
    @pytest.mark.parametrize("form", [lambda one: one, plain], ids=["models", "plain data"])
    def test_equals_the_springs(self, task, dos, springs, expected, form):
        published = phonon_dos(task, dos, LISTING)
        constants = springs.force_constants.tolist()
        found = dynamics_of(form(task), constants, LISTING, published)
        assert found.entropy == pytest.approx(expected.entropy, rel=1e-9)
        assert found.band_center == pytest.approx(expected.band_center, rel=1e-9)
        assert found.energy_per_atom == -4.5
        assert found.born is None
        assert found.provenance["phonon id"] == "aaaaaabc"

    def test_born_charges_are_used(self, task, springs, expected):
        kinds = [site.specie.symbol for site in expected.primitive]
        born = [(np.eye(3) * {"Li": 1.0, "O": -2.0}[kind]).tolist() for kind in kinds]
        polar = changed(task, born=born, epsilon_static=(4 * np.eye(3)).tolist())
        found = dynamics_of(polar, springs.force_constants, LISTING)
        assert found.band_center["total"] > expected.band_center["total"]  # LO above TO

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"supercell_matrix": None}, "missing or not integral"),
            ({"supercell_matrix": np.diag([2, 2, 2.5]).tolist()}, "not integral"),
            ({"supercell_matrix": np.diag([1, 2, 2]).tolist()}, "force constants"),
            ({"born": [np.eye(3).tolist()] * 2, "epsilon_static": np.eye(3).tolist()}, "Born"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, task, springs, fields, message):
        with pytest.raises(SSEError, match=message) as caught:
            dynamics_of(changed(task, **fields), springs.force_constants, LISTING)
        assert caught.value.compound == "mp-1960"

    def test_another_band_centre_than_the_published_is_refused(self, task, dos, springs):
        published = phonon_dos(task, dos, LISTING)
        with pytest.raises(SSEError, match=r"is not the .* meV of the published DOS"):
            dynamics_of(task, 1.3 * springs.force_constants, LISTING, published)


class Session:
    """Stand-in for an open client; remembers what it was asked."""

    def __init__(self, documents):
        self.documents, self.asked = documents, []
        self.materials = self.summary = self

    def search(self, **query):
        self.asked.append(query)
        wanted = query.get("material_ids", self.documents)
        return [self.documents[name] for name in wanted if name in self.documents]


def summary(name: str, phonons, **more):
    return {"material_id": name, "phonon_IDs": phonons, **more}


class TestListing:
    def test_force_constants_come_first(self):
        both = {"dfpt": ["aaaaaaab"], "phonopy": ["aaaaaaac", "aaaaaaad"]}
        session = Session({"mp-1": summary("mp-1", both, band_gap=5.0, energy_above_hull=None)})
        (found,), refused = list_phonons(session, ["mp-1"])
        assert (found.method, found.phonon_id) == ("phonopy", "aaaaaaac")
        assert found.properties == {"band_gap": 5.0}
        assert not refused
        (found,), _ = list_phonons(session, ["mp-1"], method="dfpt")
        assert found.phonon_id == "aaaaaaab"

    def test_what_has_none_is_named_if_it_was_asked_for(self):
        session = Session({"mp-1": summary("mp-1", None), "mp-2": summary("mp-2", {"dfpt": ["a"]})})
        found, refused = list_phonons(session, ["mp-1", "mp-2", "mp-3"], method=None)
        assert [one.material_id for one in found] == ["mp-2"]
        assert set(refused) == {"mp-1", "mp-3"}
        assert all(error.mend for error in refused.values())
        found, refused = list_phonons(session, chemsys=["Li-O"])
        assert [one.material_id for one in found] == ["mp-2"]
        assert not refused

    def test_many_ids_are_asked_in_parts(self):
        session = Session({})
        list_phonons(session, [f"mp-{i}" for i in range(450)])
        assert [len(query["material_ids"]) for query in session.asked] == [200, 200, 50]

    def test_emmets_own_summary(self):
        summaries = pytest.importorskip("emmet.core.summary")
        document = summaries.PhononSummary(phonon_IDs={"dfpt": ["mp-149"]})
        assert set(document.phonon_IDs) == {"dfpt"}
        assert "phonon_IDs" in summaries.SummaryDoc.model_fields
        session = Session({"mp-1": summary("mp-1", document.phonon_IDs)})
        (found,), _ = list_phonons(session, ["mp-1"])
        assert isinstance(found.phonon_id, str)


class TestRealClient:
    """mp-api's own classes, its network taken away."""

    @pytest.fixture
    def rester(self, dos, springs, monkeypatch):
        """The real client of phonons, answered from tables in memory."""
        pa = pytest.importorskip("pyarrow")
        client = pytest.importorskip("mp_api.client.routes.materials.phonon").PhononRester
        held = {
            "ph_dos": {"dos": {k: v for k, v in plain(dos).items() if k != "structure"}},
            "ph_force_constants": {"force_constants": springs.force_constants[:2].tolist()},
        }
        rester = client.__new__(client)
        rester.use_document_model = False
        monkeypatch.setattr(client, "_get_delta_table", lambda self, *_, label: (label, None))
        monkeypatch.setattr(
            client,
            "_query_delta_single",
            lambda self, query: pa.Table.from_pylist(
                [found for label, found in held.items() if f" {label}\n" in query]
            ),
        )
        return rester

    def test_its_dos_is_read(self, rester, task, dos):
        found = phonon_dos(
            task, rester.get_dos_from_phonon_id(LISTING.phonon_id, LISTING.method), LISTING
        )
        assert found.band_center() == pytest.approx(phonon_dos(task, dos, LISTING).band_center())

    def test_its_force_constants_are_an_array(self, rester, springs):
        found = rester.get_forceconstants_from_phonon_id(LISTING.phonon_id, LISTING.method)
        np.testing.assert_allclose(found, springs.force_constants[:2])

    def test_it_takes_what_is_asked(self, rester, monkeypatch):
        summaries = pytest.importorskip("mp_api.client.routes.materials.summary").SummaryRester
        names = inspect.signature(summaries.search).parameters
        assert {"material_ids", "chemsys", "fields"} <= set(names)
        asked = {}

        def search(self, **query):
            asked.update(query)
            return [{"identifier": "aaaaaabc"}]

        base = pytest.importorskip("mp_api.client.core").BaseRester
        monkeypatch.setattr(base, "_search", search)
        session = SimpleNamespace(materials=SimpleNamespace(phonon=rester))
        assert fetch_task(session, LISTING) == {"identifier": "aaaaaabc"}
        utils = pytest.importorskip("mp_api.client.core.utils")
        assert asked["identifiers"] == utils.validate_ids(["aaaaaabc"])[0]  # its own spelling
        assert asked["phonon_method"] == "phonopy"
        assert set(asked["fields"]) == set(TASK_FIELDS)
        assert set(TASK_FIELDS) <= set(emmet.PhononBSDOSTask.model_fields)


def test_structures_are_plain(task):
    given = phonon_dos(
        task,
        emmet.PhononDOS(frequencies=[0.0, 1.0, 2.0], densities=[0.0, 1.0, 0.0]),
        LISTING,
    )
    assert isinstance(given.structure, Structure)
    assert not given.structure.site_properties
