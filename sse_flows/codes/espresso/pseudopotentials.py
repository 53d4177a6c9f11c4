"""Pseudopotentials: which file belongs to which element, and the cutoffs it asks for.

A family is a folder of UPF files, or a JSON file beside its UPF files as SSSP ships it
(``{"Li": {"filename": ..., "cutoff_wfc": ..., "cutoff_rho": ...}}``).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from monty.json import MSONable

from sse_flows.errors import SSEError

VARIABLE = "ESPRESSO_PSEUDO"
"""Environment variable with the folder of pseudopotentials; Quantum ESPRESSO reads it too."""

_HEADER_BYTES = 65536
_KINDS = {"PAW": 0, "US": 1, "USPP": 1, "NC": 2, "SL": 2}
_FUNCTIONALS = {
    "SLA PW PBX PBC": "PBE",
    "SLA PW PBE PBE": "PBE",
    "SLA PW PSX PSC": "PBEsol",
    "SLA PW PSX PBEC": "PBEsol",
    "SLA PZ NOGX NOGC": "LDA",
    "SLA PW NOGX NOGC": "LDA",
    "PZ": "LDA",
    "PBESOL": "PBEsol",
}
_MEND = (
    f"Put a UPF file of it into the folder of {VARIABLE} or of code.pseudopotentials, for example "
    "from the SSSP or PSlibrary families (see docs/espresso.md)"
)


@dataclass(frozen=True)
class Pseudopotential(MSONable):
    """A pseudopotential file by name and content.

    Attributes
    ----------
    file
        Name within the folder.
    sha256
        Of its content, first 16 digits: what a result depends on.
    functional
        ``PBE``, ``PBEsol``, ``LDA`` or as the file says.
    cutoff_wfc, cutoff_rho
        What it asks for, Ry; 0 where it does not say.
    kind
        ``PAW``, ``US``, ``NC`` or ``spin-orbit``.
    """

    file: str
    sha256: str
    functional: str
    cutoff_wfc: float
    cutoff_rho: float
    kind: str


@dataclass(frozen=True)
class Family:
    """A folder of pseudopotentials.

    Attributes
    ----------
    folder
        Where the files are.
    table
        Element -> ``filename`` and, if known, ``cutoff_wfc`` and ``cutoff_rho`` (Ry). Empty: the
        files are looked for by the element that their names begin with.
    """

    folder: Path
    table: Mapping[str, Mapping[str, Any]]

    def pick(self, element: str, functional: str | None) -> Pseudopotential:
        """The file of one element.

        Of several, the one of the wanted functional is taken, projector-augmented waves before
        ultrasoft before norm-conserving, then the last by name.

        Raises
        ------
        SSEError
            There is none, or none of that functional.
        """
        if self.table:
            return self._tabulated(element, functional)
        found = [read_header(path) for path in self._files(element)]
        if not found:
            raise SSEError(f"no pseudopotential of {element} in {self.folder}", mend=_MEND)
        fitting = [one for one in found if functional in (None, one.functional)]
        if not fitting:
            have = ", ".join(sorted({one.functional for one in found}))
            raise SSEError(
                f"no {functional} pseudopotential of {element} in {self.folder} (there is {have})",
                mend=f"{_MEND}, or set code.functional",
            )
        best = min(_KINDS.get(one.kind, 3) for one in fitting)
        return max((one for one in fitting if _KINDS.get(one.kind, 3) == best), key=_by_name)

    def _files(self, element: str) -> list[Path]:
        pattern = re.compile(rf"{element}[._-].*upf$", re.IGNORECASE)
        return sorted(
            path
            for path in self.folder.iterdir()
            if pattern.match(path.name) and path.name[: len(element)].capitalize() == element
        )

    def _tabulated(self, element: str, functional: str | None) -> Pseudopotential:
        entry = self.table.get(element)
        if entry is None:
            raise SSEError(f"the family of {self.folder} has no {element}", mend=_MEND)
        path = self.folder / str(entry["filename"])
        if not path.is_file():
            raise SSEError(f"the pseudopotential {path} of {element} is missing", mend=_MEND)
        header = read_header(path)
        if functional not in (None, header.functional):
            raise SSEError(
                f"{path.name} is of {header.functional}, not {functional}",
                mend="Name files of one functional, or set code.functional",
            )
        _check_md5(path, entry.get("md5"))
        wfc, rho = _tabulated_cutoffs(entry)
        cutoffs = {
            "cutoff_wfc": wfc or header.cutoff_wfc,
            "cutoff_rho": rho or header.cutoff_rho,
        }
        return Pseudopotential(**{**_fields(header), **cutoffs})


def _tabulated_cutoffs(entry: Mapping[str, Any]) -> tuple[float, float]:
    """Cutoffs of wave functions and density, Ry, in the words of any family; 0 where unknown."""
    wfc = float(entry.get("cutoff_wfc") or entry.get("cutoff") or 0.0)
    rho = float(entry.get("cutoff_rho") or wfc * float(entry.get("dual") or 0.0))
    return wfc, rho


def _check_md5(path: Path, md5: str | None) -> None:
    """Refuse a file that is not the one of the family."""
    if not md5:
        return
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != str(md5).lower():
        raise SSEError(
            f"{path} is another file than its family lists (MD5 {found}, not {md5})",
            mend="Take the file from the family's archive, or the entry md5 out of the JSON file",
        )


def read_family(source: str | Mapping[str, str] | None) -> Family:
    """Open a family.

    Parameters
    ----------
    source
        Folder of UPF files, JSON file of a family, names of files by element (in the folder of
        ESPRESSO_PSEUDO), or None for that folder.

    Raises
    ------
    SSEError
        Nothing is there, or the JSON file is no family.
    """
    if isinstance(source, Mapping):
        return Family(_default_folder(), {el: {"filename": name} for el, name in source.items()})
    if source is None:
        return Family(_default_folder(), {})
    path = Path(source).expanduser().resolve()
    if path.is_dir():
        return Family(path, {})
    if not path.is_file():
        raise SSEError(
            f"no folder or family file of pseudopotentials at {path}",
            mend=f"Mend code.pseudopotentials, or leave it out and set {VARIABLE}",
        )
    return Family(path.parent, _read_table(path))


def _default_folder() -> Path:
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise SSEError(
            "no pseudopotentials named",
            mend=f"Set {VARIABLE} to a folder of UPF files, or code.pseudopotentials in the "
            "campaign file",
        )
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        raise SSEError(f"{VARIABLE}={folder} is no folder", mend=f"Mend {VARIABLE}")
    return path


def _read_table(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_text())
        # SSSP has the elements at the top, aiida-pseudo's exports one level down
        table = data.get("pseudos", data)
        return {
            element: {**entry, "filename": entry["filename"]} for element, entry in table.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SSEError(
            f"{path} is no family of pseudopotentials",
            mend='It has to read {"Li": {"filename": ..., "cutoff_wfc": ..., "cutoff_rho": ...}}',
        ) from error


def choose(
    family: Family, elements: Iterable[str], functional: str | None
) -> dict[str, Pseudopotential]:
    """Files of some elements, all of one functional.

    Raises
    ------
    SSEError
        Elements are missing (all of them are named) or the functionals differ.
    """
    found, problems = {}, []
    for element in sorted(set(elements)):
        try:
            found[element] = family.pick(element, functional)
        except SSEError as error:
            problems.append(error)
    if problems:
        raise SSEError("; ".join(error.message for error in problems), mend=problems[0].mend)
    functionals = {one.functional for one in found.values()}
    if len(functionals) > 1:
        names = ", ".join(f"{el} {one.functional}" for el, one in found.items())
        raise SSEError(
            f"pseudopotentials of different functionals: {names}", mend="Set code.functional"
        )
    return found


def read_header(path: Path) -> Pseudopotential:
    """What a UPF file says of itself, versions 1 and 2.

    Raises
    ------
    SSEError
        It is no UPF file.
    """
    stat = path.stat()
    return _read_header(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=512)
def _read_header(path: Path, _modified: int, _size: int) -> Pseudopotential:
    content = path.read_bytes()
    text = content[:_HEADER_BYTES].decode("utf-8", errors="replace")
    match = re.search(r"<PP_HEADER(.*?)(/>|</PP_HEADER>|>\s*<PP_MESH)", text, re.DOTALL)
    if match is None:
        raise SSEError(f"{path} is no UPF pseudopotential", mend="Replace the file")
    read = _version_2 if "functional=" in match.group(1) else _version_1
    kind, functional, wfc, rho = read(match.group(1))
    return Pseudopotential(
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest()[:16],
        functional=_functional(functional),
        cutoff_wfc=wfc or _suggested(text, "wavefunctions"),
        cutoff_rho=rho or _suggested(text, "charge density"),
        kind={"USPP": "US", "SL": "NC"}.get(kind, kind),
    )


def _version_2(header: str) -> tuple[str, str, float, float]:
    attributes = dict(re.findall(r"(\w+)\s*=\s*[\"']([^\"']*)[\"']", header))
    cutoffs = [_number(attributes.get(key, "")) for key in ("wfc_cutoff", "rho_cutoff")]
    kind = attributes.get("pseudo_type", "NC").strip().upper()
    if attributes.get("has_so", "").strip().upper() in ("T", "TRUE", ".TRUE."):
        kind = "spin-orbit"  # for non-collinear calculations only: never the first choice
    return kind, attributes["functional"], cutoffs[0], cutoffs[1]


def _version_1(header: str) -> tuple[str, str, float, float]:
    kind = re.search(r"^\s*(NC|US|PAW|SL)\b", header, re.MULTILINE)
    functional = re.search(r"^(.*)Exchange-Correlation", header, re.MULTILINE)
    cutoffs = re.search(r"^\s*(\S+)\s+(\S+)\s+Suggested cutoff", header, re.MULTILINE)
    wfc, rho = (_number(text) for text in cutoffs.groups()) if cutoffs else (0.0, 0.0)
    return (
        kind.group(1) if kind else "NC",
        functional.group(1) if functional else "unknown",
        wfc,
        rho,
    )


def _suggested(text: str, what: str) -> float:
    match = re.search(rf"Suggested minimum cutoff for {what}:\s*(\S+)\s*Ry", text)
    return _number(match.group(1)) if match else 0.0


def _number(text: str) -> float:
    try:
        return float(text.strip().lower().replace("d", "e"))
    except ValueError:
        return 0.0


def _functional(text: str) -> str:
    name = " ".join(text.replace("-", " ").split()).upper()
    words = name.split()
    for known, short in _FUNCTIONALS.items():
        if words[: len(known.split())] == known.split():
            return short
    return name


def _by_name(one: Pseudopotential) -> str:
    return one.file


def _fields(one: Pseudopotential) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Pseudopotential.__dataclass_fields__}


def locate(chosen: Mapping[str, Pseudopotential], folder: str) -> Path:
    """Folder, on the machine of the job, that holds the chosen files unchanged.

    Parameters
    ----------
    chosen
        Element -> file and content.
    folder
        Where they were found when the campaign was made; else ESPRESSO_PSEUDO is asked.

    Raises
    ------
    SSEError
        They are in neither, or another file has the same name.
    """
    places = [Path(place).expanduser() for place in (folder, os.environ.get(VARIABLE, "")) if place]
    for place in places:
        if all((place / one.file).is_file() for one in chosen.values()):
            for one in chosen.values():
                if read_header(place / one.file).sha256 != one.sha256:
                    raise SSEError(
                        f"{place / one.file} has changed since the campaign was made",
                        mend="Make the campaign anew with `sse run`, or put the old file back",
                    )
            return place
    names = ", ".join(one.file for one in chosen.values())
    raise SSEError(
        f"no folder with {names} here (looked in {', '.join(map(str, places)) or 'none'})",
        mend=f"Set {VARIABLE} on this machine",
    )
