"""The 145 composition features of L. Ward et al., npj Comput. Mater. 2, 16028 (2016).

Rows are compositions, all computed at once: atomic numbers, each once in a row and 0 in empty
places, and amounts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sse_flows.descriptors.crystal.arrays import FloatArray, IntArray, atomic_numbers
from sse_flows.descriptors.crystal.charges import can_be_neutral
from sse_flows.descriptors.crystal.elements import (
    PROPERTIES,
    pauling_electronegativity,
    property_table,
)
from sse_flows.descriptors.crystal.labels import COMPOSITION_LABELS, NORMS, ORBITALS
from sse_flows.errors import SSEError

BLOCK = 2_000
"""Compositions computed at a time: what a processor holds in its cache."""


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
    features = np.empty((len(numbers), len(COMPOSITION_LABELS)))
    for start in range(0, len(numbers), BLOCK):
        rows = slice(start, start + BLOCK)
        z, x = np.asarray(numbers[rows]), np.asarray(amounts[rows], float)
        features[rows, :6] = _stoichiometry(z, x)
        features[rows, 6:138] = _element_statistics(z, x)
        features[rows, 138:142] = _valence_shares(z, x)
        features[rows, 142] = _possible(z, x, mixed_valence)
        features[rows, 143:145] = _ionic_characters(z, x)
    return features


def _stoichiometry(numbers: IntArray, amounts: FloatArray) -> FloatArray:
    """Number of elements, and p-norms of their shares."""
    shares = amounts / amounts.sum(axis=1, keepdims=True)
    norms = [(shares**p).sum(axis=1) ** (1.0 / p) for p in NORMS[1:]]
    return np.column_stack([(numbers > 0).sum(axis=1), *norms])


def _element_statistics(numbers: IntArray, amounts: FloatArray) -> FloatArray:
    """Six statistics of each of the 22 properties, shape (compositions, 132)."""
    present = (numbers > 0)[:, :, None]
    weights = (amounts / amounts.sum(axis=1, keepdims=True))[:, :, None]
    values = property_table()[numbers]
    low = np.where(present, values, np.inf).min(axis=1)
    high = np.where(present, values, -np.inf).max(axis=1)
    mean = (weights * values).sum(axis=1)
    deviation = (weights * np.abs(values - mean[:, None])).sum(axis=1)
    # the smallest value among the elements of which there is most
    most = np.isclose(amounts, amounts.max(axis=1, keepdims=True))[:, :, None] & present
    mode = np.where(most, values, np.inf).min(axis=1)
    statistics = np.stack([low, high, high - low, mean, deviation, mode], axis=2)
    return statistics.reshape(len(numbers), -1)


def _valence_shares(numbers: IntArray, amounts: FloatArray) -> FloatArray:
    """Share of s, p, d and f electrons in the valence electrons."""
    electrons = np.einsum("ce,cep->cp", amounts, property_table()[numbers])
    shells = [PROPERTIES.index(f"N{orbital}Valence") for orbital in ORBITALS]
    return electrons[:, shells] / electrons[:, [PROPERTIES.index("NValence")]]


def _ionic_characters(numbers: IntArray, amounts: FloatArray) -> FloatArray:
    """Largest and mean 1 - exp(-Δχ²/4) over pairs of elements (Pauling)."""
    shares = amounts / amounts.sum(axis=1, keepdims=True)
    electronegativity = pauling_electronegativity()[numbers]
    apart = electronegativity[:, :, None] - electronegativity[:, None, :]
    both = (numbers[:, :, None] > 0) & (numbers[:, None, :] > 0)
    character = np.where(both, 1.0 - np.exp(-0.25 * apart**2), 0.0)
    mean = 0.5 * np.einsum("ci,cj,cij->c", shares, shares, character)
    return np.column_stack([character.max(axis=(1, 2)), mean])


def _possible(numbers: IntArray, amounts: FloatArray, mixed_valence: bool) -> list[bool]:
    """Whether each composition can be a neutral compound."""
    rows = zip(map(tuple, numbers.tolist()), map(tuple, amounts.tolist()), strict=True)
    return [can_be_neutral(z, x, mixed_valence=mixed_valence) for z, x in rows]
