"""Made-up electrons: a band structure with a gap that fits the chemistry, moments, a DOS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sse_flows.testing.vasp_double.charges import oxidation_states
from sse_flows.testing.vasp_double.crystal import Array, Crystal
from sse_flows.testing.vasp_double.incar import Incar
from sse_flows.testing.vasp_double.kpoints import KPoints
from sse_flows.testing.vasp_double.potcar import Potential

_TOP = 2.5  # eV, the highest occupied level
_DEPTH = 6.0  # eV, width of the valence bands
_STEP = 0.3  # eV between bands at one k-point
_DOS_POINTS = 301


@dataclass(frozen=True)
class Bands:
    """Electrons of a run.

    Parameters
    ----------
    energies, occupations
        eV, shape (k-points, bands); the same for both spins.
    fermi, gap
        eV.
    electrons
        Valence electrons.
    moments
        Magnetic moment of each atom, Bohr magnetons; None without spin polarisation.
    """

    energies: Array
    occupations: Array
    fermi: float
    gap: float
    electrons: float
    moments: Array | None

    @property
    def spins(self) -> int:
        """1 or 2."""
        return 1 if self.moments is None else 2

    def density(self, weights: Array) -> Array:
        """Columns of energy, states per eV and spin, their integral; shape (points, 3)."""
        edges = np.linspace(self.energies.min() - 1, self.energies.max() + 1, _DOS_POINTS)
        counted = np.repeat(weights, self.energies.shape[1])
        states, _ = np.histogram(self.energies.ravel(), edges, weights=counted)
        share = (3 - self.spins) / 1.0
        width = edges[1] - edges[0]
        return np.column_stack([edges[1:], share * states / width, share * np.cumsum(states)])


def make_bands(
    crystal: Crystal, potentials: Sequence[Potential], incar: Incar, kpoints: KPoints
) -> Bands:
    """Bands of a crystal: flat valence bands under a gap, or a sheet that crosses the level."""
    electrons = _electrons(crystal, potentials, incar)
    filled = int(np.ceil(electrons / 2))
    total = incar.integer("NBANDS", _default_bands(electrons, len(crystal.species)))
    gap = band_gap(potentials, crystal.counts)
    lift = (3 - np.cos(2 * np.pi * kpoints.points).sum(axis=1)) / 6  # 0 at Γ, at most 1
    number = np.arange(total)
    if gap > 0:
        below = _TOP - _DEPTH * (filled - 1 - number) / max(filled, 1) - 0.5 * lift[:, None]
        above = _TOP + gap + _STEP * (number - filled) + 0.5 * lift[:, None]
        energies = np.where(number < filled, below, above)
        fermi, occupied = _TOP + gap / 2, np.broadcast_to(number < filled, energies.shape)
    else:
        fermi = _TOP
        energies = fermi + _STEP * (number - filled + 0.5) + 2.0 * (lift[:, None] - 0.5)
        occupied = energies < fermi
    moments = _moments(crystal, potentials, incar)
    return Bands(energies, occupied.astype(float), fermi, gap, electrons, moments)


def band_gap(potentials: Sequence[Potential], counts: Sequence[int]) -> float:
    """A gap (eV) that grows with the square of the difference of electronegativities.

    Metals and alloys have none; it is halved where an element may carry a moment.
    """
    states = oxidation_states(potentials, counts)
    if not any(states):
        if any(p.metal for p in potentials):
            return 0.0
        return max(0.0, 0.9 * (min(p.electronegativity for p in potentials) - 1.2))
    sides = []
    for sign in (-1, 1):
        rows = [
            (n, p.electronegativity)
            for p, n, s in zip(potentials, counts, states, strict=True)
            if s * sign > 0
        ]
        sides.append(sum(n * x for n, x in rows) / max(sum(n for n, _ in rows), 1))
    gap = 0.9 * (sides[0] - sides[1]) ** 2
    return gap / 2 if any(p.open_shell for p in potentials) else gap


def _electrons(crystal: Crystal, potentials: Sequence[Potential], incar: Incar) -> float:
    valence = sum(p.valence * n for p, n in zip(potentials, crystal.counts, strict=True))
    return incar.real("NELECT", float(valence))


def _default_bands(electrons: float, atoms: int) -> int:
    return max(int(electrons + 2.5) // 2 + max(atoms // 2, 3), int(0.6 * electrons))


def _moments(crystal: Crystal, potentials: Sequence[Potential], incar: Incar) -> Array | None:
    """Nine tenths of the MAGMOM on open shells, nothing elsewhere."""
    if incar.integer("ISPIN", 1) != 2:
        return None
    first = incar.reals("MAGMOM") or [1.0] * len(crystal.species)
    start = np.resize(first, len(crystal.species))
    open_shell = np.array([p.open_shell for p in potentials])[crystal.types]
    return 0.9 * start * open_shell
