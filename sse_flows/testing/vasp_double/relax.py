"""Relaxation of atoms and cell: a quasi-Newton walk, whatever IBRION asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sse_flows.testing.vasp_double.crystal import Array, Crystal
from sse_flows.testing.vasp_double.model import Evaluated

Evaluate = Callable[[Crystal], Evaluated]

_LONGEST = 0.15  # Å
_SOFTNESS = 1 / 40  # Å^2/eV, first guess of the inverse Hessian
_UPHILL = 1e-3  # eV


@dataclass(frozen=True)
class Freedom:
    """What may move, by ISIF."""

    ions: bool
    shape: bool
    volume: bool

    @classmethod
    def of(cls, isif: int) -> Freedom:
        """Freedom of an ISIF, 0 to 8."""
        return cls(isif in (0, 1, 2, 3, 4, 8), isif in (3, 4, 5, 6), isif in (3, 6, 7, 8))

    def strain_force(self, stress: Array, volume: float) -> Array:
        """Derivative of the energy by the strains that are free, eV, shape (3, 3)."""
        isotropic = np.eye(3) * np.trace(stress) / 3
        free = (stress - isotropic) * self.shape + isotropic * self.volume
        return -volume * free


def steps(
    crystal: Crystal, evaluate: Evaluate, freedom: Freedom
) -> Iterator[tuple[Crystal, Evaluated, float]]:
    """Walk downhill for ever.

    Yields
    ------
    tuple of Crystal, Evaluated, float
        Each geometry, what the model says of it, and the largest force (eV/Å) on what may move;
        that of a strain is its energy derivative per (volume)^(1/3) and atom^(1/3).
    """
    atoms = len(crystal.species)
    scale = float(np.sqrt(atoms))
    inverse = np.eye(3 * atoms + 9) * _SOFTNESS
    longest, last = _LONGEST, None
    while True:
        result = evaluate(crystal)
        strain = freedom.strain_force(result.stress, crystal.volume)
        ions = result.forces * freedom.ions
        yield crystal, result, _largest(ions, strain, crystal)
        downhill = np.concatenate([ions.ravel(), strain.ravel() / scale])
        if last is not None:
            step, before, energy = last
            if result.energy > energy + _UPHILL:
                inverse, longest = np.eye(len(downhill)) * _SOFTNESS, longest / 2
            else:
                inverse = _updated(inverse, step, before - downhill)
        step = inverse @ downhill
        if step @ downhill <= 0:
            inverse = np.eye(len(downhill)) * _SOFTNESS
            step = inverse @ downhill
        step *= min(1.0, longest / max(_reach(step, atoms, scale, crystal), 1e-12))
        last = (step, downhill, result.energy)
        crystal = _moved(crystal, step, scale, freedom)


def _largest(ions: Array, strain: Array, crystal: Crystal) -> float:
    on_ions = float(np.linalg.norm(ions, axis=1).max(initial=0.0))
    length = (crystal.volume * len(crystal.species) ** 2) ** (1 / 3)
    return max(on_ions, float(np.abs(strain).max()) / length)


def _reach(step: Array, atoms: int, scale: float, crystal: Crystal) -> float:
    """Longest way of an atom and of a cell vector's end, Å."""
    moves = np.linalg.norm(step[: 3 * atoms].reshape(-1, 3), axis=1).max()
    longest_edge = np.linalg.norm(crystal.lattice, axis=1).max()
    return max(float(moves), float(np.abs(step[3 * atoms :]).max() / scale * longest_edge) / 2)


def _moved(crystal: Crystal, step: Array, scale: float, freedom: Freedom) -> Crystal:
    strain = step[-9:].reshape(3, 3) / scale
    deform = np.eye(3) + (strain + strain.T) / 2
    if not freedom.volume:  # a strain without trace keeps the volume to first order only
        deform /= np.cbrt(np.linalg.det(deform))
    positions = crystal.positions @ deform + step[:-9].reshape(-1, 3)
    return crystal.moved(positions, crystal.lattice @ deform)


def _updated(inverse: Array, step: Array, change: Array) -> Array:
    """Inverse Hessian after Broyden, Fletcher, Goldfarb and Shanno."""
    curvature = float(step @ change)
    if curvature <= 1e-12:
        return inverse
    along = inverse @ change
    outer = np.outer(step, along)
    return (
        inverse
        + np.outer(step, step) * (1 + change @ along / curvature) / curvature
        - (outer + outer.T) / curvature
    )
