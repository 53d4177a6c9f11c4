"""`sse subsets`: from any table to the best of all subsets, in one go or in parts."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

ONE = ("--jobs", 1, "--no-rescore")


@pytest.fixture
def table(tmp_path) -> str:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(26, 6)), columns=list("abcdef"))
    frame["sigma"] = 10 ** (frame["a"] - frame["b"] + rng.normal(size=26))
    frame["kind"] = np.where(frame["sigma"] > 1, "fast", "slow")
    frame["name"] = "Li3PS4"
    frame.loc[4, "c"] = np.nan
    frame.loc[5, ["sigma", "kind"]] = np.nan
    frame.to_csv(tmp_path / "mine.csv", index=False)
    return "mine.csv"


def _document(name: str) -> dict:
    found = json.loads(Path(name).read_text())
    found.pop("cpu_seconds", None)
    return found


def test_best_of_every_size(sse, table):
    result = sse(
        "subsets", table, "--target", "sigma", "--threshold", 1, "-o", "r.json", "--jobs", 1
    )
    assert result.code == 0, result.err
    document = _document("r.json")
    assert document["n_subsets"] == 63
    assert document["classes"] == ["sigma <= 1", "sigma > 1"]
    lines = result.out.splitlines()
    assert lines[0].split() == [
        "size",
        "accuracy",
        "sklearn",
        "newton",
        "training",
        "ties",
        "features",
    ]
    for line, size in zip(lines[1:7], document["sizes"], strict=True):
        cells = line.replace("*", " ").split()
        assert int(cells[0]) == size["n_features"]
        assert (
            cells[1] == cells[3] == f"{size['score']:.3f}" == f"{size['score_sklearn_newton']:.3f}"
        )
        assert cells[4] == f"{size['train_score']:.3f}"
        assert cells[6:] == size["features"]
        assert line.startswith("*") == size["chosen"]
    assert "[1 rows without sigma are left out]" in result.err
    assert "[c is empty in 1 of 25 rows]" in result.err
    assert "of 63 subsets of 6 columns" in result.out


def test_labels_columns_and_options(sse, table):
    result = sse(
        "subsets", "--target", "kind", table, "--features", "a,b,d", "--max-features", 2, "--raw",
        "--C", 100, "--score", "f1", "--positive", "fast", "--certify", "-o", "r.json", *ONE,
    )  # fmt: skip
    assert result.code == 0, result.err
    document = _document("r.json")
    assert document["settings"] == {
        "max_features": 2, "C": 100.0, "standardize": False, "scoring": "f1", "certify": True,
        "tie_cap": 1000, "missing": "median",
    }  # fmt: skip
    assert document["n_subsets"] == 6
    assert document["classes"] == ["slow", "fast"]
    assert document["certified"]
    assert document["coefficients"] == document["raw_coefficients"]
    assert "every bound is proven" in result.out


def test_parts_are_merged_to_the_same_answer(sse, table):
    options = ("--target", "kind", "--features", "a,b,c,d,e,f", *ONE)
    assert sse("subsets", table, *options, "-o", "whole.json").code == 0
    for i in range(3):
        part = sse("subsets", table, *options, "--part", f"{i}/3", "-o", f"p{i}.json")
        assert part.code == 0, part.err
        assert f"part {i} of 3" in part.out
    merged = sse(
        "subsets", "merge", "p2.json", "p0.json", "p1.json", "--no-rescore", "-o", "m.json"
    )
    assert merged.code == 0, merged.err
    assert _document("m.json") == _document("whole.json")
    lacking = sse("subsets", "merge", "p0.json", "p1.json")
    assert lacking.code == 1
    assert "of 3 parts 2 is missing" in lacking.err


def test_a_checkpoint_is_gone_on_from(sse, table):
    options = ("--target", "kind", "--features", "a,b,c,d,e,f", *ONE)
    first = sse("subsets", table, *options, "--checkpoint", "state.json", "-o", "1.json")
    assert first.code == 0, first.err
    assert Path("state.json").stat().st_size > 0
    again = sse("subsets", table, *options, "--checkpoint", "state.json", "-o", "2.json")
    assert _document("1.json") == _document("2.json")
    assert again.code == 0
    other = sse("subsets", table, *options, "--C", 2, "--checkpoint", "state.json")
    assert other.code == 1
    assert len(other.errors) == 1


def test_a_stopped_search_says_how_to_go_on_and_does(sse, table, monkeypatch):
    options = ("--target", "kind", "--features", "a,b,c,d,e,f", *ONE)
    assert sse("subsets", table, *options, "-o", "whole.json").code == 0

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sse_flows.models.progress.PacedNotes.search", interrupt)
        stopped = sse("subsets", table, *options, "--checkpoint", "state.json")
        without = sse("subsets", table, *options)
    assert stopped.code == 130
    assert stopped.errors == ["stopped; to go on, run the same command again"]
    assert "--checkpoint FILE" in without.errors[0]
    again = sse("subsets", table, *options, "--checkpoint", "state.json", "-o", "again.json")
    assert again.code == 0
    assert _document("again.json") == _document("whole.json")


@pytest.mark.parametrize("suffix", ["svg", "html", "png"])
def test_the_plot_shows_both_scores(sse, table, suffix):
    name = f"plot.{suffix}"
    result = sse("subsets", table, "--target", "kind", "--plot", name, *ONE)
    assert result.code == 0, result.err
    data = Path(name).read_bytes()
    if suffix == "png":
        assert data.startswith(b"\x89PNG")
        return
    text = data.decode()
    assert "left out" in text
    assert "fitted rows" in text
    assert text.count("<circle") == 2 * 7
    if suffix == "svg":
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"


def test_text_of_a_table_is_escaped_in_html(sse, table):
    frame = pd.read_csv(table).rename(columns={"a": "<b>a"})
    frame["kind"] = frame["kind"].replace("fast", "<script>")
    frame.to_csv("odd.csv", index=False)
    assert sse("subsets", "odd.csv", "--target", "kind", "--plot", "p.html", *ONE).code == 0
    text = Path("p.html").read_text()
    assert "<script>" not in text
    assert "<b>a" not in text


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("none.csv", "--target", "kind"), ("none.csv does not exist",)),
        (("mine.csv", "--target", "kinds"), ("no column kinds", "Did you mean kind?")),
        (("mine.csv", "--target", "sigma"), ("kinds of value, not two", "--threshold")),
        (("mine.csv", "--target", "kind", "--positive", "quick"), ("'quick' is none of", "fast")),
        (("mine.csv", "--target", "sigma", "--threshold", 1e9), ("only one class",)),
        (("mine.csv", "--target", "kind", "--missing", "refuse"), ("missing (NaN) in c (1 rows)",)),
        (("mine.csv", "--target", "kind", "--features", "a,name"), ("name holds text",)),
        (("mine.csv", "--target", "kind", "--C", 0), ("--C: Input should be greater than 0",)),
        (("mine.csv", "--target", "kind", "--part", "3/3", "-o", "p"), ("--part 3/3 is not i/N",)),
        (("mine.csv", "--target", "kind", "--part", "0/3"), ("a part is a file", "--output")),
        (("mine.csv", "--target", "kind", "--plot", "a.pdf"), ("'a.pdf'", ".svg, .html, .png")),
        (("mine.csv", "--target", "kind", "--kernel", "gpu"), ("gpu",)),
        (("merge", "mine.csv"), ("cannot read mine.csv as a part",)),
        (("merge", "absent.json"), ("cannot read absent.json", "No such file")),
    ],
)
def test_a_mistake_is_one_line(sse, table, arguments, parts):
    result = sse("subsets", *arguments)
    assert result.code == 1
    assert len(result.errors) == 1, result.err
    assert result.errors[0].startswith("error: ")
    assert all(part in result.errors[0] for part in parts), result.errors[0]
