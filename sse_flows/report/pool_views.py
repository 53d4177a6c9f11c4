"""What the page says of the screened pool: ranking, candidates, what was filtered out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from sse_flows.descriptors.document import DescriptorSet
from sse_flows.report import definitions, text
from sse_flows.report.cards import Row
from sse_flows.report.document import ReportData
from sse_flows.report.explanation_views import small_figures
from sse_flows.report.model_figures import Point, scatter_figure
from sse_flows.report.views import Chip, FigureView
from sse_flows.screening.document import FilteredOut, ScreeningResult, ScreeningRow

TOP = 5
"""Candidates on the head of the page."""


@dataclass(frozen=True)
class RankedRow:
    """One ranked compound as the page shows it."""

    rank: int
    anchor: str | None
    compound_id: str
    formula: Markup
    probability: float | None
    probability_text: str
    kim: float | None
    kim_text: str
    log_sigma: float | None
    log_sigma_text: str
    sigma_text: str
    interval: str
    prediction_set: Chip | None
    domain: float | None
    domain_text: str
    domain_title: str
    outside: bool
    why: Markup | None
    superionic: bool
    flags: list[Chip]


@dataclass(frozen=True)
class FilteredRow:
    """A compound that a filter kept out, and which."""

    anchor: str | None
    compound_id: str
    formula: Markup
    reasons: list[str]


@dataclass
class PoolView:
    """The section on the pool; what is empty is left out."""

    rows: list[RankedRow] = field(default_factory=list)
    top: list[RankedRow] = field(default_factory=list)
    filtered: list[FilteredRow] = field(default_factory=list)
    kim: bool = False
    sets: bool = False
    why: bool = False
    domain: bool = False
    intro: str = ""
    empty: str = ""
    figures: list[FigureView] = field(default_factory=list)


def pool_view(report: ReportData, anchors: Mapping[str, str]) -> PoolView:
    """Ranking and filtered-out compounds, or why there are none."""
    screening = report.screening
    if screening is None:
        why = "no model was trained." if report.models is None else "no pool was screened."
        return PoolView(empty=why)
    sums = small_figures(screening.rows)
    rows = [_ranked(row, anchors, sums.get(row.compound_id)) for row in screening.rows]
    filtered = [
        FilteredRow(anchors.get(r.compound_id), r.compound_id, _name(r), r.reasons)
        for r in screening.filtered_out
    ]
    new = [row for row, source in zip(rows, screening.rows, strict=True) if not source.in_training]
    return PoolView(
        rows=rows,
        top=new[:TOP],
        filtered=filtered,
        kim=screening.ranked_by == "probability" and any(r.kim is not None for r in rows),
        sets=any(r.prediction_set is not None for r in rows),
        why=any(r.why is not None for r in rows),
        domain=any(r.domain is not None for r in rows),
        intro=_intro(rows, screening) + _mixed(report),
        empty="every compound was filtered out." if filtered else "the pool was empty.",
        figures=_figures(report, rows),
    )


def _mixed(report: ReportData) -> str:
    """A warning where models and ranked compounds rest on descriptors of different sources."""
    computed = [one.descriptors for one in report.compounds if one.descriptors]
    methods = {one.compound_id: one.method for one in [*report.reference_rows, *computed]}
    trained = report.models.training_ids if report.models else []
    ranked = [row.compound_id for row in report.screening.rows] if report.screening else []
    used = dict.fromkeys(methods[one] for one in [*trained, *ranked] if one in methods)
    if len(used) < 2:
        return ""
    return (
        f" Descriptors of different sources meet here ({'; '.join(used)}). They are shifted "
        "against each other (SevenNet-0's phonons are about 10 % softer than DFT's). Train "
        "on compounds computed as the pool is."
    )


def _name(row: ScreeningRow | FilteredOut) -> Markup:
    """The formula, or the id where the table has none."""
    return text.formula(row.formula or row.compound_id)


def _intro(rows: list[RankedRow], screening: ScreeningResult) -> str:
    """How many there are and how to read the table."""
    found = sum(row.superionic for row in rows)
    count = "1 compound" if len(rows) == 1 else f"{len(rows)} compounds"
    by = "" if screening.ranked_by == "probability" else " by the published equation of Kim 2024"
    return (
        f"{count} ranked{by}, {found} of them predicted superionic (green). "
        "Probabilities are of a conductivity above 10⁻⁴ S/cm at room temperature. "
        "A flag is a reason to look twice."
    ) + _how_sure(screening)


def _how_sure(screening: ScreeningResult) -> str:
    """What the intervals and sets promise; nothing where there are none."""
    given = any(
        row.prediction_set is not None or row.log10_conductivity_low is not None
        for row in screening.rows
    )
    if not given or screening.level is None:
        return ""
    return (
        f" Intervals of log₁₀ σ and sets of classes should hold {text.percent(screening.level)} of "
        "new compounds like the training compounds; outside the domain (a distance above 1) they "
        "promise nothing, and of a training compound they are too wide."
    )


def _ranked(row: ScreeningRow, anchors: Mapping[str, str], why: Markup | None) -> RankedRow:
    log_sigma = row.log10_conductivity
    probability = row.probability if row.probability is not None else row.probability_kim2024
    return RankedRow(
        rank=row.rank,
        anchor=anchors.get(row.compound_id),
        compound_id=row.compound_id,
        formula=_name(row),
        probability=probability,
        probability_text=text.fixed(probability),
        kim=row.probability_kim2024,
        kim_text=text.fixed(row.probability_kim2024),
        log_sigma=log_sigma,
        log_sigma_text=text.fixed(log_sigma),
        sigma_text=_conductivity(log_sigma),
        interval=_interval(row),
        prediction_set=_set_chip(row.prediction_set),
        domain=max(row.domain_distance.values(), default=None),
        domain_text=text.fixed(max(row.domain_distance.values(), default=None)),
        outside=bool(row.outside_domain),
        domain_title="; ".join(
            f"{model} {text.fixed(ratio)}" for model, ratio in row.domain_distance.items()
        ),
        why=why,
        superionic=row.superionic,
        flags=_chips(row),
    )


def _conductivity(log_sigma: float | None) -> str:
    """S/cm of a logarithm."""
    return text.MISSING if log_sigma is None else text.scientific(10**log_sigma)


def _interval(row: ScreeningRow) -> str:
    """Ends of the conformal interval; empty where it has none."""
    low, high = row.log10_conductivity_low, row.log10_conductivity_high
    return "" if low is None or high is None else f"{text.fixed(low, 1)} to {text.fixed(high, 1)}"


def _set_chip(classes: list[str] | None) -> Chip | None:
    """The classes that cannot be excluded, in a word."""
    if classes is None:
        return None
    if not classes:
        return Chip("neither", "warn", "unlike the training compounds of either class")
    if len(classes) > 1:
        return Chip("both: undecided", "warn", "neither class can be excluded at this level")
    if classes == ["superionic"]:
        return Chip("superionic", "good", "the other class is excluded at this level")
    return Chip("other", "quiet", "superionic is excluded at this level")


def _domain_text(row: ScreeningRow) -> str:
    """Largest distance to the training compounds, as a share of what is usual among them."""
    ratio = max(row.domain_distance.values(), default=None)
    side = "outside" if row.outside_domain else "inside"
    return text.MISSING if ratio is None else f"{side}, {text.fixed(ratio)}"


def _chips(row: ScreeningRow) -> list[Chip]:
    """The row's flags, each short enough for a table; a hover tells it in full."""
    chips = []
    if row.soft_modes:
        chips.append(Chip("soft modes", "warn", _flag(row, "soft modes")))
    if row.outside_domain:
        where = " and ".join(row.outside_domain)
        chips.append(Chip("outside domain", "warn", f"of the {where}: an extrapolation"))
    if row.imputed:
        names = "; ".join(definitions.label(name) for name in row.imputed)
        chips.append(
            Chip(f"{len(row.imputed)} imputed", "warn", f"training median used for {names}")
        )
    if row.in_training:
        chips.append(Chip("in training", "quiet", _flag(row, "in the training")))
    shown = ("soft modes", "outside the", "imputed", "in the training")
    others = [flag for flag in row.flags if not flag.startswith(shown)]
    return chips + [Chip(text.humanise(f).partition(":")[0], "warn", f) for f in others]


def _flag(row: ScreeningRow, start: str) -> str:
    """The flag that begins so, in full."""
    return next((flag for flag in row.flags if flag.startswith(start)), "")


def _figures(report: ReportData, rows: list[RankedRow]) -> list[FigureView]:
    """Maps of the pool, where there is more than one compound with both predictions."""
    if sum(r.log_sigma is not None and r.probability is not None for r in rows) < 2:
        return []
    return [_map(rows), _centers(report)]


def _map(rows: list[RankedRow]) -> FigureView:
    """Probability against predicted conductivity: candidates are at the upper right."""
    points = [
        Point(
            row.log_sigma if row.log_sigma is not None else math.nan,
            row.probability if row.probability is not None else math.nan,
            f"{row.formula.striptags()}: P {row.probability_text}, log10 σ {row.log_sigma_text}",
            "" if row.superionic else "quiet",
        )
        for row in rows
    ]
    drawn = scatter_figure(
        points,
        "predicted log₁₀ σ (S/cm)",
        "probability superionic",
        ylim=(-0.03, 1.03),
        x_line=-4.0,
        y_line=0.5,
    )
    legend = [("series-0", "predicted superionic"), ("series-3", "other")]
    return FigureView(
        drawn, "Map of the pool", "dashed: thresholds of a superionic conductor", legend
    )


def _centers(report: ReportData) -> FigureView:
    """Band centre of the mobile ion against conductivity: measured, and predicted for the pool."""
    known = [c.descriptors for c in report.compounds if c.descriptors] + report.reference_rows
    sets = {d.compound_id: d for d in reversed(known)}
    points = [
        _center_point(d, math.log10(d.conductivity), "measured")
        for d in sets.values()
        if d.conductivity
    ]
    points += [
        _center_point(sets[row.compound_id], row.log10_conductivity, "predicted")
        for row in (report.screening.rows if report.screening else [])
        if row.compound_id in sets and not row.in_training and row.log10_conductivity is not None
    ]
    x_title = f"band centre of {report.mobile_ion} (meV)"
    drawn = scatter_figure(points, x_title, "log₁₀ σ (S/cm)", y_line=-4.0)
    legend = [("series-3", "measured"), ("series-0", "predicted for the pool")]
    return FigureView(drawn, "Band centre and conductivity", "dashed: 10⁻⁴ S/cm", legend)


def _center_point(d: DescriptorSet, log_sigma: float, kind: str) -> Point:
    center = d.values.get("phonon_band_center_mobile")
    x = center if center is not None else math.nan
    title = f"{d.formula}: {text.fixed(x, 1)} meV, {kind} log10 σ {text.fixed(log_sigma)}"
    return Point(x, log_sigma, title, "quiet" if kind == "measured" else "")


def prediction_rows(report: ReportData) -> dict[str, list[Row]]:
    """What the models say of each compound, by its id, in the order of the ranking."""
    rows: dict[str, list[Row]] = {}
    for ranked in report.screening.rows if report.screening else []:
        rows[ranked.compound_id] = _prediction(ranked)
    for trained in report.models.training if report.models else []:
        rows.setdefault(trained.compound_id, []).append(
            Row(
                "predicted when left out",
                f"log₁₀ σ {text.fixed(trained.log10_predicted)}",
                f"probability superionic {text.fixed(trained.probability)}",
            )
        )
    return rows


def _prediction(row: ScreeningRow) -> list[Row]:
    probability = row.probability if row.probability is not None else row.probability_kim2024
    log_sigma = row.log10_conductivity
    shown = [
        Row("rank in the pool", str(row.rank)),
        Row("probability superionic", text.fixed(probability), "; ".join(row.flags)),
    ]
    if log_sigma is not None:
        value = f"{text.fixed(log_sigma)}, {_conductivity(log_sigma)} S/cm"
        interval = f"interval {_interval(row)}" if _interval(row) else ""
        shown.append(Row("predicted log₁₀ σ", value, interval))
    chip = _set_chip(row.prediction_set)
    if chip is not None:
        shown.append(Row("prediction set", chip.label, chip.title))
    if row.domain_distance:
        shown.append(Row("applicability domain", _domain_text(row), "distance over the largest"))
    return shown
