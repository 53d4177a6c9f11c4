"""Band gaps and hull energies from a user's file."""

from __future__ import annotations

import pandas as pd
import pytest

from sse_flows.errors import SSEError
from sse_flows.screening.properties import read_properties, with_properties


def test_csv_and_json_lines_say_the_same(tmp_path):
    table, lines = tmp_path / "p.csv", tmp_path / "p.jsonl"
    table.write_text("id,band_gap,energy_above_hull,other\nmp-1,2.5,0,x\nmp-2,,0.1,y\n")
    lines.write_text(
        '{"n": 2}\n\n{"id": "mp-1", "gap": 2.5, "ehull": 0}\n'
        '{"id": "mp-2", "gap": null, "ehull": 0.1}\n'
    )
    expected = {
        "mp-1": {"band_gap": 2.5, "energy_above_hull": 0.0},
        "mp-2": {"energy_above_hull": 0.1},
    }
    assert read_properties(table) == read_properties(lines) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.csv", "id,band_gap\nmp-1,wide\n", "line 2: 'wide' is no number"),
        ("p.csv", "name,size\na,1\n", "holds no band gap"),
        ("p.csv", "", "holds no band gap"),
        ("p.jsonl", '{"id": "mp-1", "gap": 1}\n{"id": \n', "line 2 is not JSON"),
        ("p.jsonl", '{"id": "mp-1", "gap": 1}\n[1]\n', "line 2 is no JSON object"),
        ("p.csv.gz", "id,band_gap\nmp-1,1\n", "cannot read"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SSEError, match=message) as caught:
        read_properties(tmp_path / name)
    assert caught.value.mend


def test_given_values_come_before_the_table_s_own():
    table = pd.DataFrame(
        {"band_gap": [1.0, 2.0], "energy_above_hull": [float("nan"), 0.3]}, index=["a", "b"]
    )
    joined = with_properties(table, {"a": {"band_gap": 4.0}, "b": {"energy_above_hull": 0.0}})
    assert joined["band_gap"].tolist() == [4.0, 2.0]
    assert joined.loc["b", "energy_above_hull"] == 0.0
    assert pd.isna(joined.loc["a", "energy_above_hull"])
    assert table.loc["a", "band_gap"] == 1.0
