"""What `sse recover` works on: the state that was found, and what it did about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sse_flows.errors import one_line
from sse_flows.launchers.listing import Listed, read_open
from sse_flows.launchers.liveness import Verdict
from sse_flows.launchers.queue import Queue
from sse_flows.launchers.refresh import LOCK_WAIT, Seen, refresh_unchanged
from sse_flows.launchers.snapshot import Snapshot

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore


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
    snapshot, queue, verdicts
        What the LaunchPad holds, what Slurm says of it, and which of it is alive.
    findings
        What was found so far.
    touched
        Fireworks that were put back already, with all that build on them.
    listing
        See :meth:`listed`; None until it is asked for.
    seen
        How many findings there were when the snapshot was taken.
    """

    launchpad: LaunchPad
    store: JobStore
    keys: list[str] | None
    dry_run: bool = False
    snapshot: Snapshot = field(default_factory=lambda: Snapshot({}, {}))
    queue: Queue = field(default_factory=lambda: Queue(answers=False, why="not asked"))
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)
    listing: dict[int, Listed] | None = None
    seen: int = 0

    def found(self, kind: str, who: str, why: str, did: str = "", mend: str = "") -> None:
        """Write a finding down."""
        self.findings.append(Finding(kind, who, why, did, mend))

    def listed(self) -> dict[int, Listed]:
        """Fireworks of parts that are not done, and others that are not: read once."""
        if self.listing is None:
            found = read_open(self.launchpad, self.keys, self.snapshot)
            self.listing = {one.fw_id: one for one in found}
        return self.listing

    @property
    def changes(self) -> int:
        """How many findings were put right."""
        return sum(bool(one.did) for one in self.findings)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Kind -> how many were put right, and how many were left alone."""
        mended = Counter(one.kind for one in self.findings if one.did)
        left = Counter(one.kind for one in self.findings if not one.did)
        return {kind: (mended[kind], left[kind]) for kind in {**mended, **left}}


def refresh(scene: Scene, fw_id: int, seen: Seen) -> bool:
    """Let FireWorks work the state of a firework out anew; one that it cannot read has failed.

    Returns
    -------
    bool
        False if it has changed since it was seen, is locked or cannot be read.
    """
    if scene.dry_run:
        return True
    from fireworks.core.launchpad import LockedWorkflowError

    try:
        return refresh_unchanged(scene.launchpad, fw_id, seen, LOCK_WAIT)
    except LockedWorkflowError:
        return False  # whoever holds the lock is at work on it
    except RuntimeError as error:
        why = one_line(error.__cause__ if isinstance(error.__cause__, Exception) else error)
        mend = f"FireWorks has marked it as failed; see `lpad get_fws -i {fw_id} -d all`"
        scene.found("cannot be refreshed", f"firework {fw_id}", why, mend=mend)
        return False
