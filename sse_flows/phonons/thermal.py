"""Harmonic vibrational entropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sse_flows.units import BOLTZMANN_MEV, GAS_CONSTANT

ZERO_ENERGY: float = 0.01
"""Modes below this energy (meV) do not count: acoustic modes at Γ are zero up to rounding, and
their entropy would be the logarithm of that rounding."""


def vibrational_entropy(
    energies: NDArray[np.float64], weights: NDArray[np.float64], temperature: float
) -> float:
    """Entropy of harmonic oscillators per primitive cell.

    S = k_B Σ [x coth x - ln(2 sinh x)], x = E / (2 k_B T), over modes with E > `ZERO_ENERGY`,
    averaged over q points with their weights: equation (3.34) of M. T. Dove, *Introduction to
    Lattice Dynamics* (1993), and what phonopy computes with that cutoff.

    Parameters
    ----------
    energies
        meV, (n_q, n_bands).
    weights
        (n_q,).
    temperature
        K.

    Returns
    -------
    float
        J/(K mol of primitive cells).
    """
    positive = energies > ZERO_ENERGY
    x = np.where(positive, energies, 1.0) / (2 * BOLTZMANN_MEV * temperature)
    per_mode = x / np.tanh(x) - x - np.log1p(-np.exp(-2 * x))  # ln(2 sinh x) = x + ln(1 - e^-2x)
    per_q = np.where(positive, per_mode, 0.0).sum(axis=1)
    return float(GAS_CONSTANT * weights @ per_q / weights.sum())
