"""The screen as a flow: parts that fail are named and made up for, the ranking is the same."""

from __future__ import annotations

import json
from functools import partial

import pandas as pd
import pytest

from sse_flows.campaign.center_screening import CenterScreenMaker, run_screen
from sse_flows.errors import SSEError
from sse_flows.screening.band_center import load_centers
from sse_flows.screening.center_document import CenterCriteria
from sse_flows.screening.center_screen import screen_centers
from sse_flows.screening.pools import LineFiles, PrototypeChildren, pool_from_plain
from sse_flows.structures.library import Library
from sse_flows.structures.prototypes import load_prototypes
from sse_flows.testing.models import small_band_center

ANIONS = ["F", "Cl", "Br", "I", "O", "S", "Se", "Te"]
WIDE = CenterCriteria(max_center=500)
IN_PARTS = partial(CenterScreenMaker, batches_per_job=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_band_center(tmp_path_factory.mktemp("model"))


@pytest.fixture
def pool(tmp_path):
    records = [
        {
            "id": f"b-{number}",
            "cell": [3.9, 4.0, 4.1, 90, 90, 90],
            "sp": ["Li", symbol],
            "xyz": [[0, 0, 0], [0.5] * 3],
            "ehull": 0.01,
        }
        for number, symbol in enumerate(ANIONS)
    ]
    records.append({**records[0], "id": "bad", "cell": [0] * 6})
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return LineFiles((path,), size=3)


@pytest.mark.usefixtures("no_configuration")
def test_the_flow_finds_what_the_direct_screen_finds(pool, model, tmp_path):
    direct = screen_centers(pool, load_centers(model), WIDE)
    screened = run_screen(pool, model, WIDE, tmp_path / "runs", processes=1, maker=IN_PARTS)
    assert screened.failed == {}
    pd.testing.assert_frame_equal(screened.screening.table, direct.table)
    mine, others = screened.screening.summary.model_dump(), direct.summary.model_dump()
    for one, same in zip(mine.pop("elements"), others.pop("elements"), strict=True):
        assert one == {**same, "center": pytest.approx(same["center"])}
    assert mine == others
    assert [one.id for one in screened.screening.summary.failed] == ["bad"]


@pytest.mark.usefixtures("no_configuration")
def test_a_part_that_fails_is_named_and_run_alone_again(pool, model, tmp_path):
    lines = pool.paths[0].read_text().splitlines(keepends=True)
    pool.paths[0].write_text("".join(lines[:3]))
    other = tmp_path / "other.jsonl"
    other.write_text("".join(lines[3:8]))
    both, gone = LineFiles((pool.paths[0], other), size=3), tmp_path / "gone"
    ran: list[str] = []

    def watch(graph, node):
        if node is not None and node.state == "running":
            ran.append(str(node.job.metadata["compound"]))
            if other.exists() and not gone.exists():
                other.rename(gone)  # after the flow was made, before a worker reads

    def run():
        ran.clear()
        return run_screen(
            both, model, WIDE, tmp_path / "runs", processes=1, watch=watch, maker=IN_PARTS
        )

    first = run()
    lost = ["other.jsonl, lines 1 to 3", "other.jsonl, lines 4 to 5"]
    assert sorted(first.failed) == lost
    assert all("cannot read" in reason for reason in first.failed.values())
    assert [text.partition(": ")[0] for text in first.screening.summary.missing] == lost
    assert first.screening.summary.predicted == 3
    gone.rename(other)
    gone.touch()
    second = run()
    assert ran == [*lost, "None"]  # the ranking belongs to no part
    assert second.failed == {}
    assert second.screening.summary.predicted == len(ANIONS)
    assert run().screening.summary == second.screening.summary
    assert ran == []


@pytest.mark.usefixtures("no_configuration")
def test_prototypes_can_be_screened_as_a_flow(model, tmp_path):
    library = Library.of(load_prototypes(["li3ps4"]), cations=["P", "As", "Si"])
    pool = PrototypeChildren(library, size=4)
    direct = screen_centers(pool, load_centers(model), WIDE)
    screened = run_screen(pool, model, WIDE, tmp_path / "runs", processes=1, maker=IN_PARTS)
    pd.testing.assert_frame_equal(screened.screening.table, direct.table)


def test_pools_survive_the_way_through_json(pool):
    library = Library.of(load_prototypes(["li3ps4"]), cations=["P", "As"], scale_volume=True)
    for one in (pool, PrototypeChildren(library, size=4)):
        again = pool_from_plain(json.loads(json.dumps(one.as_plain())))
        assert again.digest == one.digest
        assert [batch.name for batch in again.batches()] == [batch.name for batch in one.batches()]


def test_an_empty_pool_makes_no_flow(model, tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("")
    with pytest.raises(SSEError, match="holds no crystal"):
        CenterScreenMaker().make(LineFiles((path,)), model)
