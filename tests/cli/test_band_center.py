"""`sse band-center`: train on one's own data, predict, evaluate; errors on one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

CATIONS, ANIONS = ("Li", "Na", "K", "Rb", "Cs", "Ag"), ("F", "Cl", "Br", "I")
RADII = {"Li": 1.28, "Na": 1.66, "K": 2.03, "Rb": 2.2, "Cs": 2.44, "Ag": 1.45}
RADII |= {"F": 0.57, "Cl": 1.02, "Br": 1.2, "I": 1.39}


def line(cation: str, anion: str, **more) -> dict:
    edge = 2 * (RADII[cation] + RADII[anion])
    lattice = (edge / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])).tolist()
    cell = {"lattice": lattice, "species": [cation, anion], "frac": [[0] * 3, [0.5] * 3]}
    return {"id": cation + anion, **cell, "center": round(100 / edge, 3), **more}


@pytest.fixture
def data(tmp_path) -> str:
    lines = [json.dumps(line(cation, anion)) for cation in CATIONS for anion in ANIONS]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    return "mine.jsonl"


def test_train_predict_evaluate(sse, data, tmp_path):
    trained = sse("band-center", "train", data, "-o", "model", "--cite", "me", "-p", 1)
    assert trained.code == 0, trained.err
    assert "24" in trained.out
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "band_center.json",
        "band_center.skops",
    }
    found = sse(
        "band-center", "predict", data, "--model", "model", "-f", "csv", "-o", "out.csv", "-p", 1
    )
    assert found.code == 0, found.err
    header, *rows = (tmp_path / "out.csv").read_text().splitlines()
    assert header == "id,band_center,lower,upper,distance,inside_domain"
    centers = [float(row.split(",")[1]) for row in rows]
    assert len(rows) == 24
    assert centers == sorted(centers)
    scored = sse("band-center", "evaluate", data, "--model", "model", "-p", 1)
    assert scored.code == 0, scored.err
    assert scored.out.split()[:3] == ["family", "compounds", "R2"]


def test_published_models_by_name(sse, data):
    found = sse("band-center", "evaluate", data, "--compare", "decision tree", "-p", 1)
    assert found.code == 0, found.err
    assert "decision tree" in found.out
    unknown = sse("band-center", "evaluate", data, "--compare", "oracle", "-p", 1)
    assert unknown.code == 1
    assert "oracle" in unknown.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("train", "absent.jsonl", "-o", "m"), "does not exist"),
        (("predict", "absent"), "does not exist"),
        (("predict", "mine.jsonl", "--model", "absent"), "holds no band_center.json"),
        (("train", ".", "-o", "m"), "holds no store"),
    ],
)
def test_errors_are_one_line(sse, data, arguments, part):
    found = sse("band-center", *arguments)
    assert found.code == 1
    assert len(found.errors) == 1
    assert part in found.errors[0]
