"""What the LaunchPad holds of a campaign's parts, read in a few queries with projections.

Only fireworks that something may be said of (running, reserved, failed, paused) are read one by
one; of all others the states that each workflow keeps of its fireworks are enough. So a thousand
compounds with thirty fireworks each cost a handful of queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sse_flows.launchers.failures import LaunchFailure, failure_of
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from fireworks import LaunchPad

TOLD = ("RUNNING", "RESERVED", "FIZZLED", "PAUSED", "DEFUSED")
"""States of fireworks that are read one by one."""

CHUNK = 2000
"""Ids that one query names: of MongoDB, which takes more than other stores do."""

_FIREWORK = {
    "_id": 0,
    "fw_id": 1,
    "state": 1,
    "name": 1,
    "launches": 1,
    "updated_on": 1,
    "created_on": 1,
    "sse.claimed": 1,
    "sse.claimant": 1,
    "spec.sse": 1,
    "spec._category": 1,
    "spec._allow_fizzled_parents": 1,
}
_LAUNCH = {
    "_id": 0,
    "launch_id": 1,
    "state": 1,
    "host": 1,
    "launch_dir": 1,
    "fworker.env": 1,
    "state_history.state": 1,
    "state_history.created_on": 1,
    "state_history.updated_on": 1,
    "state_history.reservation_id": 1,
    "action.stored_data._exception": 1,
    "action.stored_data._message": 1,
}
_WORKFLOW = {
    "_id": 0,
    "fw_states": 1,
    "state": 1,
    "locked": 1,
    "updated_on": 1,
    "metadata.sse": 1,
}
_LINKS = {"nodes": 1, "links": 1}


@dataclass(frozen=True)
class LaunchView:
    """One attempt at a firework: where and since when it runs, or why it failed.

    Attributes
    ----------
    launch_id, state
        Its number and FireWorks' state.
    started, pinged, ended
        When it began to run, last gave a sign of life, and ended.
    job_id
        Slurm's number of the job it runs in, or is reserved for.
    cluster, host, pid, folder
        Where it runs.
    failure
        Why it failed.
    died
        What the processes beside it, in the same job, saw of its end: a code of exit.
    """

    launch_id: int
    state: str
    started: datetime | None = None
    pinged: datetime | None = None
    ended: datetime | None = None
    job_id: str | None = None
    cluster: str | None = None
    host: str | None = None
    pid: int | None = None
    folder: str | None = None
    failure: LaunchFailure | None = None
    died: int | None = None


@dataclass(frozen=True)
class FireworkView:
    """One firework and its last launch.

    Attributes
    ----------
    fw_id, state, name, category
        As FireWorks has them.
    sse
        What `sse submit` wrote down of it: part, compound, stage, uuid, index, needs ...
    launches
        Numbers of its launches that count; those before a rerun do not.
    changed, created
        When its state last changed; when it was made.
    tolerant
        Whether it runs although what it builds on failed.
    launch
        The last of its launches, if it has one.
    claim
        Who is about to run it, or to put it back, though it is RESERVED.
    """

    fw_id: int
    state: str
    name: str = ""
    category: str = ""
    sse: dict[str, Any] = field(default_factory=dict)
    launches: tuple[int, ...] = ()
    changed: datetime | None = None
    created: datetime | None = None
    tolerant: bool = False
    launch: LaunchView | None = None
    claim: LaunchView | None = None

    @property
    def who(self) -> str:
        """Compound and stage, for people."""
        parts = [self.sse.get("compound"), self.sse.get("stage")]
        return " ".join(str(part) for part in parts if part) or self.name


@dataclass(frozen=True)
class PartView:
    """One workflow: a compound, a reference element or the tail.

    Attributes
    ----------
    key, kind, compound
        From its metadata.
    states
        Firework -> state, as the workflow remembers it.
    links
        Firework -> those that build on it; empty if links were not read.
    state, locked, changed
        The workflow's own state, whether somebody holds its lock, and its last change (as it is
        in the database, so that one can ask for just this).
    """

    key: str
    kind: str
    compound: str | None
    states: dict[int, str]
    links: dict[int, list[int]]
    state: str
    locked: bool
    changed: Any

    def followers(self, fw_id: int) -> set[int]:
        """All fireworks that build on one, directly or not."""
        found: set[int] = set()
        left = list(self.links.get(fw_id, []))
        while left:
            one = left.pop()
            if one not in found:
                found.add(one)
                left.extend(self.links.get(one, []))
        return found

    @property
    def complete(self) -> bool:
        """Whether all its fireworks are completed, as far as it remembers."""
        return set(self.states.values()) == {"COMPLETED"}

    @property
    def done(self) -> bool:
        """Whether it is complete and knows."""
        return self.complete and self.state == "COMPLETED"

    def ends(self) -> list[int]:
        """Fireworks that nothing builds on."""
        return [fw_id for fw_id in self.states if not self.links.get(fw_id)]

    def beside(self, fw_id: int) -> set[int]:
        """The firework and those that build on the same ones, but not on it."""
        same = {
            child for children in self.links.values() if fw_id in children for child in children
        }
        return {fw_id} | (same - self.followers(fw_id))

    def parents(self) -> dict[int, list[int]]:
        """Firework -> those that it builds on."""
        found: dict[int, list[int]] = {one: [] for one in self.states}
        for parent, children in self.links.items():
            for child in children:
                found.setdefault(child, []).append(parent)
        return found


@dataclass
class Snapshot:
    """Parts of a campaign, and the fireworks in them that something may be said of."""

    parts: dict[str, PartView]
    fireworks: dict[int, FireworkView]

    def of(self, part: str) -> Iterator[FireworkView]:
        """Fireworks read of one part."""
        for fw_id in self.parts[part].states:
            if fw_id in self.fireworks:
                yield self.fireworks[fw_id]

    def part_of(self) -> dict[int, str]:
        """Firework -> key of its part."""
        return {fw_id: key for key, part in self.parts.items() for fw_id in part.states}


def take_snapshot(launchpad: LaunchPad, keys: Iterable[str] | None, links: bool = True) -> Snapshot:
    """Read the parts with these keys, or those of every campaign.

    Parameters
    ----------
    launchpad
        FireWorks' LaunchPad.
    keys
        Part keys, from ``submission.json``; None for all.
    links
        Whether to read which firework builds on which.
    """
    parts = read_parts(launchpad, keys, links)
    ours = {fw_id for part in parts.values() for fw_id in part.states}
    query = {"state": {"$in": list(TOLD)}, "spec.sse": {"$exists": True}}
    found = [doc for doc in launchpad.fireworks.find(query, _FIREWORK) if doc["fw_id"] in ours]
    return Snapshot(parts, {one.fw_id: one for one in with_launches(launchpad, found)})


def read_parts(
    launchpad: LaunchPad, keys: Iterable[str] | None, links: bool = True
) -> dict[str, PartView]:
    """Workflows by part key; arguments as of :func:`take_snapshot`."""
    found = {}
    fields = {**_WORKFLOW, **(_LINKS if links else {})}
    field_name = "metadata.sse.part"
    if keys is None:
        queries: list[dict] = [{field_name: {"$exists": True}}]
    else:
        queries = [{field_name: {"$in": chunk}} for chunk in chunks(sorted(set(keys)), CHUNK)]
    for query in queries:
        # submitting anew may have archived a part and put it on the LaunchPad again
        there = {**query, "state": {"$ne": "ARCHIVED"}}
        for doc in launchpad.workflows.find(there, fields):
            part = _part(doc)
            found[part.key] = part
    return found


def read_fireworks(
    launchpad: LaunchPad, query: dict[str, Any], launches: bool = True
) -> list[FireworkView]:
    """Fireworks that a query finds, with their last launches unless these do not matter."""
    found = list(launchpad.fireworks.find(query, _FIREWORK))
    return with_launches(launchpad, found) if launches else [_firework(doc, None) for doc in found]


def with_launches(launchpad: LaunchPad, docs: list[dict]) -> list[FireworkView]:
    """Views of firework documents, each with its last launch."""
    last = {doc["fw_id"]: doc["launches"][-1] for doc in docs if doc.get("launches")}
    launches: dict[int, LaunchView] = {}
    for chunk in chunks(sorted(last.values()), CHUNK):
        for doc in launchpad.launches.find({"launch_id": {"$in": chunk}}, _LAUNCH):
            launches[doc["launch_id"]] = _launch(doc)
    return [_firework(doc, launches.get(last.get(doc["fw_id"], -1))) for doc in docs]


def moment(value: Any) -> datetime | None:
    """A time of FireWorks, which keeps some as text and leaves the zone (UTC) out of others."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _part(doc: dict) -> PartView:
    about = doc["metadata"]["sse"]
    states = {int(key): state for key, state in (doc.get("fw_states") or {}).items()}
    return PartView(
        about["part"],
        about.get("kind", ""),
        about.get("compound"),
        {fw_id: states.get(fw_id, "WAITING") for fw_id in doc.get("nodes", states)},
        {int(parent): list(children) for parent, children in (doc.get("links") or {}).items()},
        doc.get("state", ""),
        bool(doc.get("locked")),
        doc.get("updated_on"),
    )


def _firework(doc: dict, launch: LaunchView | None) -> FireworkView:
    spec = doc.get("spec", {})
    return FireworkView(
        doc["fw_id"],
        doc["state"],
        doc.get("name", ""),
        spec.get("_category", ""),
        spec.get("sse") or {},
        tuple(doc.get("launches", [])),
        moment(doc.get("updated_on")),
        moment(doc.get("created_on")),
        bool(spec.get("_allow_fizzled_parents")),
        launch,
        _claim(doc.get("sse") or {}),
    )


def _claim(about: dict) -> LaunchView | None:
    """The process that claimed a firework, as if it were a launch: it may be lost as one."""
    who, when = about.get("claimant"), moment(about.get("claimed"))
    if not who or when is None:
        return None
    job = who.get("slurm_job_id")
    return LaunchView(
        0,
        "CLAIMED",
        started=when,
        job_id=None if job is None else str(job),
        cluster=who.get("slurm_cluster"),
        host=who.get("host"),
        pid=who.get("pid"),
        died=who.get("died"),
    )


def _launch(doc: dict) -> LaunchView:
    history = doc.get("state_history") or []
    env = (doc.get("fworker") or {}).get("env") or {}
    running = [one for one in history if one["state"] == "RUNNING"][-1:]
    reserved = [one["reservation_id"] for one in history if one.get("reservation_id")]
    ended = [one for one in history if one["state"] in ("COMPLETED", "FIZZLED")][-1:]
    job_id = env.get("slurm_job_id")
    if not env.get("pid") or doc["state"] == "RESERVED":
        # one that was reserved but started by hand does not run in the job of its reservation
        job_id = job_id or (reserved[-1] if reserved else None)
    return LaunchView(
        doc["launch_id"],
        doc["state"],
        moment(running[0].get("created_on")) if running else None,
        moment(running[0].get("updated_on")) if running else None,
        moment(ended[0].get("created_on")) if ended else None,
        None if job_id is None else str(job_id),
        env.get("slurm_cluster"),
        env.get("host") or doc.get("host"),
        env.get("pid"),
        doc.get("launch_dir"),
        failure_of(doc.get("action")) if doc["state"] == "FIZZLED" else None,
        env.get("died"),
    )
