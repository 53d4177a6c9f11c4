"""Crystals to predict, from files and folders of any common form."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sse_flows.descriptors.crystal.arrays import CrystalArrays, atomic_numbers, read_crystal
from sse_flows.descriptors.crystal.cells import lattice_vectors
from sse_flows.errors import SSEError, one_line

_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


def read_pool(paths: Iterable[str | Path]) -> tuple[dict[str, Any], dict[str, SSEError]]:
    """Crystals by id, and what went wrong with the others.

    Parameters
    ----------
    paths
        Structure files that pymatgen reads, by the stem of their names; folders of those; or lines
        of JSON with `id` and either `lattice`, `species`, `frac` or `cell` (a, b, c in Å and three
        angles in degrees), `sp`, `xyz`.

    Raises
    ------
    SSEError
        If a path does not exist or nothing is found.
    """
    crystals: dict[str, Any] = {}
    failures: dict[str, SSEError] = {}
    for path in _files(paths):
        if path.name.endswith(_LINES):
            _read_lines(path, crystals, failures)
            continue
        try:
            crystals[path.stem] = _read_structure(path)
        except SSEError as problem:
            failures[path.stem] = SSEError(problem.message, compound=path.stem, mend=problem.mend)
        except Exception as problem:  # pymatgen's readers fail in many ways
            failures[path.stem] = SSEError(one_line(problem), compound=path.stem)
    if not crystals and not failures:
        raise SSEError("no structures found", mend="Give structure files, folders or JSON lines")
    return crystals, failures


def _files(paths: Iterable[str | Path]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise SSEError(f"{path} does not exist")
        inside = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
        found += [one for one in inside if not one.name.startswith(".")]
    return found


def _read_structure(path: Path) -> CrystalArrays:
    from pymatgen.core import Structure

    return read_crystal(Structure.from_file(path))


def _read_lines(path: Path, crystals: dict[str, Any], failures: dict[str, SSEError]) -> None:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for number, line in enumerate(file, 1):
            name = f"{path.name}:{number}"
            try:
                one = json.loads(line) if line.strip() else {}
                if ("id" not in one and "description" in one) or not one:
                    continue  # a header
                name = str(one["id"])
                crystals[name] = _of_line(one)
            except SSEError as problem:
                failures[name] = SSEError(problem.message, compound=name, mend=problem.mend)
            except (ValueError, KeyError, TypeError) as problem:
                failures[name] = SSEError(one_line(problem), compound=name)


def _of_line(one: dict[str, Any]) -> CrystalArrays:
    if "lattice" in one:
        return read_crystal((one["lattice"], one["species"], one["frac"]))
    return read_crystal((lattice_vectors(one["cell"]), atomic_numbers(one["sp"]), one["xyz"]))
