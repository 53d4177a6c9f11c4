"""Results that were made without inputs which have come since: put back, to wait for them.

Models and screening run with whatever compounds came through, formation energies with whatever
reference elements did. Such a job has no parents in its own workflow; it is a gate, which names the
parts that it needs. Where one of these parts is run again, or has newer results, the gate is closed
again: it opens by itself once the parts are settled, and its job returns at once if nothing is new.
"""

from __future__ import annotations

import re
from typing import Any

from sse_flows.campaign.finished import FinishedJobs
from sse_flows.launchers import gates
from sse_flows.launchers.put_back import Request, put_back
from sse_flows.launchers.scene import Scene
from sse_flows.launchers.snapshot import CHUNK, FireworkView, read_fireworks
from sse_flows.store.chunks import chunks

STALE, GATE = "older than its inputs", "gate"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def close_gates(scene: Scene) -> None:
    """Put finished gates back whose inputs are newer, or will be."""
    finished = _gates(scene, "COMPLETED")
    inputs = _inputs(scene, finished)
    known = FinishedJobs(scene.store)
    known.look_up({one for found in inputs.values() for one in found})
    part_of = scene.snapshot.part_of()
    again = {part_of[fw_id] for fw_id in scene.touched if fw_id in part_of}
    requests = []
    for one in finished:
        own = one.sse["uuid"]
        needed = again & set(one.sse["needs"])
        if own in known and not known.is_current(own, inputs[one.fw_id]):
            why = "something that it builds on is newer"
        elif needed:
            why = f"{len(needed)} of the parts that it builds on run again"
        else:
            continue
        requests.append(Request(part_of[one.fw_id], one, STALE, why, pause=True))
    put_back(scene, requests)


def open_gates(scene: Scene) -> None:
    """Release the gates whose parts have all come to their end."""
    if scene.dry_run:
        paused = _gates(scene, "PAUSED")
        needs = {part for one in paused for part in one.sse["needs"]}
        again = {key for fw_id, key in scene.snapshot.part_of().items() if fw_id in scene.touched}
        settled = gates.settled_parts(scene.launchpad, needs) - again
        released = [one.fw_id for one in paused if settled.issuperset(one.sse["needs"])]
    else:
        released = gates.release(scene.launchpad)
    for chunk in chunks(released, CHUNK):
        for one in read_fireworks(scene.launchpad, {"fw_id": {"$in": chunk}}):
            scene.found(GATE, one.who, "all that it waits for has ended", "released")


def _gates(scene: Scene, state: str) -> list[FireworkView]:
    ours = scene.snapshot.part_of()
    query = {"spec.sse.needs": {"$exists": True}, "state": state}
    return [one for one in read_fireworks(scene.launchpad, query) if one.fw_id in ours]


def _inputs(scene: Scene, finished: list[FireworkView]) -> dict[int, set[str]]:
    """Firework -> its own id and those that its job names; other ids are in no store."""
    found: dict[int, set[str]] = {one.fw_id: {one.sse["uuid"]} for one in finished}
    for chunk in chunks(sorted(found), 200):
        fields: dict[str, Any] = {"_id": 0, "fw_id": 1, "spec._tasks.job": 1}
        for doc in scene.launchpad.fireworks.find({"fw_id": {"$in": chunk}}, fields):
            text = str(doc["spec"]["_tasks"])
            found[doc["fw_id"]].update(_UUID.findall(text))
    return found
