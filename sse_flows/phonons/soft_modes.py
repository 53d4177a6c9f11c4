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

    The three acoustic modes at Γ are left out: they are zero by symmetry. So every optical mode
    and every wave vector counts, as in matbench-discovery's `check_imaginary_freqs`, which
    tolerates no negative frequency at all there; `threshold` takes the place of its zero because
    interpolated acoustic branches dip below it without meaning.

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
    candidates = [_without_acoustic(modes) for modes in (commensurate, mesh)]
    # The commensurate points come first and win ties: their weights are of single atoms, whereas
    # the mesh's are averaged over equivalent atoms.
    lowest = [float(np.nanmin(energies)) for energies in candidates]
    winner = int(lowest[1] < lowest[0] - _DEGENERATE)
    point, shares = _softest((commensurate, mesh)[winner], candidates[winner])
    elements = np.array(species)
    return SoftModes(
        count=sum(
            int((modes.weights @ (energies < threshold)).sum())
            for modes, energies in zip((commensurate, mesh), candidates, strict=True)
        ),
        threshold=threshold,
        lowest_energy=lowest[winner],
        lowest_qpoint=point,
        species_weights={s: float(shares[elements == s].sum()) for s in dict.fromkeys(species)},
        leading_species=species[int(np.argmax(np.round(shares, 6)))],
    )


def _without_acoustic(modes: Modes) -> NDArray[np.float64]:
    """Energies (n_q, n_bands) with the three smallest in magnitude at Γ set to NaN."""
    energies = modes.energies.copy()
    for i in np.flatnonzero(np.all(np.abs(modes.qpoints) < 1e-8, axis=1)):
        energies[i, np.argsort(np.abs(energies[i]))[:3]] = np.nan
    return energies


def _softest(
    modes: Modes, energies: NDArray[np.float64]
) -> tuple[list[float], NDArray[np.float64]]:
    """Wave vector of the lowest mode, and the share of each atom in it (n_atoms,)."""
    q = int(np.unravel_index(np.nanargmin(energies), energies.shape)[0])
    lowest = energies[q] <= np.nanmin(energies[q]) + _DEGENERATE
    shares = modes.atom_weights[q][:, lowest].mean(axis=1)
    return [float(x) for x in modes.qpoints[q]], shares / shares.sum()
