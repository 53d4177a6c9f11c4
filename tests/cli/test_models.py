"""`sse train` and `sse evaluate`: from a table of one's own to honest scores in one command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS


@pytest.fixture
def table(tmp_path):
    """Write a table of which the conductivity follows two descriptors; some changes to it."""

    def write(name="mine.csv", n_rows=16, seed=0, **changes) -> str:
        rng = np.random.default_rng(seed)
        rows = pd.DataFrame(0.0, index=range(n_rows), columns=list(DESCRIPTORS))
        for column in ("band_gap", "density", "vibrational_entropy"):
            rows[column] = rng.normal(size=n_rows)
        rows.insert(0, "compound_id", [f"{seed}-{i:02d}" for i in range(n_rows)])
        rows["family"] = np.resize(["garnet", "halide", "sulfide", "NASICON"], n_rows)
        rows["conductivity"] = 10 ** (-4 + 2 * rows["band_gap"] - rows["density"])
        for column, change in changes.items():
            rows[column] = change(rows[column]) if column in rows else change
        rows.to_csv(tmp_path / name, index=False)
        return name

    return write


def assert_one_line(result, *parts: str) -> None:
    assert result.code == 1
    assert len(result.errors) == 1, result.err
    assert result.errors[0].startswith("error: ")
    assert all(part in result.errors[0] for part in parts), result.errors[0]


def _cells(out: str) -> dict[tuple[str, str], list[str]]:
    lines = [line.split() for line in out.split("\n\n", maxsplit=1)[0].splitlines()[1:]]
    return {(row[0], " ".join(row[1:-5])): row[-5:] for row in lines}


def test_evaluate_shows_every_score_side_by_side(sse, table):
    result = sse(
        "evaluate", table(), "--groups", "family", "--scramble", 3, "--max-features", 1,
        "--elimination", "--trees", 4, "-o", "scores.json",
    )  # fmt: skip
    assert result.code == 0, result.err
    cells = _cells(result.out)
    document = json.loads(Path("scores.json").read_text())
    plain = document["classifier"]["plain"]
    assert cells["classifier", "accuracy"][0] == f"{plain['accuracy']:.3f}"
    assert cells["classifier", "log loss"][0] == f"{plain['log_loss']:.3f}"
    assert cells["classifier", "accuracy"][3] == f"{document['scrambled']['median']:.3f}"
    grouped = document["classifier"]["grouped"]
    assert grouped["groups"] == {"garnet": 4, "halide": 4, "sulfide": 4, "NASICON": 4}
    assert cells["classifier", "F1"][2] == f"{grouped['scores']['f1']:.3f}"
    assert cells["forest", "RMSE"][0] == cells["forest", "RMSE"][1]
    inside = document["elimination"]
    assert cells["elimination", "R2"][1] == f"{inside['nested']['r2']:.3f}"
    assert cells["elimination", "R2"][2] == f"{inside['grouped']['scores']['r2']:.3f}"
    assert "nested in 10 folds with 4 trees" in result.out
    assert cells["elimination", "R2"][0] == f"{document['elimination']['plain']['r2']:.3f}"
    assert "4 groups" in result.out
    chosen = document["sizes"][0]
    row = next(line for line in result.out.splitlines() if line.startswith("*")).split()
    assert row[4:6] == [f"{chosen['log_loss']:.3f}", str(chosen["n_tied"])]
    assert "scrambled 3 times" in result.out
    assert document["path"][0]["n_features"] == 3
    assert "[elimination, 2 left" in result.err


def test_parts_not_asked_for_are_left_out(sse, table):
    cells = _cells(sse("evaluate", table(), "--max-features", 1, "--no-nested", "--trees", 2).out)
    assert cells["classifier", "accuracy"][1:4] == ["-", "-", "-"]
    assert not [row for row in cells if row[0] == "elimination"]


def test_a_column_of_ones_own_can_group(sse, table):
    path = table(lab=np.resize(["a", "b"], 16))
    result = sse("evaluate", path, "--groups", "lab", "--max-features", 1, "--trees", 2)
    assert "2 groups" in result.out


def test_a_saved_model_is_tested_on_what_it_never_saw(sse, table):
    trained = sse("train", table(), "-o", "model", "--max-features", 1, "--trees", 5)
    assert trained.code == 0, trained.err
    assert "sse evaluate TABLE --model model" in trained.out
    assert "Backward elimination" not in Path("model/report.html").read_text(encoding="utf-8")
    assert "Pearson correlations" in Path("model/report.html").read_text(encoding="utf-8")
    other = table("other.csv", n_rows=5, seed=1)
    pd.concat([pd.read_csv("mine.csv"), pd.read_csv(other)]).to_csv("both.csv", index=False)
    result = sse("evaluate", "both.csv", "--model", "model", "-o", "unseen.json")
    assert "5 compounds that the model never saw; 16 that it was trained on" in result.out
    both = json.loads(Path("unseen.json").read_text())
    sse("evaluate", other, "--model", "model", "-o", "alone.json")
    alone = json.loads(Path("alone.json").read_text())
    assert alone["seen"] == []
    assert alone["regression"] == both["regression"]
    assert both["regression"]["rmse"] < both["naive_regression"]["rmse"]
    assert 0 <= both["interval_coverage"] <= 1


def test_renamed_training_compounds_are_known_again(sse, table):
    sse("train", table(), "-o", "model", "--max-features", 1, "--trees", 2, "--no-nested")
    renamed = table("renamed.csv", compound_id=lambda ids: "x" + ids)
    assert_one_line(
        sse("evaluate", renamed, "--model", "model"), "trained on all 16", "it never saw"
    )


@pytest.mark.parametrize(
    ("changes", "options", "parts"),
    [
        ({"conductivity": -1.0}, (), ("0-00: conductivity -1 S/cm", "S/cm, or leave")),
        ({"conductivity": 0.0}, (), ("0-00: conductivity 0 S/cm", "S/cm, or leave")),
        ({"conductivity": np.nan}, (), ("only 0 compounds", "Add compounds")),
        ({"conductivity": 1.0}, (), ("only one class", "move the threshold")),
        ({"density": "heavy"}, (), ("text in a column of numbers", "Leave the field empty")),
        ({"density": np.inf}, (), ("0-00: density", "not a finite number", "leave the cell empty")),
        ({"family": np.nan}, ("--groups", "family"), ("0-00: family is empty (16 of 16", "Fill")),
        ({}, ("--groups", "lab"), ("no column lab to group by", "family")),
        ({"family": "oxide"}, ("--groups", "family"), ("1 group is no", "divide the table")),
        ({}, ("--model", "nothing"), ("nothing holds no models.json", "save_models")),
    ],
)
def test_a_mistake_in_the_table_is_one_line(sse, table, changes, options, parts):
    given = {name: (lambda _, v=value: v) for name, value in changes.items()}
    result = sse("evaluate", table(**given), "--max-features", 1, "--trees", 2, *options)
    assert_one_line(result, *parts)


def test_files_that_are_no_table_are_one_line(sse, tmp_path):
    assert_one_line(sse("evaluate", "none.csv"), "none.csv does not exist", "builtin")
    (tmp_path / "empty.csv").write_text("")
    assert_one_line(sse("train", "empty.csv", "-o", "x"), "empty.csv is not a CSV file")
    (tmp_path / "odd.csv").write_text("compound_id,colour\na,red\n")
    assert_one_line(sse("train", "odd.csv", "-o", "x"), "lacks the columns", "band_gap")
