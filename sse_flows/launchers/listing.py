"""The few things that `sse recover` has to know of every firework that is not done for good."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from sse_flows.launchers.snapshot import CHUNK, Snapshot
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from fireworks import LaunchPad

_FIELDS = ("fw_id", "state", "spec.sse.part", "spec.sse.uuid", "spec.sse.index")


class Listed(NamedTuple):
    """What is known of every firework of a part that is not done.

    Attributes
    ----------
    fw_id, state
        As FireWorks has them.
    part, uuid, job_index
        Key of its part; id and index of its job.
    """

    fw_id: int
    state: str
    part: str
    uuid: str
    job_index: int


def list_fireworks(launchpad: LaunchPad, ids: Iterable[int]) -> list[Listed]:
    """What is known of fireworks of which little needs to be known."""
    return [
        one
        for chunk in chunks(sorted(ids), CHUNK)
        for one in _list(launchpad, {"fw_id": {"$in": chunk}})
    ]


def read_open(launchpad: LaunchPad, keys: Iterable[str] | None, snapshot: Snapshot) -> list[Listed]:
    """Fireworks of all parts that are not done, and those that are not done of all other parts.

    Parameters
    ----------
    launchpad
        FireWorks' LaunchPad.
    keys
        Part keys; None for all.
    snapshot
        Says which parts are done.
    """
    part_of = snapshot.part_of()
    told = {part_of[fw_id] for fw_id in snapshot.fireworks if fw_id in part_of}
    ours = [key for key, part in snapshot.parts.items() if not part.done or key in told]
    found = [
        one
        for chunk in chunks(ours, CHUNK)
        for one in _list(launchpad, {"spec.sse.part": {"$in": chunk}})
    ]
    others: list[dict[str, Any]] = [{"$exists": True, "$nin": ours}]
    if keys is not None:
        others = [{"$in": chunk} for chunk in chunks(sorted(set(keys) - set(ours)), CHUNK)]
    for some in others:
        query = {"spec.sse.part": some, "state": {"$nin": ["COMPLETED", "ARCHIVED"]}}
        found += _list(launchpad, query)
    return found


def _list(launchpad: LaunchPad, query: dict[str, Any]) -> list[Listed]:
    found = []
    for doc in launchpad.fireworks.find(query, {"_id": 0, **dict.fromkeys(_FIELDS, 1)}):
        sse = doc.get("spec", {}).get("sse", {})
        one = (doc["fw_id"], doc["state"], sse.get("part", ""), sse.get("uuid", ""))
        found.append(Listed(*one, sse.get("index", 1)))
    return found
