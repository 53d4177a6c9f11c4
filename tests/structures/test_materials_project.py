"""Queries of the Materials Project against a stand-in for its client."""

from __future__ import annotations

import sys

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.errors import SSEError
from sse_flows.structures.materials_project import FIELDS, from_materials_project

SALT = Structure(Lattice.cubic(3.6), ["Li", "Cl"], [[0, 0, 0], [0.5] * 3])
HALITE = Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])


def document(name, structure, **more):
    return {"material_id": name, "structure": structure, "band_gap": 6.2, **more}


class FakeRester:
    """Answers like MPRester and remembers what it was asked."""

    asked: list[dict] = []  # noqa: RUF012
    error: Exception | None = None

    def __init__(self, api_key, **options):
        self.key = api_key
        self.materials = self.summary = self

    def __enter__(self):
        return self

    def __exit__(self, *details):
        return False

    def search(self, **query):
        if self.error:
            raise self.error
        self.asked.append({**query, "key": self.key})
        known = {
            "mp-1": document("mp-1", SALT, formation_energy_per_atom=-2.1, energy_above_hull=0.0),
            "mp-2": document("mp-2", HALITE.as_dict()),
        }
        return [known[i] for i in query.get("material_ids", known) if i in known]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    monkeypatch.setattr(FakeRester, "asked", [])


def test_by_id():
    intake = from_materials_project(
        ["mp-1", "mp-2", "mp-3"], api_key="secret", mobile_ions=["Li"], rester=FakeRester
    )
    (compound,) = intake.compounds
    assert compound.compound_id == "mp-1"
    assert compound.source == compound.property_source == "Materials Project mp-1"
    assert (compound.band_gap, compound.formation_energy) == (6.2, -2.1)
    assert compound.energy_above_hull == 0
    assert "holds none" in intake.failures["mp-2"]
    assert "not found" in intake.failures["mp-3"]
    assert "secret" not in repr(intake)


def test_query_of_a_system(monkeypatch):
    monkeypatch.setenv("MP_API_KEY", "from-env")
    intake = from_materials_project(
        chemsys="Li-Cl",
        energy_above_hull_max=0.05,
        mobile_ions=["Na", "Li"],
        rester=FakeRester,
    )
    assert [c.mobile_ion for c in intake.compounds] == ["Li", "Na"]
    (query,) = FakeRester.asked
    assert query["chemsys"] == ["Li-Cl"]
    assert query["energy_above_hull"] == (-1.0, 0.05)
    assert query["fields"] == list(FIELDS)
    assert query["key"] == "from-env"


def test_ids_and_system_are_joined():
    intake = from_materials_project("mp-1", "Li-Cl", api_key="x", rester=FakeRester)
    assert len(FakeRester.asked) == 2
    assert [c.compound_id for c in intake.compounds] == ["mp-1"]


def test_errors_name_the_mend_and_hide_the_key(monkeypatch):
    with pytest.raises(SSEError, match="ids such as"):
        from_materials_project()
    with pytest.raises(SSEError, match="MP_API_KEY"):
        from_materials_project("mp-1")
    monkeypatch.setattr(FakeRester, "error", RuntimeError("key s3cret is invalid"))
    with pytest.raises(SSEError, match=r"RuntimeError: key \*\*\* is invalid") as caught:
        from_materials_project("mp-1", api_key="s3cret", rester=FakeRester)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_mp_api(monkeypatch):
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(SSEError, match=r"sse-flows\[mp\]"):
        from_materials_project("mp-1", api_key="x")


def test_fields_exist_in_the_real_client():
    summary = pytest.importorskip("emmet.core.summary")
    assert set(FIELDS) <= set(summary.SummaryDoc.model_fields)
