"""Whether the firework that a Slurm job was submitted for is still that job's to run."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireworks import LaunchPad

PATIENCE = 15.0
"""How long to wait for qlaunch to note the job's id, which it does after sbatch returned, s."""


def may_run(launchpad: LaunchPad, fw_id: int, patience: float = PATIENCE) -> bool:
    """Whether this job may check out a firework.

    FireWorks itself would check out any RESERVED one, also one whose reservation has meanwhile
    been given to another Slurm job, and both would run it.

    Parameters
    ----------
    launchpad
        Where it is.
    fw_id
        The firework.
    patience
        Time to wait for the id of the reservation, s.
    """
    job = os.environ.get("SLURM_JOB_ID")
    end = time.monotonic() + patience
    while True:
        firework = launchpad.fireworks.find_one({"fw_id": fw_id}, {"state": 1, "launches": 1})
        if firework is None or firework["state"] != "RESERVED":
            return firework is not None and firework["state"] == "READY"
        held_by = reservation_of(launchpad, firework)
        if job is None or held_by == job:
            return True
        if held_by is not None:
            return False
        if time.monotonic() > end:  # qlaunch ended between sbatch and its note
            return True
        time.sleep(0.5)


def reservation_of(launchpad: LaunchPad, firework: dict[str, Any]) -> str | None:
    """Slurm job that holds a RESERVED firework; None if no id has been noted.

    Parameters
    ----------
    launchpad
        Where it is.
    firework
        Its document, at least with ``launches``.
    """
    wanted = {"launch_id": {"$in": firework.get("launches", [])}, "state": "RESERVED"}
    launch = launchpad.launches.find_one(wanted, {"state_history": 1}, sort=[("launch_id", -1)])
    history = launch["state_history"] if launch else []
    ids = [entry["reservation_id"] for entry in history if entry.get("reservation_id")]
    return str(ids[-1]) if ids else None
