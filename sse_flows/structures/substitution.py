"""Virtual compounds: prototypes whose sites are filled with other elements, neutral by charge.

A child is a prototype, an element for each of its groups of sites, and the ratio of the volumes:
a few bytes. Children come in chunks of arrays, and a crystal is built only of those that somebody
asks for by id. R. Jaafreh et al., Int. J. Energy Res. 2024, 2138847, screened 230,136 such
compounds of six prototypes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sse_flows.errors import SSEError
from sse_flows.structures.formulas import reduced_formulas, symbol_of
from sse_flows.structures.ionic_radii import mean_bond, volume_ratio
from sse_flows.structures.prototypes import Prototype
from sse_flows.structures.substituents import Choice

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

CHUNK = 50_000
"""Children in one chunk."""
_TAIL = 200_000
"""Largest table of the last groups' choices; the choices of the others are gone through lazily."""
_HEADS = 16_384
_CODES = 2**62


@dataclass(frozen=True, eq=False)
class Children:
    """Some decorations of one prototype.

    Attributes
    ----------
    prototype
        The prototype.
    numbers
        Atomic number of every group, shape (children, groups).
    charges
        Its oxidation state, e, same shape.
    volume_ratio
        Volume over that of the prototype, shape (children,).
    is_prototype
        Whether it is the prototype itself, shape (children,).
    """

    prototype: Prototype
    numbers: NDArray[np.uint8]
    charges: NDArray[np.int8]
    volume_ratio: NDArray[np.float64]
    is_prototype: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Any) -> Children:
        """The children of a slice, a mask or an array of rows."""
        return Children(
            self.prototype,
            self.numbers[rows],
            self.charges[rows],
            self.volume_ratio[rows],
            self.is_prototype[rows],
        )

    @property
    def site_numbers(self) -> NDArray[np.int64]:
        """Atomic number of every site, shape (children, sites)."""
        return self.numbers[:, self.prototype.labels].astype(np.int64)

    def ids(self) -> list[str]:
        """Prototype and elements in the order of its groups, such as ``li3ps4_Li-P-S``."""
        symbols = [[symbol_of(int(number)) for number in row] for row in self.numbers]
        return [f"{self.prototype.id}_{'-'.join(row)}" for row in symbols]

    def formulas(self) -> list[str]:
        """Reduced formulas, the most electropositive element first."""
        return reduced_formulas(self.numbers, self.prototype.counts)

    def structure(self, row: int) -> Structure:
        """The crystal of one child, without oxidation states."""
        return decorated(self.prototype, self.numbers[row], float(self.volume_ratio[row]))


def decorated(
    prototype: Prototype, numbers: Sequence[int] | NDArray[Any], volume_ratio: float = 1.0
) -> Structure:
    """The prototype's cell with an element on each group and the volume changed.

    Parameters
    ----------
    prototype
        The prototype.
    numbers
        Atomic number of each group.
    volume_ratio
        Volume over that of the prototype.
    """
    from pymatgen.core import Lattice, Structure

    symbols = [symbol_of(int(number)) for number in numbers]
    matrix = prototype.structure.lattice.matrix * volume_ratio ** (1 / 3)
    return Structure(
        Lattice(matrix),
        [symbols[label] for label in prototype.labels],
        prototype.structure.frac_coords,
    )


def numbers_of(child_id: str, prototype: Prototype) -> list[int]:
    """Atomic numbers of the groups that the id of a child names.

    Raises
    ------
    SSEError
        If the id is not one of a child of this prototype.
    """
    from pymatgen.core import Element

    name, _, rest = child_id.rpartition("_")
    symbols = rest.split("-")
    known = all(Element.is_valid_symbol(symbol) for symbol in symbols)
    if name != prototype.id or len(symbols) != len(prototype.groups) or not known:
        groups = "-".join(group.element for group in prototype.groups)
        raise SSEError(
            f"{child_id!r} names no child of the prototype {prototype.id}",
            mend=f"Ids look like {prototype.id}_{groups}",
        )
    return [int(Element(symbol).Z) for symbol in symbols]


@dataclass
class Counts:
    """How many decorations a substitution kept and dropped, once it has run.

    Attributes
    ----------
    kept
        Children handed out.
    duplicates
        Neutral decorations that symmetry makes equal to one handed out before, or that differ
        from it only in how the charges are shared.
    repeated
        Children left out since an equivalent prototype had one of the same composition.
    """

    kept: int = 0
    duplicates: int = 0
    repeated: int = 0


@dataclass
class Substitution:
    """All neutral decorations of one prototype.

    Every group takes one element in one oxidation state, and an element that occurs in several
    groups has the same state in all of them. The charges sum up to zero exactly.

    Parameters
    ----------
    prototype
        The prototype.
    choices
        What may fill each group, as `sse_flows.structures.substituents.choices_for` gives it.
    scale_volume
        Let the volume follow the ionic radii; else it is the prototype's.

    Raises
    ------
    SSEError
        If a group has no choice, or there are too many combinations to number.
    """

    prototype: Prototype
    choices: Sequence[Sequence[Choice]]
    scale_volume: bool = False
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        if len(self.choices) != len(self.prototype.groups):
            raise ValueError("give choices for every group of the prototype")
        for group, listed in zip(self.prototype.groups, self.choices, strict=True):
            if not listed:
                raise SSEError(
                    f"nothing may fill {group.name}",
                    compound=self.prototype.id,
                    mend="Name at least one element for it",
                )
        self._alphabet = _alphabet(self.choices, self.prototype)
        if len(self._alphabet) ** len(self.prototype.groups) > _CODES:
            raise SSEError(
                f"{len(self.prototype.groups)} groups of sites with so many elements cannot be "
                "gone through",
                compound=self.prototype.id,
                mend="Group the sites by element, or name fewer elements",
            )

    def as_plain(self) -> dict[str, Any]:
        """All of it as lists, numbers and texts, which `from_plain` reads."""
        choices = [[[one.number, one.charge] for one in listed] for listed in self.choices]
        return {
            "prototype": self.prototype.as_plain(),
            "choices": choices,
            "scale_volume": self.scale_volume,
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Substitution:
        """A substitution from what `as_plain` gave."""
        choices = [[Choice(*one) for one in listed] for listed in data["choices"]]
        return cls(Prototype.from_plain(data["prototype"]), choices, data["scale_volume"])

    def assignments(self) -> int:
        """Neutral ways to give each group an element and a state: no fewer than there are children.

        Counted by charge without going through them, so it is quick however many there are.
        """
        sums = {0: 1}
        for group, listed in zip(self.prototype.groups, self.choices, strict=True):
            new: dict[int, int] = {}
            for total, ways in sums.items():
                for choice in listed:
                    charge = total + group.count * choice.charge
                    new[charge] = new.get(charge, 0) + ways
            sums = new
        return sums.get(0, 0)

    def chunks(self, size: int = CHUNK) -> Iterator[Children]:
        """All children, each once, at most `size` at a time, always in the same order."""
        self.counts = Counts()
        own = self._codes(self.prototype.numbers[None, :])[0]
        seen = np.empty(0, np.int64)
        for picks in self._neutral(size):
            numbers, charges = self._species(picks)
            sound = _one_state(numbers, charges)
            numbers, charges = numbers[sound], charges[sound]
            codes = self._codes(numbers)
            _, first = np.unique(codes, return_index=True)
            first.sort()
            new = first[~_among(codes[first], seen)]
            self.counts.duplicates += len(numbers) - len(new)
            if len(new):
                seen = np.sort(np.concatenate([seen, codes[new]]))
                self.counts.kept += len(new)
                yield self._children(numbers[new], charges[new], codes[new] == own)

    def ratio_of(self, numbers: Sequence[int]) -> float:
        """Volume of one decoration over that of the prototype.

        Raises
        ------
        SSEError
            If no choice of charges makes it neutral.
        """
        if not self.scale_volume:
            return 1.0
        listed = [
            [choice for choice in group if choice.number == number]
            for group, number in zip(self.choices, numbers, strict=True)
        ]
        one = Substitution(self.prototype, listed, True)
        for chunk in one.chunks(1):
            return float(chunk.volume_ratio[0])
        raise SSEError("it is not neutral", compound=self.prototype.id, mend="Take an id as listed")

    def _children(
        self, numbers: NDArray[Any], charges: NDArray[Any], same: NDArray[np.bool_]
    ) -> Children:
        ratio = np.ones(len(numbers))
        if self.scale_volume:
            ratio = volume_ratio(numbers, charges, self.prototype.counts, self._reference())
        return Children(
            self.prototype, numbers.astype(np.uint8), charges.astype(np.int8), ratio, same
        )

    def _reference(self) -> float:
        """Mean cation-anion distance by the radii in the prototype itself, Å."""
        from sse_flows.roles import oxidation_states

        states = oxidation_states(self.prototype.structure)
        charges = np.array([[round(states[group.element]) for group in self.prototype.groups]])
        return float(mean_bond(self.prototype.numbers[None, :], charges, self.prototype.counts)[0])

    def _neutral(self, size: int) -> Iterator[NDArray[np.int64]]:
        """Index of the choice of every group, shape (n, groups), of all neutral combinations.

        The choices of the last groups are tabled and sorted by charge; every combination of the
        first ones looks up those that cancel its charge.
        """
        lengths = [len(listed) for listed in self.choices]
        split = len(lengths)
        while split > 0 and np.prod(lengths[split - 1 :], dtype=float) <= _TAIL:
            split -= 1
        charges = [
            np.array([choice.charge for choice in listed]) * group.count
            for group, listed in zip(self.prototype.groups, self.choices, strict=True)
        ]
        tail = _combinations(np.arange(int(np.prod(lengths[split:]))), lengths[split:])
        sums = _total(tail, charges[split:])
        order = np.argsort(sums, kind="stable")
        tail, sums = tail[order], sums[order]
        heads = int(np.prod(lengths[:split], dtype=object)) if split else 1
        for start in range(0, heads, _HEADS):
            numbers = np.arange(start, min(start + _HEADS, heads))
            head = _combinations(numbers, lengths[:split])
            wanted = -_total(head, charges[:split])
            low, high = np.searchsorted(sums, wanted), np.searchsorted(sums, wanted, "right")
            for rows, places in _pairs(low, high, size):
                yield np.hstack([head[rows], tail[places]])

    def _species(self, picks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Atomic numbers and charges of choices, each of shape (n, groups)."""
        numbers, charges = np.empty_like(picks), np.empty_like(picks)
        for column, listed in enumerate(self.choices):
            numbers[:, column] = np.array([c.number for c in listed])[picks[:, column]]
            charges[:, column] = np.array([c.charge for c in listed])[picks[:, column]]
        return numbers, charges

    def _codes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """A number that decorations share if, and only if, symmetry makes them equal.

        The smallest over all isometries of the prototype's sites of the decoration read as digits.
        An isometry that mixes groups of different elements gives no decoration of the groups.
        """
        place = np.full(256, 0, np.int64)
        place[self._alphabet] = np.arange(len(self._alphabet))
        digits = place[numbers]
        power = len(self._alphabet) ** np.arange(numbers.shape[1])[::-1]
        best = digits @ power
        for image in self.prototype.images:
            moved, valid = np.empty_like(digits), np.ones(len(digits), bool)
            for group, sources in enumerate(image):
                came = digits[:, np.flatnonzero(sources)]
                moved[:, group] = came[:, 0]
                valid &= (came == came[:, :1]).all(axis=1)
            best = np.where(valid, np.minimum(best, moved @ power), best)
        return best


def _alphabet(choices: Sequence[Sequence[Choice]], prototype: Prototype) -> NDArray[np.int64]:
    """Atomic numbers that occur, those of the prototype among them."""
    listed = {choice.number for group in choices for choice in group}
    return np.array(sorted(listed | {int(number) for number in prototype.numbers}))


def _combinations(numbers: NDArray[np.int64], lengths: Sequence[int]) -> NDArray[np.int64]:
    """Digits of numbers to the bases `lengths`, shape (n, len(lengths))."""
    if not lengths:
        return np.empty((len(numbers), 0), np.int64)
    return np.column_stack(np.unravel_index(numbers, tuple(lengths)))


def _total(picks: NDArray[np.int64], charges: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Charge of each combination of choices."""
    total = np.zeros(len(picks), np.int64)
    for column, listed in enumerate(charges):
        total += listed[picks[:, column]]
    return total


def _pairs(
    low: NDArray[np.int64], high: NDArray[np.int64], size: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows i and places low[i] <= j < high[i], at most `size` pairs at a time."""
    ends = np.cumsum(high - low)
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, size):
        pair = np.arange(start, min(start + size, total))
        rows = np.searchsorted(ends, pair, "right")
        yield rows, (high[rows] - ends[rows] + pair).astype(np.int64)


def _one_state(numbers: NDArray[np.int64], charges: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether no element occurs in two oxidation states, shape (n,)."""
    sound = np.ones(len(numbers), bool)
    for first in range(numbers.shape[1]):
        for second in range(first):
            same = numbers[:, first] == numbers[:, second]
            sound &= ~same | (charges[:, first] == charges[:, second])
    return sound


def _among(values: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which values the sorted array holds."""
    if not len(known):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return known[place] == values
