"""FireWorks' queue adapter for Slurm: safe job scripts, and a queue that is never flooded.

``my_qadapter.yaml`` names it in the form that FireWorks imports::

    _fw_name: "{{sse_flows.launchers.adapter.SlurmAdapter}}"
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fireworks.queue.queue_adapter import QScriptTemplate
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from sse_flows.errors import SSEError
from sse_flows.launchers import qlaunch
from sse_flows.launchers.qlaunch import LONGEST_PAUSE, Absence, SlurmAway, signals_handled
from sse_flows.launchers.secret_files import PASSWORD_VARIABLE

TEMPLATE = Path(__file__).parent / "templates" / "slurm.sh"
"""Job script, with FireWorks' own ``$${key}`` marks."""

OWN_KEYS = ("max_queued", "job_prefix", "logdir")
"""Keys of the adapter that do not appear in the script."""

FREE_KEYS = ("rocket_launch", "pre_rocket", "post_rocket", "job_name")
"""Keys that may hold any text: shell commands, and what only harmless characters are kept of."""

NOT_SUBMITTED = re.compile(r"unable to contact slurm controller \(connect failure\)", re.I)
"""What sbatch says where nothing can have been submitted, so that trying again is harmless."""

AWAY = re.compile(
    r"unable to contact slurm|socket timed out|zero bytes were transmitted|connection (refused|"
    r"timed out|reset)|controller in standby|communication connection failure",
    re.IGNORECASE,
)
"""What Slurm's commands say where its controller is away or too busy; a job may be submitted."""

SUBMIT_ATTEMPTS = 6
WHILE_RESERVED = 15.0
"""How long a queue that does not answer is waited for with a firework reserved, seconds."""


qlaunch.install()


class SlurmAdapter(CommonAdapter):
    """FireWorks' adapter for Slurm with three differences.

    Values of a firework never reach a shell: the job's name is reduced to letters, digits and
    ``_.-``, the folder is quoted, a line break in an option is refused. An unknown key is refused,
    with the nearest one. And `max_queued` holds ``qlaunch`` back while that many jobs of this
    adapter are pending or running, since ``sse worker`` drains many fireworks in one job.

    Parameters
    ----------
    q_type
        ``SLURM``.
    max_queued
        Most jobs of this adapter in the queue; None for no limit.
    job_prefix
        Jobs of this adapter are those whose name begins with it and a dash.
    **kwargs
        ``q_name``, ``template_file`` and ``timeout`` as in FireWorks, and the keys of the template.
    """

    _fw_name = "{{sse_flows.launchers.adapter.SlurmAdapter}}"

    def __init__(
        self,
        q_type: str = "SLURM",
        max_queued: int | None = 20,
        job_prefix: str = "sse",
        template_file: str | None = None,
        timeout: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            q_type=q_type,
            timeout=timeout or 30,  # FireWorks' 5 s are short for a busy controller
            template_file=template_file or str(TEMPLATE),
            max_queued=max_queued,
            job_prefix=job_prefix,
            **kwargs,
        )

    @property
    def prefix(self) -> str:
        """What the names of this adapter's jobs begin with."""
        return safe_name(self["job_prefix"]) + "-"

    def get_script_str(self, launch_dir: str) -> str:
        """Job script for a launch folder.

        Raises
        ------
        SSEError
            A key is not one of the template, or a value has a line break.
        """
        template = Path(self.template_file).read_text()
        self.check(template)
        values = {k: str(v) for k, v in self.items() if v is not None and k not in OWN_KEYS}
        values.setdefault("output", f"{self.prefix}%j.out")
        values["job_name"] = self.prefix + safe_name(values.get("job_name", "job"))
        values["launch_dir"] = shlex.quote(str(Path(launch_dir).resolve()))
        lines = [line for line in template.split("\n") if template_keys(line) <= values.keys()]
        return QScriptTemplate("\n".join(lines)).substitute(values)

    def check(self, template: str | None = None) -> None:
        """Look at keys and values without writing anything; raises as :meth:`get_script_str`."""
        known = template_keys(
            Path(self.template_file).read_text() if template is None else template
        )
        for key, value in self.items():
            if key.startswith("_") or value is None:
                continue
            if key not in known and key not in OWN_KEYS:
                raise SSEError(f"my_qadapter.yaml: unknown key {key!r}", mend=nearest(key, known))
            if key not in FREE_KEYS and not str(value).isprintable():
                raise SSEError(f"my_qadapter.yaml: {key} has a line break or control character")
        most = self["max_queued"]
        if most is not None and (not isinstance(most, int) or most < 1):
            raise SSEError(
                f"my_qadapter.yaml: max_queued is {most!r}", mend="Write a number above 0"
            )

    def submit_to_queue(self, script_file: str) -> str:
        """Submit a job script, once the queue has room for it.

        Returns
        -------
        str
            The job's id.

        Raises
        ------
        RuntimeError
            sbatch refused it, Slurm does not answer, or the wait was interrupted; ``qlaunch``
            then gives the reservation back.
        """
        with _interrupts_as_errors():
            self.wait_for_room(WHILE_RESERVED)
            return self._submit(script_file)

    def get_njobs_in_queue(self, username: str | None = None, shell: bool = False) -> int:
        """Jobs of this adapter, or of a user whatever their name, that are pending or running."""
        user = username or str(os.getuid())
        command = [self.q_commands[self.q_type]["status_cmd"], "-h", "-u", user, "-o", "%j"]
        try:
            names = _answer(command, self.timeout).splitlines()
        except SlurmRefused as error:  # there is nothing to refuse: it is passing trouble
            raise SlurmAway(str(error)) from error
        return sum(1 for name in names if name.startswith(self.prefix) or username)

    def wait_for_room(self, patience: float | None = None) -> None:
        """Wait until fewer than `max_queued` jobs of this adapter are in the queue.

        Parameters
        ----------
        patience
            How long to wait for a queue that does not answer, s; by default as for a database.

        Raises
        ------
        RuntimeError
            Slurm does not answer or is not installed, or the wait was interrupted.
        """
        most = self["max_queued"]
        pause, absence = 1.0, Absence(patience)
        while most is not None:
            try:
                if self.get_njobs_in_queue() < most:
                    absence.end()
                    return
                absence.end()
            except SlurmAway as error:
                absence.wait(error)
                continue
            time.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE)

    def _submit(self, script_file: str) -> str:
        command = [*shlex.split(self.q_commands[self.q_type]["submit_cmd"]), script_file]
        pause = 2.0
        for attempt in range(1, SUBMIT_ATTEMPTS + 1):
            try:
                return str(self._parse_jobid(_answer(command, 120.0)))
            except SlurmAway as error:
                if attempt == SUBMIT_ATTEMPTS or not NOT_SUBMITTED.search(str(error)):
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError("unreachable")


def template_keys(template: str) -> set[str]:
    """Keys that a template has places for."""
    return set(re.findall(r"\$\$\{?(\w+)", template))


def safe_name(text: Any) -> str:
    """Letters, digits and ``_.-`` of a text, at most 40; ``job`` if there are none.

    Examples
    --------
    >>> safe_name("$(rm -rf ~); 'Li3N'")
    'rm-rf-Li3N'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", str(text)).strip("-.")[:40] or "job"


def nearest(key: str, known: set[str] | list[str]) -> str:
    """How to mend an unknown key: the nearest known one, or all of them."""
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else f"Known keys: {', '.join(sorted(known))}"


def _answer(command: list[str], timeout: float) -> str:
    """What a command of Slurm prints; a RuntimeError holds its complaint on one line."""
    # sbatch hands the environment on to the job and keeps it in files of its own
    environment = {k: v for k, v in os.environ.items() if k != PASSWORD_VARIABLE}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            errors="replace",
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise SlurmAway(f"{command[0]} gave no answer in {timeout:g} s") from error
    except OSError as error:
        raise RuntimeError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        kind = SlurmAway if AWAY.search(done.stderr) else SlurmRefused
        raise kind(f"{command[0]}: {' '.join(done.stderr.split())[:500]}")
    return done.stdout


class SlurmRefused(RuntimeError):
    """Slurm answered, and not with what was asked for."""


class Interrupted(RuntimeError):
    """Somebody wants ``qlaunch`` to end: no failure of Slurm."""


@contextlib.contextmanager
def _interrupts_as_errors() -> Iterator[None]:
    """Ctrl-C and SIGTERM become a RuntimeError: FireWorks gives a reservation back for no less."""

    def stop(number: int, frame: Any) -> None:
        raise Interrupted(f"stopped by {signal.Signals(number).name} before the job was submitted")

    with signals_handled(stop):
        yield
