"""Where a submitted campaign stands: what its LaunchPad, Slurm and its store say, put together.

Reading changes nothing. The number of queries does not grow with the number of compounds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sse_flows.campaign.finished import FinishedJobs
from sse_flows.campaign.graph import BLOCKED, DONE, FAILED, RUNNING, WAITING
from sse_flows.campaign.status import Problem, Status
from sse_flows.launchers.liveness import LOST, Verdict, job_numbers, judge
from sse_flows.launchers.queue import Queue, ask_slurm
from sse_flows.launchers.snapshot import (
    CHUNK,
    FireworkView,
    PartView,
    Snapshot,
    moment,
    read_fireworks,
    read_parts,
    take_snapshot,
)
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore

    from sse_flows.campaign.flow import Plan
    from sse_flows.launchers.submission import Submission

READY, QUEUED, GONE = "ready", "queued", "lost"
"""States beyond those of a local run: may be sent to Slurm, waits in Slurm, lost without a word."""

RECOVER = "Put it back with: sse recover"
RETRY = "Mend the cause, then run it again with: sse recover --failed"


@dataclass
class ClusterStatus(Status):
    """State of every stage of every compound of a submitted campaign.

    Attributes
    ----------
    notes
        Compound -> stage -> where it runs and for how long, or what it waits for.
    lost
        What the LaunchPad calls running or reserved, but Slurm or its machine does not know.
    jobs
        State -> number of fireworks.
    slurm
        Why Slurm did not answer; empty where it did.
    """

    notes: dict[str, dict[str, str]] = field(default_factory=dict)
    lost: list[Problem] = field(default_factory=list)
    jobs: dict[str, int] = field(default_factory=dict)
    slurm: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing runs and nothing could be started."""
        return not any(self.jobs.get(one) for one in ("READY", "RESERVED", "RUNNING"))


@dataclass(frozen=True)
class _Facts:
    """What is known when the rows are made."""

    snapshot: Snapshot
    queue: Queue
    verdicts: dict[int, Verdict]
    done: FinishedJobs
    supercells: dict[str, tuple[int, int]]
    now: datetime


def watch(
    plan: Plan, submission: Submission, launchpad: LaunchPad, store: JobStore
) -> ClusterStatus:
    """Ask LaunchPad, Slurm and store where a submitted campaign stands.

    Parameters
    ----------
    plan
        Which job ends which stage.
    submission
        Which parts were put on the LaunchPad.
    launchpad, store
        Both connected.
    """
    facts = _gather(plan, submission, launchpad, store)
    status = ClusterStatus(slurm="" if facts.queue.answers else facts.queue.why)
    for compound, jobs in plan.jobs.items():
        part = facts.snapshot.parts.get(submission.compounds.get(compound, ""))
        status.stages[compound], status.notes[compound] = _row(jobs, part, facts)
    tail = {"models": plan.models, "screening": plan.screening}
    ends = {stage: job for stage, job in tail.items() if job is not None}
    part = facts.snapshot.parts.get(submission.tail or "")
    status.tail, status.notes[plan.name] = _row(ends, part, facts)
    status.problems = _problems(plan, facts)
    status.lost = _lost(plan, facts)
    status.jobs = _count(facts.snapshot)
    status.computed = _computed(plan, submission, facts.done)
    status.running = any(
        one.state == "RUNNING" and facts.verdicts[one.fw_id].state != LOST
        for one in facts.snapshot.fireworks.values()
    )
    return status


def _computed(plan: Plan, submission: Submission, done: FinishedJobs) -> set[str]:
    """Jobs that end a stage and were finished since the campaign was submitted."""
    ends = {job for jobs in plan.jobs.values() for job in jobs.values()}
    since = moment(submission.submitted_at)
    if since is None:
        return set()
    # jobflow writes local time without saying so
    finished = {job: datetime.fromisoformat(done.when(job)) for job in ends if done.when(job)}
    return {job for job, when in finished.items() if when.astimezone(UTC) >= since}


def judge_all(launchpad: LaunchPad, snapshot: Snapshot) -> tuple[Queue, dict[int, Verdict]]:
    """Ask Slurm once for everything that is running or reserved.

    What looks lost is read again: a job may have ended well while Slurm was asked.
    """
    active = [one for one in snapshot.fireworks.values() if one.state in ("RUNNING", "RESERVED")]
    queue = ask_slurm(job_numbers(active))
    verdicts = {one.fw_id: judge(one, queue) for one in active}
    lost = [fw_id for fw_id, verdict in verdicts.items() if verdict.state == LOST]
    for chunk in chunks(lost, CHUNK):
        for one in read_fireworks(launchpad, {"fw_id": {"$in": chunk}}):
            before = snapshot.fireworks[one.fw_id]
            if (one.state, one.launches) != (before.state, before.launches):
                snapshot.fireworks[one.fw_id] = one
                verdicts.pop(one.fw_id)
                if one.state in ("RUNNING", "RESERVED"):  # another attempt, of a later job
                    verdicts[one.fw_id] = Verdict("unknown", "has just begun anew")
    return queue, verdicts


def _gather(plan: Plan, submission: Submission, launchpad: LaunchPad, store: JobStore) -> _Facts:
    snapshot = take_snapshot(launchpad, submission.parts, links=False)
    queue, verdicts = judge_all(launchpad, snapshot)
    ends = [job for jobs in plan.jobs.values() for job in jobs.values()]
    done = FinishedJobs(store, ids_a_query=CHUNK)
    done.look_up([one for one in [*ends, plan.models, plan.screening] if one])
    supercells = _supercells(launchpad, snapshot)
    return _Facts(snapshot, queue, verdicts, done, supercells, datetime.now(UTC))


def _supercells(launchpad: LaunchPad, snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    """Part -> calculations of supercells done and planned, where some are under way.

    They were asked for together, so the others are those that build on the same job.
    """
    part_of = snapshot.part_of()
    under_way = {
        part_of[one.fw_id]: one.fw_id
        for one in snapshot.fireworks.values()
        if one.category == "supercell" and one.state in ("RUNNING", "RESERVED")
    }
    found: dict[str, tuple[int, int]] = {}
    for key, part in (read_parts(launchpad, under_way) if under_way else {}).items():
        together = part.beside(under_way[key])
        done = sum(part.states[other] == "COMPLETED" for other in together)
        found[key] = (done, len(together))
    return found


def _row(
    jobs: dict[str, str], part: PartView | None, facts: _Facts
) -> tuple[dict[str, str], dict[str, str]]:
    """State and note of each stage: done once the store holds the result of its last job."""
    states: dict[str, str] = {}
    notes: dict[str, str] = {}
    told = [] if part is None else list(facts.snapshot.of(part.key))
    for stage, job in jobs.items():
        own = [one for one in told if one.sse.get("stage") == stage]
        if job in facts.done:
            states[stage] = DONE
            continue
        state, note = _stage(own, part, facts)
        if state == WAITING and {FAILED, BLOCKED} & set(states.values()):
            state = BLOCKED
        elif state == WAITING and all(one == DONE for one in states.values()):
            state, note = _next(own, part)
        states[stage] = state
        if note:
            notes[stage] = note
    return states, notes


def _stage(own: list[FireworkView], part: PartView | None, facts: _Facts) -> tuple[str, str]:
    """State of a stage that is not done, from the fireworks of it that are worth telling of."""
    by_state = {one: [fw for fw in own if fw.state == one] for one in ("FIZZLED", "DEFUSED")}
    if by_state["FIZZLED"]:
        return FAILED, ""
    if by_state["DEFUSED"]:
        return BLOCKED, "defused by hand"
    lost = [one for one in own if one.fw_id in facts.verdicts and _is_lost(one, facts)]
    running = [one for one in own if one.state == "RUNNING" and one not in lost]
    queued = [one for one in own if one.state == "RESERVED" and one not in lost]
    if lost and not running:
        return GONE, facts.verdicts[lost[0].fw_id].why
    if running:
        return RUNNING, _running_note(running, part, facts)
    if queued:
        return QUEUED, _queued_note(queued, facts)
    return WAITING, ""


def _next(own: list[FireworkView], part: PartView | None) -> tuple[str, str]:
    """State of the first stage that is not done, where nothing of it is under way."""
    if part is None:
        return WAITING, "not on the LaunchPad: submit again"
    if "READY" in part.states.values():
        return READY, ""
    if any(one.state == "PAUSED" and one.sse.get("needs") for one in own):
        return WAITING, "waits for other parts"
    return WAITING, ""


def _is_lost(one: FireworkView, facts: _Facts) -> bool:
    return facts.verdicts[one.fw_id].state == LOST


def _running_note(running: list[FireworkView], part: PartView | None, facts: _Facts) -> str:
    """Where, for how long, and how many of how many calculations are done."""
    places = sorted({_place(one, facts) for one in running})
    shown = " ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
    begun = [one.launch.started for one in running if one.launch and one.launch.started]
    words = [f"{len(running)} on {shown}" if len(running) > 1 else shown]
    if begun:
        words.append(duration((facts.now - min(begun)).total_seconds()))
    if part is not None and part.key in facts.supercells:
        done, planned = facts.supercells[part.key]
        words.append(f"{done} of {planned} calculations")
    return ", ".join(words)


def _place(one: FireworkView, facts: _Facts) -> str:
    launch = one.launch
    job = facts.queue.jobs.get(launch.job_id or "") if launch is not None else None
    if job is not None and job.node:
        return job.node
    return (launch.host if launch is not None else None) or "?"


def _queued_note(queued: list[FireworkView], facts: _Facts) -> str:
    """In which queue, and why it waits."""
    numbers = [one.launch.job_id for one in queued if one.launch is not None]
    jobs = [facts.queue.jobs[one] for one in numbers if one in facts.queue.jobs]
    if not jobs:
        return "reserved"
    reason = f" ({jobs[0].reason})" if jobs[0].reason else ""
    more = f"{len(jobs)} jobs" if len(jobs) > 1 else f"job {jobs[0].job_id}"
    return f"{more} in {jobs[0].partition}{reason}"


def _problems(plan: Plan, facts: _Facts) -> list[Problem]:
    """What was refused before anything ran, then what failed, each reason once a stage."""
    found = [Problem(name, "structures", why) for name, why in plan.failures.items()]
    for one in facts.snapshot.fireworks.values():
        if one.state != "FIZZLED":
            continue
        failure = one.launch.failure if one.launch is not None else None
        reason = failure.reason if failure is not None else "no reason was stored"
        mend = failure.mend if failure is not None else None
        passing = failure is not None and failure.kind is not None
        found.append(Problem(*_where(one, plan), reason, mend or (RECOVER if passing else RETRY)))
    return list(dict.fromkeys(found))


def _lost(plan: Plan, facts: _Facts) -> list[Problem]:
    return [
        Problem(*_where(one, plan), facts.verdicts[one.fw_id].why, RECOVER)
        for one in facts.snapshot.fireworks.values()
        if one.fw_id in facts.verdicts and _is_lost(one, facts)
    ]


def _where(one: FireworkView, plan: Plan) -> tuple[str, str]:
    return str(one.sse.get("compound") or plan.name), str(one.sse.get("stage") or one.name)


def _count(snapshot: Snapshot) -> dict[str, int]:
    """State -> fireworks, counted from what the workflows remember."""
    counts: Counter[str] = Counter()
    for part in snapshot.parts.values():
        counts.update(part.states.values())
    return dict(counts)


def duration(seconds: float) -> str:
    """Hours and minutes of a span of time.

    Examples
    --------
    >>> duration(4000), duration(50), duration(200000)
    ('1 h 06 min', '0 min', '55 h 33 min')
    """
    minutes = max(0, int(seconds)) // 60
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
