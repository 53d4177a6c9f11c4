"""The 145 composition features of L. Ward et al., npj Comput. Mater. 2, 16028 (2016).

Rows are compositions, all computed at once: atomic numbers, each once in a row and 0 in empty
places, and amounts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numba import njit

from sse_flows.descriptors.crystal.arrays import FloatArray, IntArray, atomic_numbers
from sse_flows.descriptors.crystal.charges import can_be_neutral
from sse_flows.descriptors.crystal.elements import (
    PROPERTIES,
    pauling_electronegativity,
    property_table,
)
from sse_flows.descriptors.crystal.labels import COMPOSITION_LABELS, NORMS, ORBITALS
from sse_flows.errors import SSEError

FIRST_VALENCE = PROPERTIES.index("NsValence")
"""Column of the s electrons; those of p, d and f follow."""

ALL_VALENCE = PROPERTIES.index("NValence")
"""Column of all valence electrons."""


def pack_compositions(compositions: Sequence[Mapping[Any, float]]) -> tuple[IntArray, FloatArray]:
    """Pack pymatgen Compositions, or mappings from symbols or elements to amounts, into arrays.

    Returns
    -------
    tuple
        Atomic numbers and amounts, shape (compositions, most elements), 0 in empty places.

    Raises
    ------
    SSEError
        If a composition is empty, a symbol unknown or an amount not positive.
    """
    rows = [_amounts(one) for one in compositions]
    width = max((len(row) for row in rows), default=1)
    numbers = np.zeros((len(rows), width), np.int64)
    amounts = np.zeros((len(rows), width))
    for k, row in enumerate(rows):
        numbers[k, : len(row)] = list(row)
        amounts[k, : len(row)] = list(row.values())
    return numbers, amounts


def _amounts(composition: Mapping[Any, float]) -> dict[int, float]:
    """Amount by atomic number; species of one element are taken together."""
    row: dict[int, float] = {}
    for number, amount in zip(atomic_numbers(list(composition)), composition.values(), strict=True):
        row[int(number)] = row.get(int(number), 0.0) + float(amount)
    if not row or min(row.values()) <= 0:
        raise SSEError(f"{dict(composition)} is no composition", mend="Give amounts above 0")
    return row


def composition_features(
    numbers: IntArray, amounts: FloatArray, *, mixed_valence: bool = False
) -> FloatArray:
    """Compute the 145 features.

    Parameters
    ----------
    numbers, amounts
        Atomic numbers, each once in a row and 0 in empty places, and amounts, of shape
        (compositions, elements).
    mixed_valence
        See `charges.can_be_neutral`.

    Returns
    -------
    ndarray
        Shape (compositions, 145), columns as `COMPOSITION_LABELS`.
    """
    z, x = np.ascontiguousarray(numbers, np.int64), np.ascontiguousarray(amounts, float)
    features = np.empty((len(z), len(COMPOSITION_LABELS)))
    _fill(z, x, property_table(), pauling_electronegativity(), features)
    features[:, 142] = _possible(z, x, mixed_valence)
    return features


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(numbers, amounts, table, electronegativity, features):
    """All features of every composition but "compound possible", which is column 142."""
    for row in range(len(numbers)):
        some = np.nonzero(numbers[row])[0]
        z, x = numbers[row][some], amounts[row][some]
        shares, out = x / x.sum(), features[row]
        out[0] = len(z)
        for k in range(1, len(NORMS)):
            out[k] = np.sum(shares ** NORMS[k]) ** (1.0 / NORMS[k])
        _element_statistics(z, x, shares, table, out[6:138])
        _valence_shares(z, x, table, out[138:142])
        out[143], out[144] = _ionic_characters(z, shares, electronegativity)


@njit(cache=True, nogil=True)
def _element_statistics(numbers, amounts, shares, table, out):
    """Six statistics of each of the 22 properties."""
    most = amounts.max() * (1.0 - 1e-5) - 1e-8  # as much as the most, but for rounding
    for p in range(table.shape[1]):
        low, high, mean, deviation, mode = np.inf, -np.inf, 0.0, 0.0, np.inf
        for k in range(len(numbers)):
            value = table[numbers[k], p]
            low, high = min(low, value), max(high, value)
            mean += shares[k] * value
            if amounts[k] >= most:  # the smallest value among the elements of which there is most
                mode = min(mode, value)
        for k in range(len(numbers)):
            deviation += shares[k] * abs(table[numbers[k], p] - mean)
        out[6 * p], out[6 * p + 1], out[6 * p + 2] = low, high, high - low
        out[6 * p + 3], out[6 * p + 4], out[6 * p + 5] = mean, deviation, mode


@njit(cache=True, nogil=True, error_model="numpy")
def _valence_shares(numbers, amounts, table, out):
    """Share of s, p, d and f electrons in the valence electrons."""
    electrons = 0.0
    out[:] = 0.0
    for k in range(len(numbers)):
        electrons += amounts[k] * table[numbers[k], ALL_VALENCE]
        for orbital in range(len(ORBITALS)):
            out[orbital] += amounts[k] * table[numbers[k], FIRST_VALENCE + orbital]
    out /= electrons


@njit(cache=True, nogil=True)
def _ionic_characters(numbers, shares, electronegativity):
    """Largest and mean 1 - exp(-Δχ²/4) over pairs of elements (Pauling)."""
    largest, mean = 0.0, 0.0
    for i in range(len(numbers)):
        for j in range(i):
            apart = electronegativity[numbers[i]] - electronegativity[numbers[j]]
            character = 1.0 - np.exp(-0.25 * apart**2)
            largest = max(largest, character)
            mean += shares[i] * shares[j] * character
    return largest, mean


def _possible(numbers: IntArray, amounts: FloatArray, mixed_valence: bool) -> list[bool]:
    """Whether each composition can be a neutral compound."""
    rows = zip(map(tuple, numbers.tolist()), map(tuple, amounts.tolist()), strict=True)
    return [can_be_neutral(z, x, mixed_valence=mixed_valence) for z, x in rows]
