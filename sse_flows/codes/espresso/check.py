"""What this machine has of Quantum ESPRESSO; nothing is changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sse_flows.codes.espresso.job import Launch


@dataclass(frozen=True)
class Program:
    """An installed program.

    Attributes
    ----------
    path
        Where it is.
    version
        As it says, such as ``6.7MaX``; None where it does not start by itself.
    parallel
        ``MPI``, ``MPI & OpenMP``, ``OpenMP`` or ``serial``; None as above.
    """

    path: str
    version: str | None
    parallel: str | None


def find_program(launch: Launch | None = None, name: str = "pw.x") -> Program | None:
    """The program that jobs on this machine would run, or None if something of it is missing.

    Raises
    ------
    SSEError
        The command names no pw.x.
    """
    words = (launch or Launch()).words(name)
    first, own = shutil.which(words[0]), [word for word in words if Path(word).name == name]
    path = shutil.which(own[-1])
    if first is None or path is None:
        return None
    banner = _banner(path)
    version = re.search(r"Program \w+ v\.(\S+)", banner)
    parallel = re.search(r"(Parallel version \(([^)]*)\)|Serial( multi-threaded)? version)", banner)
    return Program(
        path, version.group(1) if version else None, _parallel(parallel) if parallel else None
    )


def _parallel(match: re.Match[str]) -> str:
    if match.group(2):
        return match.group(2)
    return "OpenMP" if match.group(3) else "serial"


@cache
def _banner(path: str) -> str:
    """What the program says before it misses its input."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:  # it leaves a file called CRASH
        try:
            run = subprocess.run(
                [path],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return ""
    return run.stdout
