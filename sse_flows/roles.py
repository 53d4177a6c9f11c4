"""Which species is the mobile ion, an anion or another cation: decided once, here, for everyone.

The decision rests on formal oxidation states. Each element first gets one state; the sets that
leave the formula neutral are ranked by how often each state occurs in the ICSD (pymatgen's table),
less a penalty where a more electropositive element would be negative. If no set is neutral one
element may take an average (mixed valence, polyanions such as S2 2-, Zintl phases); if that fails
too the most electronegative elements share the charge. So P is a cation in Li3PS4 and an anion in
Li3P. Hydrogen follows the same rule: a hydride (anion) in LiBH4, LiAlH4 and LiH, a proton
(cation) in LiOH, LiNH2 and NH4Cl; where a formula holds both, its average decides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from pymatgen.core import Composition, Element, Species, Structure

from sse_flows.errors import SSEError

_EXTRA_STATES: dict[str, dict[float, float]] = {
    "O": {-1: 300},
    "Cl": {5: 60, 7: 120},
    "Br": {7: 5},
    "I": {7: 60},
}
"""Occurrences that the ICSD table lacks: peroxides, chlorates and their kin."""
_TYPICAL_ANIONS = frozenset({"N", "O", "S", "Se", "F", "Cl", "Br", "I"})
_CHARGE_TOLERANCE = 0.03
"""Charge per atom (e) that a formula of measured occupancies may be off neutrality."""
_INVERSION_PENALTY = 4.0
"""Score lost by each pair in which the more electropositive element is the negative one."""
_MIXED_PENALTY = 3.0
_MIXED_NONMETAL_PENALTY = 7.0
"""Mixed valence is ordinary in metals, rare in nonmetals (electronegativity above 2.15)."""
_MAX_STATES = 6


@dataclass(frozen=True)
class Roles:
    """Mobile ion, anions and other cations of a compound, as element symbols.

    Attributes
    ----------
    mobile
        The mobile ion.
    anions
        Elements of negative oxidation state, the most electronegative first.
    cations
        All other elements.
    """

    mobile: str
    anions: tuple[str, ...]
    cations: tuple[str, ...]

    def group(self, symbol: str) -> str:
        """``"mobile"``, ``"anion"`` or ``"cation"`` for an element of the compound."""
        if symbol == self.mobile:
            return "mobile"
        return "anion" if symbol in self.anions else "cation"


def assign_roles(
    compound: Structure | Composition | str,
    mobile_ion: str | Sequence[str],
    overrides: Mapping[str, float] | None = None,
    compound_id: str | None = None,
) -> Roles:
    """Decide which elements are the mobile ion, anions and other cations.

    Parameters
    ----------
    compound
        Structure (possibly disordered), composition or formula. Oxidation states that decorate a
        structure completely and leave it neutral are believed.
    mobile_ion
        Wanted mobile ions in order of preference; the first that the compound holds is taken.
    overrides
        Oxidation states of elements, where the guess is not to be trusted.
    compound_id
        Named in errors.

    Raises
    ------
    SSEError
        If the compound holds none of the mobile ions, or has no anion.
    """
    wanted = [mobile_ion] if isinstance(mobile_ion, str) else list(mobile_ion)
    amounts = _element_amounts(_composition(compound))
    mobile = next((ion for ion in wanted if ion in amounts), None)
    if mobile is None:
        raise SSEError(
            f"{_formula(amounts)} holds none of the mobile ions {', '.join(wanted)}",
            compound=compound_id,
            mend="Set mobile_ions to one of its elements or leave the compound out",
        )
    states = _states_of(compound, overrides)
    anions = [el for el in amounts if el != mobile and states[el] < 0]
    if not anions:
        raise SSEError(
            f"{_formula(amounts)} has no anion (oxidation states {states})",
            compound=compound_id,
            mend="Leave the alloy out, or give the oxidation state of its anion by overrides",
        )
    anions.sort(key=lambda el: (-_electronegativity(el), el))
    cations = sorted(el for el in amounts if el != mobile and el not in anions)
    return Roles(mobile, tuple(anions), tuple(cations))


def oxidation_states(
    composition: Structure | Composition | str, overrides: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Formal oxidation state of each element (average where an element has several), in e.

    Parameters
    ----------
    composition
        Formula with any, also fractional, amounts; a structure's own decoration is believed if
        it is complete and neutral.
    overrides
        States to keep fixed, by element.

    Returns
    -------
    dict
        Element symbol to state. The states make the formula neutral, but for the rounding of
        measured occupancies (at most 0.03 e per atom); all are 0 in an element or an alloy.
    """
    return _states_of(composition, overrides)


def _states_of(
    compound: Structure | Composition | str, overrides: Mapping[str, float] | None
) -> dict[str, float]:
    if isinstance(compound, Structure) and not overrides:
        decorated = _decoration(compound)
        if decorated:
            return decorated
    amounts = _element_amounts(_composition(compound))
    total = sum(amounts.values())
    key = tuple((el, round(n / total, 12)) for el, n in sorted(amounts.items()))
    fixed = tuple(sorted((el, float(q)) for el, q in (overrides or {}).items() if el in amounts))
    return dict(_guess(key, fixed))


def _composition(compound: Structure | Composition | str) -> Composition:
    return compound.composition if isinstance(compound, Structure) else Composition(compound)


def _element_amounts(composition: Composition) -> dict[str, float]:
    return {el: float(n) for el, n in composition.get_el_amt_dict().items() if n > 1e-8}


def _formula(amounts: dict[str, float]) -> str:
    return Composition(amounts).reduced_formula


def _decoration(structure: Structure) -> dict[str, float] | None:
    """Oxidation states written on the sites, if every species has one and the sum is zero."""
    charge: dict[str, float] = {}
    amount: dict[str, float] = {}
    for species, n in structure.composition.items():
        state = getattr(species, "oxi_state", None)
        if not state:  # None, or 0: a placeholder in many CIF files
            return None
        symbol = species.symbol
        charge[symbol] = charge.get(symbol, 0.0) + state * n
        amount[symbol] = amount.get(symbol, 0.0) + n
    if abs(sum(charge.values())) > _CHARGE_TOLERANCE * sum(amount.values()):
        return None
    return {el: charge[el] / amount[el] for el in charge}


@lru_cache(maxsize=65536)
def _guess(
    fractions: tuple[tuple[str, float], ...], fixed: tuple[tuple[str, float], ...]
) -> tuple[tuple[str, float], ...]:
    elements = [el for el, _ in fractions]
    amounts = np.array([n for _, n in fractions])
    if len(elements) == 1 and not fixed:
        return ((elements[0], 0.0),)
    pinned = dict(fixed)
    candidates = [{pinned[el]: 0.0} if el in pinned else _scored_states(el) for el in elements]
    combinations = _combinations(elements, candidates)
    found = [
        _single_states(amounts, *combinations),
        _one_mixed(elements, amounts, candidates, *combinations),
    ]
    _, states = max((f for f in found if f is not None), key=lambda f: f[0], default=(0, None))
    if states is None:
        states = _by_electronegativity(elements, amounts, pinned)
    return tuple(zip(elements, (round(float(q), 6) for q in states), strict=True))


@cache
def _occurrences() -> dict[Species, float]:
    if Composition.oxi_prob is None:  # pymatgen loads its table at the first guess
        Composition("LiCl").oxi_state_guesses()
    return dict(Composition.oxi_prob or {})


@cache
def _scored_states(symbol: str) -> dict[float, float]:
    """Log of the share of each oxidation state of an element, the likeliest first."""
    element = Element(symbol)
    table = _occurrences()
    listed = element.icsd_oxidation_states or element.common_oxidation_states
    counts = {float(q): 1.0 + table.get(Species(element.symbol, q), 0) for q in listed if q}
    counts.update(_EXTRA_STATES.get(element.symbol, {}))
    if not counts:  # noble gases
        return {0.0: 0.0}
    total = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda item: -item[1])[:_MAX_STATES]
    return {q: math.log(n / total) for q, n in ranked}


def _electronegativity(symbol: str) -> float:
    value = Element(symbol).X
    return 0.0 if math.isnan(value) else float(value)


def _combinations(
    elements: list[str], candidates: list[dict[float, float]]
) -> tuple[np.ndarray, np.ndarray]:
    """Every choice of one state per element (combinations x elements) and its score."""
    kept = _limited(candidates)
    states = np.array(list(itertools.product(*(list(c) for c in kept))), dtype=float)
    scores = np.array(list(itertools.product(*(list(c.values()) for c in kept)))).sum(axis=1)
    chi = np.array([_electronegativity(el) for el in elements])
    for i, j in itertools.permutations(range(len(elements)), 2):
        if chi[i] < chi[j]:  # i is the more electropositive one
            scores -= _INVERSION_PENALTY * ((states[:, i] < 0) & (states[:, j] > 0))
    return states, scores


def _limited(candidates: list[dict[float, float]]) -> list[dict[float, float]]:
    """At most about 200,000 combinations: rare states go first."""
    depth = _MAX_STATES
    while math.prod(min(len(c), depth) for c in candidates) > 200_000 and depth > 1:
        depth -= 1
    return [dict(list(c.items())[:depth]) for c in candidates]


def _single_states(
    amounts: np.ndarray, states: np.ndarray, scores: np.ndarray
) -> tuple[float, np.ndarray] | None:
    """The likeliest neutral choice of one state per element, with its score."""
    charge = np.abs(states @ amounts)
    exact = charge < 1e-5
    allowed = exact if exact.any() else charge < _CHARGE_TOLERANCE
    if not allowed.any():
        return None
    ranked = np.where(allowed, scores - 200.0 * charge, -np.inf)
    best = int(np.argmax(ranked))
    return float(ranked[best]), states[best]


def _one_mixed(
    elements: list[str],
    amounts: np.ndarray,
    candidates: list[dict[float, float]],
    states: np.ndarray,
    scores: np.ndarray,
) -> tuple[float, np.ndarray] | None:
    """Let one element take the average state that makes the formula neutral."""
    best: tuple[float, np.ndarray] | None = None
    for i, options in enumerate(candidates):
        if len(options) < 2:
            continue
        others = states @ amounts - states[:, i] * amounts[i]
        average = -others / amounts[i]
        inside = (average >= min(options)) & (average <= max(options)) & (np.abs(average) > 1e-9)
        # the nearest state of the same sign lends its score
        same_sign = np.sign(average) == np.sign(states[:, i])
        nonmetal = _electronegativity(elements[i]) > 2.15
        penalty = _MIXED_NONMETAL_PENALTY if nonmetal else _MIXED_PENALTY
        value = scores - penalty - np.abs(average - states[:, i])
        value = np.where(inside & same_sign, value, -np.inf)
        top = int(np.argmax(value))
        if np.isfinite(value[top]) and (best is None or value[top] > best[0]):
            solution = states[top].copy()
            solution[i] = average[top]
            best = (float(value[top]), solution)
    return best


def _by_electronegativity(
    elements: list[str], amounts: np.ndarray, pinned: dict[str, float]
) -> np.ndarray:
    """The last resort: cations in their usual state, the charge shared by the likely anions."""
    chi = np.array([_electronegativity(el) for el in elements])
    states = np.zeros(len(elements))
    if chi.max() - chi.min() < 0.5:  # an alloy
        return np.array([pinned.get(el, 0.0) for el in elements])
    negative = np.array([el in _TYPICAL_ANIONS for el in elements])
    if not negative.any():
        negative = chi == chi.max()
    for i, el in enumerate(elements):
        usual = [q for q in _scored_states(el) if q > 0]
        states[i] = pinned.get(el, 0.0 if negative[i] or not usual else usual[0])
    shared = negative & np.array([el not in pinned for el in elements])
    if shared.any():
        states[shared] = -(states @ amounts) / amounts[shared].sum()
    return states
