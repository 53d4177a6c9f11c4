"""Compact SVG by hand: scales, ticks, axes and curves, coloured by CSS classes alone.

Nothing here sets a colour or a `style` attribute. A figure takes its colours from the classes of
the page it stands in, so it follows light and dark mode and a strict Content-Security-Policy.
Coordinates have one decimal and paths are relative, which keeps a page of many figures small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def finite_limits(
    values: ArrayLike, *, pad: float = 0.05, fallback: tuple[float, float] = (0.0, 1.0)
) -> tuple[float, float]:
    """Limits that hold all finite values, widened by `pad` of their span on both sides.

    Parameters
    ----------
    values
        Numbers of any shape; NaN and infinities are passed over.
    pad
        Share of the span added on each side.
    fallback
        The answer where no value is finite.

    Returns
    -------
    tuple of float
        ``(low, high)`` with ``low < high``.
    """
    array = np.asarray(values, dtype=float).ravel()
    array = array[np.isfinite(array)]
    if array.size == 0:
        return fallback
    low, high = float(array.min()), float(array.max())
    margin = pad * (high - low) or max(abs(low), 1.0) * pad or 0.5
    return low - margin, high + margin


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers within ``[low, high]``, about `count` of them.

    An interval that is empty, reversed or not finite has no ticks.
    """
    if not (np.isfinite(low) and np.isfinite(high)) or high <= low:
        return []
    raw = (high - low) / max(count, 1)
    magnitude = 10.0 ** np.floor(np.log10(raw))
    step = next(s * magnitude for s in _NICE_STEPS if s * magnitude >= raw * (1 - 1e-9))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [round(float(i * step), 12) + 0.0 for i in np.arange(first, last + 1)]


def tick_label(value: float) -> str:
    """Shortest plain text of a tick, with a typographic minus."""
    return f"{value:.6g}".replace("-", "−")


@lru_cache(maxsize=65536)
def _tenths(n: int) -> str:
    """Text of n/10 in the fewest characters: ``-5`` -> ``-.5``, ``120`` -> ``12``."""
    whole, part = divmod(abs(n), 10)
    text = (str(whole) if whole or not part else "") + (f".{part}" if part else "")
    return f"-{text}" if n < 0 else text


def number(value: float) -> str:
    """One coordinate with at most one decimal."""
    return _tenths(round(float(value) * 10))


@dataclass(frozen=True)
class Scale:
    """Linear map from data ``[low, high]`` to drawing ``[start, stop]``."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: ArrayLike) -> Any:
        """Drawing coordinate of `value`, of the same shape."""
        span = (self.high - self.low) or 1.0
        return self.start + (np.asarray(value, float) - self.low) / span * (self.stop - self.start)


@dataclass(frozen=True)
class Panel:
    """A rectangle of the drawing with its two scales (data y grows upwards)."""

    left: float
    top: float
    width: float
    height: float
    xlim: tuple[float, float]
    ylim: tuple[float, float]

    @property
    def right(self) -> float:
        """Right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Bottom edge."""
        return self.top + self.height

    @property
    def x(self) -> Scale:
        """Scale of the horizontal axis."""
        return Scale(*self.xlim, self.left, self.right)

    @property
    def y(self) -> Scale:
        """Scale of the vertical axis."""
        return Scale(*self.ylim, self.bottom, self.top)


def tag(name: str, *children: str, cls: str = "", **attributes: Any) -> str:
    """One element; numbers are rounded, values escaped, None left out, ``_`` written as ``-``."""
    parts = [name] + ([f'class="{escape(cls)}"'] if cls else [])
    for key, value in attributes.items():
        if value is None:
            continue
        text = (
            number(float(value))
            if isinstance(value, int | float | np.number)
            else escape(str(value))
        )
        parts.append(f'{key.replace("_", "-")}="{text}"')
    body = "".join(children)
    return f"<{' '.join(parts)}>{body}</{name}>" if body else f"<{' '.join(parts)}/>"


def text(x: float, y: float, content: str, *, cls: str = "", **attributes: Any) -> str:
    """A label; `content` is escaped."""
    return tag("text", escape(content), cls=cls, x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, *, cls: str = "") -> str:
    """A straight line."""
    return tag("line", cls=cls, x1=x1, y1=y1, x2=x2, y2=y2)


def rect(x: float, y: float, width: float, height: float, *, cls: str = "", **more: Any) -> str:
    """A rectangle; a negative size is drawn as none."""
    return tag("rect", cls=cls, x=x, y=y, width=max(width, 0), height=max(height, 0), **more)


def circle(x: float, y: float, r: float, *, cls: str = "", title: str = "") -> str:
    """A dot, with a tooltip where there is a title."""
    inner = (tag("title", escape(title)),) if title else ()
    return tag("circle", *inner, cls=cls, cx=x, cy=y, r=r)


def figure(width: float, height: float, children: Iterable[str], *, label: str) -> Markup:
    """An SVG that scales with its container and tells a screen reader what it shows."""
    drawing = tag(
        "svg",
        *children,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=label,
    )
    return Markup(drawing)  # noqa: S704  `tag` has escaped every value in it


def path_data(x: ArrayLike, y: ArrayLike) -> str:
    """Relative path through the points; a point that is not finite lifts the pen.

    Rounding is done on the absolute coordinates, so errors do not add up along the path.
    """
    points = np.round(np.column_stack([np.ravel(x), np.ravel(y)]).astype(float) * 10)
    pieces: list[str] = []
    for run in _finite_runs(np.isfinite(points[:, 0] + points[:, 1])):
        whole = points[run].astype(int)
        pieces.append(f"M{_join(whole[0])}")
        steps = np.diff(whole, axis=0)
        steps = steps[steps.any(axis=1)]
        if len(steps):
            pieces.append("l" + _join(steps.ravel()))
    return "".join(pieces)


def _finite_runs(good: NDArray[np.bool_]) -> list[slice]:
    """Slices of the unbroken stretches of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _join(values: Sequence[int] | NDArray[np.int_]) -> str:
    """Numbers in tenths, with a blank only where the next is not marked off by its minus."""
    words = [_tenths(int(v)) for v in values]
    return words[0] + "".join(w if w[0] == "-" else f" {w}" for w in words[1:])


def keep_points(x: ArrayLike, curves: ArrayLike, tolerance: float) -> NDArray[np.bool_]:
    """Which points of each curve are needed to draw it within `tolerance` by straight lines.

    A swing filter: the next point joins the present line as long as a straight line from the last
    kept point passes every point between within the tolerance. All curves go at once.

    Parameters
    ----------
    x
        Strictly increasing abscissa, (n,).
    curves
        Ordinates, (n_curves, n), finite, in units of the drawing.
    tolerance
        Largest vertical error, in the same units.

    Returns
    -------
    ndarray of bool
        (n_curves, n); the ends are always kept.
    """
    x, curves = np.asarray(x, float), np.atleast_2d(np.asarray(curves, float))
    n_curves, n = curves.shape
    keep = np.zeros((n_curves, n), dtype=bool)
    keep[:, [0, -1]] = True
    anchor_x, anchor_y = np.full(n_curves, x[0]), curves[:, 0].copy()
    low, high = np.full(n_curves, -np.inf), np.full(n_curves, np.inf)
    for i in range(1, n):
        slope = (curves[:, i] - anchor_y) / (x[i] - anchor_x)
        turn = (slope < low) | (slope > high)
        keep[turn, i - 1] = True
        anchor_x[turn], anchor_y[turn] = x[i - 1], curves[turn, i - 1]
        low[turn], high[turn] = -np.inf, np.inf
        dx = x[i] - anchor_x
        low = np.maximum(low, (curves[:, i] - tolerance - anchor_y) / dx)
        high = np.minimum(high, (curves[:, i] + tolerance - anchor_y) / dx)
    return keep


def simplified_path(x: ArrayLike, curves: ArrayLike, tolerance: float = 0.15) -> str:
    """Path of several curves over one abscissa, without the points that do not show."""
    abscissa, table = np.asarray(x, float), np.atleast_2d(np.asarray(curves, float))
    forward = np.concatenate([[True], np.diff(abscissa) > 1e-9])  # repeated points have no slope
    abscissa, table = abscissa[forward], table[:, forward]
    keep = keep_points(abscissa, table, tolerance)
    keep |= ~np.isfinite(table).all(axis=1, keepdims=True)  # a curve with gaps is drawn as it is
    return "".join(path_data(abscissa[k], c[k]) for k, c in zip(keep, table, strict=True))


def y_axis(panel: Panel, values: Sequence[float], *, title: str = "", labels: bool = True) -> str:
    """Horizontal grid lines with their numbers on the left."""
    parts = [line(panel.left, panel.y(v), panel.right, panel.y(v), cls="grid") for v in values]
    if labels:
        parts += [
            text(panel.left - 6, panel.y(v) + 4, tick_label(v), cls="tick end") for v in values
        ]
    if title:
        middle = panel.top + panel.height / 2
        turn = f"rotate(-90 12 {number(middle)})"
        parts.append(text(12, middle, title, cls="axis mid", transform=turn))
    return "".join(parts)


def x_axis(panel: Panel, values: Sequence[float], *, title: str = "", grid: bool = True) -> str:
    """Vertical grid lines with their numbers below."""
    parts = []
    for value in values:
        at = panel.x(value)
        parts.append(line(at, panel.top, at, panel.bottom, cls="grid") if grid else "")
        parts.append(text(at, panel.bottom + 16, tick_label(value), cls="tick mid"))
    if title:
        middle = panel.left + panel.width / 2
        parts.append(text(middle, panel.bottom + 34, title, cls="axis mid"))
    return "".join(parts)


def frame(panel: Panel) -> str:
    """The outline of a panel."""
    return rect(panel.left, panel.top, panel.width, panel.height, cls="frame")
