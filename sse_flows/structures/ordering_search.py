"""Search for the arrangement of atoms on partially occupied positions of lowest energy.

The energy is that of point charges in the crystal's lattice (Ewald sum), a quadratic form in the
charges on the positions: its matrix is computed once by pymatgen, after which an arrangement
costs a matrix product and a swap of two positions a few microseconds. Positions too close to be
occupied together carry a penalty. Arrangements invariant under a subgroup of the crystal's space
group are searched by moving whole sets of equivalent positions ("blocks").
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Element, Structure

OVERLAP_PENALTY = (10.0, 400.0)
"""Energy of a pair of atoms too close to each other: at the limit (eV), and beyond it (eV/Å^2)."""
SAME_SIGN_LIMIT = 1.5
"""Shortest distance (Å) of two ions of the same sign: bonded nonmetals may come this near."""
METAL_LIMIT = 2.0
"""Shortest distance (Å) of two metal ions."""
UNLIKE_LIMIT = 1.1
"""Shortest distance (Å) of a cation and an anion; 0.8 where hydrogen is one of them."""
_EXACT_LIMIT = 20_000
"""Arrangements that are enumerated one and all; beyond, they are sampled by annealing."""


@dataclass(frozen=True)
class Problem:
    """Positions to fill and what an arrangement costs.

    Attributes
    ----------
    kernel, overlap
        Energy per pair of charges (eV/e^2) and per pair of atoms (eV), n x n.
    field
        Energy per charge in the field of the fixed ions, eV/e, length n.
    charges
        Charge of each kind of occupant, e; the last kind is the vacancy.
    groups
        For each orbit: the positions and how many of each kind they take.
    """

    kernel: np.ndarray
    overlap: np.ndarray
    field: np.ndarray
    charges: np.ndarray
    groups: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def size(self) -> int:
        """Number of positions."""
        return len(self.field)


@dataclass
class Found:
    """An arrangement: kind of occupant at each position, energy and penalty in eV."""

    energy: float
    penalty: float
    kinds: np.ndarray = field(repr=False)

    @property
    def rank(self) -> tuple[float, float]:
        """Order: fewest overlaps, then lowest energy."""
        return (round(self.penalty, 3), round(self.energy, 6))


def build_problem(
    cell: Structure,
    orbits: Sequence[Sequence[int]],
    counts: Sequence[Mapping[str, int]],
    charges: Mapping[str, float],
) -> tuple[Problem, list[str], list[int]]:
    """Set up the search in a (super)cell.

    Parameters
    ----------
    cell
        Cell with partially occupied positions.
    orbits, counts
        Positions of each orbit in `cell` and the number of atoms of each element they take.
    charges
        Oxidation state of each element, e.

    Returns
    -------
    tuple
        The problem, its kinds of occupants without the vacancy, and the positions' indices.
    """
    kinds = sorted({el for count in counts for el in count})
    positions = [i for orbit in orbits for i in orbit]
    fixed = [i for i in range(len(cell)) if i not in set(positions)]
    unit = Structure(cell.lattice, ["H+"] * len(cell), cell.frac_coords)
    matrix = EwaldSummation(unit).total_energy_matrix
    matrix = (matrix + matrix.T) / 2
    fixed_charges = np.array([charges[cell[i].specie.symbol] for i in fixed])
    outer = (
        2 * matrix[np.ix_(positions, fixed)] @ fixed_charges if fixed else np.zeros(len(positions))
    )
    where = {i: k for k, i in enumerate(positions)}
    groups = []
    for orbit, count in zip(orbits, counts, strict=True):
        numbers = [count.get(el, 0) for el in kinds]
        groups.append(
            (np.array([where[i] for i in orbit]), np.array([*numbers, len(orbit) - sum(numbers)]))
        )
    problem = Problem(
        matrix[np.ix_(positions, positions)],
        _overlaps(cell, positions, charges),
        outer,
        np.array([*(charges[el] for el in kinds), 0.0]),
        tuple(groups),
    )
    return problem, kinds, positions


def _overlaps(
    cell: Structure, positions: Sequence[int], charges: Mapping[str, float]
) -> np.ndarray:
    coords = cell.frac_coords[list(positions)]
    distance = cell.lattice.get_all_distances(coords, coords)
    sign = np.sign([np.mean([charges[sp.symbol] for sp in cell[i].species]) for i in positions])
    hosts = [[Element(sp.symbol) for sp in cell[i].species] for i in positions]
    hydrogen = np.array([any(el.symbol == "H" for el in els) for els in hosts])
    metal = np.array([all(el.is_metal for el in els) for els in hosts])
    unlike = np.where(np.logical_or.outer(hydrogen, hydrogen), 0.8, UNLIKE_LIMIT)
    alike = np.where(np.logical_and.outer(metal, metal), METAL_LIMIT, SAME_SIGN_LIMIT)
    limit = np.where(np.equal.outer(sign, sign), alike, unlike)
    least, slope = OVERLAP_PENALTY
    penalty = np.where(distance < limit, least + slope * (limit - distance) ** 2, 0.0)
    np.fill_diagonal(penalty, 0.0)
    return penalty / 2  # both (i, j) and (j, i) are summed


@dataclass(frozen=True)
class _Blocks:
    """A problem whose positions move in blocks: same fields, summed over the blocks' members."""

    problem: Problem
    labels: np.ndarray
    sizes: np.ndarray
    kernel: np.ndarray
    overlap: np.ndarray
    field: np.ndarray
    groups: tuple[tuple[np.ndarray, np.ndarray], ...]

    def energies(self, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energies and penalties (eV) of arrangements (m x blocks)."""
        q = self.problem.charges[kinds]
        filled = (kinds != len(self.problem.charges) - 1).astype(float)
        energy = ((q @ self.kernel) * q).sum(axis=1) + q @ self.field
        return energy, ((filled @ self.overlap) * filled).sum(axis=1)


def _make_blocks(problem: Problem, labels: np.ndarray) -> _Blocks:
    member = np.zeros((labels.max() + 1, problem.size))
    member[labels, np.arange(problem.size)] = 1
    return _Blocks(
        problem,
        labels,
        member.sum(axis=1).astype(int),
        member @ problem.kernel @ member.T,
        member @ problem.overlap @ member.T,
        member @ problem.field,
        tuple((np.unique(labels[sites]), numbers) for sites, numbers in problem.groups),
    )


def search(
    problem: Problem,
    partitions: Sequence[np.ndarray],
    *,
    deadline: float,
    seed: int = 0,
    restarts: int = 10,
) -> tuple[list[Found], bool]:
    """Low-energy arrangements of a problem, the best of each partition.

    Parameters
    ----------
    problem
        Positions, counts and energies.
    partitions
        Block label of every position for each subgroup to be tried; single positions (the
        search without symmetry) are always tried first.
    deadline
        `time.monotonic` value at which to stop; one arrangement is always returned.
    seed
        Of the random numbers; the result depends on nothing else unless time runs out.
    restarts
        Annealing runs without symmetry. Subgroups get one each.

    Returns
    -------
    tuple
        Arrangements, best first, and whether the search ran to its end.
    """
    rng = np.random.default_rng(seed)
    found: list[Found] = []
    for turn, labels in enumerate([np.arange(problem.size), *partitions]):
        if turn and time.monotonic() > deadline:
            return sorted(found, key=lambda f: f.rank), False
        blocks = _make_blocks(problem, labels)
        choices = _enumerate(blocks)
        if choices is not None:
            found += _best_of(blocks, choices)
            continue
        for _ in range(1 if turn else restarts):
            result = _anneal(blocks, rng, deadline, sweeps=100 if turn else 500)
            if result is not None:
                found.append(result)
            if time.monotonic() > deadline:
                return sorted(found, key=lambda f: f.rank), False
    return sorted(found, key=lambda f: f.rank), True


def _best_of(blocks: _Blocks, choices: np.ndarray, keep: int = 40) -> list[Found]:
    if not len(choices):
        return []
    energy, penalty = blocks.energies(choices)
    order = np.lexsort((np.round(energy, 6), np.round(penalty, 3)))[:keep]
    return [Found(float(energy[i]), float(penalty[i]), choices[i][blocks.labels]) for i in order]


def _enumerate(blocks: _Blocks) -> np.ndarray | None:
    """All arrangements (m x blocks), none (0 x blocks), or None where they are too many."""
    per_group: list[list[tuple[int, ...]]] = []
    total = 1
    for members, numbers in blocks.groups:
        room = _EXACT_LIMIT // total
        options = list(
            itertools.islice(
                _assignments(blocks.sizes[members].tolist(), numbers.tolist()), room + 1
            )
        )
        if len(options) > room:
            return None
        per_group.append(options)
        total *= max(len(options), 1)
    if not all(per_group):
        return np.zeros((0, len(blocks.sizes)), dtype=int)
    out = np.zeros((total, len(blocks.sizes)), dtype=int)
    for row, combination in enumerate(itertools.product(*per_group)):
        for (members, _), option in zip(blocks.groups, combination, strict=True):
            out[row, members] = option
    return out


def _assignments(sizes: Sequence[int], numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every way to give the blocks kinds so that each kind gets its number of positions."""
    kinds = range(len(numbers))

    def less(left: tuple[int, ...], kind: int, size: int) -> tuple[int, ...]:
        return (*left[:kind], left[kind] - size, *left[kind + 1 :])

    @cache  # without it dead ends are explored again and again
    def feasible(index: int, left: tuple[int, ...]) -> bool:
        if index == len(sizes):
            return not any(left)
        size = sizes[index]
        return any(left[k] >= size and feasible(index + 1, less(left, k, size)) for k in kinds)

    def walk(index: int, left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if index == len(sizes):
            yield ()
            return
        for kind in kinds:
            rest = less(left, kind, sizes[index])
            if rest[kind] >= 0 and feasible(index + 1, rest):
                yield from ((kind, *tail) for tail in walk(index + 1, rest))

    if feasible(0, tuple(numbers)):
        yield from walk(0, tuple(numbers))


def _random_start(blocks: _Blocks, rng: np.random.Generator) -> np.ndarray | None:
    """A random arrangement with the right counts, if the blocks' sizes allow one."""
    kinds = np.zeros(len(blocks.sizes), dtype=int)
    for members, numbers in blocks.groups:
        sizes = blocks.sizes[members]
        if (sizes == 1).all():
            kinds[members] = rng.permutation(np.repeat(np.arange(len(numbers)), numbers))
            continue
        # large blocks first, so that small ones can fill what is left
        order = rng.permutation(len(members))
        order = order[np.argsort(-sizes[order], kind="stable")]
        option = _fit(sizes[order].tolist(), rng.permutation(len(numbers)), numbers.copy())
        if option is None:
            return None
        kinds[members[order]] = option
    return kinds


def _fit(sizes: list[int], order: np.ndarray, numbers: np.ndarray) -> list[int] | None:
    """The first of few ways to fill blocks in the given order of kinds; None if none is met."""
    left = [int(numbers[k]) for k in order]
    option = next(_assignments(sizes, left), None)
    return None if option is None else [int(order[k]) for k in option]


def _anneal(
    blocks: _Blocks, rng: np.random.Generator, deadline: float, sweeps: int
) -> Found | None:
    """One run of simulated annealing with swaps inside each orbit, then steepest descent."""
    kinds = _random_start(blocks, rng)
    if kinds is None:
        return None
    state = _State(blocks, kinds)
    swappable = [m for m, _ in blocks.groups if len(set(kinds[m].tolist())) > 1]
    if swappable:
        weights = np.array([len(m) for m in swappable], dtype=float)
        steps = sweeps * (len(blocks.sizes) + 20)
        scale = 5.0 * float(np.mean(blocks.sizes))
        groups = rng.choice(len(swappable), size=steps, p=weights / weights.sum())
        dice = rng.random((steps, 3))
        for step, temperature in enumerate(np.geomspace(scale, 0.02, steps)):
            if step % 256 == 0 and time.monotonic() > deadline:
                break
            members = swappable[groups[step]]
            a = members[int(dice[step, 0] * len(members))]
            b = members[int(dice[step, 1] * len(members))]
            if state.same(a, b):
                continue
            delta = state.delta(a, b)
            if delta <= 0 or dice[step, 2] < np.exp(-delta / temperature):
                state.swap(a, b)
        _descend(state, swappable, deadline)
    energy, penalty = blocks.energies(state.kinds[None, :])
    return Found(float(energy[0]), float(penalty[0]), state.kinds[blocks.labels])


class _State:
    """Arrangement with the potentials that make a swap's energy cheap."""

    def __init__(self, blocks: _Blocks, kinds: np.ndarray):
        self.blocks = blocks
        self.kinds = kinds.copy()
        self.q = blocks.problem.charges[kinds]
        self.filled = (kinds != len(blocks.problem.charges) - 1).astype(float)
        self.potential = 2 * blocks.kernel @ self.q + blocks.field
        self.crowding = 2 * blocks.overlap @ self.filled

    def same(self, a: int, b: int) -> bool:
        """Whether a swap of two blocks changes nothing or would change the counts."""
        return self.kinds[a] == self.kinds[b] or self.blocks.sizes[a] != self.blocks.sizes[b]

    def delta(self, a: int, b: int) -> float:
        """Change of energy and penalty (eV) by a swap."""
        k, f = self.blocks.kernel, self.blocks.overlap
        dq, df = self.q[b] - self.q[a], self.filled[b] - self.filled[a]
        energy = dq * (self.potential[a] - self.potential[b])
        energy += dq * dq * (k[a, a] + k[b, b] - 2 * k[a, b])
        energy += df * (self.crowding[a] - self.crowding[b])
        return float(energy + df * df * (f[a, a] + f[b, b] - 2 * f[a, b]))

    def swap(self, a: int, b: int) -> None:
        """Exchange the occupants of two blocks."""
        k, f = self.blocks.kernel, self.blocks.overlap
        dq, df = self.q[b] - self.q[a], self.filled[b] - self.filled[a]
        self.potential += 2 * dq * (k[:, a] - k[:, b])
        self.crowding += 2 * df * (f[:, a] - f[:, b])
        for values in (self.kinds, self.q, self.filled):
            values[a], values[b] = values[b], values[a]


def _descend(state: _State, groups: Sequence[np.ndarray], deadline: float) -> None:
    """Take the best swap until none lowers the energy."""
    while time.monotonic() < deadline:
        best = (-1e-9, -1, -1)
        for members in groups:
            for a, b in itertools.combinations(members.tolist(), 2):
                if not state.same(a, b):
                    best = min(best, (state.delta(a, b), a, b))
        if best[1] < 0:
            return
        state.swap(best[1], best[2])
