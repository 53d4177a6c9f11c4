"""The heat map shows every pair once, with its number and its shade."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_flows.report.correlation_figure import heat_figure
from sse_flows.report.palette import DIVERGING_STEPS, diverging_class, diverging_css


def parsed(drawing: str) -> ElementTree.Element:
    return ElementTree.fromstring(str(drawing))


def titles(drawing: str) -> list[str]:
    return [e.text or "" for e in parsed(drawing).iter() if e.tag == "title"]


def test_every_pair_once_and_every_column_with_the_last_row():
    names = ["a", "b", "c"]
    matrix = [[1.0, 0.5, None], [0.5, 1.0, -0.25], [None, -0.25, 1.0]]
    found = titles(heat_figure(names, matrix, [0.1, -0.9, None], "sigma"))
    assert found == [
        "b and a: 0.50",
        "c and a: not known",
        "c and b: −0.25",
        "sigma and a: 0.10",
        "sigma and b: −0.90",
        "sigma and c: not known",
    ]


def test_thirty_descriptors_stay_within_the_drawing():
    rng = np.random.default_rng(0)
    matrix = np.corrcoef(rng.normal(size=(30, 40)))
    drawing = parsed(heat_figure([f"n{i}" for i in range(30)], matrix.tolist(), [0.3] * 30, "s"))
    width, height = (float(v) for v in drawing.get("viewBox").split()[2:])
    cells = [e for e in drawing.iter() if e.get("class", "").startswith("cell")]
    assert len(cells) == 30 * 29 // 2 + 30 + 30 + 2 * DIVERGING_STEPS + 1
    assert all(float(e.get("x")) + float(e.get("width")) <= width for e in cells)
    assert all(float(e.get("y")) + float(e.get("height")) <= height for e in cells)


def test_names_are_escaped():
    evil = "<script>alert(1)</script>"
    drawing = heat_figure([evil, "b"], [[1.0, 0.1], [0.1, 1.0]], [0.1, 0.2], evil)
    assert "<script" not in drawing
    assert any(evil in title for title in titles(drawing))


@given(st.floats(-1, 1))
def test_shades_are_odd_in_the_correlation(value):
    shade, mirror = diverging_class(value), diverging_class(-value)
    assert shade.split()[1] == mirror.split()[1]
    if value:
        assert {shade.split()[0], mirror.split()[0]} == {"low", "high"}


def test_unknown_and_full_shades():
    assert diverging_class(None) == diverging_class(float("nan")) == "unknown"
    assert diverging_class(1.0) == "high s10"
    assert diverging_class(-1.0) == "low s10"
    for step in range(DIVERGING_STEPS):  # the last one is opaque without a rule
        assert f".s{step}{{" in diverging_css()


@pytest.mark.parametrize("n", [0, 1])
def test_of_next_to_nothing(n):
    assert parsed(heat_figure(["a"][:n], [[1.0]][:n], [None][:n], "s")) is not None
