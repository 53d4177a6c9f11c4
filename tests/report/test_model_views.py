"""What the page says of trained models, part by part."""

from __future__ import annotations

from sse_flows.report.model_views import correlation_view, headline_tiles, models_view


def titles(view) -> list[str]:
    return [figure.title for figure in view.figures]


def test_every_part_of_a_whole_document(models):
    view = models_view(models)
    classifier, regressor = view.models
    assert [table.title for table in classifier.tables] == [
        "Chosen features",
        "Best subset of every size",
    ]
    assert classifier.tables[1].rows[1][-1] == "1 of 30"
    assert classifier.tables[1].marked == 1
    assert regressor.score_columns == ["plain", "nested", "baseline"]
    assert titles(regressor) == ["Parity plot", "Feature importances", "Backward elimination"]
    assert [table.title for table in regressor.tables] == [
        "Left by the elimination inside the folds"
    ]
    assert view.explanation
    assert view.correlation


def test_older_documents_lack_parts_and_show_none(bare_models):
    view = models_view(bare_models)
    regressor = view.models[1]
    assert titles(regressor) == ["Parity plot", "Feature importances"]
    assert regressor.score_columns == ["leave-one-out", "baseline"]
    assert regressor.tables == []
    assert view.explanation is None
    assert view.correlation is None
    assert models_view(None) is None


def test_descriptors_chosen_inside_the_folds_are_counted(models):
    models.classifier.nested_features = {"t0": ["band_gap"], "t1": ["band_gap", "formula_units"]}
    (counts,) = [t for t in models_view(models).models[0].tables if "inside" in t.title]
    assert counts.rows == [["band gap", "2 of 2"], ["formula units / cell", "1 of 2"]]


def test_correlations_name_twins_and_leave_constants_out(models):
    view = correlation_view(models)
    assert "formula units / cell and band centre, mobile (−0.95)" in "".join(view.remarks) or (
        "band centre, mobile and formula units / cell (−0.95)" in "".join(view.remarks)
    )
    assert "disorder, cation" in view.remarks[-1]
    assert "disorder, cation" not in view.figure.svg
    assert "−.42" in view.figure.svg


def test_nothing_correlated_is_no_figure(models):
    found = models.correlations
    n = len(found.descriptors)
    found.matrix, found.log10_conductivity = [[None] * n] * n, [None] * n
    assert correlation_view(models) is None


def test_nested_errors_go_on_the_head(models, bare_models):
    assert headline_tiles(models)[-1].value == "2.75"
    assert "nested" in headline_tiles(models)[-1].note
    models.regressor.nested_scores = None
    assert "optimistic" in headline_tiles(models)[-1].note
    assert "optimistic" not in headline_tiles(bare_models)[-1].note


def test_parity_takes_the_nested_predictions_where_all_are_there(models):
    assert "predicted −9.00" in models_view(models).models[1].figures[0].svg
    for row in models.training:
        row.nested_log10_predicted = -1.5
    figure = models_view(models).models[1].figures[0]
    assert "predicted −1.50" in figure.svg
    assert figure.caption.startswith("nested")
