"""The best subsets of every size while a search runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sse_flows.models.subset_search.problem import Floats, Masks, columns_of
from sse_flows.models.subset_search.results import SizeWinners


@dataclass
class Winners:
    """Best score of every size and the subsets that reach it; of those the first `cap` in order."""

    n_columns: int
    max_features: int
    cap: int
    ties: bool = True
    best: Floats = field(init=False)
    """Minus infinity where nothing is known, shape (max_features + 1,)."""
    tied: np.ndarray = field(init=False)
    """Number of subsets that reach it, shape (max_features + 1,)."""
    masks: list[Masks] = field(init=False)

    def __post_init__(self) -> None:
        self.best = np.full(self.max_features + 1, -np.inf)
        self.tied = np.zeros(self.max_features + 1, dtype=np.int64)
        self.masks = [np.zeros(0, dtype=np.int64) for _ in self.best]

    def raise_limits(self, masks: Masks, scores: Floats) -> None:
        """Learn scores of subsets that the search will meet again, or not at all without ties."""
        size = np.bitwise_count(masks)
        np.maximum.at(self.best, size, scores)
        if not self.ties:
            self.add(masks, scores)

    def add(self, masks: Masks, scores: Floats) -> None:
        """Count subsets that the search has met, each once."""
        size = np.bitwise_count(masks)
        for k in np.unique(size):
            chosen = size == k
            top = scores[chosen].max()
            if top < self.best[k]:
                continue
            if top > self.best[k]:
                self.best[k], self.tied[k], self.masks[k] = top, 0, self.masks[k][:0]
            found = masks[chosen][scores[chosen] == top]
            kept = self._first(np.concatenate([self.masks[k], found]))
            self.tied[k] = self.tied[k] + len(found) if self.ties else len(kept)
            self.masks[k] = kept

    def _first(self, masks: Masks) -> Masks:
        """The first of them in the lexicographic order of their columns."""
        masks = np.unique(masks)
        # first comes that which holds the lowest column in which two subsets of one size differ
        bits = np.arange(self.n_columns)
        key = (((masks[:, None] >> bits) & 1) << bits[::-1]).sum(axis=1)
        return masks[np.argsort(-key)][: self.cap]

    def sizes(self, searched: np.ndarray) -> list[SizeWinners]:
        """The result, with the number of subsets of every size that were searched."""
        return [
            SizeWinners(
                n_features=k,
                score=float(self.best[k]),
                n_tied=int(self.tied[k]),
                subsets=[columns_of(int(mask)) for mask in self.masks[k]],
                n_subsets=int(searched[k]),
            )
            for k in range(1, self.max_features + 1)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {
            "best": [None if np.isinf(b) else float(b) for b in self.best],
            "tied": self.tied.tolist(),
            "masks": [masks.tolist() for masks in self.masks],
        }

    def restore(self, document: dict[str, Any]) -> None:
        """Back from `to_dict`."""
        self.best = np.array([-np.inf if b is None else b for b in document["best"]])
        self.tied = np.array(document["tied"], dtype=np.int64)
        self.masks = [np.array(masks, dtype=np.int64) for masks in document["masks"]]
