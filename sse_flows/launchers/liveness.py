"""Whether what the LaunchPad calls running or reserved may still be alive.

Only what is known is said: a job in Slurm is lost once Slurm itself says so, a process on this
machine once it is gone, and anything else once it has been silent for as long as FireWorks allows.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sse_flows.launchers.queue import Queue, QueueJob
from sse_flows.launchers.snapshot import FireworkView, LaunchView

ALIVE, LOST, UNKNOWN = "alive", "lost", "unknown"

GRACE = 600.0
"""Seconds after which a reservation without a job, or a run without a launch, is a leftover."""

CLOCK_SKEW = 120.0
"""Seconds by which the clocks of two machines may differ."""


_CUT_OFF = frozenset(("NODE_FAIL", "REQUEUED", "REVOKED"))
"""States in which Slurm has given a job up, though its processes may live on their node."""


@dataclass(frozen=True)
class Verdict:
    """Alive, lost or unknown, and why.

    Attributes
    ----------
    state, why
        ``alive``, ``lost`` or ``unknown``, and what that was told by.
    dead
        Whether the process is known to have ended; a lost one may live where nobody sees it.
    """

    state: str
    why: str
    dead: bool = False


def job_numbers(fireworks: list[FireworkView]) -> set[str]:
    """Slurm's numbers of the jobs that fireworks run in, are reserved for or were claimed by."""
    active = [one for one in fireworks if one.state in ("RUNNING", "RESERVED")]
    launches = [launch for one in active for launch in (one.launch, one.claim)]
    return {launch.job_id for launch in launches if launch is not None and launch.job_id}


def judge(firework: FireworkView, queue: Queue, now: datetime | None = None) -> Verdict:
    """Whether a firework that is RUNNING or RESERVED in the LaunchPad may be alive.

    Parameters
    ----------
    firework
        The firework, read before `queue` was asked.
    queue
        What Slurm said of its job.
    now
        The present, for tests.
    """
    now = now or datetime.now(UTC)
    launch = firework.launch
    if launch is None or (firework.state == "RESERVED" and launch.job_id is None):
        what = "reservation without a job" if firework.state == "RESERVED" else "run that never was"
        return _leftover(firework, what, now)
    if firework.state == "RUNNING" and launch.died is not None:
        return Verdict(LOST, f"process {launch.pid} ended with {launch.died}", dead=True)
    if launch.job_id is not None:
        verdict = _judge_job(launch, queue)
        known = queue.jobs.get(launch.job_id)
        if firework.state == "RESERVED" and known is not None and known.pending:
            return Verdict(ALIVE, f"job {launch.job_id} waits")
        return verdict
    if launch.pid is not None and launch.host in _names_of_this_host():
        return _judge_process(launch)
    return _judge_ping(launch, now)


def void_claim(firework: FireworkView, queue: Queue) -> datetime | None:
    """Time of the claim on a firework, if whoever made it is lost; None if there is none such.

    Parameters
    ----------
    firework
        The firework.
    queue
        What Slurm said of the jobs of :func:`job_numbers`.
    """
    who = firework.claim
    if who is None:
        return None
    if who.died is not None:
        return who.started
    if who.job_id is not None:
        verdict = _judge_job(who, queue)
    elif who.pid is not None and who.host in _names_of_this_host():
        verdict = _judge_process(who)
    else:
        return None
    return who.started if verdict.state == LOST else None


def _judge_job(launch: LaunchView, queue: Queue) -> Verdict:
    """What Slurm's answer says of a run."""
    name = f"job {launch.job_id}"
    unsure = _not_told(launch, queue)
    if unsure:
        return Verdict(UNKNOWN, unsure)
    job = queue.jobs.get(str(launch.job_id))
    if job is None:
        return Verdict(LOST, f"{name} is not in the queue any more")
    if job.pending:
        return Verdict(LOST, f"{name} was put back into the queue")
    if job.active:
        return _judge_active(launch, job)
    why = f"{name} ended ({job.state.lower().replace('_', ' ')})"
    return Verdict(LOST, why, dead=job.state not in _CUT_OFF)


def _not_told(launch: LaunchView, queue: Queue) -> str:
    """Why Slurm's answer says nothing of a run; empty where it does."""
    name = f"job {launch.job_id}"
    if not str(launch.job_id).isdigit():
        return f"{name} is none of Slurm's"
    if not queue.answers:
        return f"Slurm does not answer ({queue.why})"
    if launch.cluster and queue.cluster and launch.cluster != queue.cluster:
        return f"{name} is on the cluster {launch.cluster}, not {queue.cluster}"
    if queue.private and str(launch.job_id) not in queue.jobs and not _is_ours(launch):
        return f"{name} may be another user's, whose jobs Slurm hides"
    return ""


def _judge_active(launch: LaunchView, job: QueueJob) -> Verdict:
    """A job that began again after the run did is not the one that ran it."""
    if job.started is not None and launch.started is not None:
        later = (job.started - launch.started).total_seconds()
        if later > CLOCK_SKEW:
            return Verdict(LOST, f"job {job.job_id} was requeued and began anew")
    return Verdict(ALIVE, f"job {job.job_id} runs on {job.node or 'a node'}")


def _judge_process(launch: LaunchView) -> Verdict:
    if _process_lives(int(launch.pid or 0), launch.started):
        return Verdict(ALIVE, f"process {launch.pid} on this machine")
    return Verdict(LOST, f"process {launch.pid} on this machine is gone", dead=True)


def _judge_ping(launch: LaunchView, now: datetime) -> Verdict:
    from fireworks.fw_config import RUN_EXPIRATION_SECS

    last = launch.pinged or launch.started
    silent = (now - last).total_seconds() if last is not None else 0.0
    where = launch.host or "an unknown machine"
    if last is not None and silent > RUN_EXPIRATION_SECS:
        return Verdict(LOST, f"no sign of life from {where} for {silent / 3600:.1f} h")
    return Verdict(UNKNOWN, f"runs outside Slurm on {where}")


def _leftover(firework: FireworkView, what: str, now: datetime) -> Verdict:
    age = (now - firework.changed).total_seconds() if firework.changed is not None else 0.0
    if age > GRACE:
        return Verdict(LOST, f"a {what}")
    return Verdict(UNKNOWN, f"a {what} yet")


def _names_of_this_host() -> set[str]:
    return {socket.gethostname(), socket.getfqdn(), socket.gethostname().split(".")[0]}


def _is_ours(launch: LaunchView) -> bool:
    """Whether the folder of the launch belongs to the user who asks."""
    try:
        return launch.folder is not None and Path(launch.folder).stat().st_uid == os.getuid()
    except OSError:
        return False


def _process_lives(pid: int, started: datetime | None) -> bool:
    """Whether the process is there, and not a later one that was given the same number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    born = _born(pid)
    if born is None or started is None:
        return True
    return born <= started.timestamp() + CLOCK_SKEW


def _born(pid: int) -> float | None:
    """Seconds since 1970 at which a process began, where /proc tells."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        lines = Path("/proc/stat").read_text().splitlines()
        boot = next(float(line.split()[1]) for line in lines if line.startswith("btime"))
        return boot + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return None
