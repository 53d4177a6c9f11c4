"""sse screen --model band-center, from a pool to a campaign."""

from __future__ import annotations

import csv
import json

import pytest

from sse_flows.cli.center_screen import asks_for_centers
from sse_flows.testing.models import small_band_center

WIDE = ("--max-center", "500")


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
            "ehull": 0.02 * number,
        }
        for number, symbol in enumerate(["F", "Cl", "Br", "I", "S"])
    ]
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records) + "{broken\n")
    return path


def test_a_pool_becomes_a_table_a_page_and_a_campaign(sse, pool, model, tmp_path):
    options = ("--report", "page.html", "--to-campaign", "next.yaml", "--top", "2", "-p", "1")
    result = sse(
        "screen", "--pool", pool, "--model", model, *WIDE, "-f", "csv", "-o", "t.csv", *options
    )
    assert result.code == 0, result.err
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert {row["id"] for row in rows if row["status"] == "kept"} == {"b-0", "b-1", "b-2"}
    (failed,) = [row for row in rows if row["status"] == "failed"]
    assert failed["id"] == "pool.jsonl:6"
    assert "5 crystals predicted, 3 kept, 1 failed" in result.err
    assert "meV/atom above the hull: 2" in result.err
    assert (tmp_path / "page.html").is_file()
    assert len(list((tmp_path / "next_structures").iterdir())) == 2
    check = sse("screen", "--pool", pool, "--model", model, *WIDE, *options[2:])
    assert check.code == 1
    assert "next.yaml exists already" in check.err


def test_the_table_on_the_terminal_names_anions_and_ranks(sse, pool, model):
    result = sse("screen", "--model", model, "--pool", pool, *WIDE, "-p", "1")
    assert result.out.splitlines()[0].split()[:4] == ["anions", "rank", "id", "formula"]
    assert "LiCl" in result.out


def test_prototypes_are_a_pool(sse, model, tmp_path):
    result = sse(
        "screen", "--model", model, "--pool", "prototypes", "--prototype", "li3ps4",
        "--cations", "P,As", "--anions", "S,Se", *WIDE, "-f", "json", "-o", "t.json", "-p", "1",
    )  # fmt: skip
    assert result.code == 0, result.err
    text = (tmp_path / "t.json").read_text()
    assert all(name in text for name in ("li3ps4_Li-P-S", "li3ps4_Li-As-Se"))


def test_results_are_kept_in_a_folder(sse, pool, model):
    run = ("screen", "--model", model, "--pool", pool, *WIDE, "-r", "runs", "-f", "csv", "-p", "1")
    first = sse(*run)
    assert first.code == 0, first.err
    assert sse(*run).out == first.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pool", "nowhere"], "no pool called 'nowhere'"),
        (["--pool", "mp"], "asks for a key"),
        (["--pool", "pool.jsonl", "--prototype", "li3ps4"], "--prototype is of --pool prototypes"),
        (["--pool", "prototypes", "--anions", "Xx"], "'Xx' is no element"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(sse, pool, model, arguments, message, monkeypatch):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    result = sse("screen", "--model", model, *arguments)
    assert result.code == 1
    (line,) = result.errors
    assert message in line


def test_a_pool_of_bad_crystals_ends_with_a_failure(sse, model, tmp_path):
    (tmp_path / "bad.jsonl").write_text("{broken\n")
    result = sse("screen", "--model", model, "--pool", "bad.jsonl", "-p", "1")
    assert result.code == 1
    assert "failed: 1 x this is not JSON" in result.err


def test_the_model_decides_which_command_it_is(sse, model, tmp_path):
    assert asks_for_centers(["--pool", "x", "--model", "band-center"])
    assert asks_for_centers([f"--model={model}"])
    assert not asks_for_centers(["--model", "kim2024"])
    assert not asks_for_centers(["--model", str(tmp_path)])
    assert not asks_for_centers(["--model"])
    assert "--max-center" in sse("screen", "--model", "band-center", "--help").out
    plain = sse("screen", "--help").out
    assert "--max-center" not in plain
    assert "--model band-center" in plain
