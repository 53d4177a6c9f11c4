"""Import from the Materials Project against a stand-in for its client."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from sse_flows.campaign.importing_mp import import_materials
from sse_flows.campaign.stored import open_pool, read_phonon_dos, read_pool_sets
from sse_flows.errors import SSEError
from sse_flows.phonons.modes import lattice_dynamics
from sse_flows.store.jobstore import embedded_store
from sse_flows.units import THZ_TO_MEV

emmet = pytest.importorskip("emmet.core.phonon")

_path = Path(__file__).resolve().parents[1] / "phonons" / "crystals.py"
_spec = importlib.util.spec_from_file_location("crystals", _path)
crystals = importlib.util.module_from_spec(_spec)
sys.modules["crystals"] = crystals
_spec.loader.exec_module(crystals)


class MPRestError(Exception):
    """As mp-api's own."""


@pytest.fixture(scope="module")
def springs():
    return crystals.spring_crystal(
        crystals.ANTIFLUORITE, 2, crystals.ANTIFLUORITE_SPRINGS, cutoff=3.5
    )


@pytest.fixture(scope="module")
def held(springs):
    """What the stand-in holds: summaries, tasks, DOS and force constants."""
    made = lattice_dynamics(**springs.arguments(), compound_id="x", method="y", with_bands=False)
    projected = np.array(made.projected_dos) * THZ_TO_MEV
    dos = emmet.PhononDOS(
        structure=made.primitive,
        frequencies=(np.array(made.energies) / THZ_TO_MEV).tolist(),
        densities=projected.sum(axis=0).tolist(),
        projected_densities=projected.tolist(),
    )
    sodium = made.primitive.copy()
    sodium.replace_species({"Li": "Na"})
    salt = dos.model_copy(update={"structure": sodium})

    def task(structure, method):
        return emmet.PhononBSDOSTask.from_structure(
            meta_structure=structure,
            structure=structure,
            phonon_method=method,
            last_updated=datetime(2026, 1, 2, tzinfo=UTC),
            supercell_matrix=np.diag([2.0, 2.0, 2.0]).tolist(),
            primitive_matrix=made.primitive_matrix,
        )

    full, dfpt = task(springs.unitcell, "phonopy"), task(made.primitive, "dfpt")
    return {
        "dynamics": made,
        "tasks": {"a": full, "b": dfpt, "c": full, "d": task(sodium, "phonopy"), "e": full},
        "dos": {"a": dos, "b": dos, "d": salt, "e": dos},  # none of c
        "constants": {"a": springs.force_constants.tolist()},  # none of e
        "summary": {
            "mp-1": {"phonopy": ["a"], "dfpt": ["b"]},
            "mp-2": {"dfpt": ["b"]},
            "mp-3": {"phonopy": ["c"]},
            "mp-4": {"phonopy": ["d"]},
            "mp-5": {"phonopy": ["e"]},
            "mp-6": None,
        },
    }


@pytest.fixture
def rester(held):
    """Class of the stand-in, made anew so that its counters are."""

    class Rester:
        calls: list[str] = []  # noqa: RUF012
        broken = ""

        def __init__(self, key, **options):
            assert options["use_document_model"] is False
            self.materials = self
            self.summary = Summary()
            self.phonon = self

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

        def search(self, identifiers, phonon_method, fields):
            assert set(fields) <= set(emmet.PhononBSDOSTask.model_fields)
            if self.broken:
                raise RuntimeError(self.broken)
            return [held["tasks"][one] for one in identifiers]

        def get_dos_from_phonon_id(self, identifier, phonon_method):
            self.calls.append(identifier)
            if identifier not in held["dos"]:
                raise MPRestError(f"No phonon dos data found for {identifier=}")
            return held["dos"][identifier]

        def get_forceconstants_from_phonon_id(self, identifier, phonon_method):
            if identifier not in held["constants"]:
                raise MPRestError(f"No phonon force constants data found for {identifier=}")
            return held["constants"][identifier]

    class Summary:
        def search(self, fields, material_ids=None, chemsys=None):
            names = material_ids or list(held["summary"])
            return [
                {"material_id": name, "phonon_IDs": held["summary"][name], "band_gap": 5.0}
                for name in names
                if name in held["summary"]
            ]

    return Rester


@pytest.fixture
def store(tmp_path, no_configuration):
    opened = embedded_store(tmp_path)
    opened.connect()
    return opened


def states(outcomes) -> dict[str, str]:
    return {one.compound_id: one.state for one in outcomes}


def test_force_constants_give_everything_and_a_dos_alone_the_dos(
    store, rester, held, tmp_path, monkeypatch
):
    seen = []
    outcomes = import_materials(
        store,
        chemsys=["Li-O"],
        api_key="x",
        rester=rester,
        watch=lambda done, total, one: seen.append((done, total)),
    )
    assert states(outcomes) == {
        "mp-1": "imported",
        "mp-2": "imported",
        "mp-3": "failed",
        "mp-4": "imported",
        "mp-5": "imported",
    }
    assert seen[-1] == (5, 5)
    (failed,) = (one for one in outcomes if one.state == "failed")
    assert "No phonon dos data" in failed.error
    assert failed.mend
    (full,) = read_pool_sets(tmp_path, "Li")
    assert full.compound_id == "mp-1"
    assert full.values["band_gap"] == 5.0
    center = held["dynamics"].band_center["total"]
    assert full.values["phonon_band_center_total"] == pytest.approx(center, rel=1e-3)
    assert "force field" not in " ".join(full.missing.values())
    dos = {one.compound_id: one for one in read_phonon_dos(tmp_path)}
    assert set(dos) == {"mp-1", "mp-2", "mp-4", "mp-5"}
    assert dos["mp-2"].band_center("Li") == pytest.approx(
        held["dynamics"].band_center["Li"], rel=1e-4
    )
    reasons = {name: one.provenance["lattice dynamics"] for name, one in dos.items()}
    assert reasons == {
        "mp-1": "stored",
        "mp-2": "DFPT is published without force constants",
        "mp-4": "the crystal holds no Li",
        "mp-5": "no force constants are published",
    }
    assert {doc["metadata"]["imported"] for doc in store.query({}, ["metadata"])} == {"mp"}
    monkeypatch.chdir(tmp_path)
    assert set(open_pool(tmp_path).newest("phonons")) == {"mp-1"}


def test_what_is_stored_is_not_fetched_again(store, rester):
    first = import_materials(store, ids=["mp-1", "mp-2"], api_key="x", rester=rester)
    assert set(states(first).values()) == {"imported"}
    count = len(rester.calls)
    again = import_materials(store, ids=["mp-1", "mp-2"], api_key="x", rester=rester)
    assert set(states(again).values()) == {"found"}
    assert len(rester.calls) == count


def test_a_kill_between_the_documents_is_mended(store, rester, tmp_path):
    import_materials(store, ids=["mp-1"], api_key="x", rester=rester)
    for stages in (["phonon_dos"], ["descriptors"], ["descriptors", "phonon_dos"]):
        store.remove_docs({"metadata.stage": {"$in": stages}})
        outcomes = import_materials(store, ids=["mp-1"], api_key="x", rester=rester)
        assert states(outcomes) == {"mp-1": "imported"}
        assert len(read_pool_sets(tmp_path, "Li")) == len(read_phonon_dos(tmp_path)) == 1


def test_another_method_by_name(store, rester, tmp_path):
    import_materials(store, ids=["mp-1"], method="dfpt", api_key="x", rester=rester)
    (found,) = read_phonon_dos(tmp_path)
    assert found.source_id == "b"
    assert found.method == "DFPT, abinit (Materials Project)"


def test_what_was_asked_for_and_is_not_there_is_named(store, rester):
    outcomes = import_materials(store, ids=["mp-2", "mp-6", "mp-99"], api_key="x", rester=rester)
    assert states(outcomes) == {"mp-2": "imported", "mp-6": "failed", "mp-99": "failed"}
    assert all(one.mend for one in outcomes if one.state == "failed")


def test_errors_of_the_client_never_show_the_key(store, rester):
    rester.broken = "denied for s3cret"
    (one,) = import_materials(store, ids=["mp-2"], api_key="s3cret", rester=rester)
    assert one.state == "failed"
    assert "denied for ***" in one.error
    with pytest.raises(SSEError, match=r"\*\*\*") as caught:
        import_materials(store, ids=["mp-2"], api_key="s3cret", rester=_no_such_key)
    assert "s3cret" not in str(caught.value)


def _no_such_key(key, **_):
    raise RuntimeError(f"no such key {key}")


def test_nothing_asked_for_no_key_nothing_found(store, rester, monkeypatch):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    with pytest.raises(SSEError, match="ids or chemical systems"):
        import_materials(store)
    with pytest.raises(SSEError, match="asks for a key") as caught:
        import_materials(store, ids=["mp-1"])
    assert "MP_API_KEY" in caught.value.mend
    with pytest.raises(SSEError, match="no pheasy phonons of Li-O"):
        import_materials(store, chemsys=["Li-O"], method="pheasy", api_key="x", rester=rester)
