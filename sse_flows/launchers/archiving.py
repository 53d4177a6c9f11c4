"""Take parts off the LaunchPad of which nothing goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sse_flows.launchers import claims
from sse_flows.launchers.refresh import LOCK_WAIT

if TYPE_CHECKING:
    from fireworks import LaunchPad


def archive(launchpad: LaunchPad, workflow: dict[str, Any]) -> bool:
    """Take a workflow out of the running unless it goes on just now.

    FireWorks' own ``archive_wf`` makes jobs that wait READY on the way, when a worker may take one.
    Here nothing of it can become READY between the look at it and the end, for want of its lock.

    Parameters
    ----------
    launchpad
        The LaunchPad.
    workflow
        Document of the workflow; of its jobs none but completed and waiting ones may be archived.
    """
    from fireworks.core.launchpad import LockedWorkflowError, WFLock

    try:
        with WFLock(launchpad, workflow["nodes"][0], expire_secs=LOCK_WAIT):
            return _archive(launchpad, workflow["nodes"])
    except LockedWorkflowError:
        return False


def _archive(launchpad: LaunchPad, nodes: list[int]) -> bool:
    quiet = ["COMPLETED", "PAUSED", "WAITING", "FIZZLED", "DEFUSED", "ARCHIVED"]
    query = {"fw_id": {"$in": nodes}}
    if launchpad.fireworks.find_one({**query, "state": {"$nin": quiet}}, {"fw_id": 1}):
        return False
    now = datetime.now(UTC)
    launchpad.fireworks.update_many(
        {**query, "state": {"$in": quiet}},
        {"$set": {"state": "ARCHIVED", "updated_on": now.isoformat()}},
    )
    states = {str(node): "ARCHIVED" for node in nodes}
    change = {"$set": {"state": "ARCHIVED", "fw_states": states, "updated_on": now}}
    launchpad.workflows.update_one({"nodes": nodes[0]}, {**change, **claims.RELEASE})
    return True
