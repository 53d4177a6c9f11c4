"""Pieces of a list that one query can name: databases bound the length of a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 400
"""Ids in one query."""


def chunks(values: Sequence[T], size: int = AT_ONCE) -> Iterator[Sequence[T]]:
    """Pieces of a list, each of `size` values but the last.

    Examples
    --------
    >>> [list(some) for some in chunks("abcde", 2)]
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    for start in range(0, len(values), size):
        yield values[start : start + size]
