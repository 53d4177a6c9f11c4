"""How long the present batch job may still run.

custodian's own handler reads SBATCH_TIMELIMIT, which Slurm does not set inside jobs. Newer
versions set SLURM_JOB_END_TIME (22.05 does not; ``sse worker`` does), and ``squeue`` knows the
time left.
"""

from __future__ import annotations

import os
import subprocess
import time

MARGIN = 120.0
"""Seconds before the end at which a calculation is told to stop and write its state."""


def seconds_left() -> float | None:
    """Seconds until Slurm ends the present job; None outside a job or without a limit."""
    end = os.environ.get("SLURM_JOB_END_TIME", "")
    if end.isdigit() and int(end) > 0:
        return int(end) - time.time()
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return None
    command = ["squeue", "-h", "-j", job, "-o", "%L"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_time_left(answer.stdout)


def parse_time_left(text: str) -> float | None:
    """Seconds in Slurm's ``[days-][[hours:]minutes:]seconds``; None for UNLIMITED and the like.

    Examples
    --------
    >>> parse_time_left("1-02:00:10")
    93610.0
    >>> parse_time_left("UNLIMITED") is None
    True
    """
    days, _, clock = text.strip().rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts) or not (days.isdigit() or not days):
        return None
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return float(86400 * int(days or 0) + seconds)


def seconds_for_calculation() -> int | None:
    """Value for ``max_seconds``: the time left less a margin; None outside a limited job."""
    left = seconds_left()
    return None if left is None else max(10, int(left - MARGIN))
