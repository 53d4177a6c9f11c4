"""Workflows that a process left half written when it was killed: locks, states, orphans.

FireWorks writes a change in several steps under a lock: the launch, the fireworks, the workflow
that remembers their states. A process killed between two of them leaves the lock behind, or a
workflow that remembers states which its fireworks do not have, or a finished launch that nobody
took up. Reruns would wait for the lock, so these are put right first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sse_flows.launchers.listing import list_fireworks
from sse_flows.launchers.refresh import is_checked_out, states_now, unchanged
from sse_flows.launchers.scene import Scene, refresh
from sse_flows.launchers.snapshot import CHUNK, PartView, moment, read_fireworks, read_parts
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from fireworks import LaunchPad

LOCK_PATIENCE = 30.0
"""Seconds for which a lock must be held without a change to be called left behind. It is held
while one small workflow is read and written, not while a job runs."""

SETTLE = 2.0
"""Seconds between two looks at states that disagree: a live process is between two writes for
less."""

TAKE_UP = 60.0
"""Seconds after which a launch that has ended should have been taken up by its workflow."""

LOCK, HALF_WRITTEN, NOT_TAKEN_UP, ORPHAN, STUCK = (
    "lock left behind",
    "half-written workflow",
    "end not taken up",
    "firework without a workflow",
    "waits for nothing",
)
_ENDED = ("COMPLETED", "FIZZLED")
_DONE_WITH = ("COMPLETED", "ARCHIVED")


def break_locks(
    scene: Scene, patience: float = LOCK_PATIENCE, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Drop the locks that nobody holds any more.

    Parameters
    ----------
    scene
        What to work on.
    patience
        Seconds to watch a lock before it is dropped.
    sleep
        For tests.
    """
    held = _locked(scene)
    waited = 0.0
    while held and waited < patience:
        sleep(min(1.0, patience))
        waited += min(1.0, patience)
        now = _locked(scene)
        held = {key: part for key, part in held.items() if _same_lock(part, now.get(key))}
    for part in held.values():
        if not (scene.dry_run or _drop_lock(scene.launchpad, part)):
            continue  # another `sse recover` was quicker: who holds the lock now is alive
        why = f"held for {patience:.0f} s without a change"
        scene.found(LOCK, part.compound or part.key, why, "unlocked")


def _claim(pad: LaunchPad, part: PartView, more: dict[str, Any], change: dict[str, Any]) -> bool:
    """Make a part one's own to repair, unless it has changed since it was read.

    Of two that read the same, one can.
    """
    query = {"nodes": next(iter(part.states)), "updated_on": part.changed, **more}
    seen = moment(part.changed) or datetime.min.replace(tzinfo=UTC)
    later = max(datetime.now(UTC), seen + timedelta(milliseconds=1))  # so fine are the times there
    change = {"$set": {"updated_on": later}, **change}
    return bool(pad.workflows.update_one(query, change).modified_count)


def _drop_lock(pad: LaunchPad, part: PartView) -> bool:
    return _claim(pad, part, {"locked": True}, {"$unset": {"locked": True}})


def _locked(scene: Scene) -> dict[str, PartView]:
    pad, keys = scene.launchpad, scene.keys
    query: dict[str, Any] = {"metadata.sse.part": {"$exists": True}, "locked": True}
    fields = {"_id": 0, "metadata.sse.part": 1}
    found = [doc["metadata"]["sse"]["part"] for doc in pad.workflows.find(query, fields)]
    ours = found if keys is None else sorted(set(found) & set(keys))
    return {key: part for key, part in read_parts(pad, ours).items() if part.locked}


def _same_lock(before: PartView, now: PartView | None) -> bool:
    return now is not None and now.changed == before.changed


def mend_states(scene: Scene, sleep: Callable[[float], None] = time.sleep) -> None:
    """Make workflows remember the states that their fireworks have.

    A firework whose end is not remembered is taken up once more, so that what it asked for
    (detours, additions) and what waits for it are not lost.
    """
    parts, listed = scene.snapshot.parts, scene.listed()
    odd = {one.part for one in listed.values() if one.part in parts}
    open_parts = {k: part for k, part in parts.items() if k in odd or not part.done}
    suspects = _disagreements(scene, open_parts, {k: one.state for k, one in listed.items()})
    if not suspects:
        return
    sleep(SETTLE)
    now = read_parts(scene.launchpad, list(suspects))
    for key, states in _disagreements(scene, now, {}).items():
        lasting = {k: v for k, v in states.items() if suspects.get(key, {}).get(k, "") == v}
        if not lasting and states:
            continue  # a live process is at work on it
        part = now[key]
        missing = [fw_id for fw_id, state in lasting.items() if state is None]
        if missing:
            why = f"{len(missing)} of its fireworks are not on the LaunchPad"
            scene.found(HALF_WRITTEN, part.compound or key, why, mend="run sse submit again")
            continue
        if not (scene.dry_run or _claim(scene.launchpad, part, {"locked": {"$exists": False}}, {})):
            continue
        if not scene.dry_run:
            _write_states(scene, part, lasting)
        why = f"{len(lasting)} fireworks have other states" if lasting else "its state is outdated"
        scene.found(HALF_WRITTEN, part.compound or key, why, "states written anew")


def _disagreements(
    scene: Scene, parts: dict[str, PartView], known: dict[int, str]
) -> dict[str, dict[int, str | None]]:
    """Part -> firework -> its state (None: no such firework), where the part remembers another.

    States that are not known are read.
    """
    ids = {fw_id for part in parts.values() for fw_id in part.states}
    unknown = list_fireworks(scene.launchpad, ids - known.keys())
    states = {**known, **{one.fw_id: one.state for one in unknown}}
    tolerant = _tolerant(scene.launchpad, parts)
    found: dict[str, dict[int, str | None]] = {}
    for key, part in parts.items():
        other = {k: states.get(k) for k, v in part.states.items() if states.get(k) != v}
        if other or part.state != workflow_state(part, tolerant):
            found[key] = other
    return found


def _tolerant(launchpad: LaunchPad, parts: dict[str, PartView]) -> set[int]:
    """Of the fireworks that build on failed ones, those that run all the same."""
    children = {
        child
        for part in parts.values()
        for fw_id, state in part.states.items()
        if state == "FIZZLED"
        for child in part.links.get(fw_id, [])
    }
    found: set[int] = set()
    for chunk in chunks(sorted(children), CHUNK):
        query = {"fw_id": {"$in": chunk}, "spec._allow_fizzled_parents": True}
        found |= {doc["fw_id"] for doc in launchpad.fireworks.find(query, {"_id": 0, "fw_id": 1})}
    return found


def workflow_state(part: PartView, tolerant: set[int]) -> str:
    """State that FireWorks gives a workflow whose fireworks have the states of a part."""
    from fireworks import Firework, Workflow

    fireworks = [
        Firework([], {"_allow_fizzled_parents": fw_id in tolerant}, fw_id=fw_id)
        for fw_id in part.states
    ]
    return Workflow(fireworks, part.links, fw_states=dict(part.states)).state


def _write_states(scene: Scene, part: PartView, states: dict[int, str | None]) -> None:
    pad = scene.launchpad
    for fw_id, (state, launches) in states_now(pad, states).items():
        if state != states[fw_id] or is_checked_out((state, launches)):
            continue  # a worker has it, or died over it, which its age will tell
        if state not in _ENDED:
            refresh(scene, fw_id, (state, launches))
            continue
        # FireWorks takes up an end only where it sees the state change
        again = {"$set": {"state": "RUNNING"}}
        if pad.fireworks.update_one(unchanged(fw_id, (state, launches)), again).modified_count:
            refresh(scene, fw_id, ("RUNNING", launches))
    _remember(pad, next(iter(part.states)))


def _remember(pad: LaunchPad, node: int) -> None:
    """Write the states of all fireworks into their workflow."""
    from fireworks.core.launchpad import WFLock

    with WFLock(pad, node):
        workflow = pad.get_wf_by_fw_id_lzyfw(node)
        query = {"fw_id": {"$in": list(workflow.id_fw)}}
        for doc in pad.fireworks.find(query, {"_id": 0, "fw_id": 1, "state": 1}):
            workflow.fw_states[doc["fw_id"]] = doc["state"]
        states = {str(key): state for key, state in workflow.fw_states.items()}
        change = {"$set": {"fw_states": states, "state": workflow.state}}
        pad.workflows.update_one({"nodes": node}, change)


def take_up_ends(scene: Scene, now: datetime | None = None) -> None:
    """Refresh fireworks that are called running although their launch has ended."""
    now = now or datetime.now(UTC)
    for one in scene.snapshot.fireworks.values():
        launch = one.launch
        if one.state not in ("RUNNING", "RESERVED") or launch is None:
            continue
        if launch.state not in _ENDED or launch.ended is None:
            continue
        if (now - launch.ended).total_seconds() > TAKE_UP:
            scene.touched.add(one.fw_id)
            if not refresh(scene, one.fw_id, (one.state, one.launches)):
                continue
            why = f"its launch {launch.launch_id} is {launch.state.lower()}"
            scene.found(NOT_TAKEN_UP, one.who, why, "taken up")


def wake_stuck(scene: Scene) -> None:
    """Refresh fireworks that wait although everything they build on has ended."""
    for part in scene.snapshot.parts.values():
        waiting = _waiting_for_nothing(part) - scene.touched
        if not waiting:
            continue
        for one in read_fireworks(scene.launchpad, {"fw_id": {"$in": sorted(waiting)}}):
            parents = [part.states[parent] for parent in part.parents()[one.fw_id]]
            allowed = _ENDED if one.tolerant else ("COMPLETED",)
            if one.state == "WAITING" and all(state in allowed for state in parents):
                scene.touched.add(one.fw_id)
                if not refresh(scene, one.fw_id, (one.state, one.launches)):
                    continue
                scene.found(STUCK, one.who, "all that it builds on has ended", "made ready")


def _waiting_for_nothing(part: PartView) -> set[int]:
    parents = part.parents()
    return {
        fw_id
        for fw_id, state in part.states.items()
        if state == "WAITING" and all(part.states[one] in _ENDED for one in parents[fw_id])
    }


def archive_orphans(scene: Scene) -> None:
    """Archive fireworks that no workflow holds: they were written, but not the workflow's part.

    Whoever lets a workflow grow holds its lock meanwhile, so an unlocked one has all it will have.
    """
    pad = scene.launchpad
    held = {fw_id for part in scene.snapshot.parts.values() for fw_id in part.states}
    for one in scene.listed().values():
        if one.state in _DONE_WITH or one.fw_id in held:
            continue
        if not _is_orphan(pad, one.fw_id, one.part):
            continue
        mine = {"fw_id": one.fw_id, "state": one.state}
        name = (pad.fireworks.find_one(mine, {"name": 1}) or {}).get("name", str(one.fw_id))
        away = {"$set": {"state": "ARCHIVED"}}
        if not (scene.dry_run or pad.fireworks.update_one(mine, away).modified_count):
            continue  # it has changed just now
        scene.found(ORPHAN, name, "no workflow holds it", "archived")


def _is_orphan(pad: LaunchPad, fw_id: int, part: str) -> bool:
    """Whether no workflow holds a firework, nor grows just now: read in this order."""
    growing = {"metadata.sse.part": part, "locked": {"$exists": True}}
    return not (
        pad.workflows.find_one(growing, {"_id": 1})
        or pad.workflows.find_one({"nodes": fw_id}, {"_id": 1})
    )
