"""What `sse recover` works on: the state that was found, what it did, and how it reruns safely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sse_flows.errors import one_line
from sse_flows.launchers.liveness import LOST, Verdict
from sse_flows.launchers.reservation import claim, give_up_claim
from sse_flows.launchers.snapshot import FireworkView, Snapshot, chunks

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore

NEVER_TWICE = ("RUNNING", "RESERVED")
"""States in which a firework may be alive."""


@dataclass(frozen=True)
class Finding:
    """Something that was not as it should be.

    Attributes
    ----------
    kind
        What it is, for instance ``lost run``.
    who
        Compound and stage, or the part.
    why
        How it was known.
    did
        What was done about it; empty where it was left alone.
    mend
        Why it was left alone, and what the user can do.
    """

    kind: str
    who: str
    why: str
    did: str = ""
    mend: str = ""

    def line(self, dry_run: bool = False) -> str:
        """One line for people."""
        did = f"would have: {self.did}" if dry_run and self.did else self.did
        end = did or f"left alone: {self.mend}"
        return f"{self.kind}: {self.who}: {self.why} -> {end}"


@dataclass
class Scene:
    """A campaign's parts as they were found, and what became of them.

    Attributes
    ----------
    launchpad, store
        Both connected.
    keys
        Keys of the parts; None for those of all campaigns.
    dry_run
        Whether to find only.
    snapshot, verdicts
        What the LaunchPad holds, and which of it is alive.
    findings
        What was found so far.
    touched
        Fireworks that were put back already, with all that build on them.
    """

    launchpad: LaunchPad
    store: JobStore
    keys: list[str] | None
    dry_run: bool = False
    snapshot: Snapshot = field(default_factory=lambda: Snapshot({}, {}))
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)

    def found(self, kind: str, who: str, why: str, did: str = "", mend: str = "") -> None:
        """Write a finding down."""
        self.findings.append(Finding(kind, who, why, did, mend))

    @property
    def changes(self) -> int:
        """How many findings were put right."""
        return sum(bool(one.did) for one in self.findings)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Kind -> how many were put right, and how many were left alone."""
        mended = Counter(one.kind for one in self.findings if one.did)
        left = Counter(one.kind for one in self.findings if not one.did)
        return {kind: (mended[kind], left[kind]) for kind in {**mended, **left}}


def in_order(scene: Scene, fireworks: Iterable[FireworkView]) -> list[tuple[str, FireworkView]]:
    """Fireworks with their parts, each before those that build on it, which go back with it."""
    part_of = scene.snapshot.part_of()
    known = [(part_of[one.fw_id], one) for one in fireworks]
    return sorted(
        known, key=lambda pair: -len(scene.snapshot.parts[pair[0]].followers(pair[1].fw_id))
    )


def rerun(scene: Scene, part: str, firework: FireworkView, kind: str, why: str) -> bool:
    """Put a firework back, unless it or what builds on it may be alive or has changed since.

    Parameters
    ----------
    scene
        What was found.
    part
        Key of the firework's part.
    firework
        As it was read before Slurm and the store were asked.
    kind, why
        For the finding.
    """
    if firework.fw_id in scene.touched:
        return False
    hindrance = _hindrance(scene, part, firework)
    if hindrance:
        scene.found(kind, firework.who, why, mend=hindrance)
        return False
    reserved = firework.state == "RESERVED" and not scene.dry_run
    if reserved and not claim(scene.launchpad, firework.fw_id, firework.launches):
        scene.found(kind, firework.who, why, mend="another worker has just taken it over")
        return False
    lost_too = scene.snapshot.parts[part].followers(firework.fw_id) | {firework.fw_id}
    scene.touched |= lost_too
    if not scene.dry_run and not _put_back(scene, firework, lost_too):
        scene.found(kind, firework.who, why, mend="its workflow is locked; recover again later")
        return False
    did = "reservation cancelled" if firework.state == "RESERVED" else "put back"
    scene.found(kind, firework.who, why, did)
    return True


def _hindrance(scene: Scene, part: str, firework: FireworkView) -> str:
    """Why a firework must not be rerun now; empty where it may."""
    ids = scene.snapshot.parts[part].followers(firework.fw_id) | {firework.fw_id}
    query = {"fw_id": {"$in": sorted(ids)}}
    fields = {"_id": 0, "fw_id": 1, "state": 1, "launches": 1}
    now = {doc["fw_id"]: doc for doc in scene.launchpad.fireworks.find(query, fields)}
    own = now.pop(firework.fw_id, None)
    same = (firework.state, firework.launches)
    if own is None or (own["state"], tuple(own.get("launches", []))) != same:
        return "it has changed just now"
    for fw_id, doc in now.items():
        verdict = scene.verdicts.get(fw_id)
        if doc["state"] in NEVER_TWICE and (verdict is None or verdict.state != LOST):
            return f"firework {fw_id}, which builds on it, may be alive; recover again later"
    return ""


def _put_back(scene: Scene, firework: FireworkView, ids: set[int]) -> bool:
    """Rerun by FireWorks' own means, so that `lpad` sees the same; False if it is locked."""
    from fireworks.core.launchpad import LockedWorkflowError

    pad = scene.launchpad
    before = _open_launches(pad, ids)
    try:
        if firework.state == "RESERVED" and firework.launch is not None:
            pad.cancel_reservation(firework.launch.launch_id)
        else:
            pad.rerun_fw(firework.fw_id, rerun_duplicates=False)
    except LockedWorkflowError:
        give_up_claim(pad, firework.fw_id)
        return False
    close_launches(pad, before)
    return True


def refresh(scene: Scene, fw_id: int) -> None:
    """Let FireWorks work the state of a firework out anew; one that it cannot read has failed."""
    if scene.dry_run:
        return
    try:
        scene.launchpad._refresh_wf(fw_id)
    except RuntimeError as error:
        why = one_line(error.__context__ if isinstance(error.__context__, Exception) else error)
        mend = f"FireWorks has marked it as failed; see `lpad get_fws -i {fw_id} -d all`"
        scene.found("cannot be refreshed", f"firework {fw_id}", why, mend=mend)


def _open_launches(pad: LaunchPad, ids: set[int]) -> list[int]:
    """Launches of fireworks that still say they run."""
    found = pad.launches.find(
        {"fw_id": {"$in": sorted(ids)}, "state": "RUNNING"}, {"_id": 0, "launch_id": 1}
    )
    return [doc["launch_id"] for doc in found]


def close_launches(pad: LaunchPad, launches: list[int]) -> None:
    """Mark launches that were lost as ended, so that `lpad detect_lostruns` does not find them."""
    when = datetime.now(UTC).isoformat()
    for chunk in chunks(launches):
        pad.launches.update_many(
            {"launch_id": {"$in": chunk}, "state": "RUNNING"},
            {
                "$set": {"state": "FIZZLED", "time_end": when},
                "$push": {"state_history": {"state": "FIZZLED", "created_on": when}},
            },
        )
