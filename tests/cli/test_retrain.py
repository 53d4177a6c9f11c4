"""`sse retrain`, `versions`, `train` on a store, and `screen` by a saved model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from sse_flows.models import load_models
from sse_flows.testing.inline import InlinePool
from sse_flows.testing.stored import make_sets, measured, write_sets

QUICK = ("--max-features", 1, "--trees", 5, "--no-nested")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Sixteen compounds; gaps and hull energies of all, conductivities of twelve."""
    sets = make_sets(16)
    write_sets(tmp_path / "run", sets)
    lines = [f"{name},{value}" for name, value in measured(sets[:12]).items()]
    (tmp_path / "sigma.csv").write_text("\n".join(["id,conductivity_S_per_cm", *lines]))
    lines = [f"{one.compound_id},{3 + i / 10},0" for i, one in enumerate(sets)]
    (tmp_path / "mp.csv").write_text("\n".join(["id,band_gap,energy_above_hull", *lines]))
    return tmp_path


def test_a_store_is_trained_on_and_screened_by_the_saved_model(sse, folder):
    given = ("--conductivities", "sigma.csv", "--properties", "mp.csv")
    trained = sse("train", "run", *given, "-o", "model", *QUICK)
    assert trained.code == 0, trained.err
    models = load_models("model")
    assert len(models.training) == 12
    assert "band_gap" in models.regressor.features
    screened = sse(
        "screen", "--pool", "run", "--properties", "mp.csv", "--model", "model", "-f", "csv",
        "--level", 0.8,
    )  # fmt: skip
    assert screened.code == 0, screened.err
    rows = list(csv.DictReader(screened.out.splitlines()))
    assert len(rows) == 16
    probabilities = [float(row["probability"]) for row in rows]
    assert probabilities == sorted(probabilities, reverse=True)
    for row in rows:
        low, high = float(row["log10_conductivity_low"]), float(row["log10_conductivity_high"])
        assert low < float(row["log10_conductivity"]) < high
        assert set(row["prediction_set"].split("; ")) <= {"superionic", "not superionic", ""}
    assert sum(row["in_training"] == "True" for row in rows) == 12
    shown = sse("screen", "--pool", "run", "--properties", "mp.csv", "--model", "model").out
    assert shown.splitlines()[0].split()[:6] == [
        "material_id", "rank", "formula", "probability", "superionic", "log10"
    ]  # fmt: skip


def test_retraining_tells_what_changed(sse, folder, monkeypatch):
    monkeypatch.setattr("sse_flows.campaign.run.worker_pool", InlinePool)
    call = ("retrain", "run", "--conductivities", "sigma.csv", "--properties", "mp.csv", *QUICK)
    first = sse(*call, "-o", "model")
    assert first.code == 0, first.err
    assert "models, version 1" in first.out
    assert load_models("model").training_ids == [f"x-{i:02d}" for i in range(12)]
    again = sse(*call)
    assert again.out.startswith("nothing has changed")
    assert again.err == ""
    text = Path("sigma.csv").read_text().splitlines()
    Path("sigma.csv").write_text("\n".join(text[:-1]))
    second = sse(*call)
    assert "training compounds removed: x-11" in second.out
    assert "against version 1" in second.out
    listed = sse("versions", "run").out.splitlines()
    assert [line.split()[:2] for line in listed[1:3]] == [["models", "1"], ["models", "2"]]
    assert "training compounds removed" in sse("versions", "run", "--show", 2).out
    sse("versions", "run", "--show", 1, "-o", "one")
    assert load_models("one") == load_models("model")
    sse("versions", "run", "--show", 2, "-o", "two")
    pages = {one: Path(one, "report.html").read_text(encoding="utf-8") for one in ("one", "two")}
    assert "What changed since version 1" in pages["two"]
    assert "What changed" not in pages["one"]
    assert len(json.loads(Path("one/models.json").read_text())["training"]) == 12


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("retrain", "nothing", "--conductivities", "sigma.csv"), ("nothing holds no store",)),
        (("retrain", "run"), ("none of the 16 described", "--conductivities")),
        (("retrain", "run", "--conductivities", "measured"), ("none of the 16 described",)),
        (("versions", "nothing"), ("nothing holds no store", "Import with")),
        (("versions", "run", "--show", 3), ("no version 3 of models", "sse retrain")),
        (("train", "run", "-o", "m"), ("only 0 compounds",)),
        (("train", "run", "-o", "m", "--conductivities", "measured"), ("none of the 56",)),
        (("train", "run", "-o", "m", "--conductivities", "none.csv"), ("cannot read none.csv",)),
        (("screen", "--pool", "run", "--model", "kim"), ("kim holds no models.json",)),
    ],
)
def test_a_mistake_is_one_line(sse, folder, arguments, parts):
    result = sse(*arguments)
    assert result.code == 1
    assert len(result.errors) == 1, result.err
    assert all(part in result.errors[0] for part in parts), result.errors[0]
