"""From force constants to the phonon document.

Start at :func:`lattice_dynamics`. The modes are found once, on a symmetry-reduced mesh; the
projected DOS, band centres, entropy and soft modes are all sums over them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sse_flows.phonons import phonopy_adapter as adapter
from sse_flows.phonons.bands import band_structure
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.dos import band_centers, projected_dos
from sse_flows.phonons.soft_modes import find_soft_modes
from sse_flows.phonons.thermal import vibrational_entropy
from sse_flows.units import THZ_TO_MEV

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.symmetry import Symmetry
    from pymatgen.core import Structure

MESH_LENGTH: float = 60.0
"""Density of the q mesh, Å: N_i = round(MESH_LENGTH |b_i|), see docs/definitions.md."""

TEMPERATURE: float = 300.0
"""Temperature of the vibrational entropy, K."""


@dataclass(frozen=True)
class Modes:
    """Phonon modes at a set of q points.

    Attributes
    ----------
    qpoints
        Reduced wave vectors (n_q, 3).
    weights
        How many points of the full set each q point stands for (n_q,).
    energies
        meV (n_q, n_bands), ascending, negative where imaginary.
    atom_weights
        |e|^2 of each atom, (n_q, n_atoms, n_bands); sums to 1 over atoms.
    long_wave
        Whether the supercell is too small to resolve the acoustic branches there (n_q,).
    """

    qpoints: NDArray[np.float64]
    weights: NDArray[np.float64]
    energies: NDArray[np.float64]
    atom_weights: NDArray[np.float64]
    long_wave: NDArray[np.bool_]


def lattice_dynamics(
    unitcell: Structure,
    supercell_matrix: ArrayLike,
    force_constants: ArrayLike,
    *,
    compound_id: str,
    method: str,
    primitive_matrix: ArrayLike | Literal["auto"] | None = None,
    born: ArrayLike | None = None,
    dielectric: ArrayLike | None = None,
    mesh_length: float = MESH_LENGTH,
    mesh: ArrayLike | None = None,
    energy_per_atom: float | None = None,
    provenance: dict[str, str] | None = None,
    with_bands: bool = True,
    symprec: float = adapter.SYMPREC,
) -> LatticeDynamics:
    """Harmonic lattice dynamics of a crystal from its force constants.

    Parameters
    ----------
    unitcell, supercell_matrix
        Ordered cell, Å, and the supercell in terms of it.
    force_constants
        Full (n_supercell, n_supercell, 3, 3) or compact (n_primitive, n_supercell, 3, 3), eV/Å^2.
    compound_id, method, energy_per_atom, provenance
        Fields of the document, the energy in eV/atom; errors name the compound.
    primitive_matrix
        Primitive cell in terms of `unitcell`; None or ``"auto"`` lets spglib find it. Compact
        force constants need the one they were made with.
    born, dielectric
        Born charges (n_primitive or n_unitcell, 3, 3), e, and dielectric tensor (3, 3).
    mesh_length, mesh
        Density of the Γ-centred q mesh, Å, or the mesh (3,) itself.
    with_bands, symprec
        Whether to compute bands along the path of high symmetry; tolerance for symmetry, Å.

    Raises
    ------
    SSEError
        If the cell is disordered, or force constants or Born charges do not fit it.
    """
    phonon = adapter.phonopy_from_force_constants(
        unitcell,
        supercell_matrix,
        force_constants,
        primitive_matrix=primitive_matrix,
        born=born,
        dielectric=dielectric,
        compound_id=compound_id,
        symprec=symprec,
    )
    given = {"compound_id": compound_id, "method": method, "energy_per_atom": energy_per_atom}
    history = _provenance(force_constants, provenance)
    density = mesh_length if mesh is None else mesh
    return _document(phonon, density, with_bands, {**given, "provenance": history})


def _document(
    phonon: Phonopy, density: float | ArrayLike, with_bands: bool, given: dict
) -> LatticeDynamics:
    """Everything that follows from the force constants, and the `given` fields."""
    symmetry = adapter.primitive_symmetry(phonon)
    numbers = np.array(
        density if np.ndim(density) else adapter.mesh_of_length(phonon, float(density), symmetry)  # type: ignore[arg-type]
    )
    modes = mesh_modes(phonon, numbers, symmetry)
    return LatticeDynamics(
        **given,
        **_crystal_fields(phonon),
        **_mode_fields(phonon, modes, list(phonon.primitive.symbols)),
        mesh=[int(n) for n in numbers],
        temperature=TEMPERATURE,
        band_structure=band_structure(phonon) if with_bands else None,
    )


def mesh_modes(phonon: Phonopy, mesh: ArrayLike, symmetry: Symmetry | None = None) -> Modes:
    """Modes on the irreducible part of a Γ-centred mesh.

    The weight of an atom is averaged over the atoms that symmetry makes equal: with that, the sum
    over irreducible points equals the sum over the full mesh, atom by atom.
    """
    group = symmetry or adapter.primitive_symmetry(phonon)
    qpoints, weights = adapter.irreducible_mesh(phonon, mesh, group)
    modes = modes_at(phonon, qpoints, weights)
    averaged = _average_equivalent(modes.atom_weights, np.asarray(group.get_map_atoms()))
    return replace(modes, atom_weights=averaged)


def modes_at(phonon: Phonopy, qpoints: ArrayLike, weights: ArrayLike | None = None) -> Modes:
    """Modes at given reduced wave vectors (n_q, 3), each with weight 1 unless told."""
    points = np.asarray(qpoints, dtype=float).reshape(-1, 3)
    frequencies, vectors = adapter.solve(phonon, points, eigenvectors=True)
    assert vectors is not None
    n_q, bands = frequencies.shape
    squares = (vectors.real**2 + vectors.imag**2).reshape(n_q, bands // 3, 3, bands).sum(axis=2)
    counts = np.ones(n_q) if weights is None else np.asarray(weights, dtype=float)
    long_wave = adapter.unresolved_points(phonon, points)
    return Modes(points, counts, frequencies * THZ_TO_MEV, squares, long_wave)


def _average_equivalent(
    atom_weights: NDArray[np.float64], representatives: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average (n_q, n_atoms, n_bands) over atoms with the same representative."""
    same = representatives[:, None] == representatives[None, :]
    average = same / same.sum(axis=1, keepdims=True)
    return np.einsum("ab,qbs->qas", average, atom_weights, optimize=True)


def _mode_fields(phonon: Phonopy, modes: Modes, species: list[str]) -> dict:
    """Fields of the document that are sums over modes."""
    from pymatgen.core import Composition

    grid, dos = projected_dos(modes.energies, modes.atom_weights, modes.weights)
    _, units = Composition.from_dict(
        {s: species.count(s) for s in species}
    ).get_reduced_composition_and_factor()
    per_cell = vibrational_entropy(modes.energies, modes.weights, TEMPERATURE)
    return {
        "energies": grid.tolist(),
        "projected_dos": dos.tolist(),
        "band_center": band_centers(modes.energies, modes.atom_weights, modes.weights, species),
        "entropy": per_cell / units,
        "soft_modes": find_soft_modes(
            modes_at(phonon, adapter.commensurate_points(phonon)), modes, species
        ),
    }


def _crystal_fields(phonon: Phonopy) -> dict:
    """Fields of the document that describe the crystal and its force constants."""
    nac = phonon.nac_params or {}
    constants = phonon.force_constants
    assert constants is not None
    primitive = adapter.pymatgen_structure(phonon.primitive)
    return {
        "formula": primitive.composition.reduced_formula,
        "primitive": primitive,
        "unitcell": adapter.pymatgen_structure(phonon.unitcell),
        "supercell_matrix": np.asarray(phonon.supercell_matrix).tolist(),
        "primitive_matrix": np.asarray(phonon.primitive_matrix).tolist(),
        "force_constants": constants.tolist(),
        "born": nac["born"].tolist() if nac else None,
        "dielectric": nac["dielectric"].tolist() if nac else None,
    }


def _provenance(force_constants: ArrayLike, given: dict[str, str] | None) -> dict[str, str]:
    """What was given, the versions, and how far the raw forces broke the acoustic sum rule."""
    from phonopy import __version__ as phonopy_version

    from sse_flows import __version__

    return {
        "sse_flows": __version__,
        "phonopy": phonopy_version,
        "acoustic_sum_rule_violation": f"{adapter.drift(force_constants):.2e} eV/Å^2 before "
        "symmetrisation",
        **(given or {}),
    }
