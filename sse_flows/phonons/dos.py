"""Projected density of states as a histogram of the modes, and its centres.

A histogram of modes on a fixed grid, broadened by a fixed narrow Gaussian: the largest value below
30 meV moves by 10 % with the method of integration, so bin width and broadening belong to the
definition of the descriptors. The centres come from the modes and know neither.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sse_flows.phonons.thermal import ZERO_ENERGY

BIN_WIDTH: float = 0.1
"""Width of the bins, meV; bins have edges at multiples of it, so 0 and 30 meV are edges."""

BROADENING: float = 0.6
"""Standard deviation of the Gaussian, meV: the smallest at which the low-energy ratios change by
less than 0.5 % when the mesh is doubled."""

NOTHING: float = 1e-8
"""A DOS, 1/(meV atom), or an integral of it, below which there is no mode to speak of."""

_TRUNCATE = 5.0  # standard deviations


def projected_dos(
    energies: NDArray[np.float64],
    atom_weights: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    bin_width: float = BIN_WIDTH,
    broadening: float = BROADENING,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DOS of every atom on a uniform grid.

    Each mode is shared by the two nearest bins so that its energy is kept exactly; the histogram
    is then convolved with a Gaussian. Norm and first moment are those of the modes.

    Parameters
    ----------
    energies
        meV, (n_q, n_bands), negative where imaginary.
    atom_weights
        (n_q, n_atoms, n_bands), summing to 1 over atoms.
    weights
        Of the q points, (n_q,).
    bin_width, broadening
        meV.

    Returns
    -------
    grid, dos
        Bin centres, meV, (n_energies,); 1/meV, (n_atoms, n_energies), each row integrating to 3.
    """
    from scipy.ndimage import gaussian_filter1d

    first, size = _grid_range(energies, bin_width, broadening)
    histogram = _histogram(energies, atom_weights, weights, bin_width, first, size)
    dos = gaussian_filter1d(
        histogram / bin_width,
        broadening / bin_width,
        axis=1,
        mode="constant",
        truncate=_TRUNCATE,
    )
    grid = np.arange(first + 0.5, first + size, dtype=np.float64) * bin_width
    return grid, np.asarray(dos, dtype=np.float64)


def band_centers(
    energies: NDArray[np.float64],
    atom_weights: NDArray[np.float64],
    weights: NDArray[np.float64],
    species: list[str],
) -> dict[str, float]:
    """Phonon band centre ∫E g dE / ∫g dE over E > 0, per element and in total, from the modes.

    Modes below ``thermal.ZERO_ENERGY`` are left out: the acoustic ones at Γ are zero up to
    rounding, of either sign.

    Parameters
    ----------
    energies, atom_weights, weights
        As in :func:`projected_dos`.
    species
        Element of each atom.

    Returns
    -------
    dict
        meV by element symbol, and under ``"total"``.
    """
    stable = np.where(energies > ZERO_ENERGY, weights[:, None], 0.0)
    norm = np.einsum("qs,qas->a", stable, atom_weights, optimize=True)
    moment = np.einsum("qs,qas->a", stable * energies, atom_weights, optimize=True)
    elements = np.array(species)
    centers = {
        element: float(moment[elements == element].sum() / norm[elements == element].sum())
        for element in dict.fromkeys(species)
    }
    return {**centers, "total": float(moment.sum() / norm.sum())}


def dos_band_center(energies: ArrayLike, dos: ArrayLike) -> float | None:
    """Phonon band centre ∫E g dE / ∫g dE over E > 0 of a DOS on an ascending grid.

    Parameters
    ----------
    energies
        (n_energies,), meV.
    dos
        (n_energies,), in any unit.

    Returns
    -------
    float or None
        meV; None if there are no such modes.
    """
    grid, values = np.asarray(energies, dtype=float), np.asarray(dos, dtype=float)
    modes = np.where(grid > 0, values * np.gradient(grid), 0.0)
    norm = modes.sum()
    return float(grid @ modes / norm) if norm > NOTHING else None


def _grid_range(
    energies: NDArray[np.float64], bin_width: float, broadening: float
) -> tuple[int, int]:
    """First bin and number of bins that hold every mode with its Gaussian, and zero."""
    margin = _TRUNCATE * broadening + 2 * bin_width
    first = int(np.floor((min(energies.min(), 0.0) - margin) / bin_width))
    last = int(np.ceil((max(energies.max(), 0.0) + margin) / bin_width))
    return first, last - first


def _histogram(
    energies: NDArray[np.float64],
    atom_weights: NDArray[np.float64],
    weights: NDArray[np.float64],
    bin_width: float,
    first: int,
    size: int,
) -> NDArray[np.float64]:
    """Modes per bin and atom (n_atoms, size), 3 in all per atom."""
    from scipy.sparse import csr_array

    position = energies.ravel() / bin_width - 0.5 - first
    lower = np.floor(position).astype(int)
    upper_share = position - lower
    n_modes = len(position)
    sharing = csr_array(  # rows are bins; each mode (column) is split between two neighbours
        (
            np.concatenate([1 - upper_share, upper_share]),
            (np.concatenate([lower, lower + 1]), np.tile(np.arange(n_modes), 2)),
        ),
        shape=(size, n_modes),
    )
    share = atom_weights * (weights / weights.sum())[:, None, None]
    per_mode = share.transpose(0, 2, 1).reshape(n_modes, -1)
    return np.ascontiguousarray((sharing @ per_mode).T)
