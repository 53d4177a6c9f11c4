"""What the page says of the trained models, put together from the views of each part."""

from __future__ import annotations

from dataclasses import dataclass, field

from sse_flows.models.document import RegressionScores, TrainedModels
from sse_flows.report import definitions, text
from sse_flows.report.classifier_view import classifier_view
from sse_flows.report.correlation_figure import heat_figure
from sse_flows.report.explanation_views import ExplanationView, explanation_view
from sse_flows.report.regressor_view import regressor_view
from sse_flows.report.views import FigureView, ModelView, Tile

TWINS = 0.9
"""Size of a correlation from which two descriptors say nearly the same."""
_TWINS_NAMED = 8


@dataclass(frozen=True)
class CorrelationView:
    """The heat map with what to see in it."""

    figure: FigureView
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ModelsView:
    """All that the page shows of trained models; what is None is left out."""

    models: list[ModelView]
    explanation: ExplanationView | None
    correlation: CorrelationView | None


def headline_tiles(models: TrainedModels | None) -> list[Tile]:
    """The two scores worth a headline: what a new compound may expect of each model."""
    if models is None:
        return [Tile("models", "none", "no model was trained")]
    classifier = models.classifier
    nested = classifier.nested_scores
    scores, kind = (nested, "nested") if nested else (classifier.scores, "plain, optimistic")
    baseline = f"{kind}; majority class {text.percent(classifier.majority_share)}"
    return [
        Tile("training compounds", str(len(models.training)), "measured conductivity known"),
        Tile("accuracy", text.percent(scores.accuracy), baseline),
        _error_tile(models),
    ]


def _error_tile(models: TrainedModels) -> Tile:
    """RMSE of the forest; of an elimination that was not nested it is an optimistic one."""
    regressor = models.regressor
    scores = regressor.nested_scores or regressor.scores
    kind = ""
    if regressor.kind == "elimination":
        kind = "nested; " if regressor.nested_scores else "plain, optimistic; "
    baseline = f"baseline {_rmse(regressor.baseline)}"
    note = f"{kind}decades; R² {text.fixed(scores.r2)}; {baseline}"
    return Tile("RMSE of log₁₀ σ", _rmse(scores), note)


def _rmse(scores: RegressionScores) -> str:
    return text.fixed(scores.rmse)


def models_view(models: TrainedModels | None) -> ModelsView | None:
    """Classifier, regressor, why they say what they say, correlations; None without models."""
    if models is None:
        return None
    return ModelsView(
        [classifier_view(models), regressor_view(models)],
        explanation_view(models),
        correlation_view(models),
    )


def correlation_view(models: TrainedModels) -> CorrelationView | None:
    """Heat map of the descriptors that vary; None where nothing was correlated."""
    found = models.correlations
    if found is None:
        return None
    rows = zip(found.matrix, found.log10_conductivity, strict=True)
    kept = [i for i, (row, one) in enumerate(rows) if any(v is not None for v in [*row, one])]
    if not kept:
        return None
    names = [definitions.label(found.descriptors[i]) for i in kept]
    matrix = [[found.matrix[i][j] for j in kept] for i in kept]
    target = [found.log10_conductivity[i] for i in kept]
    drawn = heat_figure(names, matrix, target, "log₁₀ σ measured")
    gone = [definitions.label(n) for i, n in enumerate(found.descriptors) if i not in kept]
    caption = "pairwise over the compounds that have both; hover a cell for its number"
    figure = FigureView(drawn, "Pearson correlations", caption, wide=True)
    return CorrelationView(figure, [*_twins(names, matrix), *_constant(gone)])


def _twins(names: list[str], matrix: list[list[float | None]]) -> list[str]:
    """The pairs that say nearly the same, the closest first."""
    pairs = [
        (value, f"{names[j]} and {names[i]} ({text.fixed(value)})")
        for i, row in enumerate(matrix)
        for j, value in enumerate(row[:i])
        if value is not None and abs(value) >= TWINS
    ]
    if not pairs:
        return []
    pairs.sort(key=lambda pair: -abs(pair[0]))
    named = "; ".join(name for _, name in pairs[:_TWINS_NAMED])
    more = f"; {len(pairs) - _TWINS_NAMED} more pairs" if len(pairs) > _TWINS_NAMED else ""
    return [f"Nearly the same, so that either speaks for the other: {named}{more}."]


def _constant(names: list[str]) -> list[str]:
    return [f"Not correlated, constant or known of too few: {'; '.join(names)}."] if names else []
