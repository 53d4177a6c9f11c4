"""Small pieces that several sections of the page print."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Tile:
    """A headline number with its name and a remark."""

    name: str
    value: str
    note: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Chip:
    """A short label: its text, its kind (a class of the style sheet), and what a hover tells."""

    label: str
    kind: str
    title: str = ""


@dataclass(frozen=True)
class FigureView:
    """A drawing with its title, caption and legend of (class, name).

    A tall one spans two rows of the grid, a wide one all its columns.
    """

    svg: Markup
    title: str
    caption: str = ""
    legend: list[tuple[str, str]] = field(default_factory=list)
    tall: bool = False
    wide: bool = False


@dataclass(frozen=True)
class TableView:
    """A table of text; the first column names the row, the others are numbers."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    marked: int | None = None


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: rows are measured, each cell a count and whether it is right."""

    title: str
    rows: list[tuple[str, list[tuple[int, bool]]]]


@dataclass
class ModelView:
    """One model as the page shows it; what is empty is left out."""

    anchor: str
    title: str
    intro: str
    notes: list[str] = field(default_factory=list)
    score_columns: list[str] = field(default_factory=list)
    scores: list[tuple[str, list[str]]] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    tables: list[TableView] = field(default_factory=list)
    figures: list[FigureView] = field(default_factory=list)
