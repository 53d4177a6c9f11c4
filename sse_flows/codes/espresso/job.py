"""Running pw.x and ph.x under custodian."""

from __future__ import annotations

import ctypes
import logging
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custodian.custodian import Custodian, CustodianError, ErrorHandler, Job
from monty.json import MSONable

from sse_flows.codes.espresso.faults import diagnose
from sse_flows.codes.espresso.files import Files
from sse_flows.codes.espresso.handlers import no_time_left, ph_handlers, pw_handlers
from sse_flows.codes.espresso.inputs import (
    PH_INPUT,
    PH_OUTPUT,
    PW_INPUT,
    PW_OUTPUT,
    edit_input,
    read_input,
)
from sse_flows.codes.espresso.outputs import xml_path
from sse_flows.codes.walltime import seconds_for_calculation
from sse_flows.errors import OutOfTimeError, SSEError

COMMAND_VARIABLE = "SSE_ESPRESSO_COMMAND"
DEFAULT_COMMAND = "pw.x"
_MEND = f"Write {COMMAND_VARIABLE} or code.command like: mpirun -np 8 pw.x -nk 4"
# MPI_Abort ends a program with its last lines still in a buffer, and they say what went wrong
_UNBUFFERED = {"GFORTRAN_UNBUFFERED_PRECONNECTED": "y"}
MAX_ERRORS = 30
"""Most corrections of one run; restarts after ``max_seconds`` count."""


@dataclass(frozen=True)
class Launch(MSONable):
    """How programs are started: of no influence on results, and so no part of content keys.

    Attributes
    ----------
    command
        Command of pw.x with its parallel options, such as ``mpirun -np 8 pw.x -nk 4``. Empty:
        that of the variable SSE_ESPRESSO_COMMAND where the job runs, else ``pw.x``.
    pseudo_dir
        Folder of pseudopotentials.
    """

    command: str = ""
    pseudo_dir: str = ""

    def words(self, program: str = "pw.x") -> list[str]:
        """The command as words, with pw.x replaced by another program of the same folder.

        Raises
        ------
        SSEError
            The command names no pw.x.
        """
        text = self.command or os.environ.get(COMMAND_VARIABLE, "") or DEFAULT_COMMAND
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise SSEError(f"the command {text!r} cannot be read: {error}", mend=_MEND) from error
        places = [i for i, word in enumerate(words) if Path(word).name == "pw.x"]
        if not places:
            raise SSEError(f"the command {text!r} names no pw.x", mend=_MEND)
        place = places[-1]
        # a folder before pw.x may hold the name too, so only the last part is replaced
        words[place] = words[place].removesuffix("pw.x") + program
        return words


class ProgramJob(Job):
    """One run of pw.x or ph.x in a folder that holds its input.

    Parameters
    ----------
    command
        Words of the command.
    input_file, output_file
        Names in the folder.
    time_section
        Namelist that takes ``max_seconds``: ``inputph`` for ph.x.
    """

    def __init__(
        self,
        command: Sequence[str],
        input_file: str = PW_INPUT,
        output_file: str = PW_OUTPUT,
        time_section: str = "control",
    ):
        self.command = list(command)
        self.input_file = input_file
        self.output_file = output_file
        self.time_section = time_section

    def setup(self, directory: str = "./") -> None:
        """Nothing: the input is written already."""

    def run(self, directory: str = "./") -> subprocess.Popen:
        """Start the program, with the time that is left written into its input."""
        folder = Path(directory)
        self._limit_time(folder / self.input_file)
        prefix = Files.of(folder / self.input_file).prefix
        (folder / f"{prefix}.EXIT").unlink(missing_ok=True)  # of a run before
        try:
            with (folder / self.output_file).open("w") as output:
                return subprocess.Popen(
                    [*self.command, "-in", self.input_file],
                    cwd=folder,
                    env={**os.environ, **_UNBUFFERED},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, no locks
                )
        except OSError as error:
            raise SSEError(
                f"cannot start {self.command[0]}: {error.strerror}",
                mend=f"Install Quantum ESPRESSO, or set {COMMAND_VARIABLE} or code.command",
            ) from error

    def postprocess(self, directory: str = "./") -> None:
        """Nothing: results are read by the caller."""

    def _limit_time(self, path: Path) -> None:
        limit = seconds_for_calculation()
        if limit is None:
            return
        given = read_input(path)[0].get(self.time_section, {}).get("max_seconds")
        seconds = limit if given is None else min(limit, float(given))
        edit_input(path, {self.time_section: {"max_seconds": seconds}})


def _end_with_parent() -> None:
    """Let the kernel end the program when the process that started it dies (Linux)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG


def run_pw(directory: Path, launch: Launch) -> list[str]:
    """Run pw.x on ``pw.in``; returns what handlers did, in words.

    Raises
    ------
    OutOfTimeError
        It stopped before the end of the batch job; run again in this folder, it goes on.
    SSEError
        It failed and no handler could mend it.
    """
    job = ProgramJob(launch.words("pw.x"), PW_INPUT, PW_OUTPUT, "control")
    return _run(job, pw_handlers(), directory, xml_path(directory))


def run_ph(directory: Path, launch: Launch) -> list[str]:
    """Run ph.x on ``ph.in``; as :func:`run_pw`."""
    job = ProgramJob(launch.words("ph.x"), PH_INPUT, PH_OUTPUT, "inputph")
    return _run(job, ph_handlers(), directory, None)


def _run(
    job: ProgramJob, handlers: list[ErrorHandler], directory: Path, results: Path | None
) -> list[str]:
    logging.getLogger("custodian").setLevel(logging.CRITICAL)
    custodian = Custodian(handlers, [job], max_errors=MAX_ERRORS, directory=str(directory))
    try:
        custodian.run()
    except CustodianError as error:
        raise _failure(error, custodian, job, directory, results) from error
    return _actions(custodian)


def _actions(custodian: Custodian) -> list[str]:
    """What the handlers changed, one line each."""
    corrections: list[dict[str, Any]] = [c for log in custodian.run_log for c in log["corrections"]]
    return [str(action) for one in corrections for action in one["actions"] or []]


def _failure(
    error: CustodianError,
    custodian: Custodian,
    job: ProgramJob,
    directory: Path,
    results: Path | None,
) -> SSEError:
    fault = diagnose(directory / job.output_file, results)
    tried = _actions(custodian)
    after = f"; tried: {', '.join(tried)}" if tried else ""
    if fault is None:  # a code of exit that no line of the output explains
        return SSEError(
            f"{Path(job.command[-1]).name} failed in {directory}: {error.message}",
            mend=f"Look at {job.output_file} there",
        )
    kind = OutOfTimeError if fault.kind.name == "time" and no_time_left() else SSEError
    return kind(f"{fault.message}{after}; output in {directory}", mend=fault.kind.mend)
