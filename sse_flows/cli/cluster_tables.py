"""What `sse status` and `sse recover` print of a submitted campaign."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sse_flows.cli.tables import aligned

if TYPE_CHECKING:
    from sse_flows.campaign.status import Problem, Status
    from sse_flows.launchers.scene import Finding
    from sse_flows.launchers.watch import ClusterStatus

_SHOWN = 20
_ORDER = ("running", "queued", "ready", "waiting", "lost", "failed", "blocked", "done")
_JOBS = ("READY", "RESERVED", "RUNNING", "COMPLETED", "FIZZLED", "PAUSED", "WAITING", "DEFUSED")


def cluster_table(status: ClusterStatus, rows: int | None = None) -> str:
    """Compounds x stages with where they are, what is lost or failed, and lines of sums.

    Parameters
    ----------
    status
        Where the campaign stands.
    rows
        Most compounds to show, those with something going on first; all by default.
    """
    lines = [_compounds(status, rows)] if status.stages else []
    tail_notes = _tail_notes(status)
    lines += [f"{k}: {v}{tail_notes.get(k, '')}" for k, v in status.tail.items()]
    most = None if rows is None else max(3, rows // 4)
    lines += _problem_lines("lost", status.lost, most)
    lines += _problem_lines("failed", status.problems, most)
    if status.slurm:
        lines.append(f"Slurm does not answer: {status.slurm}")
    return "\n".join([*lines, *sum_lines(status)])


def sum_lines(status: ClusterStatus) -> list[str]:
    """Compounds by stage and state, and fireworks by state."""
    lines = []
    for stage, states in status.counts().items():
        parts = [f"{states[one]} {one}" for one in _ORDER if states.get(one)]
        lines.append(f"{stage}: {', '.join(parts)}")
    jobs = [f"{status.jobs[one]} {one}" for one in _JOBS if status.jobs.get(one)]
    state = "complete" if status.complete else "running" if status.running else "not running"
    return [*lines, "; ".join([state, f"jobs: {', '.join(jobs)}" if jobs else "no jobs"])]


def status_json(status: Status) -> str:
    """The whole status as JSON."""
    found: dict[str, Any] = asdict(status)
    del found["computed"]
    found["counts"] = status.counts()
    found["complete"] = status.complete
    return json.dumps(found, indent=1)


def findings_text(findings: list[Finding], dry_run: bool) -> str:
    """What was found and done, a line each; of many of one kind the first, then a line of sums."""
    if not findings:
        return "nothing to recover"
    by_kind: dict[str, list[Finding]] = {}
    for one in findings:
        by_kind.setdefault(one.kind, []).append(one)
    lines = []
    for kind, found in by_kind.items():
        lines += [one.line(dry_run) for one in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"{kind}: {len(found) - _SHOWN} more")
    lines += [_sum(kind, found, dry_run) for kind, found in by_kind.items()]
    return "\n".join(lines)


def _sum(kind: str, found: list[Finding], dry_run: bool) -> str:
    done = sum(bool(one.did) for one in found)
    words = "would be put right" if dry_run else "put right"
    left = f", {len(found) - done} left alone" if done < len(found) else ""
    return f"{kind}: {len(found)} found, {done} {words}{left}"


def _compounds(status: ClusterStatus, rows: int | None) -> str:
    """One row a compound; the note is that of the first stage that is not done."""
    names = list(status.stages)
    if rows is not None and len(names) > rows:
        names = sorted(names, key=lambda name: _rank(status.stages[name]))[:rows]
    head = ["compound", *next(iter(status.stages.values())), ""]
    table = [head]
    for name in names:
        notes = status.notes.get(name, {})
        note = next((notes[stage] for stage in status.stages[name] if stage in notes), "")
        table.append([name, *status.stages[name].values(), note])
    text = aligned(table)
    hidden = len(status.stages) - len(names)
    return f"{text}\n({hidden} more compounds)" if hidden else text


def _rank(row: dict[str, str]) -> int:
    """Place of a compound where not all can be shown."""
    first = ("running", "lost", "failed", "queued", "ready")
    return min((first.index(one) for one in row.values() if one in first), default=len(first))


def _tail_notes(status: ClusterStatus) -> dict[str, str]:
    found = {}
    for notes in (notes for name, notes in status.notes.items() if name not in status.stages):
        found.update({stage: f" ({note})" for stage, note in notes.items()})
    return found


def _problem_lines(word: str, problems: list[Problem], most: int | None) -> list[str]:
    shown = problems if most is None else problems[:most]
    lines = []
    for one in shown:
        mend = f" -> {one.mend}" if one.mend else ""
        lines.append(f"{word}: {one.compound} ({one.stage}): {one.reason}{mend}")
    hidden = len(problems) - len(shown)
    return [*lines, f"{word}: {hidden} more"] if hidden else lines
