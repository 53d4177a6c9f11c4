"""Heat map of correlations: descriptors with each other and with the conductivity."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from sse_flows.report import svg, text
from sse_flows.report.palette import DIVERGING_STEPS, diverging_class

CELL = 22.0
_LEFT, _BELOW, _GAP, _TOP = 178.0, 172.0, 8.0, 6.0
_KEY = 14.0


def heat_figure(
    names: Sequence[str],
    matrix: Sequence[Sequence[float | None]],
    last: Sequence[float | None],
    last_name: str,
) -> Markup:
    """Lower triangle of a symmetric matrix, and a row apart for one more quantity.

    Parameters
    ----------
    names
        Of the rows and columns, shape (n,).
    matrix
        Between -1 and 1, shape (n, n); None where not known. Only what is below the diagonal is
        drawn: above it is the same again, on it are ones.
    last
        Of each column with the quantity of the last row, shape (n,); its numbers are written out.
    last_name
        Name of that quantity.
    """
    n = len(names)
    width, bottom = _LEFT + n * CELL + 8, _TOP + n * CELL + _GAP + CELL
    parts = [
        *(_row(i, name, matrix[i], names) for i, name in enumerate(names)),
        _last_row(last, last_name, names, _TOP + n * CELL + _GAP),
        *(_column_name(j, name, bottom + 8) for j, name in enumerate(names)),
    ]
    if n > 8:
        parts.append(_key(width - 8 - (2 * DIVERGING_STEPS + 1) * _KEY, _TOP + 24))
    label = f"Heat map of the correlations of {n} descriptors with each other and with {last_name}"
    return svg.figure(width, bottom + _BELOW, parts, label=label)


def _cell(x: float, y: float, value: float | None, title: str) -> str:
    return svg.tag(
        "rect",
        svg.tag("title", escape(title)),
        cls=f"cell {diverging_class(value)}",
        x=x,
        y=y,
        width=CELL - 1,
        height=CELL - 1,
    )


def _row(i: int, name: str, values: Sequence[float | None], names: Sequence[str]) -> str:
    """Name of a row and its cells left of the diagonal."""
    top = _TOP + i * CELL
    cells = [
        _cell(_LEFT + j * CELL, top, values[j], f"{name} and {names[j]}: {_shown(values[j])}")
        for j in range(i)
    ]
    diagonal = svg.rect(_LEFT + i * CELL, top, CELL - 1, CELL - 1, cls="cell same")
    return _row_name(top, name) + "".join(cells) + diagonal


def _last_row(values: Sequence[float | None], name: str, names: Sequence[str], top: float) -> str:
    """The row apart, with its numbers."""
    parts = [_row_name(top, name, "strong")]
    for j, value in enumerate(values):
        left = _LEFT + j * CELL
        parts.append(_cell(left, top, value, f"{name} and {names[j]}: {_shown(value)}"))
        number = "" if value is None else _shown(value).replace("0.", ".")
        parts.append(svg.text(left + (CELL - 1) / 2, top + 14, number, cls=_number_class(value)))
    return "".join(parts)


def _number_class(value: float | None) -> str:
    """A number on a dark shade has the colour of the background."""
    return "figure mid" + (" inverse" if value is not None and abs(value) > 0.65 else "")


def _shown(value: float | None) -> str:
    return "not known" if value is None else text.fixed(value)


def _row_name(top: float, name: str, cls: str = "") -> str:
    return svg.text(_LEFT - 8, top + 15, name, cls=f"tick end {cls}".strip())


def _column_name(j: int, name: str, top: float) -> str:
    """A name that reads upwards and ends below its column."""
    x = _LEFT + j * CELL + CELL / 2 + 3
    turn = f"rotate(-90 {svg.number(x)} {svg.number(top)})"
    return svg.text(x, top, name, cls="tick end", transform=turn)


def _key(left: float, top: float) -> str:
    """The shades from -1 to 1 with their numbers."""
    steps = range(-DIVERGING_STEPS, DIVERGING_STEPS + 1)
    shades = [
        svg.rect(
            left + k * _KEY, top, _KEY, _KEY, cls=f"cell {diverging_class(step / DIVERGING_STEPS)}"
        )
        for k, step in enumerate(steps)
    ]
    numbers = [
        svg.text(left + (k + 0.5) * _KEY, top + _KEY + 15, svg.tick_label(at), cls="tick mid")
        for k, at in ((0, -1), (5, -0.5), (10, 0), (15, 0.5), (20, 1))
    ]
    title = svg.text(left + 10.5 * _KEY, top - 8, "Pearson correlation", cls="axis mid")
    return title + "".join(shades) + "".join(numbers)
