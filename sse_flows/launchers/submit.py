"""Put a campaign on a LaunchPad: idempotent, in bulk, and whole even after a kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_flows.errors import SSEError
from sse_flows.garbage import collection_paused
from sse_flows.launchers import claims, gates
from sse_flows.launchers.archiving import archive
from sse_flows.launchers.overlap import overlapped
from sse_flows.launchers.parts import (
    COMPOUND,
    KINDS,
    REFERENCE,
    TAIL,
    Part,
    found_parts,
    is_found,
    split,
)
from sse_flows.launchers.specs import PRIORITY_STEP, PartPlan, Setting
from sse_flows.launchers.submission import Submission
from sse_flows.store import indexes
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore

    from sse_flows.campaign.finished import FinishedJobs
    from sse_flows.campaign.keys import KeyedFlow

ADDED, SKIPPED, FOUND, REPAIRED = "added", "skipped", "found", "repaired"
FATES = (ADDED, SKIPPED, FOUND, REPAIRED)
"""What becomes of a part: put on the LaunchPad, there already, its documents in the store
already, or there in part since a submission was killed."""

_PARTS_A_CHUNK = 200
_PARTS_AN_INSERT = 50
_NOT_STARTED = ("WAITING", "READY", "PAUSED")


@dataclass
class SubmitOutcome:
    """What a submission did.

    Attributes
    ----------
    fates
        Key of a part -> one of `FATES`.
    kinds
        Key of a part -> its kind.
    fizzled
        Parts on the LaunchPad in which something failed.
    archived
        Parts taken off the LaunchPad: of models and screening that other compounds were meant
        for, and of results that are no longer in the store or older than what they build on.
    released
        Jobs that waited for parts that are settled by now.
    """

    fates: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    fizzled: int = 0
    archived: int = 0
    released: int = 0

    def counts(self) -> dict[str, Counter[str]]:
        """Kind of part -> fate -> number of parts."""
        found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for part, fate in self.fates.items():
            found[self.kinds[part]][fate] += 1
        return found


def submit_campaign(
    path: str | Path,
    priority: int | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> SubmitOutcome:
    """Put a campaign on the LaunchPad that FireWorks is configured for.

    Parameters
    ----------
    path
        The campaign file.
    priority
        Of its jobs against those of other campaigns, 0 unless given; given again, it changes.
    note
        Called with a line of text when a new step begins.

    Raises
    ------
    SSEError
        No LaunchPad or no store is configured that several machines can share, one of them does
        not answer, or the campaign is unusable.
    """
    from sse_flows.campaign.flow import Campaign
    from sse_flows.campaign.run import lock
    from sse_flows.launchers.profiles import load_profiles
    from sse_flows.launchers.settings import open_launchpad, shared_store
    from sse_flows.store.jobstore import connect

    campaign = Campaign.from_file(path)
    launchpad = open_launchpad()
    refuse_mock(launchpad)
    store = shared_store()
    connect(store)
    note("reading the campaign and its structures")
    flow, plan, folder = campaign.keyed(), campaign.plan(), campaign.folder
    note(f"{len(plan.jobs)} compounds, {len(plan.failures)} refused; results in {folder}")
    with lock(folder):
        submitter = Submitter(launchpad, store, folder, priority, load_profiles())
        outcome = submitter.submit(flow, plan.name)
        plan.write(folder)
        submitter.submission.write(folder)
    return outcome


def refuse_mock(launchpad: LaunchPad) -> None:
    """Refuse a LaunchPad that lives in one process.

    Raises
    ------
    SSEError
        Two workers on it would run the same jobs.
    """
    if type(launchpad.connection).__module__.startswith("mongomock"):
        raise SSEError(
            "the LaunchPad is mongomock's, in which every process sees jobs of its own",
            mend="Unset MONGOMOCK_SERVERSTORE_FILE and name a MongoDB server in my_launchpad.yaml",
        )


class Submitter:
    """Puts the parts of one campaign on a LaunchPad.

    Parameters
    ----------
    launchpad, store
        The LaunchPad and the connected store of results.
    folder
        Results folder of the campaign.
    priority
        As in :func:`submit_campaign`.
    profiles
        Category -> profile, whose ``queueadapter`` goes into the specs.
    """

    def __init__(
        self,
        launchpad: LaunchPad,
        store: JobStore,
        folder: Path,
        priority: int | None = None,
        profiles: Mapping[str, Mapping[str, Any]] | None = None,
    ):
        self.launchpad, self.store, self.folder = launchpad, store, Path(folder)
        self.priority, self.profiles = priority, profiles or {}
        self.submission: Submission

    def submit(self, flow: KeyedFlow, name: str) -> SubmitOutcome:
        """Put on the LaunchPad what is neither there nor in the store.

        Parameters
        ----------
        flow
            The campaign with content keys.
        name
            Name of the campaign.
        """
        with collection_paused():
            return self._submit(flow, name)

    def _submit(self, flow: KeyedFlow, name: str) -> SubmitOutcome:
        parts = split(flow, name)
        ensure_indexes(self.launchpad)
        indexes.ensure_indexes(self.store)
        finished = self._finished(parts)
        found = found_parts(parts, finished)
        outcome = SubmitOutcome(kinds={part.key: part.kind for part in parts})
        outcome.fates = dict.fromkeys(found, FOUND)
        missing = {part.key: part for part in parts if part.key not in found}
        plans = self._plans(parts, found, name)
        there = self._there(missing)
        stale = self._stale(there, missing, finished)
        outdated = self._outdated_tails(name, missing)
        outcome.archived = sum(archive(self.launchpad, doc) for doc in [*outdated, *stale])
        for doc in stale:
            del there[_part_of(doc)]
        self._repair(there, plans, outcome)
        self._update(there, plans)
        self._add([plans[key] for key in missing if key not in there], outcome)
        outcome.released = len(gates.release(self.launchpad))
        self.submission = self._submission(parts, name)
        return outcome

    def _finished(self, parts: list[Part]) -> FinishedJobs:
        from sse_flows.campaign.finished import FinishedJobs

        finished = FinishedJobs(self.store)
        finished.look_up(job.uuid for part in parts for job in part.jobs)
        return finished

    def _plans(self, parts: list[Part], found: set[str], name: str) -> dict[str, PartPlan]:
        """How each part looks on the LaunchPad; compounds begun first are finished first."""
        makers = {job.uuid: part.key for part in parts for job in part.jobs}
        top = (self.priority or 0) * PRIORITY_STEP + PRIORITY_STEP - 1
        plans, rank = {}, 0
        for part in parts:
            rank += part.kind == COMPOUND
            setting = Setting(
                name,
                part.key,
                self.folder / "work",
                None if part.kind == TAIL else part.name,
                priority=top - (rank if part.kind == COMPOUND else 0),
                profiles=self.profiles,
            )
            needs = {
                job.uuid: sorted({makers[one] for one in job.outside if one in makers} - found)
                for job in part.jobs
                if job.outside
            }
            plans[part.key] = PartPlan(part, setting, needs, str(self.folder))
        return plans

    def _there(self, parts: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Workflows of parts that the LaunchPad has already."""
        fields = dict.fromkeys(("nodes", "state", "fw_states", "metadata"), 1)
        found: dict[str, dict[str, Any]] = {}
        for some in chunks(list(parts), _PARTS_A_CHUNK):
            query = {"metadata.sse.part": {"$in": some}, "state": {"$ne": "ARCHIVED"}}
            for doc in self.launchpad.workflows.find(query, fields):
                found[_part_of(doc)] = doc
        return found

    def _stale(
        self,
        there: Mapping[str, dict[str, Any]],
        missing: Mapping[str, Part],
        finished: FinishedJobs,
    ) -> list[dict[str, Any]]:
        """Workflows that were completed, yet their documents are gone or out of date."""
        done = {key: doc for key, doc in there.items() if doc["state"] == "COMPLETED"}
        # some may have been completed since the store was asked
        finished.look_up(job.uuid for key in done for job in missing[key].jobs)
        return [doc for key, doc in done.items() if not is_found(missing[key], finished)]

    def _outdated_tails(self, name: str, missing: Mapping[str, Part]) -> list[dict[str, Any]]:
        """Tails of this campaign that wait for compounds of another state of its file."""
        query = {
            "metadata.sse.kind": TAIL,
            "metadata.sse.campaign": name,
            "metadata.sse.folder": str(self.folder),
            "metadata.sse.part": {"$nin": [k for k, part in missing.items() if part.kind == TAIL]},
            "state": "PAUSED",
        }
        return list(self.launchpad.workflows.find(query))

    def _repair(
        self,
        there: Mapping[str, dict[str, Any]],
        plans: Mapping[str, PartPlan],
        outcome: SubmitOutcome,
    ) -> None:
        """Add the fireworks that are missing since a submission was killed."""
        nodes = [node for doc in there.values() for node in doc["nodes"]]
        query = {"fw_id": {"$in": nodes}}
        known = {doc["fw_id"] for doc in self.launchpad.fireworks.find(query, {"fw_id": 1})}
        for key, doc in there.items():
            lost = set(doc["nodes"]) - known
            outcome.fates[key] = REPAIRED if lost else SKIPPED
            outcome.fizzled += "FIZZLED" in doc["fw_states"].values()
            if lost:
                _, fireworks = plans[key].documents(min(doc["nodes"]))
                some = [one for one in fireworks if one["fw_id"] in lost]
                claims.insert_fireworks(self.launchpad, some)

    def _update(self, there: Iterable[str], plans: Mapping[str, PartPlan]) -> None:
        """Give fireworks that have not started the resources and priority of today."""
        keys = list(there)
        for category, profile in self.profiles.items() if keys else ():
            query = {"spec.sse.part": {"$in": keys}, "spec._category": category}
            self._set(query, {"spec._queueadapter": dict(profile.get("queueadapter") or {})})
        for key in keys if self.priority is not None else ():
            self._set({"spec.sse.part": key}, {"spec._priority": plans[key].setting.priority})

    def _set(self, query: dict[str, Any], values: dict[str, Any]) -> None:
        state = {"state": {"$in": list(_NOT_STARTED)}}
        self.launchpad.fireworks.update_many({**query, **state}, {"$set": values})

    def _add(self, plans: list[PartPlan], outcome: SubmitOutcome) -> None:
        """Insert parts; workflows first, and of each part the jobs that can start last.

        A worker that takes a job thus finds all that the job leads to, and a kill leaves a workflow
        without some of its fireworks, which the next submission sees.
        """
        refused: set[str] = set()
        made = map(self._documents, chunks(plans, _PARTS_AN_INSERT))
        for keys, others in overlapped(self._write, made):
            outcome.fates.update(dict.fromkeys(keys, ADDED))
            refused |= others
        if refused:  # somebody else adds them just now, or was killed over it
            known = {plan.part.key: plan for plan in plans if plan.part.key in refused}
            self._repair(self._there(known), known, outcome)

    def _documents(self, plans: Sequence[PartPlan]) -> tuple[list[dict], list[dict]]:
        """Workflows and fireworks of parts, with ids that are theirs."""
        first = self.launchpad.get_new_fw_id(quantity=sum(len(p.part.jobs) for p in plans))
        workflows, fireworks = [], []
        for plan in plans:
            workflow, jobs = plan.documents(first)
            workflows.append(workflow)
            fireworks += reversed(jobs)
            first += len(jobs)
        return workflows, fireworks

    def _write(self, documents: tuple[list[dict], list[dict]]) -> tuple[set[str], set[str]]:
        """Insert documents; returns the keys of parts that were added, and of those refused."""
        workflows, fireworks = documents
        refused = claims.insert_parts(self.launchpad, workflows, fireworks)
        return {_part_of(doc) for doc in workflows} - refused, refused

    def _submission(self, parts: list[Part], name: str) -> Submission:
        return Submission(
            campaign=name,
            host=host_of(self.launchpad),
            database=self.launchpad.db.name,
            compounds={part.name: part.key for part in parts if part.kind == COMPOUND},
            references={part.name: part.key for part in parts if part.kind == REFERENCE},
            tail=next((part.key for part in parts if part.kind == TAIL), None),
            submitted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def ensure_indexes(launchpad: LaunchPad) -> None:
    """Make the indexes for what is asked of the LaunchPad about parts."""
    for keys in (
        [("spec.sse.part", 1), ("state", 1)],
        [("spec.sse.needs", 1), ("state", 1)],
        [("spec.sse.uuid", 1)],
    ):
        launchpad.fireworks.create_index(keys)
    launchpad.workflows.create_index([("metadata.sse.part", 1)])
    claims.ensure_claims(launchpad)
    launchpad.workflows.create_index([("metadata.sse.folder", 1), ("metadata.sse.kind", 1)])


def host_of(launchpad: LaunchPad) -> str:
    """Host and port of a LaunchPad without user and password."""
    host = str(launchpad.host)
    if "://" in host:
        return host.split("://", 1)[1].rpartition("@")[2].split("/")[0].split("?")[0]
    return f"{host}:{launchpad.port}"


def _part_of(workflow: dict[str, Any]) -> str:
    return workflow["metadata"]["sse"]["part"]
