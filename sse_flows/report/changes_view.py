"""What one version of trained models has that the one before had not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from sse_flows.report import definitions, text
from sse_flows.report.cards import Row
from sse_flows.report.views import TableView
from sse_flows.screening.versions import ModelChanges, ModelVersion, RankMove, ScoreChange

MOST = 24
"""Names in a line; the others are counted."""
_SCORES = {
    "accuracy": "accuracy",
    "f1": "F1 of superionic",
    "log_loss": "log loss (nats)",
    "rmse": "RMSE (decades)",
    "mae": "MAE (decades)",
    "r2": "R²",
}


@dataclass(frozen=True)
class MoveRow:
    """A compound of the pool at another rank."""

    compound_id: str
    formula: Markup
    before: int
    after: int
    probabilities: str


@dataclass(frozen=True)
class ChangesView:
    """Everything that changed; what did not is left out."""

    previous: int
    rows: list[Row] = field(default_factory=list)
    scores: TableView | None = None
    moves: list[MoveRow] = field(default_factory=list)


def changes_view(version: ModelVersion | None) -> ChangesView | None:
    """Changes against the version before; None of a first version and without versions."""
    if version is None or version.changes is None:
        return None
    changes = version.changes
    return ChangesView(
        changes.previous,
        [Row(name, _some(found)) for name, found in _lists(changes) if found],
        _scores(changes.scores),
        [_move(one) for one in changes.moves],
    )


def _lists(changes: ModelChanges) -> list[tuple[str, list[str]]]:
    return [
        ("training compounds added", changes.added),
        ("training compounds removed", changes.removed),
        ("training compounds changed", [f"{k} ({v})" for k, v in changes.changed.items()]),
        ("pool compounds added", changes.pool_added),
        ("pool compounds removed", changes.pool_removed),
        *_descriptors("into", changes.descriptors_in),
        *_descriptors("out of", changes.descriptors_out),
        ("newly superionic", _named(changes.entered)),
        ("no longer superionic", _named(changes.left)),
        ("settings", _pairs(changes.settings)),
        ("software", _pairs(changes.software)),
    ]


def _descriptors(way: str, found: Mapping[str, list[str]]) -> Iterable[tuple[str, list[str]]]:
    for model, names in found.items():
        yield f"descriptors {way} the {model}", [definitions.label(name) for name in names]


def _named(found: Mapping[str, str]) -> list[str]:
    """Formulas with their ids."""
    return [f"{formula} ({name})" if formula else name for name, formula in found.items()]


def _pairs(found: Mapping[str, list[Any]]) -> list[str]:
    return [
        f"{name}: {text.MISSING if a is None else a} → {text.MISSING if b is None else b}"
        for name, (a, b) in found.items()
    ]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return "; ".join(names[:MOST]) + more  # names of descriptors hold commas


def _scores(found: list[ScoreChange]) -> TableView | None:
    """Scores before and after, by model and by where descriptors were chosen."""
    rows = [
        [
            f"{one.model}: {_SCORES.get(one.score, one.score)}",
            one.selection.replace(" the folds", " folds"),
            text.fixed(one.before, 3),
            text.fixed(one.after, 3),
        ]
        for one in found
    ]
    columns = ["leave-one-out", "chosen", "before", "after"]
    return TableView("Scores", columns, rows) if rows else None


def _move(one: RankMove) -> MoveRow:
    return MoveRow(
        one.compound_id,
        text.formula(one.formula or one.compound_id),
        one.before,
        one.after,
        f"{text.fixed(one.probability_before)} → {text.fixed(one.probability_after)}",
    )
