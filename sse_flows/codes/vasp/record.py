"""What a folder computes, how far it got, and what of it the next run may go on with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from atomate2.vasp.jobs.base import _FILES_TO_ZIP
from monty.io import zopen
from monty.os.path import zpath
from pymatgen.core import Structure
from pymatgen.io.vasp import Poscar

from sse_flows.files import write_whole

RECORD_FILE = "sse_calculation.json"
"""What a folder computes (a hash of its input) and how far it got."""

BULKY = ("WAVECAR", "CHGCAR", "CHG", "PROCAR", "LOCPOT", "TMPCAR", "WAVEDER", "vaspwave.h5")
"""Files that nobody reads again after a calculation."""

_OUTPUT = ("OUTCAR", "OSZICAR", "vasprun.xml", "vaspout.h5", "vasp.out", "std_err.txt")
_LOG = "custodian.json"
_MOST_CHANGE = 2.0  # of the volume, up or down, on relaxing: more is a relaxation gone astray


class Record:
    """What is being computed in a folder.

    Its `state` is ``done``; ``stopped``, by us and in good order; ``running``, which is also what a
    killed worker leaves; ``crashed``, where nothing spoke against the geometry; ``failed``; or None
    where the folder holds no such calculation.

    Parameters
    ----------
    folder
        Of the calculation.
    fingerprint
        Hash of its input.
    """

    def __init__(self, folder: Path, fingerprint: str):
        self.path = folder / RECORD_FILE
        self.fingerprint = fingerprint
        try:
            with zopen(zpath(str(self.path)), "rt", encoding="utf-8") as handle:
                known = json.loads(handle.read())
        except (OSError, ValueError, EOFError):
            known = {}
        self.state = known.get("state") if known.get("input") == fingerprint else None

    def write(self, state: str) -> None:
        """Note a state, whole or not at all."""
        write_whole(self.path, json.dumps({"input": self.fingerprint, "state": state}))

    def start(self, structure: Structure, is_ionic: bool) -> Structure:
        """Sweep the folder for a run, and say which structure it starts from.

        Wave functions are left only by a run that was stopped in good order: of a killed one they
        may be cut off, and VASP does not always survive reading such a file.
        """
        folder = self.path.parent
        goes_on = self.state in ("running", "stopped", "crashed")
        reached = _last_geometry(folder, structure) if goes_on and is_ionic else None
        # custodian unzips the folder before it starts VASP, over the input just written
        zipped = (*_FILES_TO_ZIP, *BULKY, *_OUTPUT, RECORD_FILE)
        names = {*_OUTPUT, _LOG, *(f"{name}.gz" for name in zipped)}
        if self.state != "stopped":
            names |= set(BULKY)
        if not goes_on:
            names.add("CONTCAR")
        for name in names:
            (folder / name).unlink(missing_ok=True)
        return reached or structure


def _last_geometry(folder: Path, asked: Structure) -> Structure | None:
    """Geometry that an unfinished relaxation had come to, or the one that it set out from.

    VASP may leave an empty CONTCAR where it was stopped in its first step.
    """
    for name in ("CONTCAR", "POSCAR"):
        found = _geometry(folder / name)
        if found and _may_follow(found, asked):
            for key, values in asked.site_properties.items():
                found.add_site_property(key, list(values))
            return found
    return None


def _geometry(path: Path) -> Structure | None:
    try:
        text = path.read_text()
        # a line without its end may lack digits, which pymatgen would not notice
        whole = text.endswith("\n")
        return Poscar.from_str(text).structure if whole else None
    except Exception:  # absent, or cut off in the middle: pymatgen raises all kinds
        return None


def _may_follow(found: Structure, asked: Structure) -> bool:
    """Whether a geometry may be what the relaxation of another came to."""
    if [s.specie.symbol for s in found] != [s.specie.symbol for s in asked]:
        return False
    if not np.isfinite(np.vstack([found.lattice.matrix, found.frac_coords])).all():
        return False
    change = found.volume / asked.volume
    return 1 / _MOST_CHANGE < change < _MOST_CHANGE
