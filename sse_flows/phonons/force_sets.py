"""Force constants of an entry: of its own arrays, FORCE_CONSTANTS, or FORCE_SETS."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sse_flows.errors import SSEError
from sse_flows.phonons import phonopy_adapter as adapter
from sse_flows.phonons.entries import Entry, malformed

if TYPE_CHECKING:
    from phonopy import Phonopy

    from sse_flows.phonons.kyoto import Crystal

_MEND_FORCES = "Look at the calculations of the displaced supercells, or download the entry again"


def force_constants_of(
    entry: Entry, crystal: Crystal
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Force constants, eV/Å^2, and the primitive matrix that they go with.

    Those of phonopy.yaml come before FORCE_CONSTANTS, and that before displacements and forces,
    which are kept as ``crystal.dataset``.

    Raises
    ------
    SSEError
        There are none, or they do not fit the supercell.
    """
    phonon = _phonopy(entry, crystal)
    primitive_matrix = np.asarray(phonon.primitive_matrix, dtype=np.float64)
    if crystal.force_constants is not None:
        return crystal.force_constants, primitive_matrix
    if "FORCE_CONSTANTS" in entry.files:
        return parse_force_constants(entry), primitive_matrix
    if "FORCE_SETS" in entry.files:
        crystal.dataset = parse_force_sets(entry, len(phonon.supercell))
    _check_dataset(entry, crystal.dataset, len(phonon.supercell))
    phonon.dataset = crystal.dataset  # type: ignore[assignment]
    try:
        phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    except (RuntimeError, ValueError, IndexError, np.linalg.LinAlgError) as error:
        raise SSEError(
            f"FORCE_SETS gives no force constants: {' '.join(str(error).split())}",
            compound=entry.compound_id,
            mend=_MEND_FORCES,
        ) from error
    return np.asarray(phonon.force_constants), primitive_matrix


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
        problem = "the entry has no forces: no FORCE_SETS, FORCE_CONSTANTS or force constants"
    elif "first_atoms" not in dataset:
        problem = "displacements of many atoms at once need another solver"
    else:
        problem = _problem(dataset["first_atoms"], n_supercell)
    if problem:
        raise SSEError(problem, compound=entry.compound_id, mend=_MEND_FORCES)


def _problem(displaced: list[dict], n_supercell: int) -> str | None:
    """What is wrong with displacements and forces; None if nothing is."""
    if not displaced:
        return "FORCE_SETS holds no displacement"
    for number, one in enumerate(displaced, start=1):
        forces = np.asarray(one.get("forces", np.empty(0)), dtype=float)
        moved = np.asarray(one["displacement"], dtype=float)
        if forces.shape != (n_supercell, 3) or not 0 <= one["number"] < n_supercell:
            return f"displacement {number} of FORCE_SETS does not fit {n_supercell} atoms"
        if not np.isfinite(forces).all() or not np.isfinite(moved).all():
            return f"displacement {number} of FORCE_SETS holds NaN or infinite values"
        if moved.shape != (3,) or not np.linalg.norm(moved) > 1e-5:
            return f"displacement {number} of FORCE_SETS moves no atom"
    return None


def parse_force_constants(entry: Entry) -> NDArray[np.float64]:
    """Full or compact force constants of FORCE_CONSTANTS, eV/Å^2.

    Raises
    ------
    SSEError
        The file cannot be read.
    """
    from phonopy.file_IO import parse_FORCE_CONSTANTS

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "FORCE_CONSTANTS"
        file.write_text(entry.files["FORCE_CONSTANTS"])
        try:
            return np.asarray(parse_FORCE_CONSTANTS(filename=str(file)))
        except (RuntimeError, ValueError, IndexError) as error:
            raise malformed(entry, "FORCE_CONSTANTS", error) from error
