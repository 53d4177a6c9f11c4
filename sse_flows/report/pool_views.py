"""What the page says of the screened pool: ranking, candidates, what was filtered out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from sse_flows.report import text
from sse_flows.report.cards import Row
from sse_flows.report.document import ReportData
from sse_flows.report.model_figures import Point, scatter_figure

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
    superionic: bool
    flags: list[tuple[str, str]]


@dataclass(frozen=True)
class FilteredRow:
    """A compound that a filter kept out, and which."""

    anchor: str | None
    compound_id: str
    formula: Markup
    reason: str


@dataclass
class PoolView:
    """The section on the pool; what is empty is left out."""

    rows: list[RankedRow] = field(default_factory=list)
    top: list[RankedRow] = field(default_factory=list)
    filtered: list[FilteredRow] = field(default_factory=list)
    kim: bool = False
    intro: str = ""
    empty: str = ""
    figure: Markup | None = None
