"""Predicted phonon band centres of a batch of a pool, with what is wrong with each bad crystal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sse_flows.descriptors.crystal.arrays import CrystalArrays
from sse_flows.descriptors.crystal.tessellation import Tessellation, tessellate
from sse_flows.errors import SSEError, one_line
from sse_flows.screening.light import LightCrystal
from sse_flows.screening.pools import Batch, Decorations
from sse_flows.structures.checks import OVERLAP
from sse_flows.structures.formulas import symbol_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from sse_flows.structures.prototypes import Prototype

    FloatArray = NDArray[np.float64]

UNTABULATED = frozenset({2, 10, 18, 85, 86, 87, *range(97, 119)})
"""Atomic numbers of which the tables of elemental properties lack a value."""

COLUMNS = (
    "id",
    "formula",
    "pool",
    "anions",
    "center",
    "center_low",
    "center_high",
    "outside_domain",
    "energy_above_hull",
    "band_gap",
    "problem",
)
"""Columns of the table of a batch; centres in meV, energy in eV/atom, gap in eV."""


@dataclass(frozen=True)
class Centers:
    """Predictions for some crystals.

    Attributes
    ----------
    center, low, high
        Phonon band centre and its interval, meV, shape (crystals,).
    outside
        Whether a crystal is outside the model's domain, shape (crystals,).
    """

    center: FloatArray
    low: FloatArray
    high: FloatArray
    outside: NDArray[np.bool_]


class CenterModel(Protocol):
    """What predicts the total phonon band centre of crystals."""

    @property
    def digest(self) -> str:
        """Changes when the model does."""

    def row(self, tessellation: Tessellation, numbers: NDArray[np.int64]) -> Any:
        """What the model needs to know of one crystal, atomic numbers of shape (sites,)."""

    def centers(self, rows: Sequence[Any]) -> Centers:
        """Predictions for crystals, from what `row` gave of each."""

    def decorations(
        self,
        tessellation: Tessellation,
        numbers: NDArray[np.int64],
        volume_ratio: FloatArray,
    ) -> Centers:
        """Predictions for decorations of one geometry.

        Parameters
        ----------
        tessellation
            Of the prototype.
        numbers
            Atomic numbers, shape (decorations, sites).
        volume_ratio
            Volume of each over that of the prototype, shape (decorations,).
        """


@dataclass
class BatchResult:
    """What became of one batch.

    Attributes
    ----------
    table
        One row a crystal with `COLUMNS`; `problem` says why a centre is missing, else it is None.
    element_sums, element_counts
        Sum of the predicted centres (meV) of the crystals that hold an element, and their number,
        by atomic number, shape (119,).
    """

    table: pd.DataFrame
    element_sums: FloatArray = field(default_factory=lambda: np.zeros(119))
    element_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(119, np.int64))

    def as_plain(self) -> dict[str, Any]:
        """All of it as lists, numbers and texts, which `from_plain` reads."""
        table = self.table.astype(object).where(self.table.notna(), None)
        return {
            "table": {str(name): table[name].tolist() for name in table},
            "element_sums": self.element_sums.tolist(),
            "element_counts": self.element_counts.tolist(),
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> BatchResult:
        """A result from what `as_plain` gave."""
        table = _table(data["table"])
        table["outside_domain"] = np.array(data["table"]["outside_domain"], bool)
        counts = np.array(data["element_counts"], np.int64)
        return cls(table, np.array(data["element_sums"], float), counts)


def predict_batch(batch: Batch, model: CenterModel, mobile_ion: str = "Li") -> BatchResult:
    """Read a batch and predict the centre of each crystal.

    A crystal that cannot be read, holds no mobile ion, overlaps or holds an element without
    tabulated properties is a row with the reason as its `problem`.
    """
    if isinstance(batch, Decorations):
        return _predict_decorations(batch, model)
    return _predict_crystals(batch.crystals(), model, mobile_ion)


def _predict_crystals(
    found: Iterable[LightCrystal | SSEError], model: CenterModel, mobile_ion: str
) -> BatchResult:
    rows: list[dict[str, Any]] = []
    features: list[Any] = []
    numbers: list[NDArray[np.int64]] = []
    predicted: list[int] = []
    for one in found:
        if isinstance(one, SSEError):
            rows.append({"id": one.compound or "?", "formula": "", "problem": _told(one)})
            continue
        row = _known(one)
        rows.append(row)
        try:
            features.append(_row(one.crystal, model, mobile_ion))
        except SSEError as error:
            row["problem"] = _told(error)
        except Exception as error:  # one bad crystal must not stop the others
            row["problem"] = one_line(error)
        else:
            predicted.append(len(rows) - 1)
            numbers.append(np.unique(one.crystal.numbers))
    result = BatchResult(_table(rows))
    if predicted:
        centers = model.centers(features)
        _enter(result.table, np.array(predicted), centers)
        for center, elements in zip(centers.center, numbers, strict=True):
            result.element_sums[elements] += center
            result.element_counts[elements] += 1
    return result


def _known(one: LightCrystal) -> dict[str, Any]:
    return {
        "id": one.id,
        "formula": one.formula,
        "pool": "pool",
        "energy_above_hull": one.energy_above_hull,
        "band_gap": one.band_gap,
    }


def _told(error: SSEError) -> str:
    return error.message + (f". {error.mend}" if error.mend else "")


def _row(crystal: CrystalArrays, model: CenterModel, mobile_ion: str) -> Any:
    """What the model needs to know of one crystal.

    Raises
    ------
    SSEError
        If it holds no mobile ion, an element without properties, or atoms that overlap.
    """
    _check_elements(crystal.numbers, mobile_ion)
    tessellation = tessellate(crystal.lattice, crystal.positions)
    check_overlap(tessellation)
    return model.row(tessellation, crystal.numbers)


def _check_elements(numbers: NDArray[np.int64], mobile_ion: str) -> None:
    present = {symbol_of(int(number)): int(number) for number in np.unique(numbers)}
    if mobile_ion not in present:
        raise SSEError(f"it holds no {mobile_ion}", mend="Name the mobile ion with --mobile-ion")
    unknown = [symbol for symbol, number in present.items() if number in UNTABULATED]
    if unknown:
        raise SSEError(f"no tabulated properties of {', '.join(unknown)}")


def check_overlap(tessellation: Tessellation) -> None:
    """Refuse a geometry in which atoms are nearer than 0.5 Å.

    Raises
    ------
    SSEError
        If they are.
    """
    nearest = float(tessellation.distances.min())
    if nearest < OVERLAP:
        raise SSEError(f"two atoms are {nearest:.2f} Å apart", mend="Remove the duplicate atom")


def _predict_decorations(batch: Decorations, model: CenterModel) -> BatchResult:
    children = batch.children
    geometry = _geometry(_CachedPrototype(children.prototype))
    centers = model.decorations(geometry, children.site_numbers, children.volume_ratio)
    table = _table(
        {
            "id": children.ids(),
            "formula": children.formulas(),
            "pool": children.prototype.id,
            "anions": _anions(batch),
        }
    )
    _enter(table, np.arange(len(children)), centers)
    result = BatchResult(table)
    for number in np.unique(children.numbers):
        holds = (children.numbers == number).any(axis=1)
        result.element_sums[number] = centers.center[holds].sum()
        result.element_counts[number] = holds.sum()
    return result


class _CachedPrototype:
    """A prototype as a key: equal by its id and cell."""

    def __init__(self, prototype: Prototype):
        self.prototype = prototype
        cell = prototype.structure
        self.key = (prototype.id, cell.lattice.matrix.tobytes(), cell.frac_coords.tobytes())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _CachedPrototype) and other.key == self.key


@lru_cache(maxsize=64)
def _geometry(key: _CachedPrototype) -> Tessellation:
    cell = key.prototype.structure
    return tessellate(cell.lattice.matrix, cell.frac_coords)


def _anions(batch: Decorations) -> list[str]:
    """Anions of each child, by their symbols in alphabetical order."""
    columns = [
        place
        for place, group in enumerate(batch.children.prototype.groups)
        if group.role == "anion"
    ]
    found, rows = np.unique(batch.children.numbers[:, columns], axis=0, return_inverse=True)
    names = ["-".join(sorted({symbol_of(int(z)) for z in row})) for row in found]
    return [names[row] for row in rows.ravel()]


def no_rows() -> pd.DataFrame:
    """A table of a batch without a crystal."""
    return _table([])


def _table(rows: Any) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    numeric = ["center", "center_low", "center_high", "energy_above_hull", "band_gap"]
    table[numeric] = table[numeric].astype(float)
    table["outside_domain"] = np.zeros(len(table), bool)
    for name in ("id", "formula", "pool", "anions", "problem"):
        column = table[name].astype(object)
        table[name] = column.where(column.notna(), None)
    return table


def _enter(table: pd.DataFrame, rows: NDArray[np.int64], centers: Centers) -> None:
    """Write predictions into their rows."""
    for name, values in (
        ("center", centers.center),
        ("center_low", centers.low),
        ("center_high", centers.high),
        ("outside_domain", centers.outside),
    ):
        column = table[name].to_numpy().copy()
        column[rows] = values
        table[name] = column
