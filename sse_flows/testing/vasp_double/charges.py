"""Charges of the ions of a compound, from its composition and the tabulated oxidation states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product

from sse_flows.testing.vasp_double.potcar import Potential


def oxidation_states(potentials: Sequence[Potential], counts: Sequence[int]) -> list[float]:
    """Oxidation state of each block of atoms; zero in elements and alloys.

    Of all neutral choices of common states the one that puts most negative charge on the most
    electronegative elements. Where none is neutral, as in a mixed-valence oxide, the most
    electronegative element has its anion's charge and the others share what balances it.

    Parameters
    ----------
    potentials, counts
        Pseudopotential and number of atoms of each block.
    """
    numbers: Counter[str] = Counter()
    for potential, count in zip(potentials, counts, strict=True):
        numbers[potential.element] += count
    elements = {p.element: p for p in potentials}
    states = _neutral(elements, numbers) or _shared(elements, numbers)
    return [states.get(p.element, 0.0) for p in potentials]


def _neutral(elements: dict[str, Potential], numbers: Counter[str]) -> dict[str, float]:
    if len(elements) < 2:
        return {}
    names = list(elements)
    best: tuple[float, dict[str, float]] | None = None
    for choice in product(*(elements[name].states for name in names)):
        if sum(charge * numbers[name] for name, charge in zip(names, choice, strict=True)):
            continue
        order = sum(
            charge * numbers[name] * elements[name].electronegativity
            for name, charge in zip(names, choice, strict=True)
        )
        if best is None or order < best[0]:
            best = (order, {n: float(c) for n, c in zip(names, choice, strict=True)})
    return best[1] if best else {}


def _shared(elements: dict[str, Potential], numbers: Counter[str]) -> dict[str, float]:
    anion = max(elements.values(), key=lambda p: p.electronegativity)
    negative = [charge for charge in anion.states if charge < 0]
    others = {name: p for name, p in elements.items() if name != anion.element}
    if not negative or not others:
        return {}
    weights = {name: max([1, *p.states]) for name, p in others.items()}
    total = -max(negative) * numbers[anion.element]
    share = total / sum(weights[name] * numbers[name] for name in others)
    return {anion.element: float(max(negative))} | {n: share * w for n, w in weights.items()}
