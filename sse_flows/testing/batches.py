"""Functions of batches that worker processes can import: they count, fail and die."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def square(batch: int, shared: int) -> int:
    """The square of a number, plus what all share."""
    return batch * batch + shared


def fail_at(batch: int, shared: int) -> int:
    """Raise at one number."""
    if batch == shared:
        raise ValueError(f"{batch} is wrong")
    return batch


def die_at(batch: int, shared: int) -> int:
    """End the process at one number, as want of memory would."""
    if batch == shared:
        os.kill(os.getpid(), signal.SIGKILL)
    return batch


def die_once(batch: int, shared: str) -> int:
    """End the process the first time; `shared` is a file that remembers."""
    if batch == 2 and not Path(shared).exists():
        Path(shared).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return batch
