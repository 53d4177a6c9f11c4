"""Release jobs that wait for documents of other parts, once those parts are settled.

A gate is a PAUSED firework whose ``spec.sse.needs`` names parts. Whoever ends a job first marks its
launch as ended and then looks whether anything else of these parts can still go on. Of two that end
at the same moment at least one sees the marks of both, so no gate is forgotten; both may release,
which is done once by a conditional update.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sse_flows.launchers.refresh import refresh_unchanged
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from fireworks import LaunchPad

COMPLETED, FIZZLED = "COMPLETED", "FIZZLED"
ACTIVE = ("READY", "RESERVED", "RUNNING")
"""States of a firework that goes on by itself."""

_GIVEN_UP = ("DEFUSED", "ARCHIVED", FIZZLED)
_CHUNK = 500
_MANY = 20  # parts: a quick look first pays


def mark_ended(launchpad: LaunchPad, launch_id: int, state: str) -> None:
    """Say of a launch that its job has ended, before FireWorks itself does.

    Parameters
    ----------
    launchpad
        The LaunchPad.
    launch_id
        The running launch.
    state
        What it will be: COMPLETED or FIZZLED.
    """
    launchpad.launches.update_one({"launch_id": launch_id}, {"$set": {"sse.ended": state}})


def part_may_have_ended(launchpad: LaunchPad, part: str) -> list[int]:
    """Release what waited for the part of a job that has just been marked as ended.

    Returns the ids of the released fireworks.
    """
    query = {"spec.sse.needs": part, "state": "PAUSED"}
    if not launchpad.fireworks.find_one(query, {"fw_id": 1}):
        return []
    return release(launchpad, part) if settled_parts(launchpad, [part]) else []


def release(launchpad: LaunchPad, part: str | None = None) -> list[int]:
    """Let the gates run whose needs are all settled.

    Parameters
    ----------
    launchpad
        The LaunchPad.
    part
        Look only at gates that need this part, by default at all.

    Returns
    -------
    list of int
        Ids of the fireworks that were released.
    """
    query: dict[str, Any] = {"state": "PAUSED", "spec.sse.needs": part or {"$exists": True}}
    gates = launchpad.fireworks.find(query, {"fw_id": 1, "spec.sse.needs": 1})
    needs = {gate["fw_id"]: set(gate["spec"]["sse"]["needs"]) for gate in gates}
    known: dict[str, bool] = {}
    return [
        gate
        for gate, parts in needs.items()
        if _all_settled(launchpad, parts, known) and _open(launchpad, gate)
    ]


def settled_parts(launchpad: LaunchPad, parts: Iterable[str]) -> set[str]:
    """Which of these parts will not go on by themselves.

    Nothing of a settled part is READY, RESERVED or RUNNING, and each of its last jobs is completed
    or builds on one that failed. A part that is not on the LaunchPad is settled.
    """
    wanted = sorted(set(parts))
    found = {part: _PartState() for part in wanted}
    for some in chunks(wanted, _CHUNK):
        _read(launchpad, some, found)
    return {part for part, state in found.items() if state.settled}


def _all_settled(launchpad: LaunchPad, parts: set[str], known: dict[str, bool]) -> bool:
    if any(known.get(part) is False for part in parts):
        return False
    unknown = parts - known.keys()
    if len(unknown) > _MANY and _is_active(launchpad, unknown):
        return False
    settled = settled_parts(launchpad, unknown)
    known |= {part: part in settled for part in unknown}
    return all(known[part] for part in parts)


@dataclass
class _PartState:
    """State of every firework of a part, who builds on whom, and whether others come just now."""

    states: dict[int, str] = field(default_factory=dict)
    tolerant: set[int] = field(default_factory=set)
    parents: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    children: dict[int, list[int]] = field(default_factory=dict)
    grows: bool = False

    def keep(self, held: set[int], locked: bool) -> None:
        """Forget fireworks that no workflow holds: their maker runs still, or died over them.

        Where the workflow is locked, its maker is about to add them, and may be called completed
        already: their own ends will be looked at.
        """
        self.grows = locked and not held.issuperset(self.states)
        self.states = {one: state for one, state in self.states.items() if one in held}

    @property
    def settled(self) -> bool:
        if self.grows or any(state in ACTIVE for state in self.states.values()):
            return False
        lost: dict[int, bool] = {}
        last = [one for one in self.states if not self.children.get(one)]
        return all(self.states[one] == COMPLETED or self._is_lost(one, lost) for one in last)

    def _is_lost(self, one: int, known: dict[int, bool]) -> bool:
        """Whether a firework will never run: it, or something that it builds on, has failed."""
        if one not in known:
            known[one] = self.states.get(one) in _GIVEN_UP or (
                self.states.get(one) != COMPLETED
                and any(self._blocks(parent, one, known) for parent in self.parents[one])
            )
        return known[one]

    def _blocks(self, parent: int, child: int, known: dict[int, bool]) -> bool:
        if child in self.tolerant and self.states.get(parent) == FIZZLED:
            return False
        return self._is_lost(parent, known)


def _read(launchpad: LaunchPad, parts: Sequence[str], found: dict[str, _PartState]) -> None:
    """Read the states first and the links afterwards: a job that grows others is seen with them."""
    fields = ("fw_id", "state", "launches", "spec.sse.part", "spec._allow_fizzled_parents")
    query = {"spec.sse.part": {"$in": parts}, "state": {"$ne": "ARCHIVED"}}
    docs = list(launchpad.fireworks.find(query, dict.fromkeys(fields, 1)))
    ended = _ended(launchpad, [doc for doc in docs if doc["state"] == "RUNNING"])
    for doc in docs:
        state = found[doc["spec"]["sse"]["part"]]
        state.states[doc["fw_id"]] = ended.get(doc["fw_id"], doc["state"])
        if doc["spec"].get("_allow_fizzled_parents"):
            state.tolerant.add(doc["fw_id"])
    links = launchpad.workflows.find(
        {"metadata.sse.part": {"$in": parts}}, {"links": 1, "locked": 1, "metadata.sse.part": 1}
    )
    held: dict[str, set[int]] = defaultdict(set)
    locked: set[str] = set()
    for doc in links:
        part = doc["metadata"]["sse"]["part"]
        held[part] |= {int(one) for one in doc["links"]}
        locked |= {part} if doc.get("locked") else set()
        _add_links(found[part], doc["links"])
    for part in parts:
        found[part].keep(held[part], part in locked)


def _add_links(state: _PartState, links: dict[str, list[int]]) -> None:
    for parent, children in links.items():
        if int(parent) in state.states:
            state.children[int(parent)] = children
            for child in children:
                state.parents[child].append(int(parent))


def _ended(launchpad: LaunchPad, running: list[dict[str, Any]]) -> dict[int, str]:
    """States of fireworks that are RUNNING in name only, since their launch has ended."""
    launches = {doc["launches"][-1]: doc["fw_id"] for doc in running if doc["launches"]}
    fields = {"launch_id": 1, "state": 1, "sse.ended": 1}
    found = {}
    for doc in launchpad.launches.find({"launch_id": {"$in": list(launches)}}, fields):
        state = doc.get("sse", {}).get("ended", doc["state"])
        if state in (COMPLETED, FIZZLED):
            found[launches[doc["launch_id"]]] = state
    return found


def _is_active(launchpad: LaunchPad, parts: set[str]) -> bool:
    """Whether some firework of these parts goes on: the quick look before the long one."""
    of_parts = {"spec.sse.part": {"$in": sorted(parts)}}
    if launchpad.fireworks.find_one(
        {**of_parts, "state": {"$in": ["READY", "RESERVED"]}}, {"fw_id": 1}
    ):
        return True
    query = {**of_parts, "state": "RUNNING"}
    running = list(launchpad.fireworks.find(query, {"fw_id": 1, "launches": 1}))
    return len(_ended(launchpad, running)) < len(running)


def _open(launchpad: LaunchPad, fw_id: int) -> bool:
    """Let one gate run; False if somebody else did so first.

    It waits until it is refreshed, which makes it READY where it has no parents. Were it READY
    before, a worker could be about to check it out meanwhile: FireWorks, which then finds it
    RESERVED without a launch, would call it READY once more, and it would run twice.
    """
    from fireworks.core.launchpad import LockedWorkflowError

    opened = launchpad.fireworks.find_one_and_update(
        {"fw_id": fw_id, "state": "PAUSED"}, {"$set": {"state": "WAITING"}}
    )
    if opened is None:
        return False
    with contextlib.suppress(LockedWorkflowError):  # then `sse recover` wakes it
        refresh_unchanged(launchpad, fw_id, ("WAITING", tuple(opened["launches"])))
    return True
