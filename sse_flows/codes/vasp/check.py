"""What this machine has of VASP; nothing is run or changed."""

from __future__ import annotations

import mmap
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from sse_flows.codes.vasp.launch import GAMMA, STANDARD, Launch

_VERSION = re.compile(rb"vasp\.(\d+\.\d+\.\d+(?: TEST DOUBLE, NOT VASP)?)")


@dataclass(frozen=True)
class Program:
    """An installed VASP.

    Attributes
    ----------
    path
        Where it is.
    version
        As its file says, such as ``6.4.2``; None where it does not. VASP without input may wait
        for other ranks for ever, so it is not asked.
    starter
        What starts it, such as ``mpirun -np 8``; empty where it is started alone.
    """

    path: str
    version: str | None
    starter: str


def find_program(launch: Launch | None = None, gamma: bool = False) -> Program | None:
    """The program that jobs on this machine would run, or None if something of it is missing."""
    words = shlex.split((launch or Launch()).commands()[int(gamma)])
    if not words or shutil.which(words[0]) is None:
        return None
    number = _program(words)
    path = shutil.which(words[number])
    if path is None:
        return None
    return Program(path, version_of(Path(path)), shlex.join(words[:number]))


def _program(words: list[str]) -> int:
    """Which word of a command is VASP: the last that looks like it, else the last."""
    named = [i for i, word in enumerate(words) if "vasp" in Path(word).name.lower()]
    own = [i for i in named if Path(words[i]).name in (STANDARD, GAMMA)] or named
    return own[-1] if own else len(words) - 1


def version_of(path: Path) -> str | None:
    """Version that is written in a program's file."""
    try:
        with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as m:
            match = _VERSION.search(m)
            return match.group(1).decode() if match else None
    except (OSError, ValueError):  # ValueError: an empty file
        return None
