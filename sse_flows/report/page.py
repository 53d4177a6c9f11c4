"""From the data of a report to what its templates print: no markup is decided elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from sse_flows import __version__
from sse_flows.descriptors.document import DescriptorSet
from sse_flows.report import definitions, text
from sse_flows.report.cards import Card, Row, make_card
from sse_flows.report.document import CompoundReport, Failure, ReportData
from sse_flows.report.explanation_views import explained_figures, screened_figures
from sse_flows.report.model_views import ModelsView, headline_tiles, models_view
from sse_flows.report.pool_views import PoolView, pool_view, prediction_rows
from sse_flows.report.views import FigureView, Tile

SECTIONS = (
    ("overview", "Overview"),
    ("ranking", "Ranking"),
    ("models", "Models"),
    ("compounds", "Compounds"),
    ("descriptors", "Descriptors"),
    ("failures", "Failures"),
    ("method", "Method"),
)


@dataclass(frozen=True)
class TableRow:
    """One compound in the table of descriptors; a cell is its number, its text and a remark."""

    anchor: str | None
    compound_id: str
    formula: Markup
    reference: bool
    conductivity: float | None
    conductivity_text: str
    cells: list[tuple[float | None, str, str]]


@dataclass(frozen=True)
class FailureRow:
    """One failure with the card of its compound."""

    anchor: str | None
    compound_id: str
    formula: Markup
    failure: Failure


@dataclass
class Page:
    """What the templates read."""

    name: str
    mobile_ion: str
    created: str
    headline: list[Row]
    tiles: list[Tile]
    pool: PoolView
    models: ModelsView | None
    cards: list[Card]
    table: list[TableRow]
    failures: list[FailureRow]
    versions: list[Row]
    settings: list[Row]
    store: list[Row]
    keys: list[tuple[str, str, str]]
    kind: str = "report"
    version: str = __version__
    sections: tuple[tuple[str, str], ...] = SECTIONS
    table_columns: list[tuple[str, str, str]] = field(default_factory=list)
    definitions: list[tuple[str, str, str, str]] = field(default_factory=list)


def make_page(report: ReportData) -> Page:
    """Everything the templates print, in the order of the page."""
    anchors = {c.compound.compound_id: text.slug(c.compound.compound_id) for c in report.compounds}
    formulas = {c.compound.compound_id: c.compound.formula for c in report.compounds}
    pool = pool_view(report, anchors)
    return Page(
        name=report.name,
        mobile_ion=report.mobile_ion,
        created=_date(report.created),
        headline=_headline(report),
        tiles=[*_count_tiles(report), *headline_tiles(report.models)],
        pool=pool,
        models=models_view(report.models),
        cards=_cards(report),
        table=_table(report, anchors),
        failures=[
            FailureRow(
                anchors.get(f.compound_id),
                f.compound_id,
                text.formula(formulas.get(f.compound_id, f.compound_id)),
                f,
            )
            for f in report.failures
        ],
        versions=[Row(k, v) for k, v in report.versions.items()],
        settings=list(_flattened(report.settings)),
        store=_store(report),
        keys=[
            (c.compound.compound_id, job, k) for c in report.compounds for job, k in c.keys.items()
        ],
        table_columns=_columns(),
        definitions=[
            (n, definitions.label(n), definitions.unit(n), definitions.DEFINITIONS[n])
            for n in definitions.DESCRIPTORS
        ],
    )


def _date(created: str) -> str:
    """An ISO time as ``2026-01-31 12:00``; anything else as it is."""
    return created.replace("T", " ")[:16] if created[4:5] == "-" else created


def _headline(report: ReportData) -> list[Row]:
    return [
        Row("mobile ion", report.mobile_ion),
        Row("forces", report.code),
        Row("made", _date(report.created)),
    ]


def _failed_ids(report: ReportData) -> set[str]:
    return {f.compound_id for f in report.failures}


def _count_tiles(report: ReportData) -> list[Tile]:
    """How many compounds came through, and how many did not."""
    failed = _failed_ids(report)
    done = [c for c in report.compounds if c.descriptors and c.compound.compound_id not in failed]
    total = len({c.compound.compound_id for c in report.compounds} | failed)
    live = sum(c.live for c in done)
    tiles = [Tile("compounds done", str(len(done)), f"of {total}; {live} computed in this run")]
    note = "see Failures" if failed else "all came through"
    tiles.append(Tile("failed", str(len(failed)), note, "bad" if failed else "good"))
    return tiles


def _cards(report: ReportData) -> list[Card]:
    """Cards of all compounds, the best candidates first, then as they were given."""
    failures: dict[str, list[Failure]] = defaultdict(list)
    for failure in report.failures:
        failures[failure.compound_id].append(failure)
    predictions, why = prediction_rows(report), _why(report)
    order = {compound_id: i for i, compound_id in enumerate(predictions)}

    def position(entry: CompoundReport) -> tuple[int, int]:
        has_figure = 0 if entry.dynamics else 1
        return has_figure, order.get(entry.compound.compound_id, len(order))

    return [
        make_card(
            entry,
            str(i),
            failures=failures[entry.compound.compound_id],
            prediction=predictions.get(entry.compound.compound_id, ()),
            why=why.get(entry.compound.compound_id, ()),
        )
        for i, entry in enumerate(sorted(report.compounds, key=position))
    ]


def _why(report: ReportData) -> dict[str, list[FigureView]]:
    """Contributions to the predictions by compound: of both models where they were explained."""
    rows = report.screening.rows if report.screening else []
    return screened_figures(rows, report.models) | explained_figures(report.explanations)


def _columns() -> list[tuple[str, str, str]]:
    """Label, unit and definition of each column of the table of descriptors."""
    return [
        (definitions.label(n), definitions.unit(n), definitions.DEFINITIONS[n])
        for n in definitions.DESCRIPTORS
    ]


def _table(report: ReportData, anchors: Mapping[str, str]) -> list[TableRow]:
    """Descriptors of the campaign's compounds, then of the shipped table's."""
    own = [c.descriptors for c in report.compounds if c.descriptors]
    shown = {d.compound_id for d in own}
    shipped = [d for d in report.reference_rows if d.compound_id not in shown]
    rows = [_table_row(d, anchors, reference=False) for d in own]
    return rows + [_table_row(d, anchors, reference=True) for d in shipped]


def _table_row(d: DescriptorSet, anchors: Mapping[str, str], *, reference: bool) -> TableRow:
    cells = [_cell(d, name) for name in definitions.DESCRIPTORS]
    return TableRow(
        anchors.get(d.compound_id),
        d.compound_id,
        text.formula(d.formula),
        reference,
        d.conductivity,
        text.scientific(d.conductivity),
        cells,
    )


def _cell(d: DescriptorSet, name: str) -> tuple[float | None, str, str]:
    value = d.values.get(name)
    number = value if text.is_number(value) else None
    default = "" if number is not None else "not computed"
    return number, text.plain(number, 4), d.missing.get(name, default)


def _flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterable[Row]:
    """Nested settings as dotted names."""
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            yield Row(name, ", ".join(str(v) for v in value) or text.MISSING)
        else:
            yield Row(name, text.MISSING if value is None else str(value))


def _store(report: ReportData) -> list[Row]:
    rows = [Row("store", report.store or text.MISSING)]
    sources = {d.provenance.get("table", d.method) for d in report.reference_rows}
    if sources:
        count = len(report.reference_rows)
        rows.append(Row("shipped table", "; ".join(sorted(sources)), f"{count} compounds"))
    return rows
