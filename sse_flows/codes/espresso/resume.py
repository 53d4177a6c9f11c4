"""Going on with a calculation that was stopped or killed, in the folder where it ran.

pw.x stopped by its own clock (``max_seconds``) leaves a state to restart from. Killed, it leaves
nothing of a self-consistent field, but the geometries of a relaxation stand in its output. A file
of ours, ``progress.json``, says which calculation the folder is of and how far it is.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

from sse_flows.codes.espresso.faults import Fault, diagnose
from sse_flows.codes.espresso.files import Files
from sse_flows.codes.espresso.inputs import (
    OUTDIR,
    PH_OUTPUT,
    PREFIX,
    PW_INPUT,
    PW_OUTPUT,
    edit_input,
    read_input,
)
from sse_flows.codes.espresso.outputs import xml_path
from sse_flows.files import write_whole

PROGRESS_FILE = "progress.json"
ASKED_FILE = "asked.txt"
"""Hash of the input that a folder was asked for; handlers may have corrected it since."""

_ENDED_EARLY = frozenset(("time", "killed", "truncated", "stopped", "launch"))
"""Faults that say nothing against the calculation: it was only not finished."""

_OWN_KEYS = {
    "control": ("restart_mode", "max_seconds", "pseudo_dir"),
    "electrons": ("startingpot",),
}
_CELL = re.compile(r"^CELL_PARAMETERS[ ({]*angstrom[ )}]*\n((?:[ \t\d.eE+-]+\n){3})", re.MULTILINE)
_ATOMS = re.compile(
    r"^ATOMIC_POSITIONS[ ({]*angstrom[ )}]*\n((?:[ ]*[A-Z]\w*(?:[ ]+-?\d+\.\d+){3}.*\n)+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Progress:
    """How far the relaxation in a folder is.

    Attributes
    ----------
    asked
        Hash of the input that it began with.
    round
        The relaxation it is in, the first is 1.
    structure
        Where this round goes on from.
    """

    asked: str
    round: int
    structure: Structure

    def save(self, folder: Path) -> Progress:
        """Write it, whole or not at all."""
        data = {"asked": self.asked, "round": self.round, "structure": self.structure.as_dict()}
        write_whole(folder / PROGRESS_FILE, json.dumps(data))
        return self

    def next(self, structure: Structure) -> Progress:
        """The round after this one."""
        return replace(self, round=self.round + 1, structure=structure)


def take_up(folder: Path, draft: Path, structure: Structure) -> Progress:
    """Where a relaxation goes on: its first round, or where one like it stopped in this folder.

    Parameters
    ----------
    folder
        Folder of the calculation.
    draft
        The input of the first round.
    structure
        Where the first round starts.
    """
    asked = _fingerprint(draft)
    before = _read_progress(folder)
    if before is None or before.asked != asked:
        return Progress(asked, 1, structure).save(folder)
    if _fault_name(folder) == "time" and has_state(folder):
        return before  # pw.x has more than the geometry to go on from
    last = last_geometry(folder, before.structure) if _is_of_use(folder) else None
    return before if last is None else replace(before, structure=last).save(folder)


def _read_progress(folder: Path) -> Progress | None:
    try:
        data = json.loads((folder / PROGRESS_FILE).read_text())
        return Progress(data["asked"], data["round"], Structure.from_dict(data["structure"]))
    except (OSError, ValueError, KeyError):
        return None


def go_on_from_last_geometry(folder: Path) -> bool:
    """Put the last geometry of a relaxation into its input; False where there is none."""
    progress = _read_progress(folder)
    last = None if progress is None else last_geometry(folder, progress.structure)
    if progress is None or last is None:
        return False
    set_geometry(folder / PW_INPUT, last)
    replace(progress, structure=last).save(folder)
    return True


def last_geometry(folder: Path, like: Structure) -> Structure | None:
    """The last geometry of the present round in the outputs of pw.x; None if there is none.

    Parameters
    ----------
    folder
        Folder of the calculation; outputs older than its ``progress.json`` are of other rounds.
    like
        The crystal: species in the order of the input, and the cell where it is fixed.
    """
    started = _modified(folder / PROGRESS_FILE)
    outputs = [folder / PW_OUTPUT, *folder.glob(f"{PW_OUTPUT}.failed.*")]
    for path in sorted(outputs, key=_modified, reverse=True):
        if path.is_file() and _modified(path) >= started:
            found = _geometry(path.read_text(errors="replace"), like)
            if found is not None:
                return found
    return None


def _modified(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def _geometry(text: str, like: Structure) -> Structure | None:
    """Last whole geometry that pw.x printed, in Å as our inputs are."""
    atoms = [match for match in _ATOMS.finditer(text) if _is_whole(match, text, like)]
    if not atoms:
        return None
    coords = [line.split()[1:4] for line in atoms[-1].group(1).splitlines()]
    cells = [match for match in _CELL.finditer(text) if match.start() < atoms[-1].start()]
    lattice = like.lattice
    if cells:
        lattice = Lattice(np.array(cells[-1].group(1).split(), dtype=float).reshape(3, 3))
    return Structure(
        lattice,
        like.species,
        np.array(coords, dtype=float),
        coords_are_cartesian=True,
        site_properties=like.site_properties,
    )


def _is_whole(match: re.Match[str], text: str, like: Structure) -> bool:
    """Whether all atoms are there, and something after them: the last line may be cut off."""
    lines = match.group(1).splitlines()
    symbols = [line.split()[0].rstrip("0123456789") for line in lines]
    return symbols == [site.specie.symbol for site in like] and match.end() < len(text)


def prepare_restart(folder: Path, draft: Path) -> bool:
    """Put the input in place, so that pw.x goes on where the same calculation stopped.

    The output so far is kept, and what handlers changed: without it, what failed would fail again
    in every batch job. Returns whether there was something to go on from.
    """
    same, name = _is_same(folder, draft), _fault_name(folder)
    asked = _fingerprint(draft)
    (folder / ASKED_FILE).unlink(missing_ok=True)
    if same and name in _ENDED_EARLY:
        keys = read_input(draft)[0]
        own = {n: {key: keys.get(n, {}).get(key) for key in of} for n, of in _OWN_KEYS.items()}
        edit_input(folder / PW_INPUT, own)
        draft.unlink()
    else:
        draft.replace(folder / PW_INPUT)
    write_whole(folder / ASKED_FILE, asked)
    shutil.rmtree(_ph_files(folder), ignore_errors=True)  # of a ground state gone by
    if name in _ENDED_EARLY:
        keep_output(folder, PW_OUTPUT)
    if same and name == "time" and has_state(folder):
        edit_input(folder / PW_INPUT, {"control": {"restart_mode": "restart"}})
        return True
    Files(folder / OUTDIR, PREFIX).remove_state()
    if same and name in _ENDED_EARLY and _has_density(folder):
        edit_input(folder / PW_INPUT, {"electrons": {"startingpot": "file"}})
        return True
    return False


def is_finished(folder: Path, draft: Path) -> bool:
    """Whether the same calculation came to its end in this folder and its files are there."""
    if not _is_same(folder, draft):
        return False
    wave_functions = any(xml_path(folder).parent.glob("wfc*"))
    return diagnose(folder / PW_OUTPUT, xml_path(folder)) is None and wave_functions


def _is_same(folder: Path, draft: Path) -> bool:
    """Whether the input in a folder was this one, but for what handlers changed."""
    if not (folder / PW_INPUT).is_file():
        return False
    note = folder / ASKED_FILE
    if note.is_file() and note.read_text() == _fingerprint(draft):
        return True
    return _asked(folder / PW_INPUT) == _asked(draft)


def changes(asked: Mapping[str, Mapping[str, Any]], path: Path) -> list[str]:
    """In one line, how the namelists of an input differ from those that were asked for."""
    found = []
    for name, keys in read_input(path)[0].items():
        before, own = asked.get(name, {}), _OWN_KEYS.get(name, ())
        new = {key: value for key, value in keys.items() if value != before.get(key)}
        found += [f"{key} {value}" for key, value in new.items() if key not in own]
    return [", ".join(found)] if found else []


def is_unfinished_ph(folder: Path) -> bool:
    """Whether ph.x was stopped or killed in this folder and left its files."""
    fault = diagnose(folder / PH_OUTPUT)
    return _ph_files(folder).is_dir() and fault is not None and fault.kind.name in _ENDED_EARLY


def _ph_files(folder: Path) -> Path:
    return folder / OUTDIR / "_ph0"


def keep_output(folder: Path, name: str) -> None:
    """Keep an output under another name, for whoever looks at the failure."""
    number = len(list(folder.glob(f"{name}.failed.*"))) + 1
    if (folder / name).is_file():
        shutil.copy2(folder / name, folder / f"{name}.failed.{number}")


def has_state(folder: Path) -> bool:
    """Whether pw.x, stopped by its clock, left something to go on from."""
    return Files(folder / OUTDIR, PREFIX).has_state(folder / PW_OUTPUT)


def _has_density(folder: Path) -> bool:
    return xml_path(folder).is_file() and any(xml_path(folder).parent.glob("charge-density.*"))


def _is_of_use(folder: Path) -> bool:
    """Whether the last run ended well, but nobody took its results, or was only cut off."""
    return _fault_name(folder) in (None, *_ENDED_EARLY)


def _fault_name(folder: Path) -> str | None:
    fault: Fault | None = diagnose(folder / PW_OUTPUT)
    return None if fault is None else fault.kind.name


def set_geometry(path: Path, structure: Structure) -> None:
    """Put a geometry into the cards of an input, in Å as they are."""
    lines = read_input(path)[1]
    cell = _line_of(lines, "CELL_PARAMETERS") + 1
    lines[cell : cell + 3] = [_row(vector, 14) for vector in structure.lattice.matrix]
    atoms = _line_of(lines, "ATOMIC_POSITIONS") + 1
    for place, coords in enumerate(structure.cart_coords, atoms):
        label, *old = lines[place].split()
        lines[place] = " ".join([label, _row(coords, 10), *old[3:]])
    edit_input(path, {}, cards=lines)


def _line_of(lines: list[str], card: str) -> int:
    return next(i for i, line in enumerate(lines) if line.strip().startswith(card))


def _row(vector: np.ndarray, digits: int) -> str:
    return " ".join(f"{value:.{digits}f}" for value in vector)


def _asked(path: Path) -> tuple[dict[str, Any], list[list[str]]]:
    """Content of an input but for what a restart changes."""
    namelists, cards = read_input(path)
    plain = {
        name: {key: v for key, v in keys.items() if key not in _OWN_KEYS.get(name, ())}
        for name, keys in namelists.items()
        if keys
    }
    return plain, [[_rounded(word) for word in line.split()] for line in cards if line.strip()]


def _rounded(word: str) -> str:
    """A number as it is to 1e-8, whatever the digits written."""
    try:
        return f"{float(word) + 0.0:.8f}"
    except ValueError:
        return word


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(repr(_asked(path)).encode()).hexdigest()
