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
class FigureView:
    """A drawing with its title, caption and legend of (class, name)."""

    svg: Markup
    title: str
    caption: str = ""
    legend: list[tuple[str, str]] = field(default_factory=list)
