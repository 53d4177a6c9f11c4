"""Imaginary modes that mean something, and which ions move in the softest one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sse_flows.phonons.document import SoftModes

if TYPE_CHECKING:
    from sse_flows.phonons.modes import Modes

SOFT_THRESHOLD: float = -0.5
"""Modes below this energy are soft, meV (-0.12 THz): below the artefacts of interpolation and of
incompletely relaxed cells, above nearly every real instability, see docs/definitions.md."""

_DEGENERATE = 1e-2  # meV


def find_soft_modes(
    commensurate: Modes,
    mesh: Modes,
    species: list[str],
    *,
    threshold: float = SOFT_THRESHOLD,
) -> SoftModes:
    """Count soft modes and describe the lowest one.

    As in matbench-discovery's `check_imaginary_freqs`, every wave vector and branch counts except
    the acoustic modes at Γ, which are zero by symmetry. Two things differ, because a mesh dense
    enough for a DOS meets the artefacts of Fourier interpolation: `threshold` takes the place of
    its zero, and the acoustic branches are left out not only at Γ but wherever the supercell does
    not resolve them (``Modes.long_wave``), about half way to its first reciprocal vector.

    Parameters
    ----------
    commensurate
        Modes at the wave vectors that fit the supercell.
    mesh
        Modes on the mesh of the DOS; each counts as often as its q point stands for others.
    species
        Element of each atom.
    threshold
        meV, negative.

    Returns
    -------
    SoftModes
        Number of soft modes, the lowest energy, and each element's share in the lowest mode
        (averaged over a degenerate set, so that it does not depend on the basis chosen in it).
    """
    both = (commensurate, mesh)
    candidates = [_without_acoustic(modes) for modes in both]
    # The commensurate points win ties: exact, and their weights are of single atoms, whereas the
    # mesh's are averaged over equivalent atoms.
    lowest = [_minimum(energies) for energies in candidates]
    winner = int(lowest[1] < lowest[0] - _DEGENERATE)
    point, shares = _softest(both[winner], candidates[winner])
    counts = [
        round(float((modes.weights @ (energies < threshold)).sum()))
        for modes, energies in zip(both, candidates, strict=True)
    ]
    elements = np.array(species)
    return SoftModes(
        count=sum(counts),
        commensurate_count=counts[0],
        threshold=threshold,
        lowest_energy=lowest[winner],
        lowest_qpoint=point,
        species_weights={s: float(shares[elements == s].sum()) for s in dict.fromkeys(species)},
        leading_species=species[int(np.argmax(np.round(shares, 6)))],
    )


def _without_acoustic(modes: Modes) -> NDArray[np.float64]:
    """Energies (n_q, n_bands), the three smallest in magnitude of each long wave set to NaN.

    A crystal of one atom a cell has no other modes there, and keeps none.
    """
    energies = modes.energies.copy()
    for i in np.flatnonzero(modes.long_wave):
        energies[i, np.argsort(np.abs(energies[i]))[:3]] = np.nan
    return energies


def _minimum(energies: NDArray[np.float64]) -> float:
    """Lowest energy, meV; 0 where only the acoustic modes at Γ were given."""
    return 0.0 if np.isnan(energies).all() else float(np.nanmin(energies))


def _softest(
    modes: Modes, energies: NDArray[np.float64]
) -> tuple[list[float], NDArray[np.float64]]:
    """Wave vector of the lowest mode, and the share of each atom in it (n_atoms,)."""
    filled = np.where(np.isnan(energies), np.inf, energies)
    q = int(np.unravel_index(filled.argmin(), filled.shape)[0])
    lowest = filled[q] <= filled[q].min() + _DEGENERATE
    shares = modes.atom_weights[q][:, lowest].mean(axis=1)
    return [float(x) for x in modes.qpoints[q]], shares / shares.sum()
