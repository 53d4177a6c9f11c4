"""Reduced formulas and hashes of many compositions at a time."""

from __future__ import annotations

from functools import cache
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@cache
def symbol_of(number: int) -> str:
    """Symbol of an atomic number."""
    from pymatgen.core import Element

    return str(Element.from_Z(number).symbol)


@cache
def _rank(number: int) -> tuple[float, str]:
    """Place of an element in a formula: by electronegativity."""
    from pymatgen.core import Element

    return float(Element.from_Z(number).X), symbol_of(number)


def reduced_formula(amounts: Mapping[int, int]) -> str:
    """Formula of atoms by atomic number, divided by their common factor.

    The most electropositive element comes first. Unlike pymatgen's, polyanions get no brackets
    and molecules of elements no factor of two.
    """
    factor = gcd(*amounts.values())
    parts = []
    for number in sorted(amounts, key=_rank):
        count = amounts[number] // factor
        parts.append(symbol_of(number) + (str(count) if count > 1 else ""))
    return "".join(parts)


def reduced_formulas(numbers: NDArray[Any], counts: NDArray[Any]) -> list[str]:
    """Reduced formula of each decoration.

    Parameters
    ----------
    numbers
        Atomic number of each group of sites, shape (decorations, groups).
    counts
        Sites of each group, shape (groups,).
    """
    sizes = [int(count) for count in counts]
    found = []
    for row in numbers.tolist():
        amounts: dict[int, int] = {}
        for number, count in zip(row, sizes, strict=True):
            amounts[number] = amounts.get(number, 0) + count
        found.append(reduced_formula(amounts))
    return found


@cache
def _weights() -> NDArray[np.uint64]:
    """A random odd number of 64 bits for each atomic number, always the same."""
    generator = np.random.default_rng(20240213)
    return generator.integers(0, 2**63, size=256, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def composition_hashes(numbers: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.uint64]:
    """A number for the atoms of each decoration: equal for equal ones, else different.

    Two of a million different ones agree with a chance of 3 in 10^8. Arguments as in
    `reduced_formulas`.
    """
    with np.errstate(over="ignore"):
        return (_weights()[numbers] * np.asarray(counts).astype(np.uint64)).sum(axis=1)
