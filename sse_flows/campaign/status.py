"""Where a campaign stands: compounds x stages, from its log and plan, without building it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sse_flows.campaign.events import read_events
from sse_flows.campaign.graph import BLOCKED, DONE, FAILED, RUNNING, WAITING
from sse_flows.campaign.run import is_running

if TYPE_CHECKING:
    from sse_flows.campaign.flow import Plan

_ENDED_WELL = (DONE, "found")


@dataclass(frozen=True)
class Problem:
    """Something that failed, where, why, and how to mend it."""

    compound: str
    stage: str
    reason: str
    mend: str | None = None


@dataclass
class Status:
    """State of every stage of every compound.

    Attributes
    ----------
    stages
        Compound -> stage -> one of waiting, running, done, failed, blocked.
    tail
        State of models and screening.
    problems
        What failed in the last attempt, compounds refused before anything ran included.
    running
        Whether a process works on it now.
    computed
        Ids of jobs that were computed since the campaign was last run or submitted, as against
        those that the store held already.
    """

    stages: dict[str, dict[str, str]] = field(default_factory=dict)
    tail: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    running: bool = False
    computed: set[str] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether everything that was planned is done."""
        states = [state for row in self.stages.values() for state in row.values()]
        return not self.problems and all(s == DONE for s in [*states, *self.tail.values()])

    @property
    def nothing_came_through(self) -> bool:
        """Whether there were compounds, and all of them failed or were refused."""
        through = [set(row.values()) == {DONE} for row in self.stages.values()]
        return bool(self.problems) and not any(through)

    def counts(self) -> dict[str, dict[str, int]]:
        """Stage -> state -> number of compounds."""
        found: dict[str, dict[str, int]] = {}
        for row in self.stages.values():
            for stage, state in row.items():
                found.setdefault(stage, {}).setdefault(state, 0)
                found[stage][state] += 1
        return found


def read_status(folder: Path, plan: Plan) -> Status:
    """Put the log of a results folder together.

    Parameters
    ----------
    folder
        Results folder.
    plan
        What the campaign planned.
    """
    from sse_flows.campaign.flow import REFERENCES

    status = Status(running=is_running(folder))
    log = read_events(folder)
    events, status.computed = _latest_attempt(log), _computed_in_last_run(log)
    done = {event["uuid"] for event in events if event["state"] in _ENDED_WELL}
    for compound, jobs in plan.jobs.items():
        own = [event for event in events if event.get("compound") == compound]
        status.stages[compound] = _row(own, jobs, done, status.running)
    tail = {"models": plan.models, "screening": plan.screening}
    ids = {stage: job for stage, job in tail.items() if job is not None}
    status.tail = _row([e for e in events if e.get("stage") in ids], ids, done, status.running)
    status.problems = [Problem(name, "structures", why) for name, why in plan.failures.items()]
    for event in events:
        where = event.get("compound") or plan.name
        if event["state"] == FAILED and (
            where in {*plan.jobs, plan.name} or event["stage"] == REFERENCES
        ):
            status.problems.append(
                Problem(where, event["stage"], event.get("reason", ""), event.get("mend"))
            )
    return status


def _computed_in_last_run(events: list[dict]) -> set[str]:
    ids: set[str] = set()
    for event in events:
        if event["state"] == "start":
            ids.clear()
        elif event["state"] == DONE:
            ids.add(event["uuid"])
    return ids


def _latest_attempt(events: list[dict]) -> list[dict]:
    """The last event of every job; of runs before the last one only what ended well."""
    last: dict[tuple, dict] = {}
    for event in events:
        if event["state"] == "start":
            last = {key: old for key, old in last.items() if old["state"] in _ENDED_WELL}
        else:
            last[event["uuid"], event["index"]] = event
    return list(last.values())


def _row(events: list[dict], jobs: dict[str, str], done: set[str], running: bool) -> dict[str, str]:
    """State of each stage, given the job that ends it: done once that job is."""
    row: dict[str, str] = {}
    for stage, job in jobs.items():
        states = {event["state"] for event in events if event.get("stage") == stage}
        if job in done:
            row[stage] = DONE
        elif FAILED in states:
            row[stage] = FAILED
        elif FAILED in row.values() or BLOCKED in row.values():
            row[stage] = BLOCKED
        else:
            row[stage] = RUNNING if running and states else WAITING
    return row
