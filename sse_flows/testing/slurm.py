"""A private Slurm cluster on this machine, for tests: real slurmctld, slurmd and munged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sse_flows.testing.ports import free_port

SCRIPT = Path(__file__).with_name("slurm_cluster.sh")

_LONGEST_FOLDER = 60  # a socket's path holds 107 characters
_SYSTEM = "/usr/sbin:/sbin"


def why_no_slurm() -> str | None:
    """What is missing to start a cluster, in words; None where nothing is."""
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM}"
    programs = ("slurmctld", "slurmd", "sbatch", "munged")
    missing = [name for name in programs if shutil.which(name, path=path) is None]
    return f"not installed: {', '.join(missing)} (slurm-wlm, munge)" if missing else None


class SlurmCluster:
    """A Slurm cluster of virtual nodes n1, n2, ... on 127.0.0.1; a context manager.

    Needs neither systemd nor a user of its own: whoever starts it, root or not, owns it. A node
    counts as lost once :meth:`mark_down` says so. The partition ``short`` has a time limit of one
    minute, and its jobs drive out those of ``debug``.

    Parameters
    ----------
    folder
        Folder of the configuration, sockets, state and logs; at most 60 characters long.
    nodes
        Number of nodes.
    cpus
        CPUs of a node, whatever the machine has.

    Raises
    ------
    ValueError
        The folder's path is too long for sockets in it.
    """

    def __init__(self, folder: str | os.PathLike, nodes: int = 2, cpus: int = 2) -> None:
        self.folder = Path(folder).resolve()
        if len(str(self.folder)) > _LONGEST_FOLDER:
            raise ValueError(f"the path {self.folder} is too long for the sockets of Slurm")
        self.nodes, self.cpus = nodes, cpus
        self._ports = [free_port() for _ in range(nodes + 1)]

    @property
    def environment(self) -> dict[str, str]:
        """Variables that Slurm's commands need to find this cluster."""
        path = f"{os.environ.get('PATH', '')}:{_SYSTEM}"
        return {"SLURM_CONF": str(self.folder / "etc" / "slurm.conf"), "PATH": path}

    @property
    def completed_jobs(self) -> Path:
        """File with a line for every job that has ended (``JobId=1 ... JobState=COMPLETED``)."""
        return self.folder / "log" / "jobcomp.log"

    def __enter__(self) -> SlurmCluster:
        try:
            self._script("up")
        except RuntimeError:
            self._script("down")
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for number in range(1, self.nodes + 1):
            self.kill_node(number)
        self._script("down")

    def run(self, *command: str, timeout: float = 60, check: bool = True) -> str:
        """Output of a command (``sbatch``, ``squeue``, ...) sent to this cluster.

        Raises
        ------
        RuntimeError
            The command failed, and `check` is true.
        """
        done = subprocess.run(
            command,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=self.folder,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stderr or done.stdout}")
        return done.stdout.strip()

    def submit(self, command: str, *options: str) -> str:
        """Number of a new batch job that runs a shell command."""
        return self.run("sbatch", "--parsable", *options, "--wrap", command)

    def state(self, job: str) -> str:
        """State of a job, such as PENDING; UNKNOWN to the controller after its ten minutes."""
        found = self.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T", check=False)
        return found or "UNKNOWN"

    def wait_for_state(self, job: str, *states: str, timeout: float = 120) -> str:
        """Wait until a job is in one of some states, and return that.

        Raises
        ------
        TimeoutError
            It is in another still.
        """
        wait_until(lambda: self.state(job) in states, timeout, f"{job} to be {states}")
        return self.state(job)

    def node_state(self, number: int) -> str:
        """State of a node: idle, mixed, allocated, down*, ..."""
        return self.run("sinfo", "-h", "-N", "-n", f"n{number}", "-p", "debug", "-o", "%T")

    def stop_node(self, number: int) -> None:
        """Stop the daemon of a node in good order; its jobs run on."""
        self._script("stop-node", str(number))

    def start_node(self, number: int) -> None:
        """Start the daemon of a node; jobs that still run are found again."""
        self._script("start-node", str(number))

    def kill_node(self, number: int) -> None:
        """Kill a node as a power cut would: its daemon and all processes of its jobs."""
        for process in node_processes(self.folder, number):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        (self.folder / "run" / f"slurmd.n{number}.pid").unlink(missing_ok=True)

    def mark_down(self, number: int, reason: str = "killed by a test") -> None:
        """Tell the controller that a node is down, rather than wait until it notices."""
        node = f"NodeName=n{number}"
        self.run("scontrol", "update", node, "State=DOWN", f"Reason={reason}")

    def stop_controller(self) -> None:
        """Stop slurmctld in good order; jobs run on, commands fail."""
        self._script("stop-controller")

    def start_controller(self) -> None:
        """Start slurmctld with the state that it saved."""
        self._script("start-controller")

    def restart_controller(self) -> None:
        """Stop and start slurmctld: running and waiting jobs outlive it."""
        self.stop_controller()
        self.start_controller()

    def set_partition(self, *settings: str) -> None:
        """Change the partition ``debug``, such as to ``State=DOWN`` or ``PreemptMode=CANCEL``."""
        self.run("scontrol", "update", "PartitionName=debug", *settings)

    def recover(self) -> None:
        """Cancel all jobs and mend what tests broke: all nodes idle, controller up."""
        if self.run("scontrol", "ping", check=False).rpartition(" ")[2] != "UP":
            self.start_controller()
        self.run("scancel", "--quiet", "--full", "--signal=KILL", "--user", str(os.geteuid()))
        self.run("scancel", "--quiet", "--user", str(os.geteuid()))
        for number in range(1, self.nodes + 1):
            if not node_daemon_runs(self.folder, number):
                self.kill_node(number)
                self.start_node(number)
            if "drain" in self.node_state(number):
                self.run("scontrol", "update", f"NodeName=n{number}", "State=RESUME")
        self.set_partition("State=UP", "PreemptMode=REQUEUE")
        try:
            wait_until(self.idle, 150, "idle nodes and an empty queue")
        except TimeoutError as error:
            seen = self.run("sinfo", "-N", "-l"), self.run("squeue")
            raise TimeoutError("\n".join((str(error), *seen))) from error

    def idle(self) -> bool:
        """Whether no job is left and every node waits for one.

        A job that ends soon after a restart of slurmctld leaves its node "mixed" on the list for
        minutes, although its CPUs are free.
        """
        states = {self.node_state(number) for number in range(1, self.nodes + 1)}
        return not self.run("squeue", "-h") and states <= {"idle", "mixed"}

    def _script(self, *arguments: str) -> None:
        settings = {
            "SLURM_TEST_HOME": str(self.folder),
            "SLURM_TEST_PORTS": " ".join(map(str, self._ports)),
            "SLURM_TEST_CPUS": str(self.cpus),
        }
        done = subprocess.run(
            ["bash", str(SCRIPT), *arguments],
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"Slurm: {' '.join(arguments)} failed: {done.stderr or done.stdout}")


def wait_until(condition: Callable[[], bool], timeout: float, what: str = "a condition") -> None:
    """Look every fifth of a second until a condition holds.

    Raises
    ------
    TimeoutError
        It does not hold after `timeout` seconds.
    """
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(0.2)


def node_processes(folder: Path, number: int) -> list[int]:
    """Processes of a virtual node: daemon, the daemons of its job steps, and all below them.

    Slurm's daemons hold the log of their node open, which tells virtual nodes apart; what a job
    has put in the background is found by its environment.
    """
    log = str(folder / "log" / f"slurmd.n{number}.log")
    marks = {f"SLURMD_NODENAME=n{number}", f"SLURM_CONF={folder / 'etc' / 'slurm.conf'}"}
    found = {process for process in _processes() if log in _open_files(process)}
    found |= {process for process in _processes() if marks <= _environment(process)}
    parents = {process: _parent(process) for process in _processes()}
    while below := {child for child, parent in parents.items() if parent in found} - found:
        found |= below
    return sorted(found)


def node_daemon_runs(folder: Path, number: int) -> bool:
    """Whether the slurmd of a virtual node is there."""
    try:
        process = int((folder / "run" / f"slurmd.n{number}.pid").read_text())
        return "slurmd" in Path(f"/proc/{process}/cmdline").read_text()
    except (OSError, ValueError):
        return False


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _open_files(process: int) -> set[str]:
    found = set()
    try:
        for entry in Path(f"/proc/{process}/fd").iterdir():
            found.add(str(entry.readlink()))
    except OSError:
        pass  # it has ended, or is another user's
    return found


def _environment(process: int) -> set[str]:
    try:
        return set(Path(f"/proc/{process}/environ").read_text(errors="replace").split("\0"))
    except OSError:
        return set()


def _parent(process: int) -> int:
    try:
        stat = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])
