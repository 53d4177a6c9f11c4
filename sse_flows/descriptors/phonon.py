"""The 14 phonon descriptors of J. Kim et al. (2024), from the projected DOS.

Pure functions of a uniform energy grid and the DOS of each atom on it. Every integral runs over
E > 0; the low-energy window is 0 < E <= 30 meV. See docs/definitions.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sse_flows.phonons.document import SoftModes
from sse_flows.phonons.dos import NOTHING, dos_band_center

LOW_ENERGY: float = 30.0
"""Upper end of the low-energy window, meV."""


class RoleDOS(NamedTuple):
    """DOS summed over the atoms of a role, and how many atoms those are."""

    dos: NDArray[np.float64]  # (n_energies,), 1/meV
    atoms: int


def dos_of_role(
    projected_dos: ArrayLike, species: Sequence[str], elements: Iterable[str]
) -> RoleDOS:
    """Sum the projected DOS over the atoms of some elements.

    Parameters
    ----------
    projected_dos
        (n_atoms, n_energies), 1/meV.
    species
        Element of each atom (n_atoms,).
    elements
        Those to sum over.

    Returns
    -------
    RoleDOS
        The sum (n_energies,), 1/meV, and the number of atoms in it.
    """
    wanted = set(elements)
    members = np.array([s in wanted for s in species], dtype=bool)
    return RoleDOS(np.asarray(projected_dos, dtype=float)[members].sum(axis=0), int(members.sum()))


def hybrid_dos(mobile: RoleDOS, anion: RoleDOS) -> RoleDOS:
    """Hybridisation g_H(E) = min(g_M(E), g_A(E)); its atoms are those of both roles."""
    return RoleDOS(np.minimum(mobile.dos, anion.dos), mobile.atoms + anion.atoms)


def low_energy_peak(energies: ArrayLike, role: RoleDOS) -> tuple[float | None, float]:
    """Largest DOS per atom in the low-energy window.

    Parameters
    ----------
    energies
        Uniform grid, meV.
    role
        DOS and its number of atoms.

    Returns
    -------
    energy, height
        meV (None where there are no modes in the window) and 1/(meV atom).
    """
    grid = np.asarray(energies, dtype=float)
    window = (grid > 0) & (grid <= LOW_ENERGY)
    values = role.dos[window] / max(role.atoms, 1)
    if not values.size or values.max() < NOTHING:
        return None, 0.0
    peak = int(values.argmax())
    return float(grid[window][peak]), float(values[peak])


def low_energy_ratio(energies: ArrayLike, dos: ArrayLike, total: ArrayLike) -> float | None:
    """Share ∫g / ∫g_total, both over 0 < E <= 30 meV; None if there are no modes there."""
    grid = np.asarray(energies, dtype=float)
    window = (grid > 0) & (grid <= LOW_ENERGY)
    norm = np.asarray(total, dtype=float)[window].sum()
    if norm * (grid[1] - grid[0]) < NOTHING:
        return None
    return float(np.asarray(dos, dtype=float)[window].sum() / norm)


def soft_mode_flag(soft_modes: SoftModes, mobile: str) -> int:
    """0: no soft mode; 1: the softest is led by the mobile ion; 2: by another ion."""
    if soft_modes.count == 0:
        return 0
    return 1 if soft_modes.leading_species == mobile else 2


def phonon_descriptors(
    energies: ArrayLike,
    projected_dos: ArrayLike,
    species: Sequence[str],
    *,
    mobile: str,
    anions: Iterable[str],
    soft_modes: SoftModes,
    entropy: float,
) -> dict[str, float | None]:
    """All 14 phonon descriptors.

    Parameters
    ----------
    energies
        Uniform grid (n_energies,), meV.
    projected_dos
        (n_atoms, n_energies), 1/meV.
    species
        Element of each atom.
    mobile, anions
        The mobile ion M and the anions A.
    soft_modes
        Soft modes of the crystal.
    entropy
        At 300 K, J/(K mol formula unit).

    Returns
    -------
    dict
        In the units and the order of ``descriptors.document.PHONON_DESCRIPTORS``; None where there
        are no modes to define a value.
    """
    dos = {
        "mobile": dos_of_role(projected_dos, species, [mobile]),
        "anion": dos_of_role(projected_dos, species, anions),
        "total": dos_of_role(projected_dos, species, species),
    }
    dos["hybrid"] = hybrid_dos(dos["mobile"], dos["anion"])
    kinds = ("mobile", "anion", "hybrid")
    peaks = {kind: low_energy_peak(energies, dos[kind]) for kind in kinds}
    centers = ("mobile", "anion", "total")
    values: dict[str, float | None] = {
        **{f"phonon_band_center_{k}": dos_band_center(energies, dos[k].dos) for k in centers},
        **{f"peak_energy_{k}": peaks[k][0] for k in kinds},
        **{f"peak_dos_{k}": peaks[k][1] for k in kinds},
        "soft_mode_flag": float(soft_mode_flag(soft_modes, mobile)),
    }
    for kind in kinds:
        ratio = low_energy_ratio(energies, dos[kind].dos, dos["total"].dos)
        values[f"low_energy_ratio_{kind}"] = ratio
    return {**values, "vibrational_entropy": entropy}
