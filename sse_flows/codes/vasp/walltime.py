"""Stopping VASP in good order before its batch job ends.

custodian's own handler reads SBATCH_TIMELIMIT, which Slurm does not set inside jobs. VASP reads a
file STOPCAR after each step: LSTOP ends a relaxation after the present ionic step, LABORT any
calculation after the present electronic step. A run that was stopped looks converged to pymatgen
(it counts steps), so its own words in the OUTCAR decide.
"""

from __future__ import annotations

import re
from pathlib import Path

from custodian.custodian import ErrorHandler

from sse_flows.codes.walltime import MARGIN, seconds_left
from sse_flows.errors import OutOfTimeError, SSEError

CHECK_INTERVAL = 30.0
"""Seconds between two looks at a running VASP."""

STOPCAR = "STOPCAR"
_STEPS = 3.0  # of the longest step so far, for the step under way and a slower one
_TAIL = 4_000_000  # bytes of an OUTCAR that are read
_ARRIVED = "reached required accuracy"


class TimeHandler(ErrorHandler):
    """Writes STOPCAR when time gets short; finds no errors, so that custodian lets VASP end.

    Parameters
    ----------
    ionic
        Whether the calculation has ionic steps, after which it can stop and lose nothing.
    """

    is_monitor = True
    is_terminating = False

    def __init__(self, ionic: bool = False):
        self.ionic = ionic
        self.has_stopped = False

    def check(self, directory: str = "./") -> bool:
        """Look at the clock; never an error."""
        left = seconds_left()
        if left is not None:
            word = self._word(left, Path(directory) / "OUTCAR")
            if word:
                (Path(directory) / STOPCAR).write_text(f"{word} = .TRUE.\n")
                self.has_stopped = True
        return False

    def correct(self, directory: str = "./") -> dict:
        """Nothing: see :meth:`check`."""
        return {"errors": [], "actions": None}

    def _word(self, left: float, outcar: Path) -> str | None:
        electronic, ionic = step_times(outcar)
        abort = max(MARGIN, _STEPS * electronic) + CHECK_INTERVAL
        if left < abort:
            return "LABORT"
        return "LSTOP" if self.ionic and left < abort + _STEPS * ionic else None


class StoppedHandler(ErrorHandler):
    """Tells a run that STOPCAR ended from one that arrived; first in the list of handlers.

    Parameters
    ----------
    clock
        The handler that may have written the file.
    folder
        Where the files will be in the end, should custodian have VASP run in a scratch folder;
        empty for the folder that is looked at.
    """

    is_monitor = False
    is_terminating = False

    def __init__(self, clock: TimeHandler, folder: str = ""):
        self.clock = clock
        self.folder = folder

    def check(self, directory: str = "./") -> bool:
        """Find no error.

        Raises
        ------
        OutOfTimeError
            The batch job is about to end.
        SSEError
            Somebody else stopped the calculation.
        """
        if not was_stopped(Path(directory), self.clock.ionic):
            return False
        folder = Path(self.folder or directory)
        if self.clock.has_stopped:
            raise OutOfTimeError(
                f"VASP was stopped before the end of its batch job, in {folder.resolve()}",
                mend="Run the campaign again: the calculation goes on from there; or ask for "
                "longer jobs",
            )
        raise SSEError(
            f"somebody stopped VASP with a file {STOPCAR} in {folder.resolve()}",
            mend="Run the campaign again",
        )

    def correct(self, directory: str = "./") -> dict:
        """Nothing: see :meth:`check`."""
        return {"errors": [], "actions": None}


def refuse_to_start_late(folder: Path) -> None:
    """Leave a calculation to the next batch job where this one is about to end.

    Raises
    ------
    OutOfTimeError
        There is hardly any time left.
    """
    left = seconds_left()
    if left is not None and left < MARGIN + CHECK_INTERVAL:
        raise OutOfTimeError(
            f"only {left:.0f} s of the batch job were left for VASP in {folder}",
            mend="Run the campaign again, or ask for longer jobs",
        )


def was_stopped(folder: Path, ionic: bool) -> bool:
    """Whether STOPCAR ended the run in a folder before it had arrived.

    A gentle stop after the only step of a calculation without ionic steps takes nothing away.
    """
    text = _tail(folder / "OUTCAR") + _tail(folder / "vasp.out")
    kinds = "soft|hard" if ionic else "hard"
    return bool(re.search(rf"({kinds}) stop encountered", text)) and _ARRIVED not in text


def step_times(outcar: Path) -> tuple[float, float]:
    """Longest electronic and ionic step so far, s; 0 where there is none yet."""
    text = _tail(outcar)
    electronic = [float(t) for t in re.findall(r"LOOP:.*real time\s*([\d.]+)", text)]
    ionic = [float(t) for t in re.findall(r"LOOP\+:.*real time\s*([\d.]+)", text)]
    return max(electronic, default=0.0), max(ionic, default=0.0)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - _TAIL))
            return handle.read().decode(errors="replace")
    except OSError:
        return ""
