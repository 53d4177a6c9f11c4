"""Bars side by side: two importances of each descriptor, and what adds up to a prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from markupsafe import Markup

from sse_flows.report import svg, text
from sse_flows.report.svg import Panel

WIDTH = 460.0
_ROW, _LEFT, _HEAD = 22.0, 178.0, 22.0
_NUMBER = 40.0


def paired_figure(
    pairs: Mapping[str, tuple[float, float | None]], titles: tuple[str, str], label: str
) -> Markup:
    """Two quantities of each name in two columns of bars, in the order given.

    Parameters
    ----------
    pairs
        The two values by name; None where the second is not known. The second may be negative.
    titles
        Of the two columns.
    label
        What the figure shows, for a screen reader.
    """
    width = (WIDTH - _LEFT) / 2 - _NUMBER - 6
    firsts = [one for one, _ in pairs.values()]
    seconds = [two for _, two in pairs.values() if two is not None]
    parts = []
    for column, values in enumerate((firsts, seconds)):
        left = _LEFT + column * (width + _NUMBER + 6)
        panel = Panel(left, _HEAD, width, _ROW * len(pairs), span_of(values), (0, 1))
        shown = [pair[column] for pair in pairs.values()]
        parts += [_bar(panel, row, value) for row, value in enumerate(shown)]
        parts += [_zero(panel), svg.text(left, 13, titles[column], cls="tick")]
    parts += [_name(row, name) for row, name in enumerate(pairs)]
    return svg.figure(WIDTH, _HEAD + _ROW * len(pairs) + 4, parts, label=label)


def contribution_figure(
    parts: Sequence[tuple[str, float]],
    base: float | None,
    total: float | None,
    label: str,
    *,
    limits: tuple[float, float] | None = None,
) -> Markup:
    """What each descriptor adds: bars about zero, between where they start from and the sum.

    Parameters
    ----------
    parts
        Name and what is added, in the order given.
    base, total
        Value before and after, written above and below the bars; left out where not known.
    label
        What the figure shows, for a screen reader.
    limits
        Of the bars, zero among them: the same for all compounds makes their bars comparable.
    """
    head = _HEAD if base is not None else 4.0
    bottom = head + _ROW * len(parts)
    span = limits or span_of(value for _, value in parts)
    panel = Panel(_LEFT, head, WIDTH - _LEFT - 2 * _NUMBER, bottom - head, span, (0, 1))
    drawn = [_zero(panel)]
    for row, (name, value) in enumerate(parts):
        drawn += [_bar(panel, row, value, signed=True), _name(row, name, head)]
    if base is not None:
        drawn += _sum(panel, 14, "starts from", base)
    if total is not None:
        drawn += _sum(panel, bottom + 17, "sum", total, "strong")
    height = bottom + (24 if total is not None else 4)
    return svg.figure(WIDTH, height, drawn, label=label)


def spark_bars(
    parts: Sequence[tuple[str, float]], label: str, limits: tuple[float, float]
) -> Markup:
    """A few contributions as small as a cell of a table: bars about zero with their names."""
    width, row, left = 200.0, 13.0, 138.0
    panel = Panel(left, 0, width - left, row * len(parts), limits, (0, 1))
    drawn = [_zero(panel)]
    for i, (name, value) in enumerate(parts):
        ends = sorted((float(panel.x(0.0)), float(panel.x(value))))
        top = i * row
        drawn += [
            svg.text(left - 6, top + 10, name, cls="tick end"),
            svg.tag(
                "rect",
                svg.tag("title", escape(f"{name} {text.fixed(value)}")),
                cls=_class(value),
                x=ends[0],
                y=top + 3,
                width=max(ends[1] - ends[0], 1.0),
                height=row - 5,
            ),
        ]
    return svg.figure(width, row * len(parts), drawn, label=label)


def span_of(values: Iterable[float]) -> tuple[float, float]:
    """Limits that hold zero and all values."""
    known = [0.0, *values]
    low, high = min(known), max(known)
    return (low, high) if high > low else (0.0, 1.0)


def _class(value: float) -> str:
    return "bar negative" if value < 0 else "bar"


def _zero(panel: Panel) -> str:
    at = float(panel.x(0.0))
    return svg.line(at, panel.top, at, panel.bottom, cls="zero")


def _name(row: int, name: str, head: float = _HEAD) -> str:
    return svg.text(_LEFT - 8, head + row * _ROW + 15, name, cls="tick end strong")


def _bar(panel: Panel, row: int, value: float | None, *, signed: bool = False) -> str:
    """One bar with its number right of it; a dash where there is no value."""
    top, zero = panel.top + row * _ROW, float(panel.x(0.0))
    if value is None:
        return svg.text(zero + 6, top + 15, text.MISSING, cls="tick")
    end = float(panel.x(value))
    number = ("+" if signed and value > 0 else "") + text.fixed(value)
    bar = svg.rect(min(zero, end), top + 4, abs(end - zero), _ROW - 8, cls=_class(value), rx=2)
    return bar + svg.text(max(zero, end) + 6, top + 15, number, cls="tick")


def _sum(panel: Panel, y: float, name: str, value: float, cls: str = "") -> list[str]:
    return [
        svg.text(_LEFT - 8, y, name, cls=f"tick end {cls}".strip()),
        svg.text(panel.left, y, text.fixed(value), cls=f"tick {cls}".strip()),
    ]
