"""What the page says of the regressor: errors beside the baseline, elimination, importances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sse_flows.models.document import (
    RegressionScores,
    RegressorDocument,
    TrainedModels,
    TrainingRow,
)
from sse_flows.report import definitions, text
from sse_flows.report.bar_figures import paired_figure
from sse_flows.report.classifier_view import SIDES
from sse_flows.report.elimination_figure import elimination_figure
from sse_flows.report.model_figures import Point, bar_figure, parity_figure
from sse_flows.report.views import FigureView, ModelView, TableView

_MOST_BARS = 12


def regressor_view(models: TrainedModels) -> ModelView:
    """Scores, predicted against measured, importances and the path of an elimination."""
    document = models.regressor
    view = ModelView("regressor", "Regressor: log₁₀ conductivity", _intro(models))
    columns = {
        "plain" if document.path else "leave-one-out": document.scores,
        "nested": document.nested_scores,
        "baseline": document.baseline,
    }
    present = {name: scores for name, scores in columns.items() if scores is not None}
    view.score_columns = list(present)
    view.scores = _rows(list(present.values()))
    view.notes = _nested_note(document)
    view.tables = _fold_counts(document)
    view.figures = [_parity(models), _importances(document), *_elimination(document)]
    return view


def _intro(models: TrainedModels) -> str:
    document = models.regressor
    forest = f"Random forest of {models.n_estimators} trees on "
    unseen = "Every prediction is of a forest that had not seen the compound"
    if document.kind == "forest":
        return f"{forest}{_count(len(document.features))}. {unseen}."
    names = "; ".join(definitions.label(name) for name in document.features)
    return (
        f"{forest}the {_count(len(document.features))} that a backward elimination left: {names}. "
        f"{unseen}; the plain ones are of descriptors that were chosen with all compounds in sight."
    )


def _count(n: int) -> str:
    return f"{n} descriptor{'s' if n != 1 else ''}"


def _rows(scores: Sequence[RegressionScores]) -> list[tuple[str, list[str]]]:
    return [
        ("RMSE (decades)", [text.fixed(s.rmse) for s in scores]),
        ("MAE (decades)", [text.fixed(s.mae) for s in scores]),
        ("R²", [text.fixed(s.r2) for s in scores]),
        ("compounds", [str(s.n_rows) for s in scores]),
    ]


def _nested_note(document: RegressorDocument) -> list[str]:
    """How the nested scores were made, where it was not by the model in use."""
    how = document.nested_settings
    if how is None:
        return []
    return [
        f"Nested: {how.n_splits} folds, each eliminates anew without its compounds, with "
        f"{how.n_estimators} trees, {how.ranking_trees} to rank and {how.n_confirm} of the best "
        "candidates scored."
    ]


def _fold_counts(document: RegressorDocument) -> list[TableView]:
    """In how many folds each descriptor was left."""
    if not document.nested_features:
        return []
    folds = document.nested_settings.n_splits if document.nested_settings else None
    most = sorted(document.nested_features.items(), key=lambda item: -item[1])[:_MOST_BARS]
    of = f" of {folds}" if folds else ""
    rows = [[definitions.label(name), f"{count}{of}"] for name, count in most]
    return [TableView("Left by the elimination inside the folds", ["descriptor", "folds"], rows)]


def _parity(models: TrainedModels) -> FigureView:
    limit = math.log10(models.threshold)
    rows = models.training
    nested = bool(rows) and all(row.nested_log10_predicted is not None for row in rows)
    drawn = parity_figure([_parity_point(row, limit, nested=nested) for row in rows])
    kind = "nested" if nested else "plain leave-one-out" if models.regressor.path else ""
    caption = f"{kind + '; ' if kind else ''}line: identity; band: ±1 decade"
    # beside scores and importances, unless a table already stands beside the scores
    return FigureView(
        drawn, "Parity plot", caption, SIDES, tall=not models.regressor.nested_features
    )


def _parity_point(row: TrainingRow, limit: float, *, nested: bool) -> Point:
    inside = row.nested_log10_predicted
    value = inside if nested and inside is not None else row.log10_predicted
    wrong = (value > limit) != row.superionic
    measured, predicted = text.fixed(row.log10_measured), text.fixed(value)
    title = f"{row.formula or row.compound_id}: measured {measured}, predicted {predicted}"
    return Point(row.log10_measured, value, title, "wrong" if wrong else "")


def _importances(document: RegressorDocument) -> FigureView:
    """Gini importances, beside those by permutation where the document has them."""
    title, shown = "Feature importances", f"the largest {_MOST_BARS}"
    most = sorted(document.importances.items(), key=lambda item: -item[1])[:_MOST_BARS]
    many = len(document.importances) > _MOST_BARS
    permuted = document.permutation_importances
    if not permuted:
        labels = {definitions.label(name): value for name, value in most}
        drawn = bar_figure(labels, "Importance of each descriptor", limit=_MOST_BARS)
        caption = "mean decrease of variance, sums to 1"
        return FigureView(drawn, title, f"{caption}; {shown}" if many else caption)
    drawn = paired_figure(
        _pairs(most, permuted),
        ("Gini", "permutation"),
        "Gini and permutation importance of each descriptor",
    )
    caption = (
        "Gini: mean decrease of variance, sums to 1; permutation: rise of the leave-one-out RMSE, "
        "decades, when a value is another compound's"
    )
    return FigureView(drawn, title, f"{caption}; {shown}" if many else caption)


def _pairs(
    most: Sequence[tuple[str, float]], permuted: Mapping[str, float]
) -> dict[str, tuple[float, float | None]]:
    return {definitions.label(name): (value, permuted.get(name)) for name, value in most}


def _elimination(document: RegressorDocument) -> list[FigureView]:
    """Errors of the rounds; nothing where the forest was not eliminated."""
    if not document.path:
        return []
    from sse_flows.models.elimination import TOLERANCE  # scikit-learn, only where it is needed

    drawn = elimination_figure(document.path, TOLERANCE)
    caption = (
        "leave-one-out with the descriptors chosen outside the folds; below, how many are left and "
        "which one went"
    )
    legend = [
        ("series-0", "RMSE"),
        ("series-1", "R²"),
        ("dashed series-3", f"{100 * TOLERANCE:.0f} % above the smallest RMSE so far: stop"),
        ("dashed series-0", "the forest in use"),
    ]
    return [FigureView(drawn, "Backward elimination", caption, legend, wide=True)]
