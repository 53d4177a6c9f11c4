"""Which processes a calculation ran with: most of what pw.x and ph.x leave is of one process each.

Gone on with by others, wave functions are cut short or of other k points, and processes that
disagree on the iteration wait for each other for ever. The charge density is of all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from sse_flows.codes.espresso.files import Files
from sse_flows.codes.espresso.inputs import OUTDIR, PREFIX
from sse_flows.files import write_whole

RANKS_FILE = "ranks.txt"
_PROGRAMS = ("pw.x", "ph.x")
_COUNTS = (
    *("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NNODES", "SLURM_JOB_NUM_NODES"),
    *("SLURM_TASKS_PER_NODE", "SLURM_JOB_CPUS_PER_NODE", "SLURM_CPUS_PER_TASK"),
    *("PBS_NP", "PBS_NUM_NODES", "PBS_NUM_PPN", "LSB_DJOB_NUMPROC", "NSLOTS"),
)


def ranks(command: Sequence[str]) -> str:
    """What the number of processes and their tasks follow from.

    Those are the command without the name of the program and, with a launcher such as mpirun, what
    it takes its number of processes from where the command says none: the batch job, the cores.
    """
    others = [word for word in command if Path(word).name not in _PROGRAMS]
    if command and Path(command[0]).name in _PROGRAMS:
        return " ".join(others)
    given = [f"{name}={os.environ[name]}" for name in _COUNTS if name in os.environ]
    return " ".join([*others, *given, f"cores={_cores()}"])


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def leave_files_of_others(folder: Path, command: Sequence[str]) -> None:
    """Remove what only the processes of the run before could go on from, if the next are others.

    The results of pw.x, and with them the charge density, stay.
    """
    now = ranks(command)
    note = folder / RANKS_FILE
    if note.is_file() and note.read_text() == now:
        return
    Files(folder / OUTDIR, PREFIX).remove_state()
    shutil.rmtree(folder / OUTDIR / "_ph0", ignore_errors=True)
    write_whole(note, now)  # last: killed before, it does so again
