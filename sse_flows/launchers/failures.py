"""Why a firework failed, from its launch, and whether another attempt may end better."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

LOST_CONNECTION, OUT_OF_MEMORY, KILLED, TRUNCATED = (
    "lost connection",
    "out of memory",
    "killed",
    "truncated output",
)

_KINDS = {
    LOST_CONNECTION: r"AutoReconnect|ServerSelectionTimeout|NetworkTimeout|ConnectionFailure"
    r"|NotPrimaryError|ConnectionResetError|ConnectionRefusedError|ConnectionAborted"
    r"|BrokenPipeError|connection (refused|reset|closed|aborted)|connection\b.{0,60}\blost"
    r"|lost\b.{0,30}\bconnection|(store|database|LaunchPad) .{0,80}(does|did) not answer"
    r"|no answer from the store|Stale file handle",
    OUT_OF_MEMORY: r"MemoryError|out of memory|cannot allocate memory|bad_alloc|oom.?kill"
    r"|(want|lack) of memory",
    KILLED: r"\bkilled\b|SIGKILL|SIGTERM|signal (9|15)\b|BrokenProcessPool|process died",
    TRUNCATED: r"truncated|incomplete|cut short|EOFError|unexpected end of file",
}
_KIND_PATTERNS = {kind: re.compile(text, re.IGNORECASE) for kind, text in _KINDS.items()}


@dataclass(frozen=True)
class LaunchFailure:
    """Why a launch failed.

    Attributes
    ----------
    reason
        The last lines of the error, on one line.
    mend
        What to do about it, if the task said so.
    kind
        One of lost connection, out of memory, killed, truncated output, where another attempt
        may end better; None for errors that would come again.
    """

    reason: str
    mend: str | None = None
    kind: str | None = None


def failure_of(action: dict[str, Any] | None, limit: int = 300) -> LaunchFailure:
    """Read the failure that a launch has stored.

    Parameters
    ----------
    action
        The launch's ``action``; the task's own account in ``stored_data._exception._details``
        goes before the traceback.
    limit
        Most characters of the reason.
    """
    stored = (action or {}).get("stored_data") or {}
    exception = stored.get("_exception") or {}
    details = exception.get("_details") or {}
    if not isinstance(details, dict):
        details = {}
    tail = last_lines(str(exception.get("_stacktrace") or ""))
    reason = str(details.get("reason") or tail or stored.get("_message") or "no reason was stored")
    mend = details.get("mend")
    kind = details.get("kind") or failure_kind(f"{reason} {tail}")
    return LaunchFailure(" ".join(reason.split())[:limit], mend, kind)


def last_lines(trace: str, count: int = 3) -> str:
    """The message at the end of a traceback: its last lines that are no code."""
    lines = [line for line in trace.splitlines() if line.strip() and not line.startswith(" ")]
    lines = [line for line in lines if not line.startswith("Traceback")]
    return " | ".join(line.strip() for line in lines[-count:])


def failure_kind(text: str) -> str | None:
    """Which passing trouble an error tells of, if any.

    Examples
    --------
    >>> failure_kind("pymongo.errors.AutoReconnect: connection closed")
    'lost connection'
    >>> failure_kind("ValueError: no such element") is None
    True
    """
    for kind, pattern in _KIND_PATTERNS.items():
        if pattern.search(text):
            return kind
    return None
