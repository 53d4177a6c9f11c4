"""Colours of a report: one for each element, the same in every figure, and a diverging scale."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

SLOTS = 12
"""Colours in the style sheet, ``--p0`` to ``--p11``."""

_PREFERRED = {
    "O": 1,
    "S": 2,
    "N": 3,
    "P": 4,
    "F": 5,
    "Cl": 6,
    "Br": 7,
    "I": 8,
    "H": 9,
    "B": 10,
    "Se": 11,
}
_MOBILE_SLOT = 0


def element_slots(compounds: Iterable[Iterable[str]], mobile_ion: str) -> dict[str, int]:
    """Colour slot of each element, so that elements of one compound differ where they can.

    The mobile ion and the usual anions have colours of their own. The rest, the most frequent
    first, take the slot that meets the fewest of the elements they stand beside.

    Parameters
    ----------
    compounds
        The elements of each compound.
    mobile_ion
        Element symbol of the mobile ion.

    Returns
    -------
    dict
        Slot, ``0 <= slot < SLOTS``, by element symbol.
    """
    sets = [frozenset(c) for c in compounds]
    frequency = Counter(e for s in sets for e in s)
    slots = {e: s for e, s in _PREFERRED.items() if e in frequency and e != mobile_ion}
    slots[mobile_ion] = _MOBILE_SLOT
    for element in sorted(frequency, key=lambda e: (-frequency[e], e)):
        if element not in slots:
            slots[element] = _quietest_slot(element, sets, slots)
    return slots


def _quietest_slot(element: str, sets: list[frozenset[str]], slots: dict[str, int]) -> int:
    """Slot with the fewest neighbours of its colour, then the least used anywhere."""
    beside = Counter(slots[other] for s in sets if element in s for other in s if other in slots)
    used = Counter(slots.values())
    candidates = [s for s in range(SLOTS) if s != _MOBILE_SLOT]
    return min(candidates, key=lambda s: (beside[s], used[s], -s))


def element_css(slots: dict[str, int]) -> str:
    """Rules that give each element's class its colour."""
    return "".join(f".el-{e}{{--c:var(--p{s})}}" for e, s in sorted(slots.items()))


DIVERGING_STEPS = 10
"""Shades on each side of zero, from the background to ``--low`` or ``--high``."""


def diverging_class(value: float | None) -> str:
    """Classes of the shade of a number between -1 and 1; of no number where it is not known.

    Shades are opacities of two colours over the background of the page, so that zero is the
    background and both sides are right in light and in dark mode.
    """
    if value is None or not math.isfinite(value):
        return "unknown"
    step = round(min(abs(value), 1.0) * DIVERGING_STEPS)
    return f"{'low' if value < 0 else 'high'} s{step}"


def diverging_css() -> str:
    """Rules of the shades."""
    return "".join(f".s{i}{{fill-opacity:{i / DIVERGING_STEPS:g}}}" for i in range(DIVERGING_STEPS))
