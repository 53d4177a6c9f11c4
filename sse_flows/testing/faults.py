"""What goes wrong on a real cluster, done on purpose.

Cancelled jobs, killed processes, dead nodes and absent daemons, a database that goes away, a full
disk, and files cut short.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_flows.testing.slurm import SlurmCluster

if TYPE_CHECKING:
    from fireworks import LaunchPad

    from sse_flows.testing.mongo_server import MongoServer


def cancel_job(cluster: SlurmCluster, job: str) -> None:
    """Cancel a job as its owner or an administrator would."""
    cluster.run("scancel", job)


def lose_node(cluster: SlurmCluster, number: int) -> None:
    """Kill a node with all that runs there; the controller knows at once."""
    cluster.kill_node(number)
    cluster.mark_down(number, "lost by a test")


@contextmanager
def controller_away(cluster: SlurmCluster) -> Iterator[None]:
    """Without slurmctld: jobs run on, every command of Slurm fails."""
    cluster.stop_controller()
    try:
        yield
    finally:
        cluster.start_controller()


def kill_process(process: int) -> None:
    """Kill a process of this machine with no chance to clean up."""
    os.kill(process, signal.SIGKILL)


def launch_process(launchpad: LaunchPad, launch: int) -> int:
    """Number of the process that a launch says it runs in.

    Raises
    ------
    LookupError
        The launch does not say so.
    """
    document: dict[str, Any] = launchpad.launches.find_one({"launch_id": launch}) or {}
    found = ((document.get("fworker") or {}).get("env") or {}).get("pid")
    if found is None:
        raise LookupError(f"launch {launch} does not say in which process it runs")
    return int(found)


def kill_launch(launchpad: LaunchPad, launch: int) -> None:
    """Kill the process of a launch, which stays RUNNING for whoever looks."""
    kill_process(launch_process(launchpad, launch))


@contextmanager
def database_away(server: MongoServer, seconds: float) -> Iterator[None]:
    """Stop a database for some seconds while the block runs; it is back at the block's end."""
    server.stop()

    def come_back() -> None:
        time.sleep(seconds)
        server.start()

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory on a new folder, as root.

    Parameters
    ----------
    folder
        Made where it is not there.
    options
        Of tmpfs, such as ``size=600k``, which fills up like a small scratch disk.

    Raises
    ------
    OSError, subprocess.SubprocessError
        There is no right to mount; see :func:`file_size_limit` for those without.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True, timeout=20)


def fill(folder: Path) -> list[Path]:
    """Fill a small file system with one large file, then with empty ones; returns them.

    It must have few inodes, which are what empty files use up.
    """
    files = [folder / "ballast"]
    with contextlib.suppress(OSError), files[0].open("wb", 0) as file:
        while True:
            file.write(bytes(1024))
    with contextlib.suppress(OSError):
        while len(files) < 10_000:
            path = folder / f"ballast-{len(files)}"
            path.touch(exist_ok=False)
            files.append(path)
    return files


@contextmanager
def memory_group(size: int) -> Iterator[Path]:
    """Control group of the kernel whose processes are killed once they take `size` bytes more.

    Raises
    ------
    OSError
        There is no right to make one, or no controller of memory.
    """
    for root, limits in (
        ("/sys/fs/cgroup/memory", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")),
        ("/sys/fs/cgroup", ("memory.max",)),
    ):
        folder = Path(root) / f"sse_test_{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
        if (folder / limits[0]).is_file():
            break
        with contextlib.suppress(OSError):
            folder.rmdir()
    else:
        raise OSError("no control group can be made for memory")
    try:
        (folder / limits[0]).write_text(str(size))
        for name, value in ((limits[-1], size), ("memory.swap.max", 0)):
            with contextlib.suppress(OSError):  # without swap there are no such files
                (folder / name).write_text(str(value))
        yield folder
    finally:
        _remove_group(folder)


def _remove_group(folder: Path) -> None:
    """Remove a control group once the kernel is done with those whom it killed."""
    end = time.monotonic() + 60
    while folder.is_dir():
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def file_size_limit(size: int) -> Callable[[], None]:
    """`preexec_fn` for a process in which no file may grow beyond `size` bytes.

    Writes beyond fail with EFBIG, as they would with ENOSPC on a full disk.
    """

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def cut_short(file: Path, share: float = 0.5) -> int:
    """Keep only the first part of a file, as a full disk or a killed writer does.

    Returns
    -------
    Bytes left.
    """
    left = int(file.stat().st_size * share)
    os.truncate(file, left)
    return left
