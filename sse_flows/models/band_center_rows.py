"""Crystals as rows of a model: one for each element of each crystal.

The total band centre of a crystal is the mean over its atoms of their own, because the DOS
projected on an atom integrates to three modes (unless some are imaginary). So what is learned is
the band centre of each element, and the total is a sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sse_flows.descriptors.crystal.featurizer import WardFeaturizer
from sse_flows.descriptors.crystal.labels import WARD_LABELS
from sse_flows.descriptors.crystal.rows import Progress, feature_rows
from sse_flows.errors import SSEError
from sse_flows.models.columns import Floats
from sse_flows.models.site_environments import ELEMENT_LABELS, ElementEnvironments, split_elements

ROW_LABELS: tuple[str, ...] = (*ELEMENT_LABELS, *WARD_LABELS)
"""Columns of a row: the element's surroundings, then the 273 features of the whole crystal."""

N_ELEMENT = len(ELEMENT_LABELS)
_NUMBER = ELEMENT_LABELS.index("atomic number")
_SHARE = ELEMENT_LABELS.index("share of the atoms")


@dataclass(frozen=True)
class ElementRows:
    """Rows of many crystals.

    Attributes
    ----------
    ids
        Of the crystals, in order.
    features
        Shape (rows, columns), columns as `ROW_LABELS`.
    owners
        Position in `ids` of each row's crystal, ascending, shape (rows,).
    """

    ids: list[str]
    features: Floats
    owners: NDArray[np.intp]

    @property
    def shares(self) -> Floats:
        """Share of the crystal's atoms, shape (rows,)."""
        return self.features[:, _SHARE]

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Atomic number, shape (rows,)."""
        return np.rint(self.features[:, _NUMBER]).astype(np.int64)

    def totals(self, values: Floats) -> Floats:
        """Means over the atoms of each crystal of a value a row, shape (crystals,)."""
        summed = np.bincount(self.owners, values * self.shares, len(self.ids))
        return summed.astype(np.float64)

    def take(self, crystals: NDArray[np.bool_]) -> ElementRows:
        """Rows of some crystals, given by a mask over `ids`."""
        rows = crystals[self.owners]
        place = np.cumsum(crystals) - 1
        ids = [name for name, there in zip(self.ids, crystals, strict=True) if there]
        return ElementRows(ids, self.features[rows], place[self.owners[rows]])

    def groups(self) -> list[str]:
        """A name for the composition of each crystal: polymorphs and supercells share it."""
        parts: list[list[tuple[int, float]]] = [[] for _ in self.ids]
        for owner, number, share in zip(self.owners, self.numbers, self.shares, strict=True):
            parts[owner].append((int(number), float(share)))
        return [" ".join(f"{z}:{share:.5f}" for z, share in part) for part in parts]


def element_rows(
    crystals: Mapping[str, Any], *, n_jobs: int = 1, progress: Progress | None = None
) -> tuple[ElementRows, dict[str, SSEError]]:
    """Rows of many crystals, and what went wrong with the others.

    Parameters
    ----------
    crystals
        By id: pymatgen Structures or (lattice, species, fractional coordinates).
    n_jobs, progress
        As `feature_rows`.
    """
    featurizers: Sequence[Any] = (ElementEnvironments(), WardFeaturizer())
    found = feature_rows(list(crystals.values()), featurizers, n_jobs=n_jobs, progress=progress)
    ids, tables = [], []
    failures: dict[str, SSEError] = {}
    for name, row in zip(crystals, found, strict=True):
        if isinstance(row, SSEError):
            failures[name] = SSEError(row.message, compound=str(name), mend=row.mend)
            continue
        ids.append(name)
        tables.append(_table(row))
    owners = np.repeat(np.arange(len(ids)), [len(table) for table in tables])
    features = np.concatenate(tables) if tables else np.empty((0, len(ROW_LABELS)))
    return ElementRows(ids, features, owners), failures


def _table(row: Floats) -> Floats:
    """Rows of one crystal from what the featurizers gave."""
    elements = split_elements(row[: -len(WARD_LABELS)])
    whole = np.broadcast_to(row[-len(WARD_LABELS) :], (len(elements), len(WARD_LABELS)))
    return np.hstack([elements, whole])
