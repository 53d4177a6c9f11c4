"""The order in which subsets are walked, and how it is cut into chunks.

The lowest `LANES` columns of a mask are the lane; the others are the core. Cores of limited size
are walked depth first: a core, then its children, which are the core and one higher column. So a
chunk is a range of ranks in this order, a core differs little from the one before it, and each can
start from the solution of its parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb

import numpy as np

LANES = 4
"""Columns 0 to 3: the 16 subsets of them are fitted side by side."""
MAX_CHUNK, MIN_CHUNK, CHUNKS = 4096, 16, 512
"""Cores of a chunk: `MAX_CHUNK`, fewer where that makes under `CHUNKS` chunks."""


@dataclass(frozen=True)
class Lattice:
    """All subsets of 1 to `max_features` of `n_columns` columns."""

    n_columns: int
    max_features: int

    @property
    def n_core(self) -> int:
        """Columns that are not in the lane."""
        return max(0, self.n_columns - LANES)

    @property
    def core_size(self) -> int:
        """Largest core."""
        return min(self.max_features, self.n_core)

    @cached_property
    def table(self) -> np.ndarray:
        """``table[r, s]``: subsets of at most s out of r columns; int64."""
        result = np.ones((self.n_core + 1, self.core_size + 1), dtype=np.int64)
        for r in range(1, self.n_core + 1):
            for s in range(1, self.core_size + 1):
                result[r, s] = result[r - 1, s] + result[r - 1, s - 1]
        return result

    @property
    def n_cores(self) -> int:
        """Number of cores, the empty one among them."""
        return int(self.table[-1, -1])

    @property
    def chunk(self) -> int:
        """Cores of one chunk."""
        return min(MAX_CHUNK, max(MIN_CHUNK, self.n_cores // CHUNKS))

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return -(-self.n_cores // self.chunk)

    def bounds(self, chunk: int) -> tuple[int, int]:
        """Ranks of the cores of a chunk."""
        return chunk * self.chunk, min((chunk + 1) * self.chunk, self.n_cores)

    def n_subsets(self, size: int | None = None) -> int:
        """Subsets of one size, or of all."""
        if size is not None:
            return comb(self.n_columns, size)
        return sum(comb(self.n_columns, k) for k in range(1, self.max_features + 1))

    def path(self, rank: int) -> list[int]:
        """Core columns of a rank, numbered from 0."""
        result: list[int] = []
        last, left = -1, self.core_size
        while rank:
            rank -= 1
            last += 1
            while rank >= (below := int(self.table[self.n_core - 1 - last, left - 1])):
                rank -= below
                last += 1
            result.append(last)
            left -= 1
        return result

    def sizes(self, chunks: list[int]) -> np.ndarray:
        """Subsets of every size in some chunks, shape (max_features + 1,)."""
        cores = np.zeros(self.core_size + 1, dtype=np.int64)
        for chunk in chunks:
            start, stop = self.bounds(chunk)
            cores += self._cores_before(stop) - self._cores_before(start)
        lanes = min(LANES, self.n_columns)
        result = np.zeros(self.max_features + 1, dtype=np.int64)
        for size, number in enumerate(cores):
            for lane in range(min(lanes, self.max_features - size) + 1):
                result[size + lane] += number * comb(lanes, lane)
        result[0] = 0
        return result

    def _cores_before(self, rank: int) -> np.ndarray:
        """Cores of every size among the first `rank`."""
        result = np.zeros(self.core_size + 1, dtype=np.int64)
        if rank >= self.n_cores:
            result[:] = [comb(self.n_core, s) for s in range(self.core_size + 1)]
            return result
        last = -1
        for depth, column in enumerate(self.path(rank)):
            result[depth] += 1  # the ancestor itself
            for skipped in range(last + 1, column):
                rest = self.n_core - 1 - skipped
                for s in range(self.core_size - depth):
                    result[depth + 1 + s] += comb(rest, s)
            last = column
        return result
