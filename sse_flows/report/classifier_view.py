"""What the page says of the classifier: scores beside the baseline, features, sizes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from sse_flows.models.document import (
    ClassificationScores,
    ClassifierDocument,
    TrainedModels,
)
from sse_flows.report import definitions, text
from sse_flows.report.model_figures import Point, curve_figure, scatter_figure
from sse_flows.report.views import Confusion, FigureView, ModelView, TableView

SIDES = [("series-0", "right side of the threshold"), ("series-wrong", "wrong side")]
"""Legend of dots that are compounds."""
_MOST_COUNTED = 8


def classifier_view(models: TrainedModels) -> ModelView:
    """Scores, confusion matrices, coefficients and sizes of the best-subset classifier."""
    document = models.classifier
    threshold = text.scientific(models.threshold, 1)
    view = ModelView(
        "classifier",
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
    view.tables = [_coefficients(document), *_fold_counts(document), *_sizes(document)]
    view.figures = [*_size_figure(document), _probabilities(models)]
    return view


def _left_out(models: TrainedModels) -> list[str]:
    """One line each of the descriptors and compounds that could not be used."""
    dropped = [f"{definitions.label(name)}: {why}" for name, why in models.dropped.items()]
    ignored = [f"{name}: {why}" for name, why in models.ignored.items()]
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


def _coefficients(document: ClassifierDocument) -> TableView:
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
    rows.append(["intercept", *intercepts, text.MISSING])
    return TableView("Chosen features", ["descriptor", "per std. dev.", "per unit", "unit"], rows)


def _fold_counts(document: ClassifierDocument) -> list[TableView]:
    """How often each descriptor was chosen without one of the compounds."""
    folds = document.nested_features
    if not folds:
        return []
    counts = Counter(name for names in folds.values() for name in names).most_common(_MOST_COUNTED)
    rows = [[definitions.label(name), f"{count} of {len(folds)}"] for name, count in counts]
    return [TableView("Chosen inside the folds", ["descriptor", "folds"], rows)]


def _sizes(document: ClassifierDocument) -> list[TableView]:
    """Best subset of every size and how many others do as well."""
    sizes = sorted(document.sizes, key=lambda s: s.n_features)
    if not sizes:
        return []
    rows = [
        [
            f"{s.n_features}: {'; '.join(definitions.label(name) for name in s.features)}",
            text.percent(s.accuracy),
            text.fixed(s.f1),
            text.fixed(s.log_loss),
            text.percent(s.train_accuracy),
            f"{s.n_tied} of {s.n_subsets}",
        ]
        for s in sizes
    ]
    columns = ["features", "accuracy", "F1", "log loss", "fitted rows", "as accurate"]
    marked = next((i for i, s in enumerate(sizes) if s.chosen), None)
    return [TableView("Best subset of every size", columns, rows, marked)]


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
    return [FigureView(drawn, "Best score and number of features", caption, legend)]


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
    return FigureView(drawn, "Probability and measurement", caption, SIDES)
