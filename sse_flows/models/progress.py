"""What a long search says of itself: a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from sse_flows.models.subset_search import SearchProgress

Note = Callable[[str], None]


def silent(_: str) -> None:
    """Say nothing."""


class PacedNotes:
    """Hands lines on, at most one every few seconds.

    Parameters
    ----------
    note
        Takes a line of text.
    name
        Of the part; every line begins with it.
    every
        Seconds between two lines; the first comes after as many.
    """

    def __init__(self, note: Note, name: str, every: float = 5.0):
        self.note, self.name, self.every = note, name, every
        self.start = self.last = time.monotonic()

    def search(self, state: SearchProgress) -> None:
        """How far a search is and how long it will take."""
        share = state.done / state.total
        # the first chunks carry the start of the search and say little of the rest
        left = f"about {clock(state.seconds_left)} left" if share > 0.01 else "time left unknown"
        self._tell(f"{state.done:,} of {state.total:,} subsets ({share:.1%}), {left}")

    def count(self, done: int, total: int) -> None:
        """How many of equal pieces are done, and how long the others will take."""
        passed = time.monotonic() - self.start
        self._tell(f"{done} of {total}, about {clock(passed / done * (total - done))} left")

    def _tell(self, text: str) -> None:
        now = time.monotonic()
        if now - self.last >= self.every:
            self.last = now
            self.note(f"{self.name}: {text}")


def clock(seconds: float) -> str:
    """Hours, minutes and seconds; a question mark for what is not known."""
    if not seconds >= 0:
        return "?"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
