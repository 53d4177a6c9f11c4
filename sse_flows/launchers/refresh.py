"""Let FireWorks work the state of a firework out anew, unless it has changed since it was read.

FireWorks' own refresh takes the firework as it finds it. A worker that checks a READY one out makes
it RESERVED, without the lock of the workflow, and gives it a launch a moment later: refreshed
between the two, it would be called READY once more, and run twice. So what was read is compared
again under the lock, and every firework is written on the condition that it is still the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sse_flows.launchers.snapshot import CHUNK
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from fireworks import LaunchPad, Workflow

Seen = tuple[str, tuple[int, ...]]
"""State of a firework, and its launches that count."""

LOCK_WAIT = 30.0
"""Seconds to wait for the lock of a workflow."""

UNDER_WAY = ("RUNNING", "RESERVED")
"""States in which a firework may be alive."""


def states_now(launchpad: LaunchPad, ids: Iterable[int]) -> dict[int, Seen]:
    """Firework -> its state at this moment, and its launches that count."""
    found = {}
    for chunk in chunks(sorted(set(ids)), CHUNK):
        fields = {"_id": 0, "fw_id": 1, "state": 1, "launches": 1}
        for doc in launchpad.fireworks.find({"fw_id": {"$in": chunk}}, fields):
            found[doc["fw_id"]] = (doc["state"], tuple(doc.get("launches", [])))
    return found


def unchanged(fw_id: int, seen: Seen) -> dict[str, Any]:
    """Query for a firework that is still as it was seen."""
    return {"fw_id": fw_id, "state": seen[0], "launches": list(seen[1])}


def is_checked_out(seen: Seen) -> bool:
    """Whether a worker is between its first write and its launch, or died there."""
    return seen[0] in UNDER_WAY and not seen[1]


def refresh_unchanged(launchpad: LaunchPad, fw_id: int, seen: Seen, patience: float = 300) -> bool:
    """Refresh a firework, and with it those that build on it, if it is still as it was seen.

    Parameters
    ----------
    launchpad
        Where it is.
    fw_id
        The firework.
    seen
        Its state and launches as they were read.
    patience
        How long to wait for the lock of its workflow, s.

    Returns
    -------
    bool
        False if it has changed, and so was left.

    Raises
    ------
    LockedWorkflowError
        Somebody else holds the lock.
    RuntimeError
        FireWorks cannot read it; it is marked as failed, as by FireWorks' own refresh.
    """
    from fireworks.core.launchpad import WFLock
    from pymongo.errors import PyMongoError

    with WFLock(launchpad, fw_id, expire_secs=patience):
        try:
            return _refresh(launchpad, fw_id, seen)
        except PyMongoError:
            raise
        except Exception as error:
            _mark_failed(launchpad, fw_id, seen)
            raise RuntimeError(f"firework {fw_id} cannot be refreshed") from error


def _refresh(launchpad: LaunchPad, fw_id: int, seen: Seen) -> bool:
    workflow = launchpad.get_wf_by_fw_id_lzyfw(fw_id)
    before = states_now(launchpad, workflow.id_fw)
    if before.get(fw_id) != seen:
        return False
    updated = workflow.refresh(fw_id)
    # in FireWorks' order: what it asks for, itself and those behind it, the workflow
    added = [workflow.id_fw[one] for one in updated if one not in before]
    workflow._reassign_ids(launchpad._upsert_fws(added))
    if fw_id in updated and not _write(launchpad, workflow, fw_id, seen):
        return False
    behind = sorted(updated & before.keys() - {fw_id})
    kept = [one for one in behind if not _write(launchpad, workflow, one, before[one])]
    for one, (state, _) in states_now(launchpad, kept).items():
        workflow.fw_states[one] = state
    launchpad._update_wf(workflow, [])
    return True


def _write(launchpad: LaunchPad, workflow: Workflow, fw_id: int, before: Seen) -> bool:
    """Write a firework; False if a worker has it, or anybody has changed it."""
    firework = workflow.id_fw[fw_id]
    if is_checked_out(before):
        return False
    query = unchanged(fw_id, before)
    return launchpad.fireworks.find_one_and_replace(query, firework.to_db_dict()) is not None


def _mark_failed(launchpad: LaunchPad, fw_id: int, seen: Seen) -> None:
    change = {"$set": {"state": "FIZZLED"}}
    if launchpad.fireworks.update_one(unchanged(fw_id, seen), change).modified_count:
        states = {"state": "FIZZLED", f"fw_states.{fw_id}": "FIZZLED"}
        launchpad.workflows.update_one({"nodes": fw_id}, {"$set": states})
