"""Force constants of an entry, of the first that it has of several files.

Of phonopy.yaml, FORCE_CONSTANTS, force_constants.hdf5, FORCE_SETS, or VASP runs of its supercells.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sse_flows.errors import SSEError
from sse_flows.phonons import phonopy_adapter as adapter
from sse_flows.phonons import vasprun
from sse_flows.phonons.crystal import Crystal, has_forces
from sse_flows.phonons.entries import HDF5, HESSIAN_RUN, Entry, malformed

if TYPE_CHECKING:
    from phonopy import Phonopy

_MEND_NONE = (
    "Put FORCE_SETS, or disp-001/vasprun.xml and so on, into the folder; unpack an archive of those"
)
_MEND_FORCES = "Look at the calculations of the displaced supercells, or download the entry again"


def force_constants_of(
    entry: Entry, crystal: Crystal
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Force constants, eV/Å^2, and the primitive matrix that they go with.

    Those of phonopy.yaml come before FORCE_CONSTANTS and force_constants.hdf5, and these before
    displacements and forces, which are kept as ``crystal.dataset``: of FORCE_SETS, phonopy.yaml, or
    one vasprun.xml a displaced supercell. Last comes the Hessian of one vasprun.xml.

    Raises
    ------
    SSEError
        There are none, or they do not fit the supercell.
    """
    phonon = _phonopy(entry, crystal)
    primitive_matrix = np.asarray(phonon.primitive_matrix, dtype=np.float64)
    if crystal.force_constants is not None:
        return crystal.force_constants, primitive_matrix
    stored = _stored_constants(entry, phonon)
    if stored is not None:
        return stored, primitive_matrix
    crystal.dataset = _dataset(entry, crystal, phonon)
    if not has_forces(crystal.dataset) and HESSIAN_RUN in entry.paths:
        crystal.dataset = None  # displacements that were planned only
        constants, crystal.history = vasprun.hessian(entry, phonon.supercell)
        return constants, primitive_matrix
    _check_dataset(entry, crystal.dataset, len(phonon.supercell))
    phonon.dataset = crystal.dataset  # type: ignore[assignment]
    try:
        phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    except (RuntimeError, ValueError, IndexError, np.linalg.LinAlgError) as error:
        raise SSEError(
            f"{_source(entry)} gives no force constants: {' '.join(str(error).split())}",
            compound=entry.compound_id,
            mend=_MEND_FORCES,
        ) from error
    return np.asarray(phonon.force_constants), primitive_matrix


def _stored_constants(entry: Entry, phonon: Phonopy) -> NDArray[np.float64] | None:
    """Force constants of a file that holds them, None if there is none."""
    atoms = phonon.primitive.p2s_map
    if "FORCE_CONSTANTS" in entry.files:
        return parse_force_constants(entry, atoms)
    return read_hdf5(entry, atoms) if HDF5 in entry.paths else None


def _dataset(entry: Entry, crystal: Crystal, phonon: Phonopy) -> dict[str, Any] | None:
    """Displacements and forces of FORCE_SETS, of phonopy.yaml, or of VASP runs."""
    if "FORCE_SETS" in entry.files:
        return parse_force_sets(entry, len(phonon.supercell))
    if has_forces(crystal.dataset) or not vasprun.has_displaced_runs(entry):
        return crystal.dataset
    planned = None if crystal.dataset is None else crystal.dataset.get("first_atoms")
    if crystal.dataset is not None and planned is None:
        return crystal.dataset  # many atoms displaced at once: refused with its reason
    dataset, crystal.history = vasprun.displaced_dataset(entry, phonon.supercell, planned)
    return dataset


def _source(entry: Entry) -> str:
    """Where the forces are, for messages."""
    if "FORCE_SETS" in entry.files:
        return "FORCE_SETS"
    runs = vasprun.has_displaced_runs(entry)
    return "the vasprun.xml of the displaced supercells" if runs else "phonopy.yaml"


def _phonopy(entry: Entry, crystal: Crystal) -> Phonopy:
    from phonopy import Phonopy

    try:
        return Phonopy(
            crystal.unitcell,
            crystal.supercell_matrix,
            primitive_matrix=crystal.primitive_matrix,  # type: ignore[arg-type]
            symprec=_tolerance(crystal),
        )
    except Exception as error:  # of phonopy's many, all for cells and matrices that do not fit
        raise SSEError(
            "unit cell, DIM and PRIMITIVE_AXIS do not fit each other: "
            f"{' '.join(str(error).split())[:200]}",
            compound=entry.compound_id,
            mend="Correct phonopy.conf or phonopy.yaml, or download the entry again",
        ) from error


def _tolerance(crystal: Crystal) -> float:
    """Phonopy's default, which chose the displacements; ours where phonopy seeks the cell."""
    return adapter.SYMPREC if isinstance(crystal.primitive_matrix, str) else 1e-5


def parse_force_sets(entry: Entry, n_supercell: int) -> dict[str, Any]:
    """Displacements (Å) and forces (eV/Å) of FORCE_SETS in phonopy's layout.

    Raises
    ------
    SSEError
        The file is cut off, malformed or of another supercell.
    """
    from phonopy.file_IO import parse_FORCE_SETS_from_strings

    text = entry.files["FORCE_SETS"]
    first = text.split(None, 1)[:1]
    if first and first[0].isdigit() and int(first[0]) != n_supercell:
        raise SSEError(
            f"FORCE_SETS is of {first[0]} atoms, the supercell has {n_supercell}",
            compound=entry.compound_id,
            mend="Give the FORCE_SETS that belongs to this POSCAR-unitcell and DIM",
        )
    try:
        return dict(parse_FORCE_SETS_from_strings(text, natom=n_supercell))
    except RecursionError as error:  # phonopy looks for the next line beyond the end
        raise SSEError(
            "FORCE_SETS is cut off", compound=entry.compound_id, mend=_MEND_FORCES
        ) from error
    except (RuntimeError, ValueError, IndexError) as error:
        raise malformed(entry, "FORCE_SETS", error) from error


def _check_dataset(entry: Entry, dataset: dict | None, n_supercell: int) -> None:
    """Refuse what phonopy would turn into wrong numbers without a word."""
    problem: str | None
    if dataset is None:
        problem = f"the entry has no forces: no FORCE_SETS, FORCE_CONSTANTS{_others(entry)}"
    elif "first_atoms" not in dataset:
        problem = "displacements of many atoms at once need another solver"
    else:
        problem = _problem(dataset["first_atoms"], n_supercell, _source(entry))
    if problem:
        mend = _MEND_FORCES if has_forces(dataset) or entry.origin == "kyoto" else _MEND_NONE
        raise SSEError(problem, compound=entry.compound_id, mend=mend)


def _others(entry: Entry) -> str:
    return ", force_constants.hdf5 or vasprun.xml" if entry.origin == "phonopy" else " or the like"


def _problem(displaced: list[dict], n_supercell: int, source: str) -> str | None:
    """What is wrong with displacements and forces; None if nothing is."""
    if not displaced:
        return f"{source} holds no displacement"
    if not has_forces({"first_atoms": displaced}):
        return "the entry has displacements but no forces"
    for number, one in enumerate(displaced, start=1):
        forces = np.asarray(one.get("forces", np.empty(0)), dtype=float)
        moved = np.asarray(one["displacement"], dtype=float)
        if forces.shape != (n_supercell, 3) or not 0 <= one["number"] < n_supercell:
            return f"displacement {number} of {source} does not fit {n_supercell} atoms"
        if not np.isfinite(forces).all() or not np.isfinite(moved).all():
            return f"displacement {number} of {source} holds NaN or infinite values"
        if moved.shape != (3,) or not np.linalg.norm(moved) > 1e-5:
            return f"displacement {number} of {source} moves no atom"
    return None


def parse_force_constants(entry: Entry, atoms: NDArray | None = None) -> NDArray[np.float64]:
    """Full or compact force constants of FORCE_CONSTANTS, eV/Å^2.

    Parameters
    ----------
    entry
        With the file.
    atoms
        Atoms of the supercell that the primitive cell is made of; those of compact force
        constants must be the same.

    Raises
    ------
    SSEError
        The file cannot be read, or is of another primitive cell.
    """
    from phonopy.file_IO import parse_FORCE_CONSTANTS

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "FORCE_CONSTANTS"
        file.write_text(entry.files["FORCE_CONSTANTS"])
        try:
            return np.asarray(parse_FORCE_CONSTANTS(filename=str(file), p2s_map=atoms))
        except (RuntimeError, ValueError, IndexError) as error:
            raise malformed(entry, "FORCE_CONSTANTS", error) from error


def read_hdf5(entry: Entry, atoms: NDArray | None = None) -> NDArray[np.float64]:
    """Full or compact force constants of force_constants.hdf5, eV/Å^2.

    Parameters
    ----------
    entry, atoms
        As in :func:`parse_force_constants`.

    Raises
    ------
    SSEError
        h5py is not installed; or the file is damaged, of other units or another primitive cell.
    """
    from phonopy.file_IO import read_force_constants_hdf5

    try:
        constants, unit = read_force_constants_hdf5(
            str(entry.paths[HDF5]), p2s_map=atoms, return_physical_unit=True
        )
    except ModuleNotFoundError as error:
        raise SSEError(
            f"{HDF5} needs h5py, which is not installed",
            compound=entry.compound_id,
            mend="Run pip install h5py, or write FORCE_CONSTANTS instead",
        ) from error
    except Exception as error:  # whatever h5py meets in a damaged file
        raise malformed(entry, HDF5, error) from error
    if unit not in (None, "eV/angstrom^2"):
        raise SSEError(
            f"{HDF5} is in {unit}, not eV/Å^2",
            compound=entry.compound_id,
            mend="Write it with the units of VASP (phonopy's default)",
        )
    return np.asarray(constants)
