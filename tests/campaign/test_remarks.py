"""What the report says of calculations that were mended, or were asked for something doubtful."""

from __future__ import annotations

import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore

from sse_flows.campaign.flow import Plan
from sse_flows.campaign.remarks import MOST, read_remarks
from sse_flows.store.jobstore import embedded_store

LOW = "ecutwfc of 30 Ry is below the 78 Ry of Li.UPF"


def document(uuid: str, name: str, stage: str = "phonons", flow: str = "ours", **output) -> dict:
    metadata = {"compound": "li2o", "stage": stage}
    hosts = ["inner", flow] if flow == "ours" else [flow]
    return {
        "uuid": uuid,
        "index": 1,
        "name": name,
        "metadata": metadata,
        "hosts": hosts,
        "output": {"corrections": [], "warnings": [], **output},
    }


@pytest.fixture(params=["memory", "embedded"])
def store(request, tmp_path):
    one = JobStore(MemoryStore()) if request.param == "memory" else embedded_store(tmp_path)
    one.connect()
    return one


PLAN = Plan(
    name="x",
    roles={"li2o": ["screen"]},
    jobs={"li2o": {"order": "o", "relax": "r", "phonons": "p", "descriptors": "d"}},
)


def remarks(store, *documents: dict) -> dict[str, list[str]]:
    store.update(list(documents), key=["uuid", "index"])
    return read_remarks(store, PLAN)


def test_the_same_remark_of_many_supercells_is_one_line(store):
    mended = {"corrections": ["mixing_beta 0.3", "restart"], "warnings": [LOW]}
    found = remarks(
        store,
        document("r", "relax", "relax", warnings=[LOW]),
        *(document(f"f{n}", f"forces {n}/3", **mended) for n in (1, 2, 3)),
        document("b", "born charges"),
    )
    assert sorted(found["li2o"]) == [
        f"{LOW} (4 jobs)",
        "forces: mended by mixing_beta 0.3; restart (3 jobs)",
    ]


def test_nothing_is_said_of_calculations_that_went_well(store):
    assert remarks(store, document("r", "relax", "relax"), document("p", "collect")) == {}


def test_calculations_of_other_campaigns_are_left_out(store):
    other = document("x", "relax", "relax", flow="theirs", corrections=["restart"])
    assert remarks(store, document("r", "relax", "relax"), other) == {}


def test_a_warning_of_the_ordering_is_not_said_twice(store):
    assert remarks(store, document("o", "order", "order", warnings=["rounded"])) == {}


def test_many_and_long_remarks_are_cut_short(store):
    given = [f"{'<b>' * 200}{n}" for n in range(MOST + 3)]
    given = [f"{n} {text}" for n, text in enumerate(given)]
    (found,) = remarks(store, document("r", "relax", "relax", warnings=given)).values()
    assert len(found) == MOST + 1
    assert found[-1] == "and 3 more remarks"
    assert max(map(len, found)) < 250
