"""One store for all: every pool sees its own documents and no others."""

from __future__ import annotations

import pytest
from jobflow import SETTINGS
from pymatgen.core import Lattice, Structure

from sse_flows.campaign.flow import Plan
from sse_flows.campaign.importing import key_of, write_document
from sse_flows.campaign.results import CampaignResults
from sse_flows.campaign.stored import open_pool, read_phonon_dos, read_pool_sets
from sse_flows.descriptors.document import DESCRIPTORS, DescriptorSet
from sse_flows.errors import SSEError
from sse_flows.phonons.document import PhononDOS
from sse_flows.store.jobstore import embedded_store, open_store

SALT = Structure(Lattice.cubic(3.6), ["Li", "Cl"], [[0, 0, 0], [0.5] * 3])


def descriptors(name: str, mobile_ion: str = "Li") -> DescriptorSet:
    return DescriptorSet(
        compound_id=name,
        formula="LiCl",
        mobile_ion=mobile_ion,
        anions=["Cl"],
        values=dict.fromkeys(DESCRIPTORS, 1.0),
        missing={},
        method="springs",
    )


def dos(name: str) -> PhononDOS:
    return PhononDOS(
        compound_id=name,
        formula="LiCl",
        structure=SALT,
        energies=[1.0, 2.0, 3.0],
        densities=[0.0, 1.0, 0.0],
        negative_share=0.0,
        method="springs",
        source_id="x",
    )


def put(store, name: str, imported, mobile_ion: str = "Li") -> str:
    """Store descriptors as an import would, or with None as a campaign would; returns their id."""
    key = key_of({"name": name, "from": str(imported)})
    document = descriptors(name, mobile_ion)
    write_document(store, key, "describe", "descriptors", document, imported)
    if imported is None:
        doc = store.docs_store.query_one({"uuid": key})
        del doc["metadata"]["imported"]
        store.docs_store.update(doc, key=["uuid", "index"])
    return key


@pytest.fixture
def shared(tmp_path, monkeypatch, no_configuration):
    """A configured store with documents of everyone, and a campaign's folder without a store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SETTINGS, "JOB_STORE", embedded_store(tmp_path / "database"))
    (tmp_path / "database").mkdir()
    store = open_store(tmp_path)
    for name, imported in [
        ("mp-1", "kyoto"),
        ("mp-2", True),  # of the first release
        ("mine", "phonopy"),
        ("mp-3", "mp"),
    ]:
        put(store, name, imported)
    put(store, "mp-1", "phonopy")
    put(store, "salt", "kyoto", mobile_ion="Na")
    key = put(store, "computed", None)
    put(store, "other-campaign", None)
    write_document(store, key_of({"dos": "1"}), "dos", "phonon_dos", dos("mp-3"), "mp")
    jobs = dict.fromkeys(("order", "relax", "phonons", "descriptors"), key)
    plan = Plan(name="c", roles={"computed": ["screen"]}, jobs={"computed": jobs})
    (tmp_path / "campaign").mkdir()
    plan.write(tmp_path / "campaign")
    return store, plan


def names(pool, mobile_ion: str = "Li") -> list[str]:
    return [one.compound_id for one in read_pool_sets(pool, mobile_ion)]


@pytest.mark.parametrize(
    ("pool", "found"),
    [
        ("kyoto", ["mp-1", "mp-2"]),
        ("phonopy", ["mine", "mp-1"]),
        ("mp", ["mp-3"]),
        ("campaign", ["computed"]),
        ("database", ["computed", "mine", "mp-1", "mp-2", "mp-3", "other-campaign"]),
    ],
)
def test_every_pool_sees_its_own(shared, pool, found):
    assert names(pool) == found


def test_mobile_ions_are_kept_apart(shared):
    assert names("kyoto", "Na") == ["salt"]
    with pytest.raises(SSEError, match="mp holds no descriptors of Na"):
        read_pool_sets("mp", "Na")


def test_results_of_a_campaign_see_no_import(shared):
    store, plan = shared
    assert [one.compound_id for one in CampaignResults(store, plan).descriptors()] == ["computed"]


def test_the_newest_of_a_compound_counts(shared):
    store, _ = shared
    new = descriptors("mp-1").model_copy(update={"formula": "Li2Cl2"})
    write_document(store, key_of({"new": "1"}), "describe", "descriptors", new, "kyoto")
    (found, _) = read_pool_sets("kyoto", "Li")
    assert found.formula == "Li2Cl2"


def test_densities_of_states(shared):
    (found,) = read_phonon_dos()
    assert found == dos("mp-3")
    assert found.band_center() == pytest.approx(2.0)
    assert [one.compound_id for one in read_phonon_dos("database")] == ["mp-3"]
    with pytest.raises(SSEError, match="kyoto holds no phonon DOS") as caught:
        read_phonon_dos("kyoto")
    assert "sse import mp" in caught.value.mend


def test_a_name_is_not_a_folder(shared, tmp_path):
    (tmp_path / "mp").mkdir()
    assert names("mp") == ["mp-3"]
    with pytest.raises(SSEError, match="mp holds no store"):
        read_pool_sets("./mp", "Li")


def test_without_a_store_the_mend_says_how_to_get_one(tmp_path, monkeypatch, no_configuration):
    monkeypatch.chdir(tmp_path)
    for pool in ("kyoto", "phonopy", "mp", "elsewhere"):
        with pytest.raises(SSEError, match="holds no store") as caught:
            open_pool(pool)
        assert "sse import" in caught.value.mend
    assert not list(tmp_path.iterdir())


def test_more_compounds_than_a_query_may_hold(shared, tmp_path):
    store, _ = shared
    keys = {f"c{i}": key_of({"c": str(i)}) for i in range(900)}
    keys["computed"] = next(
        doc["uuid"] for doc in store.query({"metadata.compound": "computed"}, ["uuid"])
    )
    jobs = {name: {"descriptors": key} for name, key in keys.items()}
    (tmp_path / "large").mkdir()
    plan = Plan(name="l", roles={name: ["screen"] for name in keys}, jobs=jobs)
    plan.write(tmp_path / "large")
    assert names("large") == ["computed"]
