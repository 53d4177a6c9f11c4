"""Band centres of a store as training data."""

from __future__ import annotations

import pytest
from monty.json import jsanitize
from pymatgen.core import Lattice, Structure

from sse_flows.campaign.band_center import stored_training
from sse_flows.errors import SSEError
from sse_flows.phonons.document import PhononDOS
from sse_flows.store.jobstore import open_store


def document(uuid: str, when: str, total: float) -> dict:
    crystal = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    centers = {"Na": total - 1, "Cl": total + 1, "total": total}
    output = {"compound_id": "nacl", "primitive": crystal.as_dict(), "band_center": centers}
    return {"uuid": uuid, "index": 1, "completed_at": when, "output": output}


def test_the_newest_dynamics_of_each_compound(tmp_path, no_configuration):
    store = open_store(tmp_path)
    store.update([document("a", "2026-01-01", 20.0), document("b", "2026-02-01", 21.0)])
    (one,) = stored_training(tmp_path)
    assert (one.compound_id, one.center) == ("nacl", 21.0)
    assert one.element_centers == {"Na": 20.0, "Cl": 22.0}
    assert one.crystal.numbers.tolist() == [11, 17]


def test_a_folder_without_dynamics_is_named(tmp_path, no_configuration):
    with pytest.raises(SSEError, match="holds no store"):
        stored_training(tmp_path)
    open_store(tmp_path).update([{"uuid": "a", "index": 1, "output": {"other": 1}}])
    with pytest.raises(SSEError, match="no phonons"):
        stored_training(tmp_path)


def published(name: str, **more) -> dict:
    crystal = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    dos = PhononDOS(
        compound_id=name,
        formula="NaCl",
        structure=crystal,
        energies=[0.0, 10.0, 20.0, 30.0, 40.0],
        densities=[0.0, 0.1, 0.4, 0.1, 0.0],
        negative_share=0.0,
        method="DFPT",
        source_id="1",
        **more,
    )
    return {
        "uuid": name,
        "index": 1,
        "completed_at": "2026-01-01",
        "metadata": {"stage": "phonon_dos"},
        "output": jsanitize(dos, strict=True, enum_values=True, allow_bson=True),
    }


def test_a_published_dos_counts_where_there_are_no_dynamics(tmp_path, no_configuration):
    sites = [[0.0, 0.1, 0.2, 0.0, 0.0], [0.0, 0.0, 0.2, 0.1, 0.0]]
    store = open_store(tmp_path)
    store.update([document("a", "2026-01-01", 21.0), published("nacl"), published("total")])
    store.update([published("projected", projected_densities=sites)])
    found = {one.compound_id: one for one in stored_training(tmp_path)}
    assert found["nacl"].center == 21.0
    assert found["total"].center == pytest.approx(20.0)
    assert found["total"].element_centers is None
    assert (
        found["projected"].element_centers["Na"] < 20.0 < found["projected"].element_centers["Cl"]
    )
