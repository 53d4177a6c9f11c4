"""Tiny jobs that worker processes can import: they add numbers, grow flows, fail and die.

Each writes a line into a log when it runs, so that a test can count what was computed.
"""

from __future__ import annotations

import gzip
import os
import shlex
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from jobflow import CURRENT_JOB, Flow, JobConfig, OnMissing, Response, job

from sse_flows.errors import OutOfTimeError, SSEError

TOLERANT = JobConfig(on_missing_references=OnMissing.NONE)
"""Configuration of a job that runs although jobs it builds on failed."""


def executions(log: str | Path) -> Counter[tuple[str, int]]:
    """How often each job ran, by uuid and index.

    Parameters
    ----------
    log
        The file that the jobs wrote to.
    """
    path = Path(log)
    lines = path.read_text().splitlines() if path.is_file() else []
    return Counter((line.split()[0], int(line.split()[1])) for line in lines)


def _record(log: str | None) -> None:
    if log is not None:
        with Path(log).open("a") as file:
            file.write(f"{CURRENT_JOB.job.uuid} {CURRENT_JOB.job.index}\n")


@job
def add(a: float, b: float, log: str | None = None, seconds: float = 0.0) -> float:
    """Sum of two numbers, after some seconds."""
    _record(log)
    time.sleep(seconds)
    return a + b


@job
def total(numbers: list[float | None], log: str | None = None) -> dict[str, float]:
    """Sum and number of those that are there."""
    _record(log)
    known = [number for number in numbers if number is not None]
    return {"sum": sum(known), "count": len(known)}


@job
def nothing(after: float | None = None, log: str | None = None) -> None:
    """Give None as its result."""
    _record(log)


@job
def hand_over(log: str | None = None) -> Response:
    """Replace itself by a job whose result is None."""
    _record(log)
    return Response(replace=nothing(log=log))


@job
def fan_out(numbers: list[float], log: str | None = None, seconds: float = 0.0) -> Response:
    """Replace itself by one job a number, which adds 1, and a job that sums them up."""
    _record(log)
    parts = [add(number, 1, log, seconds) for number in numbers]
    last = total([part.output for part in parts], log)
    return Response(replace=Flow([*parts, last], output=last.output))


@job
def detour(number: float, log: str | None = None) -> Response:
    """Hand on a number, and have another job run before those that use it."""
    _record(log)
    return Response(output=number, detour=add(number, 10, log))


@job
def addition(number: float, log: str | None = None) -> Response:
    """Hand on a number, and have another job run some time."""
    _record(log)
    return Response(output=number, addition=add(number, 20, log))


@job
def refuse(number: float, log: str | None = None) -> float:
    """Fail with an error that a user can mend."""
    _record(log)
    raise SSEError(f"{number} is refused", mend="Choose another number")


@job
def crash(number: float, log: str | None = None) -> float:
    """Fail with an error of Python's own, of several lines."""
    _record(log)
    raise RuntimeError(f"broken\nby {number}")


@job
def need_file(number: float, path: str, log: str | None = None) -> float:
    """Hand on a number if a file is there, else fail."""
    _record(log)
    if not Path(path).is_file():
        raise SSEError(f"no file {Path(path).name}")
    return number


def _wait_for(gate: str, timeout: float = 550.0) -> None:
    end = time.monotonic() + timeout
    while not Path(gate).is_file():
        if time.monotonic() > end:
            raise TimeoutError(f"no file {Path(gate).name}")
        time.sleep(0.05)


@job
def hold(number: float, gate: str, log: str | None = None) -> float:
    """Hand on a number once a file is there: a calculation that a test ends when it wants."""
    _record(log)
    _wait_for(gate)
    return number


@job
def hold_on_nodes(number: float, gate: str, log: str | None = None) -> float:
    """As :func:`hold`, by two processes under ``srun``, one on each of two nodes."""
    _record(log)
    wait = f"until [ -e {shlex.quote(gate)} ]; do sleep 0.1; done; echo $SLURMD_NODENAME"
    command = ["srun", "--nodes=2", "--ntasks=2", "bash", "-c", wait]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    if len(set(done.stdout.split())) != 2:
        raise RuntimeError(f"not on two nodes: {done.stdout!r}")
    return number


@job
def eat_memory(number: float, gate: str, group: str, log: str | None = None) -> float:
    """Hand on a number if a file is there, else take memory until the kernel kills the process.

    `group` is a control group with a limit, to which the process goes before.
    """
    _record(log)
    if Path(gate).is_file():
        return number
    (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    taken = [bytearray(b"x" * 1_000_000) for _ in range(1000)]
    raise MemoryError(f"{len(taken)} MB were taken, and nobody minded")


@job
def write_output(number: float, size: int, log: str | None = None) -> float:
    """Hand on a number after leaving an output of `size` bytes in the working folder."""
    _record(log)
    with Path("output").open("wb") as file:
        file.write(bytes(size))
    return number


@job
def read_back(number: float, gate: str, log: str | None = None) -> float:
    """Write a number into a compressed output, wait for a file, and read the number again."""
    _record(log)
    Path("output.gz").unlink(missing_ok=True)  # the disk may be full
    with gzip.open("output.part", "wt") as file:
        file.write(f"{number:2000.6f}")
    Path("output.part").rename("output.gz")  # whoever sees it sees all of it
    _wait_for(gate)
    with gzip.open("output.gz", "rt") as file:
        return float(file.read())


@job
def in_slices(number: float, slices: int, log: str | None = None) -> float:
    """Run out of time until it has been begun `slices` times in the same folder."""
    _record(log)
    with Path("slices").open("a") as file:
        file.write(".")
    if len(Path("slices").read_text()) < slices:
        raise OutOfTimeError("stopped in good order", mend="Run it again")
    return number


@job
def meet(mine: str, other: str, timeout: float = 30.0) -> bool:
    """Leave a file and wait for another: True if whoever writes that runs at the same time."""
    Path(mine).touch()
    end = time.monotonic() + timeout
    while not Path(other).is_file() and time.monotonic() < end:
        time.sleep(0.01)
    return Path(other).is_file()


@job
def write_file(name: str, log: str | None = None) -> str:
    """Leave a file in the working folder; returns the folder."""
    _record(log)
    Path(name).write_text("left behind")
    return str(Path.cwd())


@job
def die(number: float, marker: str | None = None, log: str | None = None) -> float:
    """Kill its own process; with a marker file only as long as that is missing."""
    _record(log)
    if marker is None or not Path(marker).is_file():
        if marker is not None:
            Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number
