"""Structures from files, folders, tables and the built-in conductors, as compounds.

Files come from anywhere and one of them is always broken: every reader returns the compounds it
could make beside the reasons for those it could not. Nothing in a file is ever executed: JSON is
read as plain data and a structure is built from its numbers and element symbols alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sse_flows.errors import SSEError
from sse_flows.structures.checks import make_compound, one_line
from sse_flows.structures.compound import Compound
from sse_flows.structures.conductors import Conductor, get_conductor, load_conductors
from sse_flows.structures.readers import Record, read_records

STRUCTURE_FILES = ("*.cif", "*.vasp", "*POSCAR*", "*CONTCAR*", "*.json", "*.jsonl")
"""Names of the files that a folder is searched for."""


@dataclass
class Intake:
    """What could be read and what could not.

    Attributes
    ----------
    compounds
        Compounds with unique ids.
    failures
        File or id to a one-line reason with what to do about it.
    """

    compounds: list[Compound] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def __add__(self, other: Intake) -> Intake:
        """Join two results; ids that occur in both get a number."""
        joined = Intake([], {**self.failures, **other.failures})
        for compound in (*self.compounds, *other.compounds):
            joined._append(compound)
        return joined

    def _append(self, compound: Compound) -> None:
        unique = _unique_id(compound.compound_id, {c.compound_id for c in self.compounds})
        if unique != compound.compound_id:
            compound = compound.model_copy(update={"compound_id": unique})
        self.compounds.append(compound)


def load_structures(
    sources: str | Path | Sequence[str | Path], mobile_ions: str | Sequence[str], **known: Any
) -> Intake:
    """Read structures from any mixture of sources.

    Parameters
    ----------
    sources
        Files, folders, glob patterns, ``"conductors"`` (all built-in ones),
        ``"conductors:id,id"``, and ids of the Materials Project (``"mp-1234"``).
    mobile_ions
        Wanted mobile ions in order of preference.
    known
        Fields of `Compound` that hold for all files, such as ``family``.

    Raises
    ------
    SSEError
        If a folder or pattern holds no structure file, or the Materials Project is not within
        reach. A broken file is no error but an entry of `Intake.failures`.
    """
    listed = [sources] if isinstance(sources, str | Path) else list(sources)
    project = [str(s) for s in listed if re.fullmatch(r"(mp|mvc)-\w+", str(s))]
    result = Intake()
    for source in (str(s) for s in listed if str(s) not in project):
        if source == "conductors" or source.startswith("conductors:"):
            ids = source.partition(":")[2]
            result += from_conductors(ids.split(",") if ids else "all", mobile_ions)
        else:
            result += from_paths([source], mobile_ions, **known)
    if project:
        from sse_flows.structures.materials_project import from_materials_project

        result += from_materials_project(ids=project, mobile_ions=mobile_ions)
    return result


def from_paths(
    paths: Iterable[str | Path], mobile_ions: str | Sequence[str], **known: Any
) -> Intake:
    """Read files, folders and glob patterns; arguments as in `from_file`.

    Raises
    ------
    SSEError
        If a folder or pattern holds no structure file.
    """
    result = Intake()
    for path in map(Path, paths):
        read = from_file if path.is_file() else from_folder
        result += read(path, mobile_ions, **known)
    return result


def from_file(path: str | Path, mobile_ions: str | Sequence[str], **known: Any) -> Intake:
    """Read the structure, or the table of structures, in one file.

    Parameters
    ----------
    path
        CIF; POSCAR, CONTCAR or ``*.vasp``; JSON: a pymatgen structure, or a list (or one a line)
        of objects with ``id``, ``structure`` and optionally ``band_gap`` (eV),
        ``formation_energy`` and ``energy_above_hull`` (eV/atom), ``conductivity`` (S/cm).
    mobile_ions
        Wanted mobile ions in order of preference.
    known
        Fields of `Compound` that hold for all compounds of the file.
    """
    path = Path(path)
    result = Intake()
    try:
        for record in read_records(path):
            _take(result, record, mobile_ions, str(path), known)
    except SSEError as error:
        result.failures[str(path)] = str(error)
    except Exception as error:  # parsers fail in too many ways to list them
        reason = f"cannot be read ({type(error).__name__}: {one_line(error)})"
        mend = "Open it in a structure viewer and export it anew, or leave it out"
        result.failures[str(path)] = str(SSEError(reason, compound=path.name, mend=mend))
    return result


def from_folder(path: str | Path, mobile_ions: str | Sequence[str], **known: Any) -> Intake:
    """Read all structure files of a folder and the folders in it, or those of a glob pattern.

    Raises
    ------
    SSEError
        If there is no such file.
    """
    files = structure_files(Path(path).expanduser())
    if not files:
        raise SSEError(
            f"no structure file in {str(path)!r}",
            mend=f"Give a folder or pattern with files like {', '.join(STRUCTURE_FILES)}",
        )
    result = Intake()
    for file in files:
        result += from_file(file, mobile_ions, **known)
    return result


def from_conductors(ids: str | Sequence[str], mobile_ions: str | Sequence[str]) -> Intake:
    """Take built-in conductors.

    Parameters
    ----------
    ids
        Ids, or ``"all"``: those with one of the mobile ions.
    mobile_ions
        Wanted mobile ions in order of preference.
    """
    wanted = [mobile_ions] if isinstance(mobile_ions, str) else list(mobile_ions)
    result = Intake()
    if ids == "all":
        chosen: Iterable[Conductor] = [c for c in load_conductors() if c.mobile_ion in wanted]
    else:
        chosen = _known_conductors([ids] if isinstance(ids, str) else ids, result)
    for conductor in chosen:
        _take(result, _conductor_record(conductor), wanted, f"conductors:{conductor.id}", {})
    return result


def _take(
    result: Intake,
    record: Record | SSEError,
    mobile_ions: str | Sequence[str],
    source: str,
    known: Mapping[str, Any],
) -> None:
    """Add a record to the result as a compound or as a failure."""
    try:
        if isinstance(record, SSEError):
            raise record
        result._append(make_compound(record, mobile_ions, source, **known))
    except SSEError as error:
        key = f"{source}:{error.compound}" if error.compound else source
        result.failures[key] = str(error)


def _known_conductors(ids: Iterable[str], result: Intake) -> Iterator[Conductor]:
    for name in ids:
        try:
            yield get_conductor(name.strip())
        except SSEError as error:
            result.failures[f"conductors:{name}"] = str(error)


def _conductor_record(conductor: Conductor) -> Record:
    structure = conductor.structure
    approximant = conductor.approximant.structure if conductor.approximant else None
    for crystal in (structure, approximant):
        if crystal is not None and conductor.oxidation_states:
            crystal.add_oxidation_state_by_element(conductor.oxidation_states)
    properties: dict[str, Any] = {
        "formula": conductor.formula,
        "family": conductor.family,
        "conductivity": conductor.conductivity,
        "conductivity_source": conductor.conductivity_doi,
        "band_gap": conductor.band_gap,
        "energy_above_hull": conductor.energy_above_hull,
        "property_source": conductor.band_gap_source,
    }
    warnings = []
    if conductor.conductivity_bound == "upper":
        warnings.append("the measured conductivity is an upper bound")
    if conductor.approximant is not None:
        warnings.append(f"calculated on a simpler crystal: {conductor.approximant.source}")
    origin = conductor.structure_doi or conductor.structure_source or "built-in conductors"
    return Record(
        conductor.id,
        structure,
        {k: v for k, v in properties.items() if v is not None},
        warnings,
        origin,
        approximant,
    )


def structure_files(path: Path) -> list[Path]:
    """Structure files of a folder and the folders in it, or the files of a glob pattern."""
    if path.is_dir():
        found = {f for pattern in STRUCTURE_FILES for f in path.rglob(pattern)}
    else:
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        found = set(anchor.glob(str(path.relative_to(anchor) if path.is_absolute() else path)))
    return sorted(f for f in found if f.is_file())


def _unique_id(name: str, taken: set[str]) -> str:
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    return unique
