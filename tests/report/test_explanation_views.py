"""Signs held against physics, and contributions of compounds."""

from __future__ import annotations

from sse_flows.report.explanation_views import (
    explained_figures,
    explanation_view,
    screened_figures,
    small_figures,
)


def test_terms_say_whether_they_agree(models):
    view = explanation_view(models)
    assert [row.verdict.label for row in view.classifier] == [
        "agrees",
        "disagrees",
        "no expectation",
    ]
    first = view.classifier[0]
    assert (first.sign, first.expected) == ("↓ lowers", "↓ lowers")
    assert first.physics == "Physics of phonon_band_center_mobile."
    assert first.source == "A paper"
    assert "Of 4 signs 2 agree" in view.summary
    assert "1 disagree" in view.summary


def test_a_forest_that_follows_no_way_is_not_judged(models):
    term = models.explanation.regressor[0]
    term.sign, term.agrees, term.direction = 0, None, 0.2
    (row,) = explanation_view(models).regressor
    assert row.sign == "not monotonic"
    assert row.verdict.label == "no direction"
    assert row.direction_text == "0.20"


def test_older_documents_have_no_explanation(bare_models):
    assert explanation_view(bare_models) is None


def test_both_predictions_are_sums(make_explanation):
    odds, sigma = explained_figures([make_explanation("x")])["x"]
    assert "+1.50" in odds.svg
    assert "a sum of 1.00 is a probability of 0.73" in odds.caption
    assert "band gap *" in odds.svg  # imputed
    assert "all others" not in odds.svg
    assert "all others" in sigma.svg
    assert "−4.25" in sigma.svg


def test_only_the_largest_are_shown_and_the_rest_is_summed(make_explanation):
    found = make_explanation("x")
    found.log10_conductivity_contributions = found.log10_conductivity_contributions * 5
    (_, sigma) = explained_figures([found])["x"]
    # six shown: 3 * (1.5 - 0.5); four others: 2 * (1.5 - 0.5), and 0.75 not listed
    assert "+2.75" in sigma.svg


def test_the_ranking_alone_explains_the_classifier(make_report, bare_models):
    rows = make_report(2).screening.rows
    rows[0].contributions = {"band_gap": 0.4, "formula_units": -0.2}
    (figure,) = screened_figures(rows, bare_models)["id-0"]
    assert "0.30" in figure.svg  # intercept 0.1 + 0.4 - 0.2
    assert "id-1" not in screened_figures(rows, bare_models)
    (without,) = screened_figures(rows, None)["id-0"]
    assert "sum" not in without.svg
    assert without.caption == ""


def test_cells_of_the_ranking_hold_the_largest_three(make_report):
    rows = make_report(1).screening.rows
    rows[0].contributions = {"a": 0.1, "b": -0.9, "c": 0.3, "d": 0.2}
    drawing = small_figures(rows)["id-0"]
    assert "Log odds: b −0.90; c 0.30; d 0.20" in drawing
    assert small_figures(make_report(1).screening.rows) == {}
