"""Structure features of many decorations of one geometry: the core of the Ward featurizer.

Of the 128 structure features 15 belong to the geometry, 3 depend only on which sites carry the
same element, and 110 are weighted differences of elemental properties across faces. A decoration
puts an element on every site; sites that carry the same element in every decoration of a batch
(the orbits of a substituted prototype, say) form a slot, and all sums run over slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from sse_flows.descriptors.crystal.arrays import MAX_NUMBER, FloatArray, IntArray
from sse_flows.descriptors.crystal.elements import property_table
from sse_flows.descriptors.crystal.geometry import geometry_features
from sse_flows.descriptors.crystal.labels import STRUCTURE_LABELS
from sse_flows.descriptors.crystal.shells import Ordering, shell_weights
from sse_flows.descriptors.crystal.tessellation import Tessellation
from sse_flows.errors import SSEError


@dataclass(frozen=True)
class Slots:
    """The sites that always carry the same element, over a batch of decorations.

    Attributes
    ----------
    of_site
        Slot of each site, shape (sites,).
    numbers
        Atomic number in each slot of each decoration, shape (decorations, slots). All differ if
        there is one decoration.
    sizes
        Sites in each slot, shape (slots,).
    """

    of_site: IntArray
    numbers: IntArray
    sizes: IntArray

    def merged(self) -> tuple[IntArray, FloatArray]:
        """Composition of each decoration, slots with the same element taken together.

        Returns
        -------
        tuple
            Atomic numbers, each once and 0 elsewhere, and their amounts, both of shape
            (decorations, slots).
        """
        if len(self.numbers) == 1:
            return self.numbers, self.sizes[None].astype(float)
        same = self.numbers[:, :, None] == self.numbers[:, None, :]
        leading = same.argmax(axis=2) == np.arange(same.shape[1])
        amounts = same.astype(float) @ self.sizes.astype(float)
        return np.where(leading, self.numbers, 0), np.where(leading, amounts, 0.0)


def find_slots(numbers: IntArray) -> Slots:
    """Slots of a batch of atomic numbers, shape (decorations, sites).

    Raises
    ------
    SSEError
        If there is none, or an atomic number is not of an element.
    """
    batch = np.atleast_2d(np.asarray(numbers, np.int64))
    if batch.size == 0 or batch.min() < 1 or batch.max() > MAX_NUMBER:
        raise SSEError(f"atomic numbers must be 1 to {MAX_NUMBER}, for one site or more")
    if len(batch) == 1:
        present = np.bincount(batch[0], minlength=MAX_NUMBER + 1)
        kinds = present.nonzero()[0]
        slot = np.zeros(MAX_NUMBER + 1, np.int64)
        slot[kinds] = np.arange(len(kinds))
        return Slots(slot[batch[0]], kinds[None], present[kinds])
    kinds, of_site = distinct_columns(batch)
    return Slots(of_site, kinds, np.bincount(of_site))


def distinct_columns(batch: IntArray) -> tuple[IntArray, IntArray]:
    """``np.unique(batch, axis=1, return_inverse=True)``, fast for many rows and few kinds."""
    columns = np.ascontiguousarray(batch.T)
    places: dict[bytes, int] = {}
    seen = np.array([places.setdefault(column.tobytes(), len(places)) for column in columns])
    _, first = np.unique(seen, return_index=True)
    kinds, order = np.unique(columns[first].T, axis=1, return_inverse=True)
    return np.ascontiguousarray(kinds), order.ravel()[seen]


def structure_features(
    tessellation: Tessellation, numbers: IntArray, *, ordering: Ordering = "matminer"
) -> FloatArray:
    """Compute the 128 structure features of decorations of one geometry.

    Parameters
    ----------
    tessellation
        The geometry. Its scale does not matter: all 128 are dimensionless.
    numbers
        Atomic number of each site in each decoration, shape (decorations, sites).
    ordering
        Definition of the ordering parameters, see `shells`.

    Returns
    -------
    ndarray
        Shape (decorations, 128), columns as `STRUCTURE_LABELS`.

    Raises
    ------
    SSEError
        If the atomic numbers are not those of the sites of this geometry.
    """
    return slot_features(tessellation, find_slots(numbers), ordering=ordering)


def slot_features(
    tessellation: Tessellation, slots: Slots, *, ordering: Ordering = "matminer"
) -> FloatArray:
    """`structure_features` for slots that are known already."""
    if len(slots.of_site) != tessellation.n_sites:
        raise SSEError(
            f"{len(slots.of_site)} atoms cannot decorate {tessellation.n_sites} sites",
            mend="Give an atomic number for every site of the tessellation",
        )
    shells = shell_weights(tessellation, slots.of_site, ordering=ordering)
    around = shells[0] / shells[0].sum(axis=1, keepdims=True)
    features = np.empty((len(slots.numbers), len(STRUCTURE_LABELS)))
    geometry = geometry_features(
        tessellation.offsets, tessellation.areas, tessellation.distances, tessellation.volumes
    )
    features[:, :14] = geometry[:14]
    features[:, 14:17] = _ordering_parameters(shells, slots)
    features[:, 17] = geometry[14]
    _local_differences(
        slots.numbers, property_table(), *_site_classes(around, slots), features[:, 18:]
    )
    return features


def _ordering_parameters(shells: FloatArray, slots: Slots) -> FloatArray:
    """Mean |1 - share in the shell / share in the crystal| over sites and elements."""
    if len(slots.numbers) == 1:
        return _ordering_of(shells, slots.sizes, np.arange(len(slots.sizes)))[None]
    same = slots.numbers[:, :, None] == slots.numbers[:, None, :]
    patterns, which = np.unique(same.argmax(axis=2), axis=0, return_inverse=True)
    values = np.array([_ordering_of(shells, slots.sizes, pattern) for pattern in patterns])
    return values[which.ravel()]


@njit(cache=True, nogil=True)
def _ordering_of(shells, sizes, pattern):
    """The three parameters where slots with the same first slot in `pattern` carry one element."""
    n_sites, n_slots = shells.shape[1], shells.shape[2]
    parameters, shares, found = np.zeros(3), np.zeros(n_slots), np.empty(n_slots)
    for s in range(n_slots):
        shares[pattern[s]] += sizes[s] / n_sites
    elements = np.count_nonzero(shares)
    if elements == 1:
        return parameters
    for shell in range(3):
        for i in range(n_sites):
            found[:] = 0.0
            for s in range(n_slots):
                found[pattern[s]] += shells[shell, i, s]
            total = found.sum()
            for s in range(n_slots):
                if shares[s] > 0.0:
                    parameters[shell] += abs(1.0 - found[s] / total / shares[s])
    return parameters / (n_sites * elements)


def _site_classes(around: FloatArray, slots: Slots) -> tuple[FloatArray, IntArray, FloatArray]:
    """Distinct surroundings: shares of the slots around, the own slot, and how common it is."""
    n = len(around)
    if len(slots.numbers) == 1:  # finding equal sites would cost more than it saves
        return around, slots.of_site, np.full(n, 1.0 / n)
    rows = np.column_stack([slots.of_site, np.round(around, 12)])
    _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    common = np.bincount(which.ravel()) / n
    return around[first], slots.of_site[first], common


@njit(cache=True, nogil=True)
def _local_differences(numbers, table, around, own, common, out):
    """Five statistics over sites of Σ share |p(neighbour) - p(site)|, for each property."""
    n_classes, n_slots = around.shape
    n_properties = table.shape[1]
    values = np.empty((n_classes, n_properties))
    for row in range(len(numbers)):
        values[:] = 0.0
        for k in range(n_classes):
            center = table[numbers[row, own[k]]]
            for s in range(n_slots):
                if around[k, s] == 0.0 or numbers[row, s] == numbers[row, own[k]]:
                    continue
                other = table[numbers[row, s]]
                for p in range(n_properties):
                    values[k, p] += around[k, s] * abs(other[p] - center[p])
        for p in range(n_properties):
            low, high, mean, deviation = values[0, p], values[0, p], 0.0, 0.0
            for k in range(n_classes):
                low, high = min(low, values[k, p]), max(high, values[k, p])
                mean += common[k] * values[k, p]
            for k in range(n_classes):
                deviation += common[k] * abs(values[k, p] - mean)
            out[row, 5 * p] = low
            out[row, 5 * p + 1] = high
            out[row, 5 * p + 2] = high - low
            out[row, 5 * p + 3] = mean
            out[row, 5 * p + 4] = deviation
