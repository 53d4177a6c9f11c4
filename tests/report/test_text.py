"""How numbers, formulas and sources are written."""

from __future__ import annotations

import math

import pytest

from sse_flows.report import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0"),
        (12345.6, "12346"),
        (0.012345, "0.0123"),
        (-1.5, "−1.5"),
        (2.0e-9, "2.0×10⁻⁹"),
        (100.0, "100"),
    ],
)
def test_plain(value, shown):
    assert text.plain(value) == shown


def test_fixed_has_no_negative_zero():
    assert text.fixed(-0.001) == "0.00"
    assert text.fixed(-1.005, 1) == "−1.0"


def test_scientific():
    assert text.scientific(2.085e-4) == "2.1×10⁻⁴"
    assert text.scientific(1.0, 1) == "1×10⁰"


def test_formula_sets_counts_below_and_escapes():
    assert text.formula("Li10Ge(PS6)2") == ("Li<sub>10</sub>Ge(PS<sub>6</sub>)<sub>2</sub>")
    assert text.formula("Li1.3Al0.3") == "Li<sub>1.3</sub>Al<sub>0.3</sub>"
    assert "<script>" not in text.formula("<script>alert(1)</script>")


def test_sources_become_links():
    assert 'href="https://doi.org/10.1039/C6TA08222A"' in text.linked("doi: 10.1039/C6TA08222A.")
    assert 'href="https://example.org/a"' in text.linked("see https://example.org/a")
    assert "materials/mp-1153" in text.linked("Materials Project mp-1153")
    assert "<a" not in text.linked("mp-1153-li2s.tar")
    assert text.linked(None) == "–"


@pytest.mark.parametrize(
    "source", ["javascript:alert(1)", '10.1000/x"onmouseover="alert(1)', "<img src=x>"]
)
def test_sources_cannot_break_out(source):
    shown = str(text.linked(source))
    assert "<img" not in shown
    assert '"onmouseover' not in shown
    assert "javascript" not in shown.partition('href="')[2].partition('"')[0]


def test_slugs_are_safe_and_distinct():
    names = ["a b", "a-b", "a/b", "A b", "Ä", '"><script>']
    slugs = [text.slug(n) for n in names]
    assert len(set(slugs)) == len(names)
    assert all(s.isascii() and s.replace("-", "").isalnum() for s in slugs)
