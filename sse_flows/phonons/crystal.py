"""The crystal of a phonon calculation on disk: unit cell, supercell, primitive cell.

Of phonopy's yaml files, or of POSCAR-unitcell and phonopy.conf. Units are those of VASP: Å and eV.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sse_flows.errors import SSEError
from sse_flows.phonons.entries import PHONOPY_YAML, Entry, malformed

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


@dataclass
class Crystal:
    """What an entry says before its forces are read.

    Attributes
    ----------
    unitcell, supercell_matrix, primitive_matrix
        Cell, Å, and the two matrices in terms of it.
    force_constants, dataset
        eV/Å^2 or phonopy's displacements and forces, where phonopy.yaml holds them.
    nac
        ``born`` and ``dielectric``, where phonopy.yaml holds them.
    history
        What else is known of the forces, by name, for the provenance.
    """

    unitcell: PhonopyAtoms
    supercell_matrix: NDArray[np.int64]
    primitive_matrix: NDArray[np.float64] | str
    force_constants: NDArray[np.float64] | None = None
    dataset: dict | None = None
    nac: dict = field(default_factory=dict)
    history: dict[str, str] = field(default_factory=dict)


def read_crystal(entry: Entry) -> Crystal:
    """Unit cell and matrices: of phonopy.yaml if there is one, else of the database's files.

    Raises
    ------
    SSEError
        A file is missing or cannot be read.
    """
    found: Crystal | None = None
    for name in (name for name in PHONOPY_YAML if name in entry.files):
        if found is None:
            found = _from_yaml(entry, name)
        elif found.force_constants is None and not has_forces(found.dataset):
            _complete(found, _from_yaml(entry, name))
    return found or _from_files(entry)


def has_forces(dataset: dict | None) -> bool:
    """Whether phonopy's displacements come with forces."""
    return any("forces" in one for one in (dataset or {}).get("first_atoms", []))


def _complete(crystal: Crystal, other: Crystal) -> None:
    """Take what a second yaml file of the same crystal holds: phonopy writes several a folder."""
    if not np.array_equal(crystal.supercell_matrix, other.supercell_matrix):
        return
    if crystal.unitcell.symbols != other.unitcell.symbols:
        return
    crystal.force_constants = other.force_constants
    crystal.dataset = other.dataset if other.dataset is not None else crystal.dataset
    crystal.nac = crystal.nac or other.nac


def _from_files(entry: Entry) -> Crystal:
    from phonopy.interface.vasp import read_vasp_from_strings

    settings = read_conf(_text(entry, "phonopy.conf"))
    poscar = _text(entry, "POSCAR-unitcell")
    try:
        cell = read_vasp_from_strings(poscar)
        if not len(cell) or not np.isfinite(cell.scaled_positions).all():
            raise ValueError("no atoms, or positions that are no numbers")
    except Exception as error:  # phonopy's reader raises whatever its parsing meets
        raise malformed(entry, "POSCAR-unitcell", error) from error
    try:
        supercell = _matrix(settings["DIM"])
        primitive = _primitive(settings.get("PRIMITIVE_AXIS", "1 1 1"))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise malformed(entry, "phonopy.conf", error) from error
    return Crystal(cell, np.rint(supercell).astype(np.int64), primitive)


def read_conf(text: str) -> dict[str, str]:
    """Tags of a phonopy.conf by their name in capitals; PRIMITIVE_AXES is PRIMITIVE_AXIS."""
    pairs = (line.partition("#")[0].partition("=") for line in text.splitlines())
    tags = {key.strip().upper(): value.strip() for key, found, value in pairs if found}
    if "PRIMITIVE_AXES" in tags:
        tags["PRIMITIVE_AXIS"] = tags.pop("PRIMITIVE_AXES")
    return tags


def _from_yaml(entry: Entry, name: str) -> Crystal:
    from phonopy.interface.phonopy_yaml import PhonopyYaml

    try:
        data = PhonopyYaml().read(io.StringIO(entry.files[name]))
    except Exception as error:  # a parser of foreign files: any exception means it is malformed
        raise malformed(entry, name, error) from error
    if data.unitcell is None or data.supercell_matrix is None:
        raise malformed(entry, name, ValueError("no unit_cell or no supercell_matrix"))
    if data.calculator not in (None, "vasp"):
        raise SSEError(
            f"{name} is of {data.calculator}, whose units are not Å and eV",
            compound=entry.compound_id,
            mend="Write it with the units of VASP (phonopy's default)",
        )
    primitive = "auto" if data.primitive_matrix is None else np.asarray(data.primitive_matrix)
    return Crystal(
        data.unitcell,
        np.asarray(data.supercell_matrix, dtype=np.int64),
        primitive,
        data.force_constants,
        None if data.dataset is None else dict(data.dataset),
        dict(data.nac_params or {}),
    )


def _text(entry: Entry, name: str) -> str:
    if name not in entry.files:
        raise SSEError(
            f"the entry has no {name}",
            compound=entry.compound_id,
            mend="Complete it: POSCAR-unitcell and phonopy.conf (with DIM), or a phonopy.yaml",
        )
    return entry.files[name]


def _primitive(text: str) -> NDArray[np.float64] | str:
    """PRIMITIVE_AXIS: a matrix, AUTO, or the letter of a centring."""
    word = text.strip("'\" ").upper()
    if word == "AUTO":
        return "auto"
    return word if word in ("P", "F", "I", "A", "C", "R") else _matrix(text)


def _matrix(text: str) -> NDArray[np.float64]:
    """Three numbers (a diagonal) or nine, fractions allowed."""
    numbers = np.array([float(Fraction(word)) for word in text.split()])
    if len(numbers) not in (3, 9):
        raise ValueError(f"{text!r} is no matrix of 3 or 9 numbers")
    matrix = np.diag(numbers) if len(numbers) == 3 else numbers.reshape(3, 3)
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError(f"{text!r} has no inverse")
    return matrix
