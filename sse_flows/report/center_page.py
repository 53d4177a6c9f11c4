"""The page of a screen by band centre: one HTML document that asks nothing of the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sse_flows.errors import SSEError
from sse_flows.report import text
from sse_flows.report.center_figures import (
    distribution_figure,
    element_figure,
    stability_figure,
)
from sse_flows.report.render import environment, page_policy, page_style, replace

if TYPE_CHECKING:
    from sse_flows.screening.center_document import CenterScreening

TOP = 25
"""Rows of each kind of anions."""
GROUPS = 12
FAILED = 100
_STYLE = """
.specks { fill: none; stroke: var(--muted); stroke-width: 2.2; stroke-linecap: round; }
.specks { stroke-opacity: .45; }
.specks.soft { stroke: var(--accent); stroke-opacity: .8; }
.kept { fill: var(--accent-soft); }
.cell { fill: var(--surface); stroke: var(--line); }
.heat { fill: var(--accent); }
.symbol { font-size: 13px; font-weight: 620; fill: var(--ink); }
.value { font-size: 11px; fill: var(--ink); }
"""


@dataclass(frozen=True)
class _Row:
    """One kept crystal as the page shows it."""

    rank: int
    name: Markup
    formula: Markup
    center: str
    interval: str
    hull: str
    gap: str
    flags: str


def render_centers(found: CenterScreening) -> str:
    """The page as text.

    Parameters
    ----------
    found
        The screen.

    Returns
    -------
    str
        HTML with its style and figures inside; its Content-Security-Policy names the style by its
        hash and forbids everything else.
    """
    said = found.summary
    limits = (said.criteria.max_center, said.criteria.max_energy_above_hull)
    style = page_style() + _STYLE
    template = environment().get_template("centers.html.j2")
    return template.render(
        summary=said,
        kept=len(found.table),
        groups=_groups(found),
        stability=stability_figure(said.stability, *limits) if said.stability else None,
        distributions=[(one, distribution_figure(one, limits[0])) for one in said.distributions],
        elements=element_figure(said.elements),
        failed=said.failed[:FAILED],
        more_failed=max(0, len(said.failed) - FAILED),
        policy=page_policy(style),
        style=Markup(style),  # noqa: S704  our own file
        fixed=text.fixed,
    )


def write_center_page(found: CenterScreening, path: str | Path) -> Path:
    """Write the page, at once or not at all; folders above it are made too.

    Raises
    ------
    SSEError
        If the file cannot be written.
    """
    path, page = Path(path), render_centers(found)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, page)
    except OSError as error:
        raise SSEError(
            f"the report cannot be written to {path}: {error.strerror or error}",
            mend="Free space or choose a folder you may write to",
        ) from error
    return path


def _groups(found: CenterScreening) -> list[dict[str, Any]]:
    """The best of every kind of anions, the largest group first and alloys last."""
    largest = list(found.summary.kept.items())[:GROUPS]
    groups = []
    for anions, count in sorted(largest, key=lambda group: group[0] == "none"):
        rows = found.table[found.table["anions"] == anions].head(TOP)
        groups.append(
            {
                "anions": anions,
                "count": count,
                "rows": [_row(one) for one in rows.to_dict("records")],
            }
        )
    return groups


def _row(one: dict[Any, Any]) -> _Row:
    return _Row(
        rank=int(one["rank"]),
        name=text.linked(str(one["id"])),
        formula=text.formula(str(one["formula"])),
        center=text.fixed(one["center"], 1),
        interval=f"{text.fixed(one['center_low'], 1)} to {text.fixed(one['center_high'], 1)}",
        hull=text.fixed(one["energy_above_hull"], 3),
        gap=text.fixed(one["band_gap"], 1),
        flags=str(one["flags"]),
    )
