"""Units used everywhere: energies of phonons in meV, lengths in Å, entropies in J/(K mol)."""

from __future__ import annotations

from scipy.constants import Avogadro, eV, h, k

THZ_TO_MEV: float = h * 1e12 / eV * 1e3
"""Energy hν in meV of a frequency of 1 THz (4.13567)."""

BOLTZMANN_MEV: float = k / eV * 1e3
"""Boltzmann's constant in meV/K."""

GAS_CONSTANT: float = k * Avogadro
"""k_B N_A in J/(K mol)."""
