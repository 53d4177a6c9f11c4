"""What Slurm says of itself: version, partitions, limits, nodes and accounts."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

from sse_flows.codes.walltime import parse_time_left
from sse_flows.errors import SSEError


@dataclass(frozen=True)
class Partition:
    """A partition that takes jobs.

    Attributes
    ----------
    name
        Its name.
    default
        Whether jobs go there that name none.
    max_seconds
        Longest job, s; None for no limit.
    cores, memory
        Of its smallest node; memory in MB.
    nodes
        How many nodes it has.
    """

    name: str
    default: bool
    max_seconds: float | None
    cores: int
    memory: int
    nodes: int


@dataclass(frozen=True)
class Slurm:
    """What could be found out; empty where Slurm does not answer.

    Attributes
    ----------
    version, cluster
        Of Slurm.
    partitions
        Those that take jobs.
    partition
        The one to use: as asked for, else the default one.
    account
        Default account of the user, if accounting is on.
    """

    version: str | None = None
    cluster: str | None = None
    partitions: tuple[Partition, ...] = ()
    partition: Partition | None = None
    account: str | None = None

    def node(self) -> tuple[int, int]:
        """Cores and memory (MB; 0 if unknown) of a node to plan for."""
        return (self.partition.cores, self.partition.memory) if self.partition else (4, 0)

    def walltime(self, hours: float) -> str:
        """Slurm's form of some hours, or of the partition's limit if that is less."""
        seconds = 3600 * hours
        if self.partition and self.partition.max_seconds:
            seconds = min(seconds, self.partition.max_seconds)
        minutes = max(1, int(seconds // 60))
        return f"{minutes // 60:02d}:{minutes % 60:02d}:00"

    def summary(self) -> str:
        """One line on what was found."""
        if self.version is None:
            return "Slurm was not found here; the files have its usual settings"
        if self.partition is None:
            return f"Slurm {self.version}, no partition takes jobs"
        one = self.partition
        size = f"{one.nodes} nodes of {one.cores} cores, {one.memory} MB"
        return f"Slurm {self.version}, partition {one.name}: {size}"


def ask_slurm(partition: str | None = None) -> Slurm:
    """Ask Slurm's commands; whatever does not answer is left empty.

    Parameters
    ----------
    partition
        The one to use, if it is not the default one.

    Raises
    ------
    SSEError
        Slurm answers and has no such partition.
    """
    version = _ask("sinfo", "--version")
    if version is None:
        return Slurm()
    partitions = parse_partitions(_ask("sinfo", "-h", "-o", "%P|%a|%l|%c|%m|%D") or "")
    chosen = [p for p in partitions if (p.name == partition if partition else p.default)]
    if partition and partitions and not chosen:
        names = ", ".join(p.name for p in partitions)
        raise SSEError(f"Slurm has no partition {partition}", mend=f"There are {names}")
    config = _ask("scontrol", "show", "config") or ""
    named = re.search(r"(?m)^ClusterName\s*=\s*(\S+)", config)
    account = _ask("sacctmgr", "-nP", "show", "user", str(_user()), "format=DefaultAccount")
    return Slurm(
        version=version.split()[-1] if version.split() else None,
        cluster=named.group(1) if named else None,
        partitions=partitions,
        partition=next(iter(chosen or partitions), None),
        account=account.split("\n")[0].strip() or None if account else None,
    )


def parse_partitions(text: str) -> tuple[Partition, ...]:
    """Partitions in lines ``name|state|limit|cores|memory|nodes`` of sinfo, one a kind of node."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        parts = line.strip().split("|")
        if len(parts) != 6 or parts[1] != "up":
            continue
        name = parts[0].rstrip("*")
        cores, memory, nodes = (_leading_number(part) for part in parts[3:])
        other = found.get(name)
        found[name] = Partition(
            name,
            parts[0].endswith("*"),
            parse_time_left(parts[2]),
            min(cores, other.cores) if other else cores,
            min(memory, other.memory) if other else memory,
            nodes + (other.nodes if other else 0),
        )
    return tuple(found.values())


def _leading_number(text: str) -> int:
    """Number in front of a ``+``, which sinfo adds where nodes differ."""
    match = re.match(r"\d+", text)
    return int(match.group()) if match else 0


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _ask(*command: str) -> str | None:
    """Output of a command; None if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
