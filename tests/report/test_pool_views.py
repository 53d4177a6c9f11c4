"""How sure the ranking is of each compound."""

from __future__ import annotations

import pytest

from sse_flows.report.pool_views import pool_view, prediction_rows

BOTH = ["not superionic", "superionic"]


def test_intervals_sets_and_domain_stand_beside_each_compound(make_report):
    report = make_report(3)
    first, second, _ = report.screening.rows
    first.log10_conductivity_low, first.log10_conductivity_high = -5.04, -0.96
    first.prediction_set = ["superionic"]
    report.screening.level = 0.9
    view = pool_view(report, {})
    assert view.sets
    assert view.domain
    assert view.rows[0].interval == "−5.0 to −1.0"
    assert view.rows[0].prediction_set.label == "superionic"
    assert (view.rows[0].outside, view.rows[0].domain_text) == (False, "0.50")
    assert (view.rows[1].outside, view.rows[1].domain_text) == (True, "1.50")
    assert "90 %" in view.intro
    shown = {row.label: row for row in prediction_rows(report)[first.compound_id]}
    assert shown["prediction set"].value == "superionic"
    assert "−5.0 to −1.0" in shown["predicted log₁₀ σ"].note
    assert (
        "outside"
        in {r.label: r for r in prediction_rows(report)[second.compound_id]}[
            "applicability domain"
        ].value
    )


@pytest.mark.parametrize(
    ("classes", "label"),
    [
        (["superionic"], "superionic"),
        (["not superionic"], "other"),
        (BOTH, "both: undecided"),
        ([], "neither"),
    ],
)
def test_sets_in_a_word(make_report, classes, label):
    report = make_report(1)
    report.screening.rows[0].prediction_set = classes
    assert pool_view(report, {}).rows[0].prediction_set.label == label


def test_descriptors_of_different_sources_are_told(make_report):
    report = make_report(3)
    assert "different sources" not in pool_view(report, {}).intro
    report.compounds[0].descriptors.method = "pw.x PBEsol"
    intro = pool_view(report, {}).intro
    assert "different sources" in intro
    assert "pw.x PBEsol" in intro


def test_older_rankings_have_no_empty_columns(make_report):
    report = make_report(1)
    report.screening.rows[0].domain_distance = {}
    view = pool_view(report, {})
    assert [view.sets, view.domain, view.why] == [False, False, False]
    assert "should hold" not in view.intro
