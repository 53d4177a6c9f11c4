"""Start a program that ends when the process that started it dies (Linux).

custodian starts VASP in a session of its own, where it would go on computing after its worker was
killed. Run as a script: ``python leash.py mpirun -np 8 vasp_std``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(words: list[str]) -> int:
    """Become the program; returns 127 where it cannot be started."""
    if sys.platform.startswith("linux"):
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was asked
            return 1
    try:
        os.execvp(words[0], words)  # noqa: S606 - the user's own command
    except OSError as error:
        sys.stderr.write(f"cannot start {words[0]}: {error.strerror}\n")
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
