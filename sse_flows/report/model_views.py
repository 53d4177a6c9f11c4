"""What the page says of the trained models: scores beside the baseline, features, figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from sse_flows.models.document import (
    ClassificationScores,
    ClassifierDocument,
    RegressionScores,
    TrainedModels,
    TrainingRow,
)
from sse_flows.report import definitions, text
from sse_flows.report.model_figures import (
    Point,
    bar_figure,
    curve_figure,
    parity_figure,
    scatter_figure,
)
from sse_flows.report.views import FigureView, Tile

_SIDES = [("series-0", "right side of the threshold"), ("series-wrong", "wrong side")]


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: rows are measured, each cell a count and whether it is right."""

    title: str
    rows: list[tuple[str, list[tuple[int, bool]]]]


@dataclass
class ModelView:
    """One model as the page shows it; what is empty is left out."""

    title: str
    intro: str
    notes: list[str] = field(default_factory=list)
    score_columns: list[str] = field(default_factory=list)
    scores: list[tuple[str, list[str]]] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    features_title: str = ""
    feature_columns: list[str] = field(default_factory=list)
    features: list[list[str]] = field(default_factory=list)
    figures: list[FigureView] = field(default_factory=list)


def headline_tiles(models: TrainedModels | None) -> list[Tile]:
    """The two scores worth a headline: what a new compound may expect of each model."""
    if models is None:
        return [Tile("models", "none", "no model was trained")]
    classifier, regressor = models.classifier, models.regressor
    nested = classifier.nested_scores
    scores, kind = (nested, "nested") if nested else (classifier.scores, "plain, optimistic")
    baseline = f"{kind}; majority class {text.percent(classifier.majority_share)}"
    r2 = f"decades; R² {text.fixed(regressor.scores.r2)}; baseline {_rmse(regressor.baseline)}"
    return [
        Tile("training compounds", str(len(models.training)), "measured conductivity known"),
        Tile("accuracy", text.percent(scores.accuracy), baseline),
        Tile("RMSE of log₁₀ σ", _rmse(regressor.scores), r2),
    ]


def _rmse(scores: RegressionScores) -> str:
    return text.fixed(scores.rmse)


def model_views(models: TrainedModels | None) -> list[ModelView]:
    """Classifier and regressor; nothing where no model was trained."""
    return [] if models is None else [_classifier_view(models), _regressor_view(models)]


def _classifier_view(models: TrainedModels) -> ModelView:
    document = models.classifier
    threshold = text.scientific(models.threshold, 1)
    view = ModelView(
        "Classifier: superionic or not",
        f"Logistic regression on the best subset of at most {models.max_features} descriptors; "
        f"superionic means above {threshold} S/cm. Coefficients are log odds; C = "
        f"{text.plain(models.penalty)}.",
        notes=[*models.notes, *_left_out(models)],
    )
    columns = {
        "plain": document.scores,
        "nested": document.nested_scores,
        "baseline": document.baseline,
    }
    present = {name: scores for name, scores in columns.items() if scores is not None}
    view.score_columns = list(present)
    view.scores = _classification_rows(list(present.values()))
    view.confusions = [
        _confusion(f"{name}, leave-one-out", s) for name, s in present.items() if name != "baseline"
    ]
    view.features_title = "Chosen features"
    view.feature_columns = ["descriptor", "per std. dev.", "per unit", "unit"]
    view.features = _coefficient_rows(document)
    view.figures = [*_size_figure(document), _probabilities(models)]
    return view


def _left_out(models: TrainedModels) -> list[str]:
    """One line each of the descriptors and compounds that could not be used."""
    dropped = [f"{definitions.label(name)} ({why})" for name, why in models.dropped.items()]
    ignored = [f"{name} ({why})" for name, why in models.ignored.items()]
    lines = [("Descriptors left out: ", dropped), ("Compounds left out: ", ignored)]
    return [head + "; ".join(items) for head, items in lines if items]


def _classification_rows(scores: Sequence[ClassificationScores]) -> list[tuple[str, list[str]]]:
    return [
        ("accuracy", [text.percent(s.accuracy) for s in scores]),
        ("F1 of superionic", [text.fixed(s.f1) for s in scores]),
        ("log loss (nats)", [text.fixed(s.log_loss) for s in scores]),
        ("compounds", [str(s.n_rows) for s in scores]),
        ("features chosen", [_selection(s.selection) for s in scores]),
    ]


def _selection(selection: str) -> str:
    return selection.replace(" the folds", " folds")


def _confusion(title: str, scores: ClassificationScores) -> Confusion:
    names = ("measured other", "measured superionic")
    return Confusion(
        title,
        [
            (name, [(count, i == j) for j, count in enumerate(counts)])
            for i, (name, counts) in enumerate(zip(names, scores.confusion, strict=True))
        ],
    )


def _coefficient_rows(document: ClassifierDocument) -> list[list[str]]:
    rows = [
        [
            definitions.label(name),
            text.fixed(document.coefficients.get(name), 3),
            text.plain(document.raw_coefficients.get(name)),
            definitions.unit(name) or text.MISSING,
        ]
        for name in document.features
    ]
    intercepts = [text.fixed(document.intercept, 3), text.plain(document.raw_intercept)]
    return [*rows, ["intercept", *intercepts, text.MISSING]]


def _size_figure(document: ClassifierDocument) -> list[FigureView]:
    """Best scores over the number of features, as far as they were searched."""
    sizes = sorted(document.sizes, key=lambda s: s.n_features)
    if not sizes:
        return []
    curves = {
        "accuracy, left out": [s.accuracy for s in sizes],
        "F1, left out": [s.f1 for s in sizes],
        "accuracy, fitted rows": [s.train_accuracy for s in sizes],
    }
    chosen = next((float(s.n_features) for s in sizes if s.chosen), None)
    drawn = curve_figure(
        [s.n_features for s in sizes], curves, "number of features", "best score", chosen=chosen
    )
    legend = [(f"series-{i}", name) for i, name in enumerate(curves)]
    caption = "features chosen outside the folds; dashed: the model in use"
    return [_figure(drawn, "Best score and number of features", caption, legend)]


def _probabilities(models: TrainedModels) -> FigureView:
    """Probability of each training compound when left out, over its measured conductivity."""
    nested = all(row.nested_probability is not None for row in models.training)
    points = []
    for row in models.training:
        p = row.nested_probability if nested else row.probability
        wrong = (p is not None and p > 0.5) != row.superionic
        title = f"{row.formula or row.compound_id}: P {text.fixed(p)}"
        points.append(Point(row.log10_measured, float(p or 0.0), title, "wrong" if wrong else ""))
    drawn = scatter_figure(
        points,
        "measured log₁₀ σ (S/cm)",
        "probability when left out",
        ylim=(-0.03, 1.03),
        x_line=math.log10(models.threshold),
        y_line=0.5,
    )
    caption = f"{'nested' if nested else 'plain'} leave-one-out; dashed: the thresholds"
    return _figure(drawn, "Probability and measurement", caption, _SIDES)


def _figure(
    drawn: Markup,
    title: str,
    caption: str = "",
    legend: list[tuple[str, str]] | None = None,
    *,
    tall: bool = False,
) -> FigureView:
    return FigureView(drawn, title, caption, legend or [], tall)


def _regressor_view(models: TrainedModels) -> ModelView:
    document = models.regressor
    view = ModelView(
        "Regressor: log₁₀ conductivity",
        f"Random forest of {models.n_estimators} trees on {len(document.features)} descriptors. "
        "Every prediction is of a model that had not seen the compound.",
    )
    view.score_columns = ["leave-one-out", "baseline"]
    view.scores = _regression_rows([document.scores, document.baseline])
    labels = {definitions.label(name): value for name, value in document.importances.items()}
    view.figures = [
        _parity(models),
        _figure(
            bar_figure(labels, "Importance of each descriptor", limit=12),
            "Feature importances",
            "mean decrease of variance, sums to 1; the largest 12",
        ),
    ]
    return view


def _regression_rows(scores: Sequence[RegressionScores]) -> list[tuple[str, list[str]]]:
    return [
        ("RMSE (decades)", [text.fixed(s.rmse) for s in scores]),
        ("MAE (decades)", [text.fixed(s.mae) for s in scores]),
        ("R²", [text.fixed(s.r2) for s in scores]),
        ("compounds", [str(s.n_rows) for s in scores]),
    ]


def _parity(models: TrainedModels) -> FigureView:
    limit = math.log10(models.threshold)
    points = [_parity_point(row, limit) for row in models.training]
    return _figure(
        parity_figure(points),
        "Parity plot",
        "line: identity; band: ±1 decade",
        _SIDES,
        tall=True,
    )


def _parity_point(row: TrainingRow, limit: float) -> Point:
    wrong = (row.log10_predicted > limit) != row.superionic
    measured, predicted = text.fixed(row.log10_measured), text.fixed(row.log10_predicted)
    title = f"{row.formula or row.compound_id}: measured {measured}, predicted {predicted}"
    return Point(row.log10_measured, row.log10_predicted, title, "wrong" if wrong else "")
