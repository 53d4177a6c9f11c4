"""Puts the double where atomate2 finds VASP."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sse_flows
from sse_flows.testing.vasp_double.library import write_library
from sse_flows.testing.vasp_double.mark import VERSION

PROGRAMS = {"vasp_std": "VASP_CMD", "vasp_gam": "VASP_GAMMA_CMD", "vasp_ncl": "VASP_NCL_CMD"}
"""Programs and the settings of atomate2 that name them."""

QUICK_CUSTODIAN = {"polling_time_step": 0.05, "monitor_freq": 10}
"""For ``run_vasp_kwargs={"custodian_kwargs": QUICK_CUSTODIAN}``: by default custodian looks after
a run every 10 s and after its errors every 300 s, which is long for runs of half a second."""

_PSEUDOPOTENTIALS = "PMG_VASP_PSP_DIR"


def install(folder: str | Path) -> dict[str, str]:
    """Write the programs and a library of made-up pseudopotentials.

    Parameters
    ----------
    folder
        Where to; ``bin`` and ``pseudopotentials`` are made in it.

    Returns
    -------
    dict of str to str
        Variables for the environment of a process that is to find the double: ``PATH`` with its
        programs first, ``PMG_VASP_PSP_DIR``, and atomate2's commands. A process that has already
        imported pymatgen or atomate2 needs :func:`installed` instead.

    Examples
    --------
    >>> import subprocess, tempfile
    >>> environment = install(tempfile.mkdtemp())
    >>> subprocess.run(["vasp_std"], env={**os.environ, **environment})  # doctest: +SKIP
    """
    folder = Path(folder).resolve()
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        _write_program(programs / name)
    library = folder / "pseudopotentials"
    write_library(library)
    commands = {f"ATOMATE2_{key}": str(programs / name) for name, key in PROGRAMS.items()}
    path = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, _PSEUDOPOTENTIALS: str(library), **commands}


@contextmanager
def installed(folder: str | Path, **variables: str) -> Iterator[dict[str, str]]:
    """Install, and let this process and those it starts use the double for a while.

    Parameters
    ----------
    folder
        As of :func:`install`.
    variables
        More variables for the environment, such as ``VASP_DOUBLE_FAULT``.
    """
    from atomate2 import SETTINGS as ATOMATE2
    from pymatgen.core import SETTINGS as PYMATGEN

    environment = {**install(folder), **variables}
    before = {name: os.environ.get(name) for name in environment}
    library = PYMATGEN.get(_PSEUDOPOTENTIALS)
    commands = {key: getattr(ATOMATE2, key) for key in PROGRAMS.values()}
    os.environ.update(environment)
    PYMATGEN[_PSEUDOPOTENTIALS] = environment[_PSEUDOPOTENTIALS]
    for key in commands:
        setattr(ATOMATE2, key, environment[f"ATOMATE2_{key}"])
    try:
        yield environment
    finally:
        _restore(before)
        PYMATGEN[_PSEUDOPOTENTIALS] = library
        for key, command in commands.items():
            setattr(ATOMATE2, key, command)


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _write_program(path: Path) -> None:
    package = shlex.quote(str(Path(sse_flows.__file__).resolve().parent.parent))
    path.write_text(
        "#!/bin/sh\n"
        f"# vasp.{VERSION}\n"
        f"export PYTHONPATH={package}${{PYTHONPATH:+:$PYTHONPATH}} OMP_NUM_THREADS=1\n"
        f"exec {shlex.quote(sys.executable)} -m sse_flows.testing.vasp_double {path.name}\n"
    )
    path.chmod(0o755)
