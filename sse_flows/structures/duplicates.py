"""Merging of compounds that several sources describe."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from sse_flows.structures.compound import Compound

_PROPERTIES = (
    ("conductivity", "conductivity_source"),
    ("band_gap", "property_source"),
    ("formation_energy", "property_source"),
    ("energy_above_hull", "property_source"),
    ("approximant", None),
    ("family", None),
)
CONFLICT = 10.0
"""Ratio of two measured conductivities beyond which a reader is warned."""
_MAX_VOLUME_RATIO = 1.3
_SHELLS = 12
_REACH = 3.0
_MAX_SHELL_CHANGE = 0.1
"""Crystals further apart in volume, or in the scaled mean distance of an n-th neighbour, are not
compared: the matcher needs long for two large cells that are alike but not the same."""


def merge_duplicates(
    compounds: Iterable[Compound],
    *,
    ltol: float = 0.2,
    stol: float = 0.3,
    angle_tol: float = 5.0,
) -> list[Compound]:
    """Merge compounds with the same mobile ion and the same crystal structure.

    Parameters
    ----------
    compounds
        In order of trust: the first of each set keeps its id, structure and properties; the
        others lend it what it lacks and become its aliases.
    ltol, stol, angle_tol
        Tolerances of pymatgen's StructureMatcher: fractional lengths, sites as a share of the
        mean distance of atoms, angles in degrees.

    Returns
    -------
    list of Compound
        In the order of their first members; those without a duplicate are the same objects.
        The structures as measured are compared, with their occupancies.
        Measured conductivities which differ by more than a factor of ten are remarked.
    """
    compounds = list(compounds)
    matcher = StructureMatcher(ltol=ltol, stol=stol, angle_tol=angle_tol, primitive_cell=False)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, compound in enumerate(compounds):
        groups[(compound.mobile_ion, _formula(compound))].append(index)
    clusters: dict[int, list[Compound]] = {}
    for members in groups.values():
        clusters.update(_cluster(compounds, members, matcher))
    return [_merged(clusters[first]) for first in sorted(clusters)]


def _formula(compound: Compound) -> str:
    """Formula that equal structures share, whatever the rounding of their occupancies."""
    amounts = compound.structure.composition.get_el_amt_dict()
    total = sum(amounts.values())
    return " ".join(f"{el}{n / total:.3f}" for el, n in sorted(amounts.items()))


@dataclass(frozen=True)
class _Candidate:
    """A compound with what tells most different crystals apart at a glance."""

    compound: Compound
    cell: Structure
    volume: float
    shells: np.ndarray

    @classmethod
    def of(cls, compound: Compound) -> _Candidate:
        cell = compound.structure.copy()
        cell.remove_oxidation_states()  # one source decorates, another does not
        cell = cell.get_primitive_structure()
        volume = cell.volume / cell.composition.num_atoms
        return cls(compound, cell, volume, _shells(cell))

    def resembles(self, other: _Candidate) -> bool:
        """Whether the two may be the same crystal."""
        if len(self.cell) != len(other.cell) or self.shells.shape != other.shells.shape:
            return False
        if not 1 / _MAX_VOLUME_RATIO < self.volume / other.volume < _MAX_VOLUME_RATIO:
            return False
        return bool(np.abs(self.shells - other.shells).max() < _MAX_SHELL_CHANGE)


def _shells(cell: Structure) -> np.ndarray:
    """Mean distance of the n-th neighbour of each kind, for each kind of site: a fingerprint.

    In units of the edge of a site's share of the volume; neighbours beyond three edges count as
    three edges away. Kinds are the occupants without their amounts, which may be rounded.
    """
    edge = (cell.volume / len(cell)) ** (1 / 3)
    kinds = np.array(["".join(sorted(sp.symbol for sp in site.species)) for site in cell])
    center, neighbor, _, distance = cell.get_neighbor_list(_REACH * edge)
    rows = []
    for here, there in itertools.product(np.unique(kinds), repeat=2):
        members = np.flatnonzero(kinds == here)
        chosen = (kinds[center] == here) & (kinds[neighbor] == there)
        shells = np.full((len(members), _SHELLS), _REACH)
        for row, member in enumerate(members):
            near = np.sort(distance[chosen & (center == member)])[:_SHELLS] / edge
            shells[row, : len(near)] = near
        rows.append(shells.mean(axis=0))
    return np.array(rows)


def _cluster(
    compounds: list[Compound], members: list[int], matcher: StructureMatcher
) -> dict[int, list[Compound]]:
    """Compounds of one formula by structure, under the index of each first one."""
    if len(members) == 1:
        return {members[0]: [compounds[members[0]]]}
    clusters: dict[int, list[Compound]] = {}
    heads: dict[int, _Candidate] = {}
    for index in members:
        candidate = _Candidate.of(compounds[index])
        home = next(
            (
                i
                for i, head in heads.items()
                if head.resembles(candidate) and matcher.fit(head.cell, candidate.cell)
            ),
            index,
        )
        heads.setdefault(home, candidate)
        clusters.setdefault(home, []).append(compounds[index])
    return clusters


def _merged(cluster: list[Compound]) -> Compound:
    first, *others = cluster
    if not others:
        return first
    update: dict[str, object] = {
        "aliases": list(dict.fromkeys([*first.aliases, *_names(others)])),
        "warnings": [*first.warnings, *_conflicts(cluster)],
    }
    for name, origin in _PROPERTIES:
        lender = next((c for c in cluster if getattr(c, name) is not None), None)
        if lender is None or lender is first:
            continue
        update[name] = getattr(lender, name)
        if origin is not None:
            update[origin] = _joined(first, lender, origin, update.get(origin))
    return first.model_copy(update=update)


def _names(compounds: list[Compound]) -> list[str]:
    return [name for c in compounds for name in (c.compound_id, *c.aliases)]


def _joined(first: Compound, lender: Compound, origin: str, known: object) -> str:
    """Sources of properties that came from several compounds."""
    sources = [known or getattr(first, origin), getattr(lender, origin) or lender.source]
    return "; ".join(dict.fromkeys(str(s) for s in sources if s))


def _conflicts(cluster: list[Compound]) -> list[str]:
    measured = [(c.conductivity, c.compound_id) for c in cluster if c.conductivity is not None]
    if len(measured) < 2:
        return []
    low, high = min(measured), max(measured)
    if high[0] <= CONFLICT * low[0]:
        return []
    return [
        f"measured conductivities disagree: {high[0]:.3g} S/cm ({high[1]}), "
        f"{low[0]:.3g} S/cm ({low[1]}); {measured[0][0]:.3g} is used"
    ]
