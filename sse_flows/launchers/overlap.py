"""Make the next while one is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def overlapped(write: Callable[[T], R], made: Iterable[T]) -> Iterator[R]:
    """Write things one after the other, each in a thread while the next is made.

    Parameters
    ----------
    write
        Writes one, to a database for instance; after an error no other is written.
    made
        Makes them, one in advance.

    Yields
    ------
    R
        What `write` returned, in the order of `made`.

    Examples
    --------
    >>> list(overlapped(str.upper, ["a", "b"]))
    ['A', 'B']
    """
    with ThreadPoolExecutor(1) as writer:
        writing: list[Future[R]] = []  # one at most
        for one in made:
            written = [future.result() for future in writing]
            writing = [writer.submit(write, one)]
            yield from written
        yield from [future.result() for future in writing]
