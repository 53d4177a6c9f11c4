"""The state of an unfinished search on disk."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from sse_flows.errors import SSEError

VERSION = 1


def settings_digest(**settings: Any) -> str:
    """SHA-256 of what must not change between two runs of one search."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def save(path: Path, digest: str, state: dict[str, Any]) -> None:
    """Write the state so that a reader finds the old one or the new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("w") as file:
        json.dump({"version": VERSION, "search": digest, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path, digest: str) -> dict[str, Any] | None:
    """The state of the same search; None where there is no file.

    Raises
    ------
    SSEError
        If the file belongs to another search or cannot be read.
    """
    if not path.exists():
        return None
    try:
        state = json.loads(path.read_text())
        known = (state["version"], state["search"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SSEError(f"{path} is not the checkpoint of a subset search: {error}") from error
    if known != (VERSION, digest):
        raise SSEError(
            f"{path} is the checkpoint of another search: data, penalty or settings differ",
            mend="Name another file, or delete this one to begin anew",
        )
    return state
