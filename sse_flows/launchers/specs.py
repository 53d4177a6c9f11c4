"""Specs and database documents of fireworks that run the jobs of a campaign."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireworks import Workflow

    from sse_flows.launchers.parts import Part, PartJob

TASK = "{{sse_flows.launchers.firetask.CampaignFiretask}}"
"""Name of the task, from which FireWorks imports it."""

_OF_ONE_LAUNCH = ("_tasks", "_fw_env", "_recovery", "_exception_details", "_fizzled_parents")

PRIORITY_STEP = 1_000_000
"""Between two priorities of a user; within one, compounds begun first are finished first."""


@dataclass(frozen=True)
class Setting:
    """What the fireworks of a part have in common.

    Attributes
    ----------
    campaign, part
        Name of the campaign and key of the part.
    work
        Folder of the working folders of all jobs.
    compound, stage
        Of jobs that do not say so themselves.
    priority
        FireWorks' ``_priority``: higher runs first.
    profiles
        Category -> profile with its ``queueadapter``, see `sse_flows.launchers.profiles`.
    """

    campaign: str
    part: str
    work: Path
    compound: str | None = None
    stage: str | None = None
    priority: int = 0
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def _work(self) -> str:
        return str(self.work)

    def folder_of(self, job: PartJob) -> str:
        """Working folder of a job."""
        return f"{self._work}{os.sep}{job.uuid}-{job.index}"

    @classmethod
    def of_spec(cls, spec: Mapping[str, Any], profiles: Mapping[str, Mapping]) -> Setting:
        """The setting of a firework that was put on the LaunchPad before."""
        sse = spec["sse"]
        return cls(
            sse["campaign"],
            sse["part"],
            Path(sse["work"]).parent,
            sse.get("compound"),
            sse.get("stage"),
            spec.get("_priority", 0),
            _own_profile(spec) | {k: p for k, p in profiles.items() if p.get("queueadapter")},
        )


def make_spec(job: PartJob, setting: Setting, needs: list[str] | None = None) -> dict[str, Any]:
    """The spec of one job's firework.

    The job is text: FireWorks would otherwise decode it, with all the imports that takes, whenever
    it looks at the firework.

    Parameters
    ----------
    job
        The job.
    setting
        Of its part.
    needs
        Keys of parts that must be settled before it may run.
    """
    sse: dict[str, Any] = {
        "campaign": setting.campaign,
        "part": setting.part,
        "compound": job.compound or setting.compound,
        "stage": job.stage or setting.stage,
        "uuid": job.uuid,
        "index": job.index,
        "work": setting.folder_of(job),
        "continued": 0,
    }
    if needs:
        sse["needs"] = needs
    category = job.category
    spec: dict[str, Any] = {
        "_tasks": [{"job": job.text(), "_fw_name": TASK}],
        "_category": category,
        "_priority": setting.priority,
        "_add_launchpad_and_fw_id": True,
        "sse": sse,
    }
    adapter = setting.profiles.get(category, {}).get("queueadapter")
    if adapter:
        spec["_queueadapter"] = dict(adapter)
    if job.tolerant:
        spec["_allow_fizzled_parents"] = True
    return spec


def firework_name(job: PartJob, setting: Setting) -> str:
    """Compound, element or campaign, and what is done."""
    return f"{job.compound or setting.compound or setting.campaign} {job.name}"


def grown_workflow(jobs: list[PartJob], setting: Setting) -> Workflow:
    """Workflow of jobs that a running job asks for."""
    from fireworks import Firework, Workflow

    made: dict[str, Firework] = {}
    for job in jobs:
        spec = make_spec(job, setting)
        tasks = [_task(one) for one in spec.pop("_tasks")]
        parents = [made[parent] for parent in job.parents]
        made[job.uuid] = Firework(tasks, spec, firework_name(job, setting), parents=parents)
    return Workflow(list(made.values()), name=setting.compound or setting.campaign)


def continued_workflow(spec: Mapping[str, Any], name: str) -> Workflow:
    """Workflow of the same job once more, to go on where it stopped."""
    from fireworks import Firework, Workflow

    copied = {key: value for key, value in spec.items() if key not in _OF_ONE_LAUNCH}
    copied["sse"] = {**spec["sse"], "continued": spec["sse"].get("continued", 0) + 1}
    copied["sse"].pop("needs", None)
    return Workflow([Firework([_task(one) for one in spec["_tasks"]], copied, name)], name=name)


def documents_of(
    part: Part, setting: Setting, first: int, needs: Mapping[str, list[str]], folder: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Documents of a part for FireWorks' collections, as its own ``to_db_dict`` gives them.

    Parameters
    ----------
    part
        The part; its jobs get the ids `first`, `first` + 1, ...
    setting
        Of the part.
    first
        Id of its first firework.
    needs
        Id of a job -> keys of parts that it waits for.
    folder
        Results folder of the campaign.

    Returns
    -------
    tuple
        Document of the workflow, and of its fireworks in the order of the jobs.
    """
    now = datetime.now(UTC)
    moment = now.isoformat()
    ids = {job.uuid: first + number for number, job in enumerate(part.jobs)}
    states = {job.uuid: _state(job, needs) for job in part.jobs}
    fireworks = [
        {
            "spec": make_spec(job, setting, needs.get(job.uuid)),
            "fw_id": ids[job.uuid],
            "created_on": moment,
            "updated_on": moment,
            "name": firework_name(job, setting),
            "launches": [],
            "archived_launches": [],
            "state": states[job.uuid],
        }
        for job in part.jobs
    ]
    sse = {"part": part.key, "campaign": setting.campaign, "kind": part.kind, "folder": folder}
    sse["claim"] = part.key
    workflow = {
        **_links(part, ids),
        "metadata": {"sse": {**sse, "compound": part.name if part.kind == "compound" else None}},
        "state": "PAUSED" if "PAUSED" in states.values() else "READY",
        "name": part.name,
        "created_on": now,
        "updated_on": now,
        "fw_states": {str(ids[uuid]): state for uuid, state in states.items()},
    }
    return workflow, fireworks


@dataclass(frozen=True)
class PartPlan:
    """How a part looks on the LaunchPad.

    Attributes
    ----------
    part, setting
        The part, and what its fireworks have in common.
    needs
        Id of a job -> parts that it waits for.
    folder
        Results folder of the campaign.
    """

    part: Part
    setting: Setting
    needs: Mapping[str, list[str]]
    folder: str

    def documents(self, first: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Workflow and fireworks, with ids from `first` on."""
        return documents_of(self.part, self.setting, first, self.needs, self.folder)


def _state(job: PartJob, needs: Mapping[str, list[str]]) -> str:
    if needs.get(job.uuid):
        return "PAUSED"
    return "WAITING" if job.parents else "READY"


def _links(part: Part, ids: Mapping[str, int]) -> dict[str, Any]:
    children: dict[int, list[int]] = {ids[job.uuid]: [] for job in part.jobs}
    for job in part.jobs:
        for parent in job.parents:
            children[ids[parent]].append(ids[job.uuid])
    parents: dict[str, list[int]] = {}
    for one, found in children.items():
        for child in found:
            parents.setdefault(str(child), []).append(one)
    links = {str(one): found for one, found in children.items()}
    return {"links": links, "parent_links": parents, "nodes": list(children)}


def _task(task: Any) -> Any:
    from sse_flows.launchers.firetask import CampaignFiretask

    return CampaignFiretask(job=task["job"])


def _own_profile(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {spec["_category"]: {"queueadapter": spec.get("_queueadapter")}}
