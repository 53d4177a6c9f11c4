"""What a search over subsets finds, and how the parts of a divided search become one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from sse_flows.errors import SSEError
from sse_flows.models.subset_search.scores import ScoreName


@dataclass
class SizeWinners:
    """The best subsets of one size."""

    n_features: int
    score: float
    """Accuracy, F1 of the positive class, or minus the mean log loss: larger is better. Minus
    infinity in a part of a divided search that holds no subset of this size."""
    n_tied: int
    """Subsets of this size with this score; without ties, those listed. Zero in a part of a divided
    search that holds none as good as the best known."""
    subsets: list[tuple[int, ...]]
    """Those that tie, in lexicographic order, at most `tie_cap` of them."""
    n_subsets: int
    """Subsets of this size that were searched."""


@dataclass
class SubsetSearch:
    """Result of `search_subsets`."""

    sizes: list[SizeWinners]
    score_name: ScoreName
    certified: bool
    """Whether only proven bounds were used; without it see docs/subset_search.md."""
    ties: bool
    kernel: str
    n_columns: int
    max_features: int
    n_subsets: int
    """Subsets searched."""
    n_chunks: int
    """Pieces that the whole search was cut into."""
    chunks: str
    """Those that were searched, as a bit mask in hexadecimal digits."""
    problem: str
    """SHA-256 of the problem."""
    tie_cap: int
    cpu_seconds: float
    n_refined: int = 0
    """Subsets that passed the filter in single precision and were fitted again."""
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every subset was searched."""
        return int(self.chunks, 16) == (1 << self.n_chunks) - 1

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self) | {"sizes": [_size_to_dict(size) for size in self.sizes]}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """Back from `to_dict`."""
        return cls(**(document | {"sizes": [_size_from_dict(size) for size in document["sizes"]]}))


def _size_to_dict(size: SizeWinners) -> dict[str, Any]:
    score = None if math.isinf(size.score) else size.score  # JSON has no infinity
    return asdict(size) | {"score": score, "subsets": [list(s) for s in size.subsets]}


def _size_from_dict(document: dict[str, Any]) -> SizeWinners:
    score = -math.inf if document["score"] is None else float(document["score"])
    subsets = [tuple(map(int, subset)) for subset in document["subsets"]]
    return SizeWinners(**(document | {"score": score, "subsets": subsets}))


_SAME = (
    "score_name",
    "certified",
    "ties",
    "n_columns",
    "max_features",
    "n_chunks",
    "problem",
    "tie_cap",
)


def merge_searches(parts: Sequence[SubsetSearch]) -> SubsetSearch:
    """Make one search of the parts of a divided one.

    The order of the parts does not matter, and a part given twice counts once.

    Raises
    ------
    SSEError
        If the parts belong to different searches or overlap without one holding the other.
    """
    if not parts:
        raise SSEError("there are no parts to merge")
    result: SubsetSearch | None = None
    # the widest first: what it holds already is skipped
    for part in sorted(parts, key=lambda p: (-int(p.chunks, 16).bit_count(), p.chunks, p.kernel)):
        result = part if result is None else _merge_two(result, part)
    assert result is not None
    return SubsetSearch.from_dict(result.to_dict())  # the parts stay their owners'


def _merge_two(one: SubsetSearch, other: SubsetSearch) -> SubsetSearch:
    for name in _SAME:
        if getattr(one, name) != getattr(other, name):
            raise SSEError(f"two parts differ in {name} and belong to different searches")
    mine, theirs = int(one.chunks, 16), int(other.chunks, 16)
    if mine & theirs == theirs:
        return one
    if mine & theirs:
        raise SSEError("two parts overlap", mend="Merge each part of one division once")
    kernels = sorted({*one.kernel.split("+"), *other.kernel.split("+")})
    changed = {
        "sizes": [_merge_sizes(a, b, one) for a, b in zip(one.sizes, other.sizes, strict=True)],
        "kernel": "+".join(kernels),
        "chunks": f"{mine | theirs:x}",
        "n_subsets": one.n_subsets + other.n_subsets,
        "cpu_seconds": one.cpu_seconds + other.cpu_seconds,
        "n_refined": one.n_refined + other.n_refined,
        "notes": sorted({*one.notes, *other.notes}),
    }
    return SubsetSearch(**{**one.__dict__, **changed})


def _merge_sizes(one: SizeWinners, other: SizeWinners, search: SubsetSearch) -> SizeWinners:
    score = max(one.score, other.score)
    best = [size for size in (one, other) if size.score == score]
    subsets = sorted({subset for size in best for subset in size.subsets})[: search.tie_cap]
    tied = sum(size.n_tied for size in best) if search.ties else len(subsets)
    return SizeWinners(one.n_features, score, tied, subsets, one.n_subsets + other.n_subsets)
