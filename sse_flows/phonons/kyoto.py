"""Lattice dynamics of the entries of the Kyoto phonon database, and of phonopy's own files.

The database (A. Togo, http://phonondb.mtl.kyoto-u.ac.jp, CC-BY 4.0) keeps for every compound the
unit cell, phonopy.conf (DIM, PRIMITIVE_AXIS), FORCE_SETS and for insulators often BORN. A folder
with a phonopy.yaml is read alike. Units are those of VASP: Å and eV.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sse_flows.errors import SSEError
from sse_flows.phonons import phonopy_adapter as adapter
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.entries import PHONOPY_YAML, Entry, malformed
from sse_flows.phonons.force_sets import force_constants_of

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

MAX_BORN_SUM: float = 0.1
"""Born charges whose sum exceeds this per atom (e) are of another crystal; in the database raw
charges add up to 1e-7."""

_FUNCTIONALS = {"PS": "PBEsol", "PE": "PBE", "91": "PW91", "CA": "LDA"}


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
    """

    unitcell: PhonopyAtoms
    supercell_matrix: NDArray[np.int64]
    primitive_matrix: NDArray[np.float64] | str
    force_constants: NDArray[np.float64] | None = None
    dataset: dict | None = None
    nac: dict = field(default_factory=dict)


def entry_dynamics(entry: Entry, *, with_bands: bool = True) -> LatticeDynamics:
    """Lattice dynamics of an entry.

    Parameters
    ----------
    entry
        Its files.
    with_bands
        Whether to compute bands along the path of high symmetry.

    Raises
    ------
    SSEError
        A file is missing or malformed, or the files do not fit each other; names the compound.
    """
    from sse_flows.phonons.modes import lattice_dynamics

    crystal = read_crystal(entry)
    constants, primitive_matrix = force_constants_of(entry, crystal)
    nac = crystal.nac
    if "BORN" in entry.files:
        nac = read_born(entry, crystal, primitive_matrix)
    return lattice_dynamics(
        adapter.pymatgen_structure(crystal.unitcell),
        crystal.supercell_matrix,
        constants,
        primitive_matrix=primitive_matrix,
        born=nac.get("born"),
        dielectric=nac.get("dielectric"),
        compound_id=entry.compound_id,
        method=method_of(entry),
        provenance=provenance_of(entry, crystal),
        with_bands=with_bands,
    )


def read_crystal(entry: Entry) -> Crystal:
    """Unit cell and matrices: of phonopy.yaml if there is one, else of the database's files.

    Raises
    ------
    SSEError
        A file is missing or cannot be read.
    """
    for name in PHONOPY_YAML:
        if name in entry.files:
            return _from_yaml(entry, name)
    return _from_database(entry)


def _from_database(entry: Entry) -> Crystal:
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
        primitive = _matrix(settings.get("PRIMITIVE_AXIS", "1 1 1"))
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


def read_born(
    entry: Entry, crystal: Crystal, primitive_matrix: NDArray[np.float64]
) -> dict[str, NDArray]:
    """Born charges of the primitive cell and dielectric tensor.

    Like phonopy's BORN: a line with a factor or a comment, the tensor, and the charges of the
    inequivalent atoms. The factor is that of VASP's units whether it stands there or not.
    """
    from phonopy.file_IO import parse_BORN_from_strings
    from phonopy.structure.cells import get_primitive

    text = entry.files["BORN"]
    primitive = get_primitive(crystal.unitcell, primitive_matrix, symprec=adapter.SYMPREC)
    try:
        found = parse_BORN_from_strings(text, primitive)
    except Exception as error:  # its own exceptions and those of int() and float()
        raise _foreign_born(entry, " ".join(str(error).split())) from error
    charges = np.asarray(found["born"])
    if not np.isfinite(charges).all() or not np.isfinite(found["dielectric"]).all():
        raise _foreign_born(entry, "values that are no numbers")
    if np.abs(charges.sum(axis=0)).max() > MAX_BORN_SUM * len(primitive):
        raise _foreign_born(entry, "the charges do not add up to zero")
    factor = found.get("factor")
    if factor is not None and abs(float(factor) - adapter.COULOMB) > 0.01:
        raise _foreign_born(entry, f"its factor {factor} is not {adapter.COULOMB:.4f} eV Å")
    return {"born": charges, "dielectric": np.asarray(found["dielectric"])}


def _foreign_born(entry: Entry, reason: str) -> SSEError:
    return SSEError(
        f"BORN does not fit the primitive cell: {reason}",
        compound=entry.compound_id,
        mend="Write BORN for this cell with phonopy-vasp-born, or remove it",
    )


def method_of(entry: Entry) -> str:
    """What gave the forces, for the document."""
    if any(name in entry.files for name in PHONOPY_YAML):
        return f"phonopy.yaml of {entry.name}"
    functional = _FUNCTIONALS.get(_incar(entry).get("GGA", ""), "VASP")
    date = re.search(r"-(\d{4})(\d\d)(\d\d)$", entry.name)
    edition = f" {'-'.join(date.groups())}" if date else ""
    return f"{functional}, VASP (Kyoto phonon database{edition})"


def provenance_of(entry: Entry, crystal: Crystal) -> dict[str, str]:
    """Settings that the entry was made with, by name."""
    tags = _incar(entry)
    kept = {f"INCAR {tag}": tags[tag] for tag in ("GGA", "ENCUT", "EDIFF", "ISMEAR") if tag in tags}
    points = entry.files.get("KPOINTS-force", "").split("\n")[2:4]
    if len(points) == 2:
        kept["k-points of the supercell"] = " ".join(" ".join(points).split())
    titles = re.findall(r"PAW_\w+ [^<]*?(?=\s*</c>)", entry.files.get("PAW_dataset.txt", ""))
    if titles:
        kept["potentials"] = "; ".join(titles)
    matrix = crystal.supercell_matrix.ravel().tolist()
    return {
        "entry": entry.name,
        "entry sha256": entry.digest,
        "supercell": " ".join(map(str, matrix)),
        **_displacements(crystal),
        **kept,
        "non-analytic correction": "BORN" if "BORN" in entry.files or crystal.nac else "none",
    }


def _displacements(crystal: Crystal) -> dict[str, str]:
    """Number and length of the displacements, where forces were given."""
    if crystal.dataset is None or "first_atoms" not in crystal.dataset:
        return {}
    atoms = crystal.dataset["first_atoms"]
    length = float(np.mean([np.linalg.norm(one["displacement"]) for one in atoms]))
    return {"displaced supercells": str(len(atoms)), "displacement": f"{length:.4g} Å"}


def _incar(entry: Entry) -> dict[str, str]:
    return read_conf(entry.files.get("INCAR-force", ""))


def _text(entry: Entry, name: str) -> str:
    if name not in entry.files:
        raise SSEError(
            f"the entry has no {name}",
            compound=entry.compound_id,
            mend="Complete it: POSCAR-unitcell, phonopy.conf and FORCE_SETS are needed",
        )
    return entry.files[name]


def _matrix(text: str) -> NDArray[np.float64]:
    """Three numbers (a diagonal) or nine, fractions allowed."""
    numbers = np.array([float(Fraction(word)) for word in text.split()])
    if len(numbers) not in (3, 9):
        raise ValueError(f"{text!r} is no matrix of 3 or 9 numbers")
    matrix = np.diag(numbers) if len(numbers) == 3 else numbers.reshape(3, 3)
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError(f"{text!r} has no inverse")
    return matrix
