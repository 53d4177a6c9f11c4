"""The short-list of a screen is a campaign that can be read, with its crystals as the pool."""

from __future__ import annotations

import pandas as pd
import pytest

from sse_flows.campaign.flow import Campaign
from sse_flows.campaign.shortlist import shortlisted, write_campaign
from sse_flows.errors import SSEError
from sse_flows.screening.pools import PrototypeChildren
from sse_flows.structures.library import Library
from sse_flows.structures.prototypes import load_prototypes


@pytest.fixture
def pool():
    library = Library.of(load_prototypes(["li3ps4"]), cations=["P", "As"], anions=["O", "S"])
    return PrototypeChildren(library)


def table(rows):
    columns = ["id", "anions", "rank", "center", "outside_domain"]
    return pd.DataFrame(rows, columns=columns)


def test_all_kinds_of_anions_have_their_turn():
    rows = table(
        [
            ("s1", "S", 1, 20.0, False),
            ("s2", "S", 2, 21.0, True),
            ("o1", "O", 1, 30.0, False),
            ("o2", "O", 2, 31.0, False),
            ("alloy", "none", 1, 5.0, False),
        ]
    )
    assert shortlisted(rows, 3) == ["s1", "o1", "s2"]
    assert shortlisted(rows, 10, inside_domain=True) == ["s1", "o1", "o2"]


def test_the_campaign_reads_its_structures(pool, tmp_path):
    ids = ["li3ps4_Li-As-S", "li3ps4_Li-P-O"]
    path = tmp_path / "short list.yaml"
    files = write_campaign(path, ids, pool)
    assert len(files) == 2
    campaign = Campaign.from_file(path)
    assert sorted(campaign.pool.compounds) == ids
    assert campaign.pool.roles == {name: ["screen"] for name in ids}
    assert campaign.pool.failures == {}
    assert campaign.pool.compounds[ids[0]].formula == "Li3AsS4"
    assert campaign.manifest.name == "short-list"


def test_what_the_pool_knows_goes_along(tmp_path):
    import json

    from sse_flows.screening.pools import open_pool

    record = {
        "id": "odd id/1",
        "cell": [3.6, 3.6, 3.6, 90, 90, 90],
        "sp": ["Li", "Cl"],
        "xyz": [[0, 0, 0], [0.5] * 3],
        "ehull": 0.03,
        "gap": 6.1,
    }
    (tmp_path / "pool.jsonl").write_text(json.dumps(record))
    write_campaign(tmp_path / "c.yaml", ["odd id/1"], open_pool(tmp_path / "pool.jsonl"))
    (compound,) = Campaign.from_file(tmp_path / "c.yaml").pool.compounds.values()
    assert compound.energy_above_hull == 0.03
    assert compound.band_gap == 6.1


def test_nothing_is_overwritten_and_nothing_is_no_campaign(pool, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("mine")
    with pytest.raises(SSEError, match="exists already"):
        write_campaign(path, ["li3ps4_Li-P-S"], pool)
    assert path.read_text() == "mine"
    with pytest.raises(SSEError, match="no crystal is left"):
        write_campaign(tmp_path / "d.yaml", [], pool)
