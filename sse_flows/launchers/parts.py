"""A campaign in parts: one small workflow a compound, one a reference, one for what comes last.

FireWorks reads and writes a whole workflow whenever one of its jobs changes, so many small ones
beat one that grows with the campaign. What crosses the border between two parts is a document of
the store; a job that needs one waits until the part that makes it is settled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sse_flows.campaign.flow import REFERENCES
from sse_flows.campaign.keys import KeyedFlow, content_key
from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from sse_flows.campaign.finished import FinishedJobs

COMPOUND, REFERENCE, TAIL = "compound", "reference", "tail"
KINDS = (REFERENCE, COMPOUND, TAIL)
"""Kinds of parts, in the order in which they are put on the LaunchPad."""

RELAX, SUPERCELL, POSTPROCESS, MODELS = "relax", "supercell", "postprocess", "models"
CATEGORIES = (RELAX, SUPERCELL, POSTPROCESS, MODELS)
"""Categories of jobs, which differ in the resources that they need."""

_TAIL_STAGES = ("models", "screening")


@dataclass(frozen=True)
class PartJob:
    """One job of a part.

    Attributes
    ----------
    job
        As monty writes it, with a content key as its id.
    parents
        Ids of the jobs of the same part that it builds on.
    outside
        Ids of jobs of other parts that it builds on.
    """

    job: dict[str, Any]
    parents: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def uuid(self) -> str:
        """Id of the job."""
        return self.job["uuid"]

    @property
    def index(self) -> int:
        """Index of the job: above 1 for one that stands in for another."""
        return self.job["index"]

    @property
    def name(self) -> str:
        """Name of the job, for people."""
        return self.job["name"]

    @property
    def stage(self) -> str | None:
        """Stage of the campaign."""
        return self.job["metadata"].get("stage")

    @property
    def compound(self) -> str | None:
        """Id of the compound, or symbol of the reference element."""
        return self.job["metadata"].get("compound")

    @property
    def tolerant(self) -> bool:
        """Whether it runs although jobs it builds on failed."""
        missing = self.job["config"]["on_missing_references"]
        return (missing["value"] if isinstance(missing, dict) else missing) == "none"

    @property
    def category(self) -> str:
        """What resources it needs, one of `CATEGORIES`."""
        if self.stage in _TAIL_STAGES:
            return MODELS
        if not self.job["function"].get("@bound"):  # a function of its own, no maker of a code
            return POSTPROCESS
        return RELAX if self.stage in ("relax", REFERENCES) else SUPERCELL

    def text(self) -> str:
        """The job as JSON, which :func:`monty.json.MontyDecoder` reads."""
        return json.dumps(self.job)


@dataclass(frozen=True)
class Part:
    """Jobs that become one workflow.

    Attributes
    ----------
    kind
        One of `KINDS`.
    name
        The compound, the element or the campaign.
    jobs
        Its jobs, each after those it builds on.
    """

    kind: str
    name: str
    jobs: tuple[PartJob, ...]

    @cached_property
    def key(self) -> str:
        """Hash of the jobs' ids: what two campaigns both ask for has the same key."""
        return content_key([[job.uuid, job.index] for job in self.jobs])[:32]

    @cached_property
    def uuids(self) -> frozenset[str]:
        """Ids of its jobs."""
        return frozenset(job.uuid for job in self.jobs)

    @cached_property
    def last(self) -> tuple[str, ...]:
        """Ids of the jobs that nothing else of the part builds on: they give its documents."""
        used = {parent for job in self.jobs for parent in job.parents}
        return tuple(job.uuid for job in self.jobs if job.uuid not in used)


def split(flow: KeyedFlow, campaign: str) -> list[Part]:
    """Split a campaign into its parts: references, compounds in their order, and the rest.

    Parameters
    ----------
    flow
        The campaign; its jobs say their stage and compound in their metadata.
    campaign
        Name of the part that belongs to no compound.

    Raises
    ------
    SSEError
        A job's function was defined in a script or notebook, where no other process finds it.
    """
    groups: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for job in flow.jobs():
        _refuse_main(job)
        groups.setdefault(_group(job, campaign), {})[job["uuid"]] = job
    place = {uuid: number for number, uuid in enumerate(flow.parents)}
    parts = []
    for (kind, name), jobs in groups.items():
        ordered = sorted(jobs.values(), key=lambda job: place[job["uuid"]])
        parts.append(Part(kind, name, tuple(_part_jobs(ordered, flow))))
    return sorted(parts, key=lambda part: KINDS.index(part.kind))


def found_parts(parts: list[Part], finished: FinishedJobs) -> set[str]:
    """Keys of parts whose documents are all in the store and none older than what it builds on.

    Parameters
    ----------
    parts
        All parts of a campaign, each after those that it needs.
    finished
        What the store says of their jobs.
    """
    makers = {job.uuid: part.key for part in parts for job in part.jobs}
    found: set[str] = set()
    for part in parts:
        needs = {makers[one] for job in part.jobs for one in job.outside if one in makers}
        if needs <= found and is_found(part, finished):
            found.add(part.key)
    return found


def is_found(part: Part, finished: FinishedJobs) -> bool:
    """Whether a part's documents are in the store, none older than what it builds on."""
    return all(uuid in finished for uuid in part.last) and all(
        finished.is_current(job.uuid, (*job.parents, *job.outside))
        for job in part.jobs
        if job.uuid in finished
    )


def jobs_of(flow: KeyedFlow) -> list[PartJob]:
    """Jobs that one job asks for while it runs, each after those it builds on."""
    jobs = {job["uuid"]: job for job in flow.jobs()}
    return list(_part_jobs([jobs[uuid] for uuid in flow.parents], flow))


def _part_jobs(jobs: list[dict[str, Any]], flow: KeyedFlow) -> Iterator[PartJob]:
    inside = {job["uuid"] for job in jobs}
    for job in jobs:
        parents = flow.parents[job["uuid"]]
        yield PartJob(
            job,
            tuple(one for one in parents if one in inside),
            tuple(one for one in parents if one not in inside),
        )


def _group(job: dict[str, Any], campaign: str) -> tuple[str, str]:
    compound = job["metadata"].get("compound")
    if job["metadata"].get("stage") == REFERENCES:
        return REFERENCE, str(compound)
    return (TAIL, campaign) if compound is None else (COMPOUND, str(compound))


def _refuse_main(job: dict[str, Any]) -> None:
    function = job["function"]
    bound = function.get("@bound")
    modules = {function.get("@module"), bound.get("@module") if isinstance(bound, dict) else None}
    if "__main__" in modules:
        raise SSEError(
            f"the function of job {job['name']!r} is defined in a script, where workers on other "
            "machines do not find it",
            mend="Put it into a module that is installed on all of them",
        )
