"""Bars side by side, and bars that add up."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from sse_flows.report.bar_figures import contribution_figure, paired_figure, span_of, spark_bars

EVIL = "<script>alert(1)</script>"


def found(drawing: str, tag: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(str(drawing)).iter() if e.tag == tag]


def words(drawing: str) -> list[str]:
    return [e.text or "" for e in found(drawing, "text")]


def test_pairs_keep_their_order_and_a_missing_value_is_a_dash():
    drawing = paired_figure({"b": (0.2, -0.1), "a": (0.5, None)}, ("Gini", "permutation"), "x")
    assert words(drawing) == ["0.20", "0.50", "Gini", "−0.10", "–", "permutation", "b", "a"]
    assert [e.get("class") for e in found(drawing, "rect")] == ["bar", "bar", "bar negative"]


def test_contributions_stand_between_base_and_sum():
    drawing = contribution_figure([("a", 1.5), ("b", -0.5)], -6.0, -5.0, "x")
    shown = words(drawing)
    assert {"starts from", "−6.00", "+1.50", "−0.50", "sum", "−5.00"} <= set(shown)


def test_base_and_sum_may_be_unknown():
    shown = words(contribution_figure([("a", 1.5)], None, None, "x"))
    assert shown == ["+1.50", "a"]


def test_common_limits_make_bars_comparable():
    limits = span_of([-1.0, 2.0])
    small, large = (
        float(
            found(contribution_figure([("a", v)], 0, v, "x", limits=limits), "rect")[0].get("width")
        )
        for v in (0.5, 2.0)
    )
    assert large == pytest.approx(4 * small, rel=1e-2)


def test_span_holds_zero():
    assert span_of([1.0, 2.0]) == (0.0, 2.0)
    assert span_of([-1.0]) == (-1.0, 0.0)
    assert span_of([]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "drawing",
    [
        paired_figure({EVIL: (0.5, 0.5)}, (EVIL, EVIL), EVIL),
        contribution_figure([(EVIL, 1.0)], 0.0, 1.0, EVIL),
        spark_bars([(EVIL, 1.0)], EVIL, (0.0, 1.0)),
    ],
)
def test_names_are_escaped(drawing):
    assert "<script" not in drawing
    assert EVIL in words(drawing)


def test_nothing_to_draw():
    assert found(paired_figure({}, ("a", "b"), "x"), "rect") == []
    assert found(contribution_figure([], None, None, "x"), "rect") == []
