"""From a crystal with partial occupancies to a small ordered cell that can be calculated.

Three steps, each bounded: the smallest supercell of the primitive cell that holds whole numbers of
atoms (`ordering_counts`), the arrangement of lowest electrostatic energy (`ordering_search`), and
among arrangements of practically equal energy the most symmetric one, since every inequivalent
atom costs displaced supercells in the phonon calculation.

pymatgen's OrderDisorderedStructureTransformation does the middle step for whole-numbered
occupancies of small cells. It rounds without regard to neutrality, does not know positions which
exclude each other, ignores symmetry and takes hours at 200 sites, so only its Ewald sum is used.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pymatgen.core import Composition, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from sse_flows.errors import SSEError
from sse_flows.roles import oxidation_states
from sse_flows.structures.disorder import OCCUPANCY_TOLERANCE
from sse_flows.structures.ordering_counts import (
    Counts,
    choose_multiple,
    compact_scaling,
    paired_counts,
    partial_orbits,
    pooled,
)
from sse_flows.structures.ordering_search import Found, build_problem, search

ENERGY_WINDOW = 0.01
"""Electrostatic energy (eV/atom) within which the more symmetric arrangement is taken."""
_SYMPREC = 0.01
_MAX_PARTITIONS = 120
_MAX_JUDGED = 60


@dataclass(frozen=True)
class Ordering:
    """An ordered cell and what was done to get it.

    Attributes
    ----------
    structure
        Ordered primitive cell, without oxidation states.
    energy
        Electrostatic energy above the best arrangement met, eV/atom (0 if none is lower).
    warnings
        What a reader should know: rounded occupancies, short distances, time run out.
    """

    structure: Structure
    energy: float = 0.0
    warnings: list[str] = field(default_factory=list)


def order(
    structure: Structure,
    charges: Mapping[str, float] | None = None,
    *,
    max_atoms: int = 200,
    timeout: float = 120.0,
    tolerance: float = 0.08,
    compound_id: str | None = None,
) -> Ordering:
    """Order a crystal into the smallest sensible cell.

    Parameters
    ----------
    structure
        Crystal, possibly with partial occupancies, in any cell.
    charges
        Oxidation state of each element, e; guessed where not given.
    max_atoms
        Largest ordered cell.
    timeout
        Seconds for the search; the best arrangement met by then is taken.
    tolerance
        Allowed change of an element's amount, as a share of the atoms on its positions.
    compound_id
        Named in errors.

    Returns
    -------
    Ordering
        The result depends only on the arguments, unless the time runs out (a warning says so).

    Raises
    ------
    SSEError
        If even the primitive cell exceeds `max_atoms`, or its atoms cannot but overlap.
    """
    deadline = time.monotonic() + timeout
    states = dict(oxidation_states(structure) if charges is None else charges)
    cell = primitive_cell(tidy(structure))
    _refuse_large(cell, max_atoms, compound_id)
    if cell.is_ordered:
        return Ordering(cell)
    orbits = partial_orbits(cell, _SYMPREC)
    multiple, counts = choose_multiple(cell, orbits, states, max_atoms, tolerance)
    supercell = cell.make_supercell(compact_scaling(cell.lattice, multiple), in_place=False)
    # make_supercell lists the images of each site one after the other
    spread = [[i * multiple + m for i in o.sites for m in range(multiple)] for o in orbits]
    paired = paired_counts(cell, orbits, multiple, states, counts)
    options = [counts] if paired is None else [counts, paired]
    best = _arrange(supercell, spread, options, states, deadline)
    if best.penalty > 0:
        pool, totals = pooled(orbits, spread, counts)
        freed = _arrange(supercell, pool, [totals], states, deadline)
        best = min(best, freed, key=lambda a: a.penalty)
    ordered = primitive_cell(best.structure)
    _refuse_overlaps(ordered, compound_id)
    warnings = _remarks(cell, ordered, counts, best, best.options is not options)
    if not best.complete:
        warnings.append(f"the search for the best arrangement stopped after {timeout:g} s")
    return Ordering(ordered, best.energy, warnings)


def tidy(structure: Structure) -> Structure:
    """Bare elements, one site a position, occupancies next to 1 made 1."""
    sites: list[dict[str, float]] = []
    coords: list[np.ndarray] = []
    for site in structure:
        amounts: dict[str, float] = {}
        for species, n in site.species.items():
            if n > 1e-6:
                amounts[species.symbol] = amounts.get(species.symbol, 0.0) + float(n)
        if not amounts:
            continue
        home = _same_position(structure, coords, site.frac_coords)
        if home is None:
            sites.append(amounts)
            coords.append(site.frac_coords)
        else:
            for el, n in amounts.items():
                sites[home][el] = sites[home].get(el, 0.0) + n
    filled = [_normalised(amounts) for amounts in sites]
    return Structure(structure.lattice, filled, coords, to_unit_cell=True)


def _same_position(
    structure: Structure, coords: list[np.ndarray], position: np.ndarray
) -> int | None:
    if not coords:
        return None
    distance = structure.lattice.get_all_distances([position], coords)[0]
    nearest = int(np.argmin(distance))
    return nearest if distance[nearest] < 0.01 else None


def _normalised(amounts: dict[str, float]) -> dict[str, float]:
    """Occupancies rounded, so that sites which differ by noise are alike, and at most 1 in sum."""
    total = sum(amounts.values())
    full = total > 1 - OCCUPANCY_TOLERANCE
    rounded = {el: round(n / total if full else n, 6) for el, n in amounts.items()}
    if full:
        most = max(rounded, key=lambda el: (rounded[el], el))
        rounded[most] = 1.0 - sum(n for el, n in rounded.items() if el != most)
    return rounded


def primitive_cell(structure: Structure) -> Structure:
    """Primitive standard cell; the cell as it is where no symmetry can be found in it."""
    try:
        analyzer = SpacegroupAnalyzer(structure, symprec=_SYMPREC)
        primitive = analyzer.get_primitive_standard_structure()
    except Exception:  # spglib gives up in several ways; a cell as given is always right
        return structure.copy()
    ratio = structure.composition.num_atoms / primitive.composition.num_atoms
    whole = abs(ratio - round(ratio)) < 1e-3 and round(ratio) >= 1
    return primitive if whole else structure.copy()


@dataclass(frozen=True)
class _Arrangement:
    """The arrangement chosen; energy above the best in eV/atom, penalty for overlaps in eV."""

    structure: Structure
    energy: float
    penalty: float
    complete: bool
    options: list[Counts]


def _arrange(
    cell: Structure,
    orbits: Sequence[Sequence[int]],
    options: list[Counts],
    charges: Mapping[str, float],
    deadline: float,
) -> _Arrangement:
    """Search with each choice of counts; of practically equal results take the most symmetric."""
    found: list[Found] = []
    complete = True
    for counts in options:
        problem, kinds, positions = build_problem(cell, orbits, counts.per_orbit, charges)
        more, finished = search(problem, _partitions(cell, positions), deadline=deadline)
        found += more
        complete = complete and finished
    found.sort(key=lambda f: f.rank)
    atoms = len(cell) - len(positions) + options[0].totals.total()
    best = found[0]
    equal = [
        f
        for f in found
        if f.penalty <= best.penalty + 1e-3 and f.energy <= best.energy + ENERGY_WINDOW * atoms
    ]
    judged: list[tuple[int, float, Structure]] = []
    for candidate in _distinct(equal)[:_MAX_JUDGED]:
        filled = _fill(cell, positions, candidate.kinds, kinds)
        judged.append((_inequivalent_atoms(filled), round(candidate.energy, 6), filled))
        if time.monotonic() > deadline:
            complete = False
            break
    _, energy, structure = min(judged, key=lambda j: j[:2])
    above = max(0.0, (energy - best.energy) / atoms)
    return _Arrangement(structure, above, round(best.penalty, 3), complete, options)


def _distinct(found: list[Found]) -> list[Found]:
    """One arrangement of each energy: equal energies are nearly always symmetry images."""
    seen: dict[float, Found] = {}
    for candidate in found:
        seen.setdefault(round(candidate.energy, 4), candidate)
    return list(seen.values())


def _fill(
    cell: Structure, positions: list[int], occupants: np.ndarray, kinds: list[str]
) -> Structure:
    """The ordered structure that an arrangement stands for, elements together."""
    species: list[str | None] = [site.specie.symbol if site.is_ordered else None for site in cell]
    for position, kind in zip(positions, occupants, strict=True):
        species[position] = kinds[kind] if kind < len(kinds) else None
    kept = [(i, el) for i, el in enumerate(species) if el is not None]
    filled = Structure(cell.lattice, [el for _, el in kept], cell.frac_coords[[i for i, _ in kept]])
    return filled.get_sorted_structure()


def _inequivalent_atoms(structure: Structure) -> int:
    """Symmetry-distinct atoms of the structure, which the number of phonon jobs grows with."""
    dataset = SpacegroupAnalyzer(structure, symprec=_SYMPREC).get_symmetry_dataset()
    return len(set(dataset.equivalent_atoms.tolist()))


def _partitions(cell: Structure, positions: list[int]) -> list[np.ndarray]:
    """Orbits of the positions under subgroups of the crystal's space group, as block labels.

    Subgroups generated by one and by two operations are taken, the larger blocks first.
    """
    permutations = _permutations(cell, positions)
    cyclic = {_orbit_labels([p]): p for p in permutations}
    cyclic.pop(tuple(range(len(positions))), None)
    labels = dict.fromkeys(cyclic)
    # keys, not permutations, make the order independent of how spglib lists the operations
    generators = [cyclic[key] for key in sorted(cyclic)][:40]
    for pair in itertools.combinations(generators, 2):
        labels.setdefault(_orbit_labels(list(pair)))
    unique = sorted(labels, key=lambda key: (max(key), key))
    # small subgroups leave the search the freedom it needs, large ones keep symmetry: take both
    if len(unique) > _MAX_PARTITIONS:
        chosen = np.linspace(0, len(unique) - 1, _MAX_PARTITIONS).astype(int)
        unique = [unique[i] for i in sorted(set(chosen.tolist()))]
    return [np.array(key) for key in unique]


def _permutations(cell: Structure, positions: list[int]) -> list[np.ndarray]:
    """How each symmetry operation of the disordered cell permutes its partial positions."""
    dataset = SpacegroupAnalyzer(cell, symprec=_SYMPREC).get_symmetry_dataset()
    coords = cell.frac_coords[positions]
    out = []
    for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True):
        moved = coords @ rotation.T + translation
        distance = cell.lattice.get_all_distances(moved, coords)
        image = distance.argmin(axis=1)
        if distance.min(axis=1).max() < 0.1 and len(set(image.tolist())) == len(positions):
            out.append(image)
    return out


def _orbit_labels(permutations: list[np.ndarray]) -> tuple[int, ...]:
    """Label of each position's orbit under the group that the permutations generate."""
    size = len(permutations[0])
    label = np.full(size, -1)
    count = 0
    for start in range(size):
        if label[start] >= 0:
            continue
        stack = [start]
        label[start] = count
        while stack:
            here = stack.pop()
            for permutation in permutations:
                image = int(permutation[here])
                if label[image] < 0:
                    label[image] = count
                    stack.append(image)
        count += 1
    return tuple(label.tolist())


def _refuse_large(cell: Structure, max_atoms: int, compound_id: str | None) -> None:
    if cell.composition.num_atoms > max_atoms + 0.5:
        raise SSEError(
            f"the primitive cell has {cell.composition.num_atoms:.0f} atoms, "
            f"more than max_atoms={max_atoms}",
            compound=compound_id,
            mend="Raise max_atoms or give a smaller ordered cell",
        )


def _refuse_overlaps(ordered: Structure, compound_id: str | None) -> None:
    distances = ordered.distance_matrix[np.triu_indices(len(ordered), 1)]
    if len(distances) and distances.min() < 0.7:
        raise SSEError(
            f"in every arrangement found atoms are {distances.min():.2f} Å apart",
            compound=compound_id,
            mend="Check the occupancies: positions this close cannot be filled so much",
        )


def _remarks(
    cell: Structure, ordered: Structure, counts: Counts, best: _Arrangement, moved: bool
) -> list[str]:
    """Warnings about what ordering did to the crystal."""
    remarks = []
    before, after = cell.composition, ordered.composition
    if not before.fractional_composition.almost_equals(
        after.fractional_composition, rtol=1e-3, atol=1e-4
    ):
        remarks.append(
            f"occupancies rounded: {_per_formula(before, after)} is ordered as "
            f"{after.reduced_formula} (largest change {100 * counts.error:.1f} %)"
        )
    if abs(counts.charge) > 0.5:
        remarks.append(f"the ordered cell has a formal charge of {counts.charge:+.1f} e")
    if moved:
        remarks.append("atoms moved between partially occupied positions, to avoid overlaps")
    if best.penalty > 0:
        remarks.append("unusually short distances could not be avoided: check the relaxed cell")
    return remarks


def _per_formula(before: Composition, after: Composition) -> str:
    """Formula of the crystal as measured in units that compare with the ordered one."""
    reduced = after.reduced_composition.get_el_amt_dict()
    amounts = before.get_el_amt_dict()
    anchor = max(reduced, key=lambda el: (reduced[el], el))
    scale = reduced[anchor] / amounts[anchor]
    return "".join(f"{el}{n * scale:.3g}" for el, n in amounts.items())
