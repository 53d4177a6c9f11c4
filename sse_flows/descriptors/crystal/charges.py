"""Whether oxidation states of the elements can add up to a neutral compound.

The sums that the elements so far can reach are the bits of one integer; adding an element is a few
shifts. So the search is exact and its cost does not grow with the number of combinations.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm

from sse_flows.descriptors.crystal.elements import oxidation_states

LARGEST_DENOMINATOR = 10_000
"""Amounts of a formula are taken as fractions with denominators up to this."""


@lru_cache(maxsize=65_536)
def whole_amounts(amounts: tuple[float, ...]) -> tuple[int, ...]:
    """The same ratio in the smallest whole numbers: (0.5, 1.5) becomes (1, 3)."""
    if all(float(amount).is_integer() for amount in amounts):
        whole = [int(amount) for amount in amounts]
    else:
        parts = [Fraction(amount).limit_denominator(LARGEST_DENOMINATOR) for amount in amounts]
        scale = lcm(*(part.denominator for part in parts))
        whole = [int(part * scale) for part in parts]
    divisor = gcd(*whole)
    return tuple(amount // divisor for amount in whole)


def can_be_neutral(
    numbers: tuple[int, ...], amounts: tuple[float, ...], *, mixed_valence: bool = False
) -> bool:
    """Whether common oxidation states of the elements sum to zero.

    Parameters
    ----------
    numbers, amounts
        Atomic numbers, each once, and how many of each; both 0 in empty places.
    mixed_valence
        Let atoms of one element differ, within the reduced formula unit, as iron does in Fe3O4
        (matminer's ``IonProperty(fast=False)``); otherwise all atoms of an element have one state
        (``fast=True``, and Ward 2016).

    Returns
    -------
    bool
        True for a single element, as in matminer.
    """
    return _can_be_neutral(numbers, whole_amounts(amounts), mixed_valence)


@lru_cache(maxsize=65_536)
def _can_be_neutral(numbers: tuple[int, ...], amounts: tuple[int, ...], mixed: bool) -> bool:
    if numbers.count(0) >= len(numbers) - 1:
        return True
    known = oxidation_states(fill=mixed)
    reached, lowest = 1, 0  # bit k: the sum lowest + k can be reached
    for number, amount in zip(numbers, amounts, strict=True):
        states = known[number]
        if not states:
            return False
        lowest += states[0] * amount
        steps = [state - states[0] for state in states]
        if mixed:
            for _ in range(amount):
                reached = _add_any(reached, steps)
        else:
            reached = _add_any(reached, [step * amount for step in steps])
    return lowest <= 0 and bool(reached >> -lowest & 1)


def _add_any(reached: int, steps: Iterable[int]) -> int:
    """Sums that can be reached with one more of the steps."""
    more = 0
    for step in steps:
        more |= reached << step
    return more
