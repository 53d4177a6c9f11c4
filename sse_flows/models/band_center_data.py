"""Compounds of known phonon band centre, from files.

Two public sets are read in the form in which they are commonly passed on: lines of JSON with the
total and the element-projected centres (finite displacements; the Kyoto phonon database of A. Togo)
and a list of densities of states on a fixed grid (DFPT; G. Petretto et al., Sci. Data 5, 180065,
2018, as curated by Z. Chen et al., Adv. Sci. 8, 2004214, 2021). Any other set is a CSV file.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sse_flows.descriptors.crystal.arrays import CrystalArrays, read_crystal
from sse_flows.errors import SSEError, one_line

CM1_TO_MEV = 0.1239841984
"""1 cm^-1 in meV (CODATA 2018)."""

SHORT_BOND = 1.55
"""Å; stretching modes of shorter bonds (C-O, N-N, B-O, S-O, P-O, C-N) and all of H may lie beyond
the 124 meV at which the densities of states of the second set end."""

CutOff = Literal["drop", "keep"]


@dataclass(frozen=True)
class TrainingCompound:
    """A crystal and its band centre, meV."""

    compound_id: str
    crystal: CrystalArrays
    center: float
    element_centers: dict[str, float] | None = None
    """Of the DOS projected on each element, meV, where known."""
    source: str = ""


def read_training(path: str | Path, *, cut_off: CutOff = "drop") -> list[TrainingCompound]:
    """Read a set by the shape of its content.

    Parameters
    ----------
    path
        Lines of JSON (`id`, `lattice`, `species`, `frac`, `center`, `centers`), a JSON document of
        densities of states (`freq_cm1`, `records`), either perhaps with .gz; or a CSV file with the
        columns `id`, `structure` (a file, relative to the CSV) and `band_center` in meV.
    cut_off
        What to do with a density of states that may go on beyond its grid: its centre is too low.

    Raises
    ------
    SSEError
        If the file is absent, or not one of these.
    """
    path = Path(path)
    if not path.is_file():
        raise SSEError(f"{path} does not exist")
    try:
        if path.suffix.lower() == ".csv":
            return _read_csv(path)
        documents = _documents(_text(path))
        if len(documents) == 1 and "records" in documents[0]:
            return read_dos_set(documents[0], path.name, cut_off=cut_off)
        return [_of_line(one, path.name) for one in documents if "center" in one]
    except (ValueError, KeyError, TypeError, OSError, EOFError) as problem:
        raise SSEError(
            f"{path} holds no band centres ({one_line(problem)})",
            mend="Give lines of JSON with id, lattice, species, frac and center; a JSON document "
            "with freq_cm1 and records; or a CSV with id, structure and band_center",
        ) from problem


def _text(path: Path) -> str:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return str(file.read())


def _documents(text: str) -> list[dict[str, Any]]:
    """The one document of a text, or those of its lines."""
    try:
        found = [json.loads(text)]
    except ValueError:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [one for one in found if isinstance(one, dict)]


def _of_line(one: dict[str, Any], source: str) -> TrainingCompound:
    crystal = read_crystal((one["lattice"], one["species"], one["frac"]))
    centers = one.get("centers")
    return _checked(
        TrainingCompound(
            str(one["id"]),
            crystal,
            float(one["center"]),
            dict(centers) if centers else None,
            source,
        )
    )


def read_dos_set(
    document: dict[str, Any], source: str = "", *, cut_off: CutOff = "drop"
) -> list[TrainingCompound]:
    """Compounds of a document of densities of states.

    Parameters
    ----------
    document
        `freq_cm1`, the grid in cm^-1; `records`, each with `dos` on it, `lattice`, `species`,
        `frac`, and `mp_id` or `id`.
    source
        Name of the set.
    cut_off
        "drop" leaves out what `may_be_cut_off`.

    Raises
    ------
    SSEError
        If a crystal is not one, or a density of states is zero throughout.
    """
    grid = np.asarray(document["freq_cm1"], dtype=float) * CM1_TO_MEV
    found = []
    for record in document["records"]:
        crystal = read_crystal((record["lattice"], record["species"], record["frac"]))
        dos = np.asarray(record["dos"], dtype=float)
        if cut_off == "drop" and may_be_cut_off(crystal, dos):
            continue
        name = str(record.get("mp_id") or record["id"])
        found.append(_checked(TrainingCompound(name, crystal, dos_center(grid, dos), None, source)))
    return found


def dos_center(energies: Any, dos: Any) -> float:
    """Band centre ∫E g dE / ∫g dE over E > 0 of a density of states on a uniform grid.

    Values are those of bins about the energies, so the one at zero holds modes of small positive
    energy: without it the centres of the DFPT set are 0.1 meV above those of complete phonons.

    Parameters
    ----------
    energies, dos
        meV and any unit, shape (n_energies,).

    Raises
    ------
    SSEError
        If it is zero at all these energies.
    """
    energies, dos = np.asarray(energies, dtype=float), np.asarray(dos, dtype=float)
    positive = energies >= 0
    norm = float(dos[positive].sum())
    if not norm > 0:
        raise SSEError("the density of states is zero at all energies from 0")
    return float(energies[positive] @ dos[positive]) / norm


def may_be_cut_off(crystal: CrystalArrays, dos: Any, *, last: int = 3) -> bool:
    """Whether modes may lie beyond the grid: it is not over at its end, or H or short bonds."""
    if bool(np.any(np.asarray(dos)[-last:] > 0)) or bool(np.any(crystal.numbers == 1)):
        return True
    return shortest_distance(crystal) < SHORT_BOND


def shortest_distance(crystal: CrystalArrays) -> float:
    """Smallest distance between two atoms, periodic images included, Å."""
    from sse_flows.descriptors.crystal.tessellation import tessellate

    return float(tessellate(crystal.lattice, crystal.positions).distances.min())


def _read_csv(path: Path) -> list[TrainingCompound]:
    from pymatgen.core import Structure

    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"id", "structure", "band_center"} <= set(rows[0]):
        raise ValueError("the columns are not id, structure, band_center")
    found = []
    for row in rows:
        try:
            crystal = read_crystal(Structure.from_file(path.parent / row["structure"]))
            one = TrainingCompound(row["id"], crystal, float(row["band_center"]), None, path.name)
        except SSEError as problem:
            raise SSEError(problem.message, compound=row["id"], mend=problem.mend) from problem
        except (ValueError, OSError) as problem:
            raise SSEError(one_line(problem), compound=row["id"]) from problem
        found.append(_checked(one))
    return found


def _checked(one: TrainingCompound) -> TrainingCompound:
    values = [one.center, *(one.element_centers or {}).values()]
    if not all(np.isfinite(value) and value > 0 for value in values):
        raise SSEError(
            "a band centre is not a positive number",
            compound=one.compound_id,
            mend="Band centres are in meV and positive",
        )
    return one


def merge_training(sets: Iterable[Iterable[TrainingCompound]]) -> list[TrainingCompound]:
    """One list of several sets; of the same id, one with projected centres wins, then the first."""
    chosen: dict[str, TrainingCompound] = {}
    for one in (compound for group in sets for compound in group):
        known = chosen.get(one.compound_id)
        if known is None or (known.element_centers is None and one.element_centers is not None):
            chosen[one.compound_id] = one
    return list(chosen.values())
