"""The path of a backward elimination: errors over the descriptors that are left."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import accumulate

import numpy as np
from markupsafe import Markup

from sse_flows.models.document import EliminationRound
from sse_flows.report import definitions, svg, text
from sse_flows.report.svg import Panel

WIDTH = 940.0
_LEFT, _TOP, _RMSE_HEIGHT, _R2_HEIGHT, _BETWEEN, _BELOW = 60.0, 10.0, 220.0, 120.0, 16.0, 188.0


def elimination_limits(rmse: Sequence[float], tolerance: float) -> list[float]:
    """Error that each round after the first must stay below, log10(S/cm).

    The smallest of all rounds before it, raised by the tolerance; shape (n - 1,).
    """
    return [(1 + tolerance) * best for best in accumulate(rmse, min)][:-1]


def elimination_figure(path: Sequence[EliminationRound], tolerance: float) -> Markup:
    """RMSE and R2 of every round, from all descriptors at the left to few at the right.

    Parameters
    ----------
    path
        At least one round; below each is the descriptor that was dropped in it.
    tolerance
        Rise of the RMSE over the smallest before at which the elimination stops, drawn dashed.
    """
    rounds = sorted(path, key=lambda one: -one.n_features)
    sizes = np.array([one.n_features for one in rounds], float)
    limits = elimination_limits([one.rmse for one in rounds], tolerance)
    upper, lower = _panels(rounds, limits)
    parts = [
        *_axes(upper, "RMSE (decades)", 6),
        *_axes(lower, "R²", 4),
        *(_chosen(panel, rounds) for panel in (upper, lower)),
        svg.tag("path", cls="limit", d=svg.path_data(upper.x(sizes[1:]), upper.y(limits)))
        if limits
        else "",
        _curve(upper, rounds, [one.rmse for one in rounds], "series-0"),
        _curve(lower, rounds, [one.r2 for one in rounds], "series-1"),
        *(_label(lower, one) for one in rounds),
    ]
    label = f"RMSE and R2 of {len(rounds)} rounds of the elimination"
    return svg.figure(WIDTH, lower.bottom + _BELOW, parts, label=label)


def _panels(rounds: Sequence[EliminationRound], limits: list[float]) -> tuple[Panel, Panel]:
    """One above the other; x runs from many descriptors to few."""
    xlim = (rounds[0].n_features + 0.7, rounds[-1].n_features - 0.7)
    ylim = svg.finite_limits([*(one.rmse for one in rounds), *limits], pad=0.08)
    r2_limits = svg.finite_limits([one.r2 for one in rounds], pad=0.12)
    width = WIDTH - _LEFT - 12
    below = _TOP + _RMSE_HEIGHT + _BETWEEN
    return (
        Panel(_LEFT, _TOP, width, _RMSE_HEIGHT, xlim, ylim),
        Panel(_LEFT, below, width, _R2_HEIGHT, xlim, r2_limits),
    )


def _axes(panel: Panel, title: str, count: int) -> list[str]:
    return [svg.y_axis(panel, svg.ticks(*panel.ylim, count), title=title), svg.frame(panel)]


def _chosen(panel: Panel, rounds: Sequence[EliminationRound]) -> str:
    at = next((panel.x(one.n_features) for one in rounds if one.chosen), None)
    return "" if at is None else svg.line(at, panel.top, at, panel.bottom, cls="threshold")


def _curve(
    panel: Panel, rounds: Sequence[EliminationRound], values: Sequence[float], cls: str
) -> str:
    sizes = np.array([one.n_features for one in rounds], float)
    path = svg.path_data(panel.x(sizes), panel.y(values))
    dots = [
        svg.circle(
            panel.x(one.n_features),
            panel.y(value),
            4.5 if one.chosen else 3.2,
            cls=f"dot {cls}",
            title=_title(one),
        )
        for one, value in zip(rounds, values, strict=True)
    ]
    return svg.tag("path", cls=f"curve {cls}", d=path) + "".join(dots)


def _title(one: EliminationRound) -> str:
    gone = f", without {definitions.label(one.dropped)}" if one.dropped else ""
    scores = f"RMSE {text.fixed(one.rmse)} decades, R² {text.fixed(one.r2)}"
    return f"{one.n_features} left{gone}: {scores}"


def _label(panel: Panel, one: EliminationRound) -> str:
    """Number of descriptors left and, upwards, the name of the one that was dropped."""
    x, top = float(panel.x(one.n_features)), panel.bottom + 30
    number = svg.text(x, panel.bottom + 17, str(one.n_features), cls="tick mid")
    name = definitions.label(one.dropped) if one.dropped else "(all)"
    strong = " strong" if one.chosen else ""
    turn = f"rotate(-90 {svg.number(x + 4)} {svg.number(top)})"
    title = svg.tag("title", escape(_title(one)))
    dropped = svg.tag(
        "text", title, escape(name), cls=f"tick end{strong}", x=x + 4, y=top, transform=turn
    )
    return number + dropped
