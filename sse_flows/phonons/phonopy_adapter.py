"""The one place that talks to phonopy: force constants in, dynamical matrices out.

phonopy 3 and 4 differ in the default primitive cell; nothing else in the package imports it for
lattice dynamics, and the primitive matrix is always passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, epsilon_0

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms
    from phonopy.structure.symmetry import Symmetry
    from pymatgen.core import Structure

    from sse_flows.phonons.document import LatticeDynamics

SYMPREC: float = 1e-4
"""Tolerance of the symmetry search, Å; atomate2's default, above the noise of relaxed cells."""

COULOMB: float = e / (4 * np.pi * epsilon_0) * 1e10
"""e^2/(4 π ε0), 14.39964 eV Å: the factor of the non-analytic term."""

SYMMETRISATION_CYCLES: int = 3
"""Passes of drift subtraction and permutation; the acoustic sum rule then holds to rounding."""


def phonopy_from_force_constants(
    unitcell: Structure,
    supercell_matrix: ArrayLike,
    force_constants: ArrayLike,
    *,
    primitive_matrix: ArrayLike | Literal["auto"] | None = None,
    born: ArrayLike | None = None,
    dielectric: ArrayLike | None = None,
    compound_id: str | None = None,
    symprec: float = SYMPREC,
    supercell_symmetry: bool = False,
) -> Phonopy:
    """Make phonopy's object with compact, symmetrised force constants.

    The force constants are made symmetric under permutation of the two atoms and free of drift
    (acoustic sum rule) by phonopy's alternating projections. With Born charges the non-analytic
    term is that of X. Gonze and C. Lee, Phys. Rev. B 55, 10355 (1997).

    Parameters
    ----------
    unitcell, supercell_matrix
        Ordered cell, Å (magnetic moments are ignored), and the supercell in terms of it: one
        integer, (3,) or (3, 3).
    force_constants
        (n_supercell, n_supercell, 3, 3) or (n_primitive, n_supercell, 3, 3), eV/Å^2.
    primitive_matrix
        Primitive cell in terms of `unitcell`; ``"auto"`` or None lets spglib find it.
    born, dielectric
        Born charges of the primitive or the unit cell (n, 3, 3), e, and dielectric tensor (3, 3);
        both or neither.
    compound_id, symprec
        Named in errors; tolerance of the symmetry search, Å.
    supercell_symmetry
        Whether phonopy should search the symmetry of the supercell as well. Nothing here needs
        it, and for a small crystal it costs more than all of the modes.

    Raises
    ------
    SSEError
        For a disordered cell, force constants of the wrong shape or with NaN, or Born charges
        that do not fit the cell.
    """
    from phonopy import Phonopy

    phonon = Phonopy(
        phonopy_atoms(unitcell, compound_id),
        _as_matrix(supercell_matrix),
        primitive_matrix="auto" if primitive_matrix is None else primitive_matrix,  # type: ignore[arg-type]
        symprec=symprec,
        is_symmetry=supercell_symmetry,
    )
    phonon.force_constants = _checked(force_constants, phonon, compound_id)
    phonon.symmetrize_force_constants(level=SYMMETRISATION_CYCLES, show_drift=False)
    if born is not None or dielectric is not None:
        phonon.nac_params = _nac_parameters(phonon, born, dielectric, compound_id)
    return phonon


def phonopy_from_document(dynamics: LatticeDynamics) -> Phonopy:
    """Phonopy's object again from a stored document, for anything this package does not offer.

    Raises
    ------
    SSEError
        If the document holds no force constants.
    """
    if dynamics.force_constants is None:
        raise SSEError(
            "the document holds no force constants",
            compound=dynamics.compound_id,
            mend="Load it from the store with load=True",
        )
    return phonopy_from_force_constants(
        dynamics.unitcell,
        dynamics.supercell_matrix,
        dynamics.force_constants,
        primitive_matrix=dynamics.primitive_matrix,
        born=dynamics.born,
        dielectric=dynamics.dielectric,
        compound_id=dynamics.compound_id,
        supercell_symmetry=True,
    )


def phonopy_atoms(structure: Structure, compound_id: str | None = None) -> PhonopyAtoms:
    """Phonopy's cell of an ordered structure, without magnetic moments."""
    from pymatgen.core import Structure
    from pymatgen.io.phonopy import get_phonopy_structure

    if not structure.is_ordered:
        raise SSEError(
            f"phonons need an ordered cell, {structure.composition.reduced_formula} has partial "
            "occupancies",
            compound=compound_id,
            mend="Order the structure first (Compound.ordered)",
        )
    # a copy keeps magnetic moments, with which phonopy looks for no primitive cell
    symbols = [site.specie.symbol for site in structure]
    return get_phonopy_structure(Structure(structure.lattice, symbols, structure.frac_coords))


def pymatgen_structure(cell: PhonopyAtoms) -> Structure:
    """Pymatgen's structure of phonopy's cell, same order of atoms, no site properties."""
    from pymatgen.core import Structure

    return Structure(cell.cell, cell.symbols, cell.scaled_positions)


def drift(force_constants: ArrayLike) -> float:
    """Largest violation of the acoustic sum rule, max |Σ_j Φ_ij|, eV/Å^2."""
    return float(np.abs(np.asarray(force_constants, dtype=float).sum(axis=1)).max())


def solve(
    phonon: Phonopy, qpoints: ArrayLike, *, eigenvectors: bool
) -> tuple[NDArray[np.float64], NDArray[np.complex128] | None]:
    """Frequencies (and eigenvectors) at many q points, in batches of bounded memory.

    Parameters
    ----------
    phonon
        With its force constants set.
    qpoints
        Reduced wave vectors (n_q, 3).
    eigenvectors
        Whether to return them; energies alone are 2 to 3 times cheaper.

    Returns
    -------
    frequencies, vectors
        THz, (n_q, n_bands), negative where imaginary; (n_q, n_bands, n_bands) with the
        eigenvector of band s in ``[:, :, s]``, or None.
    """
    from threadpoolctl import threadpool_limits

    points = np.array(qpoints, dtype=float, order="C").reshape(-1, 3)
    bands = 3 * len(phonon.primitive)
    batch = max(1, _BATCH_BYTES // (16 * bands**2))
    parts = [points[i : i + batch] for i in range(0, len(points), batch)]
    with threadpool_limits(limits=1):  # many small matrices: more threads only spin
        solved = [_solve_batch(phonon, part, eigenvectors) for part in parts]
    values = np.concatenate([values for values, _ in solved])
    frequencies = np.sign(values) * np.sqrt(np.abs(values)) * phonon.unit_conversion_factor
    if not eigenvectors:
        return frequencies, None
    return frequencies, np.concatenate([vectors for _, vectors in solved])


_BATCH_BYTES = 64_000_000


def _solve_batch(
    phonon: Phonopy, points: NDArray[np.float64], eigenvectors: bool
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Eigenvalues (and eigenvectors, else the matrices' empty slice) of one batch."""
    from phonopy.harmonic.dynamical_matrix import run_dynamical_matrix_solver_c

    assert phonon.dynamical_matrix is not None
    matrices = run_dynamical_matrix_solver_c(phonon.dynamical_matrix, points.copy())
    if eigenvectors:
        values, vectors = np.linalg.eigh(matrices)
        return np.asarray(values, dtype=np.float64), vectors
    return np.asarray(np.linalg.eigvalsh(matrices), dtype=np.float64), matrices[:0]


def primitive_symmetry(phonon: Phonopy) -> Symmetry:
    """Space group of the primitive cell, whether or not `phonon` searched for symmetry."""
    from phonopy.structure.symmetry import Symmetry

    return Symmetry(phonon.primitive, symprec=phonon.symmetry.tolerance)


def irreducible_mesh(
    phonon: Phonopy, mesh: ArrayLike, symmetry: Symmetry
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Γ-centred mesh reduced by the point group and time reversal.

    Returns
    -------
    qpoints, weights
        Reduced wave vectors (n_q, 3) and how many points of the full mesh each stands for.
    """
    from phonopy.structure.grid_points import GridPoints

    grid = GridPoints(
        np.asarray(mesh, dtype="int64"),
        np.asarray(np.linalg.inv(phonon.primitive.cell), dtype=np.float64),
        is_gamma_center=True,
        is_time_reversal=True,
        rotations=symmetry.pointgroup_operations,
    )
    return grid.qpoints, grid.weights


def mesh_of_length(phonon: Phonopy, length: float, symmetry: Symmetry) -> NDArray[np.int64]:
    """Mesh N_i = max(1, round(length |b_i|)), b_i without 2π, equal along equivalent axes."""
    from phonopy.structure.grid_points import length2mesh

    return length2mesh(length, phonon.primitive.cell, rotations=symmetry.pointgroup_operations)


def commensurate_points(phonon: Phonopy) -> NDArray[np.float64]:
    """Reduced wave vectors that fit the supercell, where the force constants are exact."""
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    to_supercell = np.linalg.inv(phonon.primitive.primitive_matrix)
    return get_commensurate_points(np.rint(to_supercell).astype("int64"))


def unresolved_points(phonon: Phonopy, qpoints: ArrayLike) -> NDArray[np.bool_]:
    """Wave vectors nearer to Γ than half the shortest reciprocal vector of the supercell.

    Acoustic branches there rest on forces that the supercell cuts off: small imaginary energies
    are artefacts of interpolation. Γ itself is one of these points.

    Parameters
    ----------
    phonon
        With its supercell.
    qpoints
        Reduced wave vectors (n_q, 3).

    Returns
    -------
    ndarray
        Booleans (n_q,).
    """
    from pymatgen.core import Lattice

    limit = min(Lattice(np.linalg.inv(phonon.supercell.cell).T).get_lll_reduced_lattice().abc) / 2
    rows = np.linalg.inv(phonon.primitive.cell).T
    reduced = Lattice(rows).get_lll_reduced_lattice().matrix
    fractional = np.asarray(qpoints, dtype=float) @ rows @ np.linalg.inv(reduced)
    images = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), axis=-1).reshape(-1, 3)
    nearest = (fractional - np.rint(fractional))[:, None, :] + images
    lengths = np.linalg.norm(nearest @ reduced, axis=2).min(axis=1)
    return np.asarray(lengths < limit * (1 - 1e-6), dtype=np.bool_)


def _as_matrix(supercell_matrix: ArrayLike) -> NDArray[np.int64]:
    matrix = np.rint(np.asarray(supercell_matrix, dtype=float)).astype(np.int64)
    return matrix if matrix.shape == (3, 3) else np.eye(3, dtype=np.int64) * matrix


def _checked(
    force_constants: ArrayLike, phonon: Phonopy, compound_id: str | None
) -> NDArray[np.float64]:
    """Compact force constants (n_primitive, n_supercell, 3, 3), or an error that names shapes."""
    constants = np.array(force_constants, dtype=float, order="C")
    n_primitive, n_supercell = len(phonon.primitive), len(phonon.supercell)
    shapes = [(n, n_supercell, 3, 3) for n in (n_supercell, n_primitive)]
    if constants.shape not in shapes:
        raise SSEError(
            f"force constants have shape {constants.shape}, the cell needs one of {shapes}",
            compound=compound_id,
            mend="Give the supercell_matrix and primitive_matrix they were computed with",
        )
    if not np.isfinite(constants).all():
        raise SSEError(
            "force constants hold NaN or infinite values",
            compound=compound_id,
            mend="Look at the displaced supercells: a calculation did not converge",
        )
    if len(constants) == n_primitive:
        return constants
    return np.ascontiguousarray(constants[phonon.primitive.p2s_map])


def _nac_parameters(
    phonon: Phonopy,
    born: ArrayLike | None,
    dielectric: ArrayLike | None,
    compound_id: str | None,
) -> dict:
    """Symmetrised Born charges (their sum made zero) and dielectric tensor."""
    from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

    if born is None or dielectric is None:
        raise SSEError(
            "Born charges and the dielectric tensor are needed together",
            compound=compound_id,
            mend="Give both, or neither for phonons without the non-analytic term",
        )
    charges, epsilon = np.array(born, dtype=float), np.array(dielectric, dtype=float)
    for cell in (phonon.primitive, phonon.unitcell):
        if charges.shape == (len(cell), 3, 3) and epsilon.shape == (3, 3):
            charges, epsilon = symmetrize_borns_and_epsilon(
                charges,
                epsilon,
                cell,
                primitive=None if cell is phonon.primitive else phonon.primitive,
                symprec=phonon.symmetry.tolerance,
            )
            return {"born": charges, "dielectric": epsilon, "factor": COULOMB, "method": "gonze"}
    raise SSEError(
        f"Born charges of shape {charges.shape} and a dielectric tensor of shape {epsilon.shape} "
        f"do not fit {len(phonon.primitive)} (primitive) or {len(phonon.unitcell)} (unit) atoms",
        compound=compound_id,
        mend="Give one 3 x 3 tensor per atom of the primitive or the unit cell",
    )
