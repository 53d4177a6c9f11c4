"""Ports of this machine for servers of tests."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _USUAL_END = 10_000, 32_768


def free_port() -> int:
    """Port of 127.0.0.1 that is free at this moment, and stays so while its server is away.

    It is none of those that the system gives to outgoing connections: a client that tries again
    and again to reach a server that is away may be given the very port that it tries to reach.
    """
    try:
        end = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        end = _USUAL_END
    choice = random.SystemRandom()
    for _ in range(1000 if end > _LOWEST + 1000 else 0):
        port = choice.randrange(_LOWEST, end)
        if _is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
