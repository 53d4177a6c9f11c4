"""The INCAR: tags as VASP reads them, with the defaults that the double needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_INTEGER = re.compile(r"[-+]?\d+$")
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?$")
_LOGICAL = re.compile(r"\.?(t|true|f|false)\.?$", re.IGNORECASE)


@dataclass(frozen=True)
class Incar:
    """Tags and their values as written."""

    tags: Mapping[str, str]

    def text(self, tag: str, default: str = "") -> str:
        """A value as a string."""
        return self.tags.get(tag, default)

    def integer(self, tag: str, default: int) -> int:
        """A whole number."""
        return int(self.tags[tag].split()[0]) if tag in self.tags else default

    def real(self, tag: str, default: float) -> float:
        """A number; Fortran's D exponents are understood."""
        return _real(self.tags[tag].split()[0]) if tag in self.tags else default

    def logical(self, tag: str, default: bool = False) -> bool:
        """True or false; false for anything that is not true, as for LREAL = Auto."""
        if tag not in self.tags:
            return default
        return self.tags[tag].strip().lstrip(".")[:1].lower() == "t"

    def reals(self, tag: str) -> list[float]:
        """A list of numbers, ``3*0.5`` written out."""
        values: list[float] = []
        for word in self.tags.get(tag, "").split():
            times, star, value = word.rpartition("*")
            values += [_real(value)] * (int(times) if star else 1)
        return values

    @property
    def ibrion(self) -> int:
        """How ions move; -1 where they do not."""
        return self.integer("IBRION", -1 if self.nsw in (-1, 0) else 0)

    @property
    def nsw(self) -> int:
        """Most ionic steps."""
        return self.integer("NSW", 0)

    @property
    def relaxes(self) -> bool:
        """Whether ions or cell move downhill."""
        return self.nsw > 0 and self.ibrion in (0, 1, 2, 3)

    @property
    def responds(self) -> bool:
        """Whether Born charges and the dielectric tensor are asked for."""
        return self.logical("LEPSILON") or self.logical("LCALCEPS")

    @property
    def vibrates(self) -> bool:
        """Whether the Hessian is asked for."""
        return self.ibrion in (5, 6, 7, 8)


def read_incar(path: Path) -> Incar:
    """Read an INCAR: one or more ``TAG = value`` on a line, comments after ``#`` and ``!``."""
    text = path.read_text().replace("\\\n", " ")
    tags = {}
    for line in text.splitlines():
        for part in re.split(r"[#!]", line)[0].split(";"):
            tag, equals, value = part.partition("=")
            if equals:
                tags[tag.strip().upper()] = value.strip()
    return Incar(tags)


def kind_of(value: str) -> str:
    """Type of a value in vasprun.xml: logical, int, float (written as empty) or string."""
    words = value.split() or [""]
    for kind, pattern in (("logical", _LOGICAL), ("int", _INTEGER), ("", _FLOAT)):
        if all(pattern.match(word) for word in words):
            return kind
    return "string"


def _real(word: str) -> float:
    return float(re.sub("[dD]", "e", word))
