"""Readers of structure files: what is in them, as plain records, before any judgement."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymatgen.core import Element, Lattice, Species, Structure
from pymatgen.io.cif import CifParser
from pymatgen.io.vasp.inputs import Poscar

from sse_flows.errors import SSEError

PROPERTIES = ("band_gap", "formation_energy", "energy_above_hull", "conductivity")
"""Properties that a JSON record may carry, in eV, eV/atom, eV/atom and S/cm."""
_TEXTS = ("conductivity_source", "property_source", "family")
_ISOTOPES = {"D", "T"}
_OCCUPANCY_TOLERANCE = 1.02
_HARMLESS = ("fractional coordinates rounded",)


@dataclass
class Record:
    """A structure as read.

    Attributes
    ----------
    id
        Name within its file or folder.
    structure
        The crystal.
    properties
        Fields of `Compound` that the file gives.
    warnings
        What the parser remarked.
    source
        Where the structure came from, if not just the file.
    approximant
        Simpler crystal to calculate with, if the source names one.
    """

    id: str
    structure: Structure
    properties: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    source: str | None = None
    approximant: Structure | None = None


def read_records(path: Path) -> Iterator[Record | SSEError]:
    """The records of a file; a broken record of a table is handed out as its error.

    Raises
    ------
    SSEError
        If the kind of file is not known. Parsers may raise anything for a broken file.
    """
    name = path.name.lower()
    if name.endswith((".json", ".jsonl")):
        yield from _read_json(path)
    elif name.endswith(".cif"):
        yield _read_cif(path)
    elif name.endswith(".vasp") or "poscar" in name or "contcar" in name:
        yield _read_poscar(path)
    else:
        raise SSEError(
            f"{path.name!r} is no kind of structure file that is known",
            compound=path.stem,
            mend="Use .cif, POSCAR, CONTCAR, .vasp, .json or .jsonl",
        )


def file_id(path: Path) -> str:
    """Id of a file's compound: its stem, or the folder's name for a bare POSCAR."""
    stem = path.stem
    if stem.upper() in {"POSCAR", "CONTCAR"} and path.resolve().parent.name:
        stem = path.resolve().parent.name
    return re.sub(r"[^\w.+-]+", "_", stem).strip("_") or "compound"


def _read_cif(path: Path) -> Record:
    with warnings.catch_warnings():  # they are in parser.warnings, and end up in the compound's
        warnings.simplefilter("ignore")
        parser = CifParser(str(path), occupancy_tolerance=_OCCUPANCY_TOLERANCE)
        structure = parser.parse_structures(primitive=False)[0]
    remarks = [re.sub(r"\s+", " ", str(w)) for w in dict.fromkeys(getattr(parser, "warnings", []))]
    remarks = [r for r in remarks if not any(h in r for h in _HARMLESS)]
    return _without_isotopes(Record(file_id(path), structure, warnings=remarks))


def _read_poscar(path: Path) -> Record:
    poscar = Poscar.from_str(path.read_text())  # not from_file, which would look for a POTCAR
    if not poscar.true_names:
        raise SSEError(
            "the POSCAR names no elements",
            compound=file_id(path),
            mend="Write the element symbols into its sixth line (VASP 5 format)",
        )
    # bare sites: velocities and selective dynamics are of no use here
    plain = poscar.structure
    structure = Structure(plain.lattice, plain.species, plain.frac_coords)
    return _without_isotopes(Record(file_id(path), structure))


def _read_json(path: Path) -> Iterator[Record | SSEError]:
    text = path.read_text(encoding="utf-8")
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        if "\n" not in text.strip():
            raise
        data = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(data, Mapping) and data.get("@class") == "Structure":
        record = Record(file_id(path), structure_from_plain(data), plain_moments(data))
        yield _without_isotopes(record)
        return
    for number, entry in enumerate([data] if isinstance(data, Mapping) else data):
        try:
            yield _without_isotopes(_json_record(entry, f"{file_id(path)}-{number + 1}"))
        except SSEError as error:
            yield error


def _json_record(entry: Any, default_id: str) -> Record:
    if not isinstance(entry, Mapping):
        raise SSEError(f"record is a {type(entry).__name__}, not an object", compound=default_id)
    if entry.get("@class") == "Structure":
        return Record(default_id, structure_from_plain(entry, default_id), plain_moments(entry))
    given = entry.get("id") or entry.get("compound_id") or entry.get("material_id") or default_id
    # no line breaks and no codes that a terminal would obey: ids are in every table and message
    name = "".join(c if c.isprintable() else "_" for c in str(given))
    plain = entry.get("structure")
    if not isinstance(plain, Mapping):
        raise SSEError("record has no structure", compound=name, mend="Add `structure`")
    properties = {k: entry[k] for k in (*PROPERTIES, *_TEXTS) if entry.get(k) is not None}
    return Record(name, structure_from_plain(plain, name), properties | plain_moments(plain))


def plain_moments(data: Mapping[str, Any]) -> dict[str, list[float]]:
    """Magnetic moments (``magmom``) in the plain data of a structure, as a field of `Compound`.

    Empty unless every site has one and some are of either sign: other moments follow by
    themselves from the elements.
    """
    try:
        found = [float(site["properties"]["magmom"]) for site in data["sites"]]
    except (KeyError, TypeError, ValueError):
        return {}
    return {"moments": found} if found and min(found) < 0 < max(found) else {}


def structure_from_plain(data: Mapping[str, Any], compound_id: str | None = None) -> Structure:
    """Build a structure from the plain data of a pymatgen structure dictionary.

    Only lattice, coordinates, element symbols, occupancies and oxidation states are read: other
    entries could name classes to be imported, which files from elsewhere must never do.

    Raises
    ------
    SSEError
        If the dictionary is not that of a pymatgen Structure.
    """
    if data.get("@class") != "Structure":
        raise SSEError(
            f"structure has @class {data.get('@class')!r}, not 'Structure'",
            compound=compound_id,
            mend="Write it with pymatgen's Structure.as_dict()",
        )
    try:
        lattice = Lattice([[float(x) for x in row] for row in data["lattice"]["matrix"]])
        coords = [[float(x) for x in site["abc"]] for site in data["sites"]]
        species = [_plain_species(site["species"]) for site in data["sites"]]
        return Structure(lattice, species, coords)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SSEError(
            f"structure cannot be read ({type(error).__name__}: {error})",
            compound=compound_id,
            mend="Write it with pymatgen's Structure.as_dict()",
        ) from error


def _plain_species(entries: Any) -> dict[Any, Any]:
    out: dict[Any, Any] = {}
    for entry in entries:
        state = entry.get("oxidation_state")
        element = Element(str(entry["element"]))
        key = element if state is None else Species(element.symbol, float(state))
        out[key] = out.get(key, 0.0) + float(entry["occu"])
    return out


def _without_isotopes(record: Record) -> Record:
    """Deuterium is hydrogen: what is calculated is the compound of natural hydrogen."""
    species = record.structure.composition.elements
    isotopes = {sp: getattr(sp, "element", sp).name for sp in species}
    isotopes = {sp: name for sp, name in isotopes.items() if name in _ISOTOPES}
    for sp, name in isotopes.items():
        state = getattr(sp, "oxi_state", None)
        hydrogen = Element("H") if state is None else Species("H", state)
        record.structure.replace_species({sp: hydrogen})
        record.warnings.append(f"{name} was read as H")
    return record
