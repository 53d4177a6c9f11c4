"""To whom a RESERVED firework belongs: its Slurm job, or whoever claimed it first.

FireWorks checks a firework out by its id whether or not somebody else is about to. So whoever means
to run or put back a RESERVED one claims it before: the Slurm job that it was reserved for, a worker
that takes it over while that job still waits, and ``sse recover``. The claim is one conditional
update of the firework's document, which a single one of them can make.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from fireworks import LaunchPad

PATIENCE = 15.0
"""How long to wait for qlaunch to note the job's id, which it does after sbatch returned, s."""

STALE = timedelta(minutes=10)
"""A claim this old was made by a process that died before it began: anyone may claim anew. That is
for claims of which nobody can tell: `sse recover` sees which processes are gone."""

CLAIM = "sse.claimed"
"""Field of a firework's document; FireWorks drops it when the firework starts or is put back."""

CLAIMANT = "sse.claimant"
"""Field beside it: job, host and number of the process that made the claim."""

Right = Literal["claimed", "ready", "none"]


def right_to_run(launchpad: LaunchPad, fw_id: int, patience: float = PATIENCE) -> Right:
    """Claim the firework that this Slurm job was submitted for.

    Parameters
    ----------
    launchpad
        Where it is.
    fw_id
        The firework.
    patience
        Time to wait for the id of the reservation, s.

    Returns
    -------
    str
        ``claimed``: check it out by its id. ``ready``: not reserved any more, whoever checks a
        READY one out has it. ``none``: another job's, taken over, or run.
    """
    job = os.environ.get("SLURM_JOB_ID")
    end = time.monotonic() + patience
    while True:
        firework = launchpad.fireworks.find_one({"fw_id": fw_id}, {"state": 1, "launches": 1})
        if firework is None or firework["state"] != "RESERVED":
            ready = firework is not None and firework["state"] == "READY"
            return "ready" if ready else "none"
        held_by = reservation_of(launchpad, firework)
        # without a note at the end qlaunch ended between sbatch and that
        if job is None or held_by == job or (held_by is None and time.monotonic() > end):
            return "claimed" if claim(launchpad, fw_id, firework["launches"]) else "none"
        if held_by is not None:
            return "none"
        time.sleep(0.5)


def claim(
    launchpad: LaunchPad, fw_id: int, launches: Iterable[int], void: datetime | None = None
) -> bool:
    """Claim a RESERVED firework; False if it is not any more, or somebody else has claimed it.

    Parameters
    ----------
    launchpad
        Where it is.
    fw_id
        The firework.
    launches
        Its launches as they were when its reservation was read.
    void
        Time of a claim whose process is gone, so that it does not count.
    """
    from sse_flows.launchers.worker import this_process

    free = {"launches": list(launches), **unclaimed(void)}
    query = {"fw_id": fw_id, "state": "RESERVED", **free}
    mine = {CLAIM: datetime.now(UTC), CLAIMANT: this_process()}
    return launchpad.fireworks.find_one_and_update(query, {"$set": mine}) is not None


def unclaimed(void: datetime | None = None) -> dict[str, Any]:
    """Query for fireworks that nobody has claimed lately, or only until a certain time."""
    before = void or datetime.now(UTC) - STALE
    return {"$or": [{CLAIM: None}, {CLAIM: {"$lte": before}}]}


def give_up_claim(launchpad: LaunchPad, fw_id: int) -> None:
    """Let others claim a firework that was claimed and is RESERVED still."""
    query = {"fw_id": fw_id, "state": "RESERVED"}
    launchpad.fireworks.update_one(query, {"$unset": {CLAIM: "", CLAIMANT: ""}})


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
    return noted_job(launch) if launch else None


def noted_job(launch: dict[str, Any]) -> str | None:
    """Slurm job that the document of a launch was reserved for."""
    ids = [one["reservation_id"] for one in launch["state_history"] if one.get("reservation_id")]
    return str(ids[-1]) if ids else None
