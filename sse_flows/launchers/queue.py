"""What Slurm says of jobs: pending, running, or ended and how.

A controller that does not answer, and a host without Slurm, say nothing: a job is ``gone`` only
where Slurm answered and does not hold it any more.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from sse_flows.codes.walltime import parse_time_left

TIMEOUT = 30.0
"""Seconds that a command of Slurm may take."""

MAX_LISTED = 5000
"""Beyond so many ids the whole queue is read: a command line has an end."""

PENDING_STATES = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
)
ACTIVE_STATES = frozenset(
    {
        "RUNNING",
        "COMPLETING",
        "CONFIGURING",
        "SUSPENDED",
        "STOPPED",
        "SIGNALING",
        "STAGE_OUT",
        "RESIZING",
        "EXPEDITING",
        "POWER_UP_NODE",
    }
)
_FORMAT = "%A|%T|%P|%N|%M|%L|%S|%r"
_FILTERS = ("SQUEUE_", "SACCT_", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT")


@dataclass(frozen=True)
class QueueJob:
    """One job of Slurm.

    Attributes
    ----------
    job_id
        Its number.
    state
        Slurm's word for its state, for instance ``PENDING`` or ``TIMEOUT``.
    partition, node, reason
        Where it waits or runs, and why it waits.
    elapsed, left
        Seconds it has run, and may still run.
    started
        When it started, the last time if it was requeued.
    """

    job_id: str
    state: str
    partition: str = ""
    node: str = ""
    elapsed: float | None = None
    left: float | None = None
    started: datetime | None = None
    reason: str = ""

    @property
    def pending(self) -> bool:
        """Whether it waits for its start, the first or another."""
        return self.state in PENDING_STATES

    @property
    def active(self) -> bool:
        """Whether processes of it may be alive."""
        return self.state in ACTIVE_STATES


@dataclass(frozen=True)
class Queue:
    """What Slurm answered.

    Attributes
    ----------
    answers
        Whether it answered at all.
    why
        Why not.
    jobs
        Jobs asked for that Slurm knows, by number.
    cluster
        Name of the cluster.
    private
        Whether users see only their own jobs: then a job that is not seen may be someone else's.
    """

    answers: bool
    why: str = ""
    jobs: dict[str, QueueJob] = field(default_factory=dict)
    cluster: str = ""
    private: bool = False


def ask_slurm(job_ids: Iterable[str]) -> Queue:
    """Ask Slurm about jobs: one call of ``squeue`` for all, then how those ended that are gone.

    Parameters
    ----------
    job_ids
        Numbers of jobs; others than whole numbers are not Slurm's and are left out.
    """
    wanted = sorted({str(one) for one in job_ids if str(one).isdigit()}, key=int)
    if not wanted:
        return Queue(answers=True)
    code, text, error = _call(_squeue(wanted))
    if code != 0 and "Invalid job id" not in error:
        return Queue(answers=False, why=_last_line(error) or f"squeue ended with {code}")
    listed = [parse_squeue_line(line) for line in text.splitlines()]
    jobs = {one.job_id: one for one in listed if one is not None and one.job_id in set(wanted)}
    settings = _settings()
    ended = [one for one in wanted if one not in jobs]
    if ended:
        jobs.update(_how_ended(ended, settings))
    private = "jobs" in settings.get("PrivateData", "").lower().split(",")
    return Queue(True, "", jobs, settings.get("ClusterName", ""), private)


def pending_jobs() -> dict[str, str] | None:
    """Jobs of this user that wait and are not held: number -> folder that they were sent from.

    None where Slurm does not answer.
    """
    user = ["-u", str(os.getuid())]
    command = ["squeue", "--noheader", "--all", "--states=PENDING", *user, "-o", "%A|%r|%Z"]
    code, text, _ = _call(command)
    if code:
        return None
    parts = [line.strip().split("|", 2) for line in text.splitlines()]
    return {one[0]: one[2] for one in parts if len(one) == 3 and not one[1].startswith("JobHeld")}


def cancel_pending(job_id: str) -> None:
    """Cancel a job if it still waits; one that has begun is left alone."""
    _call(["scancel", "--quiet", "--state=PENDING", job_id])


def parse_squeue_line(line: str) -> QueueJob | None:
    """One line of ``squeue -o``; None for a line that is none.

    Examples
    --------
    >>> job = parse_squeue_line("12|RUNNING|debug|n1|1:05|58:55|1700000000|None")
    >>> job.node, job.elapsed, job.active
    ('n1', 65.0, True)
    """
    parts = line.strip().split("|", 7)
    if len(parts) < 8 or not parts[0].isdigit():
        return None
    number, state, partition, node, elapsed, left, start, reason = parts
    return QueueJob(
        number,
        state,
        partition,
        node,
        parse_time_left(elapsed),
        parse_time_left(left),
        _moment(start),
        "" if reason in ("None", "(null)") else reason,
    )


def _squeue(job_ids: list[str]) -> list[str]:
    command = ["squeue", "--noheader", "--all", "--states=all", "-o", _FORMAT]
    return command if len(job_ids) > MAX_LISTED else [*command, "-j", ",".join(job_ids)]


def _call(command: list[str]) -> tuple[int, str, str]:
    """Exit code, output and error of a command; what users set to filter its output is ignored."""
    # one who set SQUEUE_PARTITION would see the jobs of all others as gone
    mine = {k: v for k, v in os.environ.items() if not k.startswith(_FILTERS)}
    mine["SLURM_TIME_FORMAT"] = "%s"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, env=mine, check=False
        )
    except FileNotFoundError:
        return 127, "", f"{command[0]} is not installed on this machine"
    except (OSError, subprocess.SubprocessError) as error:
        return 126, "", f"{command[0]} does not answer: {type(error).__name__}"
    return done.returncode, done.stdout, done.stderr


def _settings() -> dict[str, str]:
    """Slurm's configuration as its controller gives it; empty where it does not."""
    _, text, _ = _call(["scontrol", "show", "config"])
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _how_ended(job_ids: list[str], settings: dict[str, str]) -> dict[str, QueueJob]:
    """How jobs ended that the controller has forgotten: from accounting, else its text log."""
    if settings.get("AccountingStorageType", "").endswith("slurmdbd"):
        return _from_accounting(job_ids)
    if settings.get("JobCompType", "").endswith("filetxt"):
        return _from_completion_log(set(job_ids), Path(settings.get("JobCompLoc", "")))
    return {}


def _from_accounting(job_ids: list[str]) -> dict[str, QueueJob]:
    found = {}
    for start in range(0, len(job_ids), MAX_LISTED):
        listed = ",".join(job_ids[start : start + MAX_LISTED])
        fields = ["-o", "JobIDRaw,State,Partition,NodeList"]
        _, text, _ = _call(["sacct", "-n", "-P", "-X", "-a", "-j", listed, *fields])
        for line in text.splitlines():
            parts = line.split("|")
            if len(parts) == 4:
                # "CANCELLED by 1000"
                found[parts[0]] = QueueJob(parts[0], parts[1].split(" ")[0], parts[2], parts[3])
    # accounting may not have heard of an end that the controller knows: gone is gone
    return {k: replace(v, state="ENDED") if _looks_alive(v) else v for k, v in found.items()}


def _looks_alive(job: QueueJob) -> bool:
    return job.active or job.pending


def _from_completion_log(job_ids: set[str], path: Path) -> dict[str, QueueJob]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        values = dict(re.findall(r"(\w+)=(\S*)", line))
        number = values.get("JobId", "")
        if number in job_ids:
            found[number] = QueueJob(
                number,
                values.get("JobState", "ENDED"),
                values.get("Partition", ""),
                values.get("NodeList", ""),
            )
    return {k: replace(v, state="ENDED") if _looks_alive(v) else v for k, v in found.items()}


def _moment(text: str) -> datetime | None:
    """A time as seconds since 1970, or as ISO 8601 in local time where Slurm knows no other."""
    try:
        if text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
