"""Merging of compounds that several sources describe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

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
"""Volumes per atom further apart than this are never compared: they cannot match."""


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
    matcher = StructureMatcher(ltol=ltol, stol=stol, angle_tol=angle_tol, attempt_supercell=False)
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


def _cluster(
    compounds: list[Compound], members: list[int], matcher: StructureMatcher
) -> dict[int, list[Compound]]:
    """Compounds of one formula by structure, under the index of each first one."""
    clusters: dict[int, list[Compound]] = {}
    for index in members:
        compound = compounds[index]
        home = next((i for i in clusters if _same(compounds[i], compound, matcher)), None)
        clusters.setdefault(index if home is None else home, []).append(compound)
    return clusters


def _same(first: Compound, second: Compound, matcher: StructureMatcher) -> bool:
    a, b = _comparable(first, second)
    ratio = (a.volume / a.composition.num_atoms) / (b.volume / b.composition.num_atoms)
    if not 1 / _MAX_VOLUME_RATIO < ratio < _MAX_VOLUME_RATIO:
        return False
    return bool(matcher.fit(a, b))


def _comparable(first: Compound, second: Compound) -> tuple[Structure, Structure]:
    pair = (first.structure.copy(), second.structure.copy())
    for structure in pair:  # one source decorates, another does not
        structure.remove_oxidation_states()
    return pair


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
