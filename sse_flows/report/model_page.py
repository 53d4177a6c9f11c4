"""What the page of trained models prints when they stand alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from sse_flows import __version__
from sse_flows.models.document import TrainedModels, TrainingRow
from sse_flows.report import definitions, text
from sse_flows.report.cards import Row
from sse_flows.report.changes_view import ChangesView, changes_view
from sse_flows.report.model_views import ModelsView, headline_tiles, models_view
from sse_flows.report.views import Tile
from sse_flows.screening.versions import ModelVersion


@dataclass(frozen=True)
class TrainingView:
    """One training compound: measured, and predicted when left out."""

    compound_id: str
    formula: Markup
    superionic: bool
    sigma: float
    sigma_text: str
    numbers: list[tuple[float | None, str]]
    wrong: list[str]


@dataclass(frozen=True)
class ModelPage:
    """What the template of a model's page reads."""

    name: str
    headline: list[Row]
    tiles: list[Tile]
    models: ModelsView | None
    changes: ChangesView | None
    training_columns: list[str]
    training: list[TrainingView]
    settings: list[Row]
    versions: list[Row]
    definitions: list[tuple[str, str, str, str]]
    sections: list[tuple[str, str]]
    created: str = ""
    kind: str = "model"
    version: str = __version__


def make_model_page(
    models: TrainedModels, name: str, version: ModelVersion | None = None
) -> ModelPage:
    """Everything the page of trained models prints.

    Parameters
    ----------
    models
        The document; its estimators are not opened.
    name
        Heading of the page.
    version
        Which version of a series they are, with what changed.
    """
    view, changes = models_view(models), changes_view(version)
    nested = _nested(models)
    return ModelPage(
        name=name,
        headline=_headline(models, version),
        tiles=headline_tiles(models),
        models=view,
        changes=changes,
        training_columns=[
            "log₁₀ σ measured",
            "left out",
            *(["nested"] if nested[0] else []),
            "P superionic, left out",
            *(["P nested"] if nested[1] else []),
        ],
        training=[_training(row, models.threshold, nested) for row in models.training],
        settings=_settings(models),
        versions=[Row(k, v) for k, v in models.software.items()],
        definitions=[
            (n, definitions.label(n), definitions.unit(n), definitions.DEFINITIONS[n])
            for n in definitions.DESCRIPTORS
        ],
        sections=_sections(view, changes),
    )


def _headline(models: TrainedModels, version: ModelVersion | None) -> list[Row]:
    which = [Row("version", f"{version.version} of {version.name}")] if version else []
    kind = "elimination" if models.regressor.kind == "elimination" else "forest"
    return [
        *which,
        Row("classifier", f"{len(models.classifier.features)} descriptors"),
        Row(kind, f"{len(models.regressor.features)} descriptors"),
        Row("superionic above", f"{text.scientific(models.threshold, 1)} S/cm"),
    ]


def _sections(view: ModelsView | None, changes: ChangesView | None) -> list[tuple[str, str]]:
    """Anchors of what the page holds."""
    found = [("overview", "Overview")]
    if changes:
        found.append(("changes", "Changes"))
    found += [("classifier", "Classifier"), ("regressor", "Regressor")]
    if view and view.explanation:
        found.append(("explanation", "Explanation"))
    if view and view.correlation:
        found.append(("correlations", "Correlations"))
    return [*found, ("training", "Compounds"), ("method", "Method")]


def _nested(models: TrainedModels) -> tuple[bool, bool]:
    """Whether the rows have nested conductivities, and nested probabilities."""
    rows = models.training
    return (
        any(row.nested_log10_predicted is not None for row in rows),
        any(row.nested_probability is not None for row in rows),
    )


def _training(row: TrainingRow, threshold: float, nested: tuple[bool, bool]) -> TrainingView:
    values: list[float | None] = [row.log10_measured, row.log10_predicted]
    values += [row.nested_log10_predicted] if nested[0] else []
    values.append(row.probability)
    values += [row.nested_probability] if nested[1] else []
    sides = {
        "forest": row.log10_predicted > math.log10(threshold),
        "classifier": row.predicted_superionic,
    }
    return TrainingView(
        row.compound_id,
        text.formula(row.formula or row.compound_id),
        row.superionic,
        10**row.log10_measured,
        text.scientific(10**row.log10_measured),
        [(value, text.fixed(value)) for value in values],
        [model for model, side in sides.items() if side != row.superionic],
    )


def _settings(models: TrainedModels) -> list[Row]:
    """What the training was asked, and of which table."""
    return [
        Row("threshold", f"{text.scientific(models.threshold, 1)} S/cm"),
        Row("largest subset", f"{models.max_features} descriptors"),
        Row("C of the logistic regression", text.plain(models.penalty)),
        Row("trees", str(models.n_estimators)),
        Row("elimination", "yes" if models.elimination else "no"),
        Row("seed", str(models.random_state)),
        Row("training table", models.data_hash[:16], "SHA-256, independent of the order of rows"),
        Row("fitted estimators", models.estimators_hash[:16], "SHA-256"),
    ]
