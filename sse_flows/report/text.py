"""How numbers, formulas and sources are written in the page: pure functions, all output escaped."""

from __future__ import annotations

import math
import re
from urllib.parse import quote

from markupsafe import Markup, escape

MISSING = "–"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"<>]+")
_URL = re.compile(r"https?://[^\s\"<>]+")
_MP_ID = re.compile(r"\bmp-\d+\b(?![-\w])")
_COUNT = re.compile(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)")


def is_number(value: object) -> bool:
    """Whether `value` is a finite number."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def plain(value: float | None, digits: int = 3) -> str:
    """`value` with so many significant digits, never in exponents between 1e-4 and 1e6."""
    if value is None or not is_number(value):
        return MISSING
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size > 6:
        return scientific(value, digits - 1)
    decimals = max(digits - 1 - size, 0)
    shown = f"{value:.{decimals}f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return shown.replace("-", "−")


def fixed(value: float | None, decimals: int = 2) -> str:
    """`value` with so many decimals and a typographic minus."""
    if value is None or not is_number(value):
        return MISSING
    shown = f"{value:.{decimals}f}"
    return (shown[1:] if float(shown) == 0 and shown[0] == "-" else shown).replace("-", "−")


def scientific(value: float | None, digits: int = 2) -> str:
    """`value` as ``2.1×10⁻⁴``."""
    if value is None or not is_number(value):
        return MISSING
    mantissa, exponent = f"{value:.{max(digits - 1, 0)}e}".split("e")
    return f"{mantissa.replace('-', '−')}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def percent(value: float | None) -> str:
    """A share as whole per cent."""
    return MISSING if value is None or not is_number(value) else f"{100 * value:.0f} %"


def sort_key(value: object) -> str:
    """Text by which the page's script sorts a cell; nothing where there is no number."""
    return f"{value:.6g}" if isinstance(value, (int, float)) and math.isfinite(value) else ""


def formula(content: str) -> Markup:
    """A chemical formula with its counts set below the line."""
    pieces = _COUNT.split(str(content))
    return Markup("").join(
        Markup("<sub>{}</sub>").format(p) if i % 2 else escape(p) for i, p in enumerate(pieces)
    )


def linked(content: str | None) -> Markup:
    """Text of a source in which the first DOI, web address or Materials Project id is a link."""
    if not content:
        return escape(MISSING)
    for pattern, address in ((_URL, _web), (_DOI, _doi), (_MP_ID, _materials_project)):
        match = pattern.search(content)
        if match:
            found = match.group().rstrip(".,;)")
            end = match.start() + len(found)
            anchor = Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(
                address(found), found
            )
            return escape(content[: match.start()]) + anchor + escape(content[end:])
    return escape(content)


def _web(found: str) -> str:
    return found


def _doi(found: str) -> str:
    return f"https://doi.org/{quote(found, safe='/().:;-_')}"


def _materials_project(found: str) -> str:
    return f"https://next-gen.materialsproject.org/materials/{found}"


def slug(compound_id: str) -> str:
    """An id that is safe in an anchor; different ids stay different."""
    return "c-" + "".join(
        c if c.isascii() and c.isalnum() else f"-{ord(c):x}-" for c in compound_id
    )


def humanise(name: str) -> str:
    """A field's name as words."""
    return name.replace("_", " ")
