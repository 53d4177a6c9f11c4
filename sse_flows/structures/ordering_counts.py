"""How many atoms of which element go onto which positions of which cell.

A partially occupied crystal is ordered in a small cell, where 54 % of 12 positions is no whole
number. The counts are chosen by a small integer programme: charge neutrality first, then the
composition, then the share of every crystallographic position.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from scipy.optimize import Bounds, LinearConstraint, milp

from sse_flows.structures.disorder import OCCUPANCY_TOLERANCE

_CHARGE_ROOM = 0.45
"""Net charge (e per cell) that average, non-integer oxidation states may leave."""
_LOST_ELEMENT = 0.05
"""Added to the error of a cell too small to hold even one atom of a dopant."""


@dataclass(frozen=True)
class Orbit:
    """Symmetry-equivalent, partially occupied positions of a cell.

    Attributes
    ----------
    sites
        Indices of the positions.
    occupancy
        Element to occupancy of each position.
    """

    sites: tuple[int, ...]
    occupancy: Mapping[str, float]

    @property
    def full(self) -> bool:
        """Whether the positions hold no vacancies."""
        return sum(self.occupancy.values()) > 1 - OCCUPANCY_TOLERANCE


@dataclass(frozen=True)
class Counts:
    """Whole numbers of atoms for every orbit.

    Attributes
    ----------
    per_orbit
        For each orbit: element to number of atoms.
    error
        Largest change of an element's amount, as a share of the atoms on its positions.
    charge
        Net charge of the cell, e.
    """

    per_orbit: tuple[dict[str, int], ...]
    error: float
    charge: float

    @property
    def totals(self) -> Counter[str]:
        """Number of atoms of each element on all orbits."""
        total: Counter[str] = Counter()
        for count in self.per_orbit:
            total.update(count)
        return total


def partial_orbits(structure: Structure, symprec: float = 0.01) -> list[Orbit]:
    """Orbits of the positions which are not simply filled by one element."""
    dataset = SpacegroupAnalyzer(structure, symprec=symprec).get_symmetry_dataset()
    members: dict[int, list[int]] = {}
    for index, representative in enumerate(dataset.equivalent_atoms):
        if not structure[index].is_ordered:
            members.setdefault(int(representative), []).append(index)
    return [
        Orbit(tuple(sites), {sp.symbol: float(x) for sp, x in structure[sites[0]].species.items()})
        for sites in members.values()
    ]


def whole_counts(
    orbits: Sequence[Orbit],
    multiple: int,
    charges: Mapping[str, float],
    fixed: Mapping[str, int],
    step: int = 1,
) -> Counts:
    """Best whole numbers of atoms in a cell of ``multiple`` times the given one.

    Parameters
    ----------
    orbits
        Orbits of the primitive cell.
    multiple
        Volume of the supercell in primitive cells.
    charges
        Oxidation state of each element, e.
    fixed
        Element to number of atoms on the fully occupied positions of the primitive cell.
    step
        Unit of the counts on orbits large enough for it: pairs of atoms can keep a symmetry
        that an odd one breaks.

    Returns
    -------
    Counts
        Minimises, in this order, the net charge beyond 0.45 e, the change of the composition and
        the change of each orbit's share.
    """
    keys = [(i, el) for i, orbit in enumerate(orbits) for el in sorted(orbit.occupancy)]
    targets = (
        np.array([orbits[i].occupancy[el] * len(orbits[i].sites) for i, el in keys]) * multiple
    )
    fixed_charge = multiple * sum(charges[el] * n for el, n in fixed.items())
    steps = np.array([_step(orbits[i], multiple, step) for i, _ in keys])
    solution = _integer_programme(orbits, multiple, keys, targets, charges, fixed_charge, steps)
    per_orbit: list[dict[str, int]] = [{} for _ in orbits]
    for (i, el), n in zip(keys, solution, strict=True):
        per_orbit[i][el] = int(n)
    net = sum(charges[el] * n for (_, el), n in zip(keys, solution, strict=True))
    whole = {el: n * multiple for el, n in fixed.items()}
    error = _composition_error(keys, targets, solution, whole)
    return Counts(tuple(per_orbit), error, float(net + fixed_charge))


def _step(orbit: Orbit, multiple: int, step: int) -> int:
    capacity = len(orbit.sites) * multiple
    return step if capacity % step == 0 and capacity >= 2 * step else 1


def _integer_programme(
    orbits: Sequence[Orbit],
    multiple: int,
    keys: list[tuple[int, str]],
    targets: np.ndarray,
    charges: Mapping[str, float],
    fixed_charge: float,
    steps: np.ndarray,
) -> np.ndarray:
    """Solve for [counts, |count - target|, |element total - target|, charge above, below]."""
    elements = sorted({el for _, el in keys})
    n, m = len(keys), len(elements)
    size = 2 * n + m + 2
    rows: list[np.ndarray] = []
    low: list[float] = []
    high: list[float] = []

    def add(row: np.ndarray, lower: float, upper: float) -> None:
        rows.append(row)
        low.append(lower)
        high.append(upper)

    for i, orbit in enumerate(orbits):  # no more atoms than positions; all filled if they were
        row = np.zeros(size)
        row[[k for k, (o, _) in enumerate(keys) if o == i]] = 1
        capacity = len(orbit.sites) * multiple
        add(row, capacity if orbit.full else 0, capacity)
    groups = [[k] for k in range(n)]
    groups += [[k for k, (_, el) in enumerate(keys) if el == element] for element in elements]
    for j, group in enumerate(groups):  # slack >= |sum - target|
        for sign in (1, -1):
            row = np.zeros(size)
            row[group] = sign
            row[n + j] = -1
            add(row, -np.inf, sign * targets[group].sum())
    row = np.zeros(size)
    row[:n] = [charges[el] for _, el in keys]
    row[-2:] = (-1, 1)
    add(row, -_CHARGE_ROOM - fixed_charge, _CHARGE_ROOM - fixed_charge)

    matrix = np.array(rows)
    matrix[:, :n] *= steps  # the unknowns are numbers of steps
    cost = np.concatenate([np.zeros(n), np.full(n, 1.0), np.full(m, 4.0), np.full(2, 1000.0)])
    integral = np.concatenate([np.ones(n), np.zeros(size - n)])
    for presolve in (True, False):  # HiGHS 1.12 stumbles over a few problems in its presolve
        result = milp(
            cost,
            constraints=LinearConstraint(matrix, low, high),
            integrality=integral,
            bounds=Bounds(0, 1e4),  # and over infinite bounds
            options={"presolve": presolve},
        )
        if result.x is not None:
            break
    else:  # the slacks make every problem feasible
        raise RuntimeError(f"integer programme failed: {result.message}")
    return np.rint(result.x[:n]).astype(int) * steps


def _composition_error(
    keys: list[tuple[int, str]],
    targets: np.ndarray,
    solution: np.ndarray,
    fixed: Mapping[str, int],
) -> float:
    worst = 0.0
    for element in {el for _, el in keys}:
        own = [k for k, (_, el) in enumerate(keys) if el == element]
        hosts = {keys[k][0] for k in own}
        hosted = sum(t for (i, _), t in zip(keys, targets, strict=True) if i in hosts)
        hosted += fixed.get(element, 0)
        error = abs(solution[own].sum() - targets[own].sum()) / hosted
        lost = _LOST_ELEMENT if solution[own].sum() + fixed.get(element, 0) == 0 else 0.0
        worst = max(worst, error + lost)
    return float(worst)


def paired_counts(
    structure: Structure,
    orbits: Sequence[Orbit],
    multiple: int,
    charges: Mapping[str, float],
    counts: Counts,
) -> Counts | None:
    """The same composition in even numbers per orbit, if no orbit changes by more than one atom."""
    even = whole_counts(orbits, multiple, charges, _fixed_atoms(structure, orbits), step=2)
    if even.per_orbit == counts.per_orbit or even.totals != counts.totals:
        return None
    changes = (
        abs(a[el] - b[el])
        for a, b in zip(even.per_orbit, counts.per_orbit, strict=True)
        for el in a
    )
    return even if max(changes) <= 1 else None


def pooled(
    orbits: Sequence[Orbit], spread: Sequence[Sequence[int]], counts: Counts
) -> tuple[list[list[int]], Counts]:
    """Throw together the orbits that hold the same elements and vacancies.

    Parameters
    ----------
    orbits, spread
        Orbits of the primitive cell, and their positions in the supercell.
    counts
        Atoms of each orbit.

    Returns
    -------
    tuple
        Positions of the joined orbits, and their counts.
    """
    places: dict[tuple[str, ...], list[int]] = {}
    numbers: dict[tuple[str, ...], Counter[str]] = {}
    for index, (orbit, sites) in enumerate(zip(orbits, spread, strict=True)):
        # full orbits stay apart: they have no vacancies to trade
        key = (*sorted(orbit.occupancy), *([f"#{index}"] if orbit.full else []))
        places.setdefault(key, []).extend(sites)
        numbers.setdefault(key, Counter()).update(counts.per_orbit[index])
    joined = tuple(dict(n) for n in numbers.values())
    return list(places.values()), Counts(joined, counts.error, counts.charge)


def _fixed_atoms(structure: Structure, orbits: Sequence[Orbit]) -> Counter[str]:
    partial = {i for orbit in orbits for i in orbit.sites}
    return Counter(site.specie.symbol for i, site in enumerate(structure) if i not in partial)


def choose_multiple(
    structure: Structure,
    orbits: Sequence[Orbit],
    charges: Mapping[str, float],
    max_atoms: int,
    tolerance: float,
) -> tuple[int, Counts]:
    """The smallest multiple of a cell whose whole counts keep the composition.

    Parameters
    ----------
    structure
        Primitive cell.
    orbits
        Its partially occupied orbits.
    charges
        Oxidation state of each element, e.
    max_atoms
        Largest number of atoms of the supercell.
    tolerance
        Allowed `Counts.error`. If no cell is that good the best compromise of error and size is
        taken: 0.1 of error is worth as much as going from 0 to `max_atoms`.
    """
    fixed = _fixed_atoms(structure, orbits)
    atoms = structure.composition.num_atoms
    tried: list[tuple[float, int, Counts]] = []
    for multiple in range(1, max(1, int(max_atoms / atoms + 1e-6)) + 1):
        counts = whole_counts(orbits, multiple, charges, fixed)
        if counts.error <= tolerance and abs(counts.charge) <= _CHARGE_ROOM + 1e-6:
            return multiple, counts
        penalty = counts.error + abs(counts.charge) / (atoms * multiple)
        tried.append((penalty + 0.1 * multiple * atoms / max_atoms, multiple, counts))
    _, multiple, counts = min(tried, key=lambda t: t[:2])
    return multiple, counts


def compact_scaling(lattice: Lattice, multiple: int) -> tuple[int, int, int]:
    """Diagonal supercell of a given volume whose thinnest direction is thickest."""
    options = [
        (a, b, multiple // (a * b))
        for a, b in itertools.product(range(1, multiple + 1), repeat=2)
        if multiple % (a * b) == 0
    ]
    widths = lattice.volume / np.array(
        [
            np.linalg.norm(np.cross(lattice.matrix[(i + 1) % 3], lattice.matrix[(i + 2) % 3]))
            for i in range(3)
        ]
    )
    # rounding makes the choice independent of noise in the last digits of the cell
    return max(options, key=lambda s: (round(float(min(np.array(s) * widths)), 3), s))
