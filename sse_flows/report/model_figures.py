"""Figures of the models and of the pool: parity, importances, scores by size, maps of compounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from sse_flows.report import svg
from sse_flows.report.svg import Panel

WIDTH, HEIGHT = 460.0, 380.0
_BAR_HEIGHT, _BAR_LEFT = 22.0, 178.0


@dataclass(frozen=True)
class Point:
    """One compound in a scatter plot: where it is, its class of dot, and what a hover tells."""

    x: float
    y: float
    title: str
    cls: str = ""


def _panel(xlim: tuple[float, float], ylim: tuple[float, float]) -> Panel:
    return Panel(54, 10, WIDTH - 66, HEIGHT - 60, xlim, ylim)


def _axes(panel: Panel, x_title: str, y_title: str) -> str:
    return (
        svg.y_axis(panel, svg.ticks(*panel.ylim, 6), title=y_title)
        + svg.x_axis(panel, svg.ticks(*panel.xlim, 6), title=x_title)
        + svg.frame(panel)
    )


def _dots(panel: Panel, points: Sequence[Point]) -> str:
    """Dots of the points that are finite; what lies outside the panel is drawn at its edge."""
    dots = []
    for point in points:
        if not (np.isfinite(point.x) and np.isfinite(point.y)):
            continue
        x = float(np.clip(panel.x(point.x), panel.left, panel.right))
        y = float(np.clip(panel.y(point.y), panel.top, panel.bottom))
        dots.append(svg.circle(x, y, 4.5, cls=f"dot {point.cls}".strip(), title=point.title))
    return "".join(dots)


def parity_figure(points: Sequence[Point]) -> Markup:
    """Measured against predicted log10 conductivity, with the identity and ±1 decade.

    Parameters
    ----------
    points
        ``x`` measured, ``y`` predicted by a model that had not seen the compound.
    """
    limits = svg.finite_limits([(p.x, p.y) for p in points], pad=0.06, fallback=(-10.0, 0.0))
    panel = _panel(limits, limits)
    low, high = limits
    band = svg.tag("polygon", cls="decade", points=_decade_band(panel, low, high))
    identity = svg.line(panel.x(low), panel.y(low), panel.x(high), panel.y(high), cls="identity")
    axes = _axes(panel, "measured log₁₀ σ (S/cm)", "predicted log₁₀ σ (S/cm)")
    label = f"Parity plot of {len(points)} compounds: measured and predicted log10 conductivity"
    return svg.figure(WIDTH, HEIGHT, [band, axes, identity, _dots(panel, points)], label=label)


def _decade_band(panel: Panel, low: float, high: float) -> str:
    """Corners of the band within one decade of the identity, cut off at the panel."""
    width = min(1.0, high - low)
    corners = [
        (low, low),
        (low, low + width),
        (high - width, high),
        (high, high),
        (high, high - width),
        (low + width, low),
    ]
    return " ".join(f"{svg.number(panel.x(x))},{svg.number(panel.y(y))}" for x, y in corners)


def scatter_figure(
    points: Sequence[Point],
    x_title: str,
    y_title: str,
    *,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    x_line: float | None = None,
    y_line: float | None = None,
) -> Markup:
    """Compounds over two quantities, with a dashed line at each threshold given."""
    xlim = xlim or svg.finite_limits([p.x for p in points])
    ylim = ylim or svg.finite_limits([p.y for p in points])
    panel = _panel(xlim, ylim)
    lines = []
    if x_line is not None and xlim[0] < x_line < xlim[1]:
        at = panel.x(x_line)
        lines.append(svg.line(at, panel.top, at, panel.bottom, cls="threshold"))
    if y_line is not None and ylim[0] < y_line < ylim[1]:
        at = panel.y(y_line)
        lines.append(svg.line(panel.left, at, panel.right, at, cls="threshold"))
    children = [_axes(panel, x_title, y_title), *lines, _dots(panel, points)]
    return svg.figure(WIDTH, HEIGHT, children, label=f"{y_title} against {x_title}")


def bar_figure(values: Mapping[str, float], label: str, *, limit: int = 15) -> Markup:
    """Horizontal bars, the largest absolute value first; negative ones to the left of zero.

    Parameters
    ----------
    values
        Value by name; what is not finite is passed over.
    label
        What the figure shows, for a screen reader.
    limit
        How many bars are drawn.
    """
    finite = {n: v for n, v in values.items() if np.isfinite(v)}
    shown = sorted(finite.items(), key=lambda item: -abs(item[1]))[:limit]
    low = min([0.0, *(v for _, v in shown)])
    high = max([0.0, *(v for _, v in shown)]) or (0.0 if low else 1.0)
    height = _BAR_HEIGHT * len(shown)
    panel = Panel(_BAR_LEFT, 4, WIDTH - _BAR_LEFT - 52, height, (low, high), (0, 1))
    zero = float(panel.x(0.0))
    parts = [svg.line(zero, panel.top, zero, panel.bottom, cls="zero")]
    for i, (name, value) in enumerate(shown):
        parts.append(_bar(panel, zero, panel.top + i * _BAR_HEIGHT, name, value))
    return svg.figure(WIDTH, height + 8, parts, label=label)


def _bar(panel: Panel, zero: float, top: float, name: str, value: float) -> str:
    """One bar with its name at the left and its value at its end."""
    end = float(panel.x(value))
    cls = "bar negative" if value < 0 else "bar"
    number = f"{value:.3g}".replace("-", "−")
    return (
        svg.text(panel.left - 8, top + 15, name, cls="tick end strong")
        + svg.rect(min(zero, end), top + 4, abs(end - zero), _BAR_HEIGHT - 8, cls=cls, rx=2)
        + svg.text(max(zero, end) + 6, top + 15, number, cls="tick")
    )


def curve_figure(
    sizes: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    x_title: str,
    y_title: str,
    *,
    chosen: float | None = None,
) -> Markup:
    """Scores over the number of features: one line with dots a curve, the chosen size marked.

    Lines carry the classes ``series-0``, ``series-1``, ...; a NaN leaves a gap.
    """
    values = [v for curve in curves.values() for v in curve]
    xlim = svg.finite_limits(sizes, pad=0.04, fallback=(1.0, 2.0))
    panel = _panel(xlim, svg.finite_limits(values, pad=0.1))
    parts = [
        svg.y_axis(panel, svg.ticks(*panel.ylim, 6), title=y_title),
        svg.x_axis(panel, _whole_ticks(xlim), title=x_title, grid=False),
        svg.frame(panel),
    ]
    if chosen is not None:
        at = panel.x(chosen)
        parts.append(svg.line(at, panel.top, at, panel.bottom, cls="threshold"))
    for i, (name, curve) in enumerate(curves.items()):
        x, y = panel.x(np.asarray(sizes, float)), panel.y(np.asarray(curve, float))
        parts.append(svg.tag("path", cls=f"curve series-{i}", d=svg.path_data(x, y)))
        points = [
            Point(s, v, f"{name}, {s:g} features: {v:.3g}", f"series-{i}")
            for s, v in zip(sizes, curve, strict=True)
        ]
        parts.append(_dots(panel, points))
    return svg.figure(WIDTH, HEIGHT, parts, label=f"{y_title} against {x_title}")


def _whole_ticks(limits: tuple[float, float]) -> list[float]:
    """Ticks at whole numbers only."""
    found = {float(round(t)) for t in svg.ticks(*limits, 8)}
    return sorted(t for t in found if limits[0] <= t <= limits[1])
