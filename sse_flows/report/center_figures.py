"""Figures of a screen by band centre: stability, distributions, the periodic table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from sse_flows.report import svg
from sse_flows.report.svg import Panel

if TYPE_CHECKING:
    from sse_flows.screening.center_document import CenterDistribution, ElementCenter

WIDTH, HEIGHT = 460.0, 360.0
_HULL = 0.3
"""Largest energy above the hull drawn, eV/atom; what is above stands at the edge."""
_CELL = 38.0
_LANTHANIDES, _ACTINIDES = 8, 9


def stability_figure(
    points: Sequence[tuple[float, float]], max_center: float, max_hull: float
) -> Markup:
    """Predicted centre against energy above the hull, the kept corner marked.

    Parameters
    ----------
    points
        Energy above hull (eV/atom) and centre (meV) of each crystal.
    max_center, max_hull
        Limits of the screen, meV and eV/atom.
    """
    values = np.array(points, float).reshape(-1, 2)
    top = max([max_center * 1.2, *values[:, 1]]) * 1.03
    panel = Panel(54, 10, WIDTH - 66, HEIGHT - 60, (0.0, _HULL), (0.0, top))
    x = panel.x(np.clip(values[:, 0], 0, _HULL))
    y = panel.y(values[:, 1])
    soft = (values[:, 1] < max_center) & (values[:, 0] <= max_hull)
    corner = svg.rect(
        panel.left,
        float(panel.y(max_center)),
        float(panel.x(max_hull)) - panel.left,
        panel.bottom - float(panel.y(max_center)),
        cls="kept",
    )
    axes = (
        svg.y_axis(panel, svg.ticks(0, top, 6), title="predicted band centre (meV)")
        + svg.x_axis(panel, svg.ticks(0, _HULL, 6), title="energy above hull (eV/atom)")
        + svg.frame(panel)
    )
    dots = [_dots(x[~soft], y[~soft], "specks"), _dots(x[soft], y[soft], "specks soft")]
    label = f"Band centre against stability of {len(values)} crystals"
    return svg.figure(WIDTH, HEIGHT, [corner, axes, *dots], label=label)


def _dots(x: np.ndarray, y: np.ndarray, cls: str) -> str:
    """Many small dots as one path: lines of no length with round ends."""
    places = sorted({(svg.number(a), svg.number(b)) for a, b in zip(x, y, strict=True)})
    return svg.tag("path", cls=cls, d="".join(f"M{a} {b}h0" for a, b in places)) if places else ""


def distribution_figure(distribution: CenterDistribution, max_center: float) -> Markup:
    """Histogram of the predicted centres of a pool, those below the limit in colour."""
    counts = np.array(distribution.counts, float)
    edges = np.array(distribution.edges)
    used = np.flatnonzero(counts)
    last = min(len(counts), int(used[-1]) + 2) if len(used) else len(counts)
    limits = (0.0, float(edges[last]))
    panel = Panel(54, 10, WIDTH - 66, 200.0, limits, (0.0, max(float(counts.max()), 1.0) * 1.05))
    bars = []
    for low, high, count in zip(edges[:last], edges[1 : last + 1], counts[:last], strict=True):
        if count:
            left, right = float(panel.x(low)), float(panel.x(high))
            top = float(panel.y(count))
            cls = "bar" if high <= max_center else "bar negative"
            bars.append(svg.rect(left + 0.5, top, right - left - 1, panel.bottom - top, cls=cls))
    axes = (
        svg.y_axis(panel, svg.ticks(*panel.ylim, 4), title="crystals")
        + svg.x_axis(panel, svg.ticks(*limits, 6), title="predicted band centre (meV)", grid=False)
        + svg.frame(panel)
    )
    label = f"Predicted centres of {distribution.count} crystals of {distribution.pool}"
    return svg.figure(WIDTH, 260, [axes, *bars], label=label)


def element_figure(elements: Sequence[ElementCenter]) -> Markup:
    """The periodic table, each element as dark as the mean centre of its crystals is low."""
    if not elements:
        return svg.figure(WIDTH, 20, [], label="No element")
    values = np.array([one.center for one in elements])
    low, high = float(values.min()), float(values.max())
    cells = [_cell(one, (high - one.center) / ((high - low) or 1.0)) for one in elements]
    label = (
        f"Mean predicted band centre of the crystals that hold each of {len(elements)} elements, "
        f"from {low:.1f} to {high:.1f} meV"
    )
    return svg.figure(18 * _CELL + 4, 10 * _CELL, cells, label=label)


def _cell(one: ElementCenter, depth: float) -> str:
    column, row = _place(one.element)
    left, top = 2 + (column - 1) * _CELL, 2 + (row - 1) * _CELL
    told = f"{one.element}: mean {one.center:.1f} meV in {one.count} crystals"
    return svg.tag(
        "g",
        svg.tag("title", told),
        svg.rect(left, top, _CELL - 2, _CELL - 2, cls="cell", rx=3),
        svg.tag(
            "rect",
            cls="heat",
            x=left,
            y=top,
            width=_CELL - 2,
            height=_CELL - 2,
            rx=3,
            fill_opacity=f"{0.05 + 0.5 * depth:.2f}",
        ),
        svg.text(left + _CELL / 2 - 1, top + 15, one.element, cls="symbol mid"),
        svg.text(left + _CELL / 2 - 1, top + 29, f"{one.center:.0f}", cls="value mid"),
    )


def _place(symbol: str) -> tuple[int, int]:
    """Column and row of an element, the f block below the others."""
    from pymatgen.core import Element

    element = Element(symbol)
    if element.is_lanthanoid:
        return element.Z - 57 + 3, _LANTHANIDES
    if element.is_actinoid:
        return element.Z - 89 + 3, _ACTINIDES
    return int(element.group), int(element.row)
