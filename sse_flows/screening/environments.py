"""The surroundings of the elements in many decorations of one geometry, scaled each by its own.

A decoration keeps the symmetry of the geometry, so most sites of a large cell are alike: only one
of each kind is looked at, with the number of its like as a weight. All decorations are laid side by
side as one crystal without bonds between them, which takes one call of `site_environments`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sse_flows.descriptors.crystal.decoration import distinct_columns
from sse_flows.descriptors.crystal.elements import property_column
from sse_flows.descriptors.crystal.tessellation import Tessellation
from sse_flows.models.site_environments import (
    ELEMENT_LABELS,
    OWN_PROPERTIES,
    SITE_LABELS,
    site_environments,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

_BLOCK = 256
"""Decorations side by side: their arrays stay within the cache of a core."""
_DECIMALS = 6
"""Decimals (Å, Å^2) to which distances and areas of the faces of like sites agree."""


def decorated_environments(
    tessellation: Tessellation, numbers: IntArray, volume_ratio: FloatArray
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Rows of `element_environments` for decorations.

    Parameters
    ----------
    tessellation
        Of the prototype.
    numbers
        Atomic numbers, shape (decorations, sites).
    volume_ratio
        Volume of each decoration over that of the prototype, shape (decorations,).

    Returns
    -------
    rows, owners
        One row for each element of each decoration, by atomic number, and the decoration it
        belongs to, ascending.
    """
    kinds = site_kinds(tessellation, numbers)
    _, chosen, weights = np.unique(kinds, return_index=True, return_counts=True)
    geometry = _one_of_each(tessellation, kinds, chosen)
    rows, owners = [], []
    for start in range(0, len(numbers), _BLOCK):
        part = slice(start, start + _BLOCK)
        found, of = _block(geometry, numbers[part][:, chosen], volume_ratio[part], weights)
        rows.append(found)
        owners.append(of + start)
    return np.concatenate(rows), np.concatenate(owners)


def site_kinds(tessellation: Tessellation, numbers: IntArray) -> IntArray:
    """Kind of every site, shape (sites,): like sites see the same at any distance.

    Sites of a kind carry the same element in every decoration, and their faces the same kinds of
    neighbours at the same distances with the same areas.
    """
    _, kinds = distinct_columns(numbers)
    shape = np.round(np.column_stack([tessellation.distances, tessellation.areas]), _DECIMALS)
    _, faces = np.unique(shape, axis=0, return_inverse=True)
    while True:
        refined = _refined(tessellation, kinds, faces.ravel())
        if refined.max() == kinds.max():
            return refined
        kinds = refined


def _refined(tessellation: Tessellation, kinds: IntArray, faces: IntArray) -> IntArray:
    """Kinds told apart by the kinds behind their faces."""
    known: dict[tuple[int, ...], int] = {}
    found = []
    seen = faces * (int(kinds.max()) + 1) + kinds[tessellation.neighbors]
    for site, kind in enumerate(kinds.tolist()):
        around = seen[tessellation.offsets[site] : tessellation.offsets[site + 1]]
        key = (kind, *np.sort(around).tolist())
        found.append(known.setdefault(key, len(known)))
    return np.array(found)


def _one_of_each(tessellation: Tessellation, kinds: IntArray, chosen: IntArray) -> Tessellation:
    """The faces of the chosen sites, one of each kind, with neighbours named by their kind."""
    sizes = np.diff(tessellation.offsets)[chosen]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    faces = np.concatenate(
        [np.arange(tessellation.offsets[one], tessellation.offsets[one + 1]) for one in chosen]
    )
    return Tessellation(
        offsets,
        kinds[tessellation.neighbors[faces]],
        tessellation.images[faces],
        tessellation.areas[faces],
        tessellation.distances[faces],
        tessellation.volumes[chosen],
    )


def _block(
    geometry: Tessellation, numbers: IntArray, volume_ratio: FloatArray, weights: IntArray
) -> tuple[FloatArray, IntArray]:
    """Rows of some decorations, numbers of shape (decorations, kinds)."""
    sites = site_environments(_side_by_side(geometry, volume_ratio), numbers.ravel())
    of = np.repeat(np.arange(len(numbers)), numbers.shape[1])
    shares = np.tile(weights / weights.sum(), len(numbers))
    # sites of one element of one decoration in a row
    key = of * 256 + numbers.ravel()
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    owners, elements = np.divmod(key[order][starts], 256)
    rows = np.empty((len(starts), len(ELEMENT_LABELS)))
    table = _Columns(rows)
    _fill_elements(table, elements, sites[order], shares[order], starts)
    _fill_crystals(table, numbers, sites, shares, owners)
    return rows, owners


def _side_by_side(geometry: Tessellation, volume_ratio: FloatArray) -> Tessellation:
    """Copies of a geometry, each at its own scale, as one tessellation."""
    count, size = len(volume_ratio), geometry.n_sites
    length = np.repeat(volume_ratio ** (1 / 3), len(geometry.distances))
    step = np.arange(count)
    offsets = geometry.offsets[:-1] + step[:, None] * geometry.offsets[-1]
    return Tessellation(
        np.append(offsets.ravel(), count * geometry.offsets[-1]),
        (geometry.neighbors + step[:, None] * size).ravel(),
        np.tile(geometry.images, (count, 1)),
        np.tile(geometry.areas, count) * length**2,
        np.tile(geometry.distances, count) * length,
        np.outer(volume_ratio, geometry.volumes).ravel(),
    )


class _Columns:
    """Columns of rows by their names in `ELEMENT_LABELS`."""

    place = {name: column for column, name in enumerate(ELEMENT_LABELS)}  # noqa: RUF012
    site = {name: column for column, name in enumerate(SITE_LABELS)}  # noqa: RUF012

    def __init__(self, rows: FloatArray):
        self.rows = rows

    def __setitem__(self, name: str, values: FloatArray) -> None:
        self.rows[:, self.place[name]] = values

    @classmethod
    def named(cls, before: str, after: str = "") -> list[str]:
        """Quantities of sites of which there is a column with these words around them."""
        return [name for name in SITE_LABELS if f"{before}{name}{after}" in cls.place]


def _fill_elements(
    table: _Columns, elements: IntArray, sites: FloatArray, shares: FloatArray, starts: IntArray
) -> None:
    """Columns of an element from those of its sites."""
    mass = property_column("AtomicWeight")
    table["atomic number"] = elements.astype(float)
    table["log mass"] = np.log(mass[elements])
    for name in OWN_PROPERTIES:
        table[name] = property_column(name)[elements]
    total = np.add.reduceat(shares, starts)
    table["share of the atoms"] = total
    means = np.add.reduceat(sites * shares[:, None], starts) / total[:, None]
    sizes = np.diff(np.append(starts, len(sites)))
    for name, mean in zip(SITE_LABELS, means.T, strict=True):
        table[f"mean {name}"] = mean
    for name in table.named("spread of "):
        column = table.site[name]
        apart = (sites[:, column] - np.repeat(means[:, column], sizes)) ** 2
        table[f"spread of {name}"] = np.sqrt(np.add.reduceat(apart * shares, starts) / total)
    for name in table.named("smallest "):
        table[f"smallest {name}"] = np.minimum.reduceat(sites[:, table.site[name]], starts)
    for name in table.named("largest "):
        table[f"largest {name}"] = np.maximum.reduceat(sites[:, table.site[name]], starts)


def _fill_crystals(
    table: _Columns, numbers: IntArray, sites: FloatArray, shares: FloatArray, owners: IntArray
) -> None:
    """Columns of the whole crystal, the same in all its rows."""
    weights = shares[: numbers.shape[1]]
    log_mass = np.log(property_column("AtomicWeight")[numbers])
    quantities = {"log mass": log_mass}
    for name in table.named("mean ", " of the crystal"):
        quantities[name] = sites[:, table.site[name]].reshape(numbers.shape)
    for name, values in quantities.items():
        mean = values @ weights
        spread = np.sqrt((values - mean[:, None]) ** 2 @ weights)
        table[f"mean {name} of the crystal"] = mean[owners]
        table[f"spread of {name} of the crystal"] = spread[owners]
