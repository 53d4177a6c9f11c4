"""Ticks, coordinates, paths and what is done with values that are not finite."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from sse_flows.report import svg


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0.13, 0.99, [0.2, 0.4, 0.6, 0.8]),
        (-12.4, -2.1, [-12.5 + 2.5 * i for i in range(1, 5)]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert svg.ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (np.nan, 1), (0, np.inf)])
def test_no_ticks_for_an_empty_interval(low, high):
    assert svg.ticks(low, high) == []


def test_ticks_have_no_negative_zero():
    assert "−0" not in [svg.tick_label(t) for t in svg.ticks(-0.3, 0.3)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.04, "0"),
        (0.5, ".5"),
        (-0.5, "-.5"),
        (12, "12"),
        (12.34, "12.3"),
        (-7.25, "-7.2"),
    ],
)
def test_number_is_short(value, text):
    assert svg.number(value) == text


def test_limits_pass_over_what_is_not_finite():
    low, high = svg.finite_limits([np.nan, 1.0, 3.0, np.inf], pad=0.1)
    assert (low, high) == pytest.approx((0.8, 3.2))
    assert svg.finite_limits([np.nan]) == (0.0, 1.0)
    low, high = svg.finite_limits([5.0, 5.0])
    assert low < 5.0 < high


def decode(path: str) -> list[list[tuple[float, float]]]:
    """Absolute points of every stroke of a relative path."""
    strokes = []
    for stroke in path.split("M")[1:]:
        numbers = [float(n) for n in re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+)", stroke)]
        steps = np.cumsum(np.reshape(numbers, (-1, 2)), axis=0)
        strokes.append([tuple(point) for point in steps])
    return strokes


def test_path_gives_back_its_points():
    rng = np.random.default_rng(1)
    points = rng.uniform(-50, 300, (40, 2))
    (stroke,) = decode(svg.path_data(points[:, 0], points[:, 1]))
    assert np.abs(np.array(stroke) - points).max() < 0.0501  # rounding does not add up


def test_path_lifts_the_pen_at_nan():
    path = svg.path_data([0, 1, 2, 3, 4], [0, 1, np.nan, 3, 4])
    assert path == "M0 0l1 1M3 3l1 1"
    assert svg.path_data([np.nan], [1.0]) == ""


def test_simplified_path_stays_within_the_tolerance():
    x = np.linspace(0, 350, 300)
    curves = np.array([100 + 80 * np.sin(x / 40), 50 + 0 * x, np.abs(x - 175)])
    strokes = decode(svg.simplified_path(x, curves, 0.2))
    assert len(strokes[0]) < 100
    assert len(strokes[1]) == 2
    assert len(strokes[2]) <= 4
    for stroke, curve in zip(strokes, curves, strict=True):
        drawn = np.interp(x, *np.transpose(stroke))
        assert np.abs(drawn - curve).max() < 0.3  # tolerance and rounding


def test_simplified_path_of_curves_with_gaps():
    x = np.arange(5.0)
    path = svg.simplified_path(x, [[0, 0, np.nan, 0, 0], [1, 1, 1, 1, 1]])
    assert path == "M0 0l1 0M3 0l1 0M0 1l4 0"


def test_text_and_titles_are_escaped():
    drawing = svg.figure(
        10, 10, [svg.text(1, 1, "<b>&"), svg.circle(1, 1, 1, title='"<i>')], label='a "b" <c>'
    )
    root = ElementTree.fromstring(str(drawing))
    assert root[0].text == "<b>&"
    assert root[1][0].text == '"<i>'
    assert root.get("aria-label") == 'a "b" <c>'
