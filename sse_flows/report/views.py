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
    """A drawing with its title, caption and legend of (class, name); a tall one spans two rows."""

    svg: Markup
    title: str
    caption: str = ""
    legend: list[tuple[str, str]] = field(default_factory=list)
    tall: bool = False
