"""A cheap force field for any composition: energies, forces and stress that belong together.

Ions
    A rigid-ion model: point charges whose interaction is damped and shifted to vanish at a cutoff
    with its force (Fennell and Gezelter, J. Chem. Phys. 124, 234104 (2006)), and a Born-Mayer
    repulsion whose strength balances the charges where two ions touch. Ions of like charge repel
    each other, which gives open structures their stiffness.
Elements and alloys
    Morse pairs; in the diamond structure of the carbon group also the three-body term of
    Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), for the angle.

It is no description of any substance. It is smooth, extensive and invariant under translation,
rotation and exchange of atoms, and simple crystals are stable in it. Of 40 lithium compounds of at
most 16 atoms, drawn from those stable in the Materials Project, all relaxed and 32 had no soft mode
at Γ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sse_flows.testing.vasp_double.charges import oxidation_states
from sse_flows.testing.vasp_double.crystal import Array, Crystal
from sse_flows.testing.vasp_double.neighbors import Pairs, find_pairs
from sse_flows.testing.vasp_double.potcar import Potential

COULOMB = 14.399645
"""e^2 / (4 π ε0), eV Å."""

_Kinds = tuple[NDArray[np.int64], NDArray[np.int64]]

_CUTOFF = 9.0  # Å
_DAMPING = 0.25  # 1/Å
_SOFTNESS = 0.30  # Å, range of the Born-Mayer repulsion
_TOUCH = 0.29  # Madelung constant over coordination number, 0.29 to 0.41 in simple crystals
_LIKE = 0.06
_TETRAHEDRAL = {"C", "Si", "Ge", "Sn"}
_ANGULAR = 1.5  # eV


@dataclass(frozen=True)
class Evaluated:
    """Result of a model.

    Parameters
    ----------
    energy
        eV per cell.
    forces
        eV/Å, shape (atoms, 3).
    stress
        Derivative of the energy by strain over the volume, eV/Å^3, shape (3, 3).
    """

    energy: float
    forces: Array
    stress: Array

    def shifted(self, energy: float) -> Evaluated:
        """The same forces at an energy that differs by so much, eV."""
        return Evaluated(self.energy + energy, self.forces, self.stress)


@dataclass(frozen=True)
class _Radial:
    """Energy of each pair and its derivative by the distance."""

    energy: Array
    slope: Array

    def __add__(self, other: _Radial) -> _Radial:
        return _Radial(self.energy + other.energy, self.slope + other.slope)

    def __mul__(self, other: _Radial) -> _Radial:
        return _Radial(
            self.energy * other.energy, self.slope * other.energy + self.energy * other.slope
        )


class PairModel:
    """The model of one composition.

    Parameters
    ----------
    potentials, counts
        Pseudopotential and number of atoms of each block of the POSCAR.
    """

    def __init__(self, potentials: Sequence[Potential], counts: Sequence[int]):
        states = np.array(oxidation_states(potentials, counts))
        self.states = states
        self.charges = states / math.sqrt(max(1.0, float(np.abs(states).max())))
        self.ionic = bool(states.any())
        self.bond = self._bond_lengths(potentials)
        self.depth, self.decay, self.reach = self._morse(potentials)
        self.tetrahedral = not self.ionic and {p.element for p in potentials} <= _TETRAHEDRAL

    def evaluate(self, crystal: Crystal) -> Evaluated:
        """Energy, forces and stress of a crystal of this composition."""
        cutoff = _CUTOFF if self.ionic else float(self.reach.max())
        pairs = find_pairs(crystal, cutoff)
        types = crystal.types
        kinds = (types[pairs.first], types[pairs.second])
        radial = self._ions(pairs, kinds) if self.ionic else self._bonds(pairs, kinds)
        energy = float(radial.energy.sum()) + self._self_energy(types)
        pull = (radial.slope / pairs.distances)[:, None] * pairs.vectors
        forces, virial = _collect(pairs, pull, len(types))
        if self.tetrahedral:
            angular = self._angles(pairs, kinds, len(types))
            energy, forces, virial = energy + angular[0], forces + angular[1], virial + angular[2]
        return Evaluated(energy, forces, virial / crystal.volume)

    def _bond_lengths(self, potentials: Sequence[Potential]) -> Array:
        if self.ionic:
            radii = np.array(
                [_ionic_radius(p, s) for p, s in zip(potentials, self.states, strict=True)]
            )
        else:
            metals = all(p.metal for p in potentials)
            radii = np.array(
                [p.metallic_radius if metals else p.covalent_radius for p in potentials]
            )
        return radii[:, None] + radii[None, :]

    def _morse(self, potentials: Sequence[Potential]) -> tuple[Array, Array, Array]:
        """Depth (eV), decay (1/Å) and cutoff (Å) of Morse pairs."""
        metals = all(p.metal for p in potentials)
        depth, decay, reach = (0.15, 4.0, 1.9) if metals else (2.0, 5.0, 1.55)
        lengths = self.bond * (1.1 if metals else 1.0)
        self.bond = lengths
        return np.full_like(lengths, depth), decay / lengths, reach * lengths

    def _ions(self, pairs: Pairs, kinds: _Kinds) -> _Radial:
        product = self.charges[kinds[0]] * self.charges[kinds[1]]
        bond = self.bond[kinds]
        strength = np.where(product < 0, _TOUCH, _LIKE) * COULOMB * np.abs(product)
        strength = strength * _SOFTNESS / bond**2
        r = pairs.distances
        repulsion = strength * np.exp((bond - r) / _SOFTNESS)
        smooth = _switch(r, _CUTOFF - 2.0, _CUTOFF)
        return _coulomb(r, product) + _Radial(repulsion, -repulsion / _SOFTNESS) * smooth

    def _bonds(self, pairs: Pairs, kinds: _Kinds) -> _Radial:
        depth, decay, bond, reach = (
            table[kinds] for table in (self.depth, self.decay, self.bond, self.reach)
        )
        fall = np.exp(-decay * (pairs.distances - bond))
        morse = _Radial(depth * (fall**2 - 2 * fall), 2 * depth * decay * (fall - fall**2))
        return morse * _switch(pairs.distances, 0.8 * reach, reach)

    def _self_energy(self, types: NDArray[np.int64]) -> float:
        """Each charge with its own screening cloud (Wolf's self term)."""
        if not self.ionic:
            return 0.0
        damped = math.erfc(_DAMPING * _CUTOFF) / _CUTOFF
        each = -COULOMB * (damped / 2 + _DAMPING / math.sqrt(math.pi))
        return each * float((self.charges[types] ** 2).sum())

    def _angles(self, pairs: Pairs, kinds: _Kinds, atoms: int) -> tuple[float, Array, Array]:
        """Sum over atoms of Σ_jk g_j g_k (cos θ_jk + 1/3)^2, by moments of the bonds.

        With M = Σ g, W = Σ g u and Q = Σ g u u^T (u the unit vectors) the sum over all j, k is
        Q:Q + 2/3 W·W + M^2/9; j = k gives 16/9 Σ g^2, a pair term that is taken off.
        """
        near = pairs.distances < self.reach[kinds]
        pairs, kinds = pairs.where(near), (kinds[0][near], kinds[1][near])
        weight = _switch(pairs.distances, 0.8 * self.reach[kinds], self.reach[kinds])
        unit = pairs.vectors / pairs.distances[:, None]
        energy, pull = 0.0, np.zeros_like(unit)
        mass, mean, square = _moments(pairs, weight.energy, unit, atoms)
        energy += float((square**2).sum() + 2 / 3 * (mean**2).sum() + (mass**2).sum() / 9)
        energy -= float(2 * 16 / 9 * (weight.energy**2).sum())
        for atom, sign in ((pairs.first, 1.0), (pairs.second, -1.0)):
            along = np.einsum("nij,nj->ni", square[atom], unit)
            by_weight = (
                2 * np.einsum("ni,ni->n", along, unit)
                + 4 / 3 * sign * np.einsum("ni,ni->n", mean[atom], unit)
                + 2 / 9 * mass[atom]
                - 32 / 9 * weight.energy
            )
            by_unit = weight.energy[:, None] * (4 * along + 4 / 3 * sign * mean[atom])
            across = by_unit - np.einsum("ni,ni->n", by_unit, unit)[:, None] * unit
            pull += (by_weight * weight.slope)[:, None] * unit + across / pairs.distances[:, None]
        forces, virial = _collect(pairs, pull, atoms)
        return _ANGULAR * energy, _ANGULAR * forces, _ANGULAR * virial


def _ionic_radius(potential: Potential, state: float) -> float:
    if not potential.states:
        return potential.covalent_radius
    nearest = min(potential.states, key=lambda known: abs(known - state))
    return potential.states[nearest]


def _coulomb(r: Array, product: Array) -> _Radial:
    """Damped, shifted Coulomb interaction of the products of charges."""
    damped = np.array([math.erfc(x) for x in (_DAMPING * r).tolist()]) / r
    gauss = 2 * _DAMPING / math.sqrt(math.pi) * np.exp(-((_DAMPING * r) ** 2)) / r
    edge = math.erfc(_DAMPING * _CUTOFF) / _CUTOFF
    edge_slope = edge / _CUTOFF + 2 * _DAMPING / math.sqrt(math.pi) * (
        math.exp(-((_DAMPING * _CUTOFF) ** 2)) / _CUTOFF
    )
    energy = damped - edge + edge_slope * (r - _CUTOFF)
    slope = -(damped / r + gauss) + edge_slope
    return _Radial(COULOMB * product * energy, COULOMB * product * slope)


def _switch(r: Array, start: Array | float, end: Array | float) -> _Radial:
    """From 1 to 0 between two distances, with two continuous derivatives."""
    width = np.asarray(end) - start
    x = np.clip((r - start) / width, 0.0, 1.0)
    value = 1 - x**3 * (10 - 15 * x + 6 * x**2)
    return _Radial(value, -30 * x**2 * (1 - x) ** 2 / width)


def _moments(pairs: Pairs, weight: Array, unit: Array, atoms: int) -> tuple[Array, Array, Array]:
    mass, mean, square = np.zeros(atoms), np.zeros((atoms, 3)), np.zeros((atoms, 3, 3))
    outer = weight[:, None, None] * unit[:, :, None] * unit[:, None, :]
    for atom, sign in ((pairs.first, 1.0), (pairs.second, -1.0)):
        np.add.at(mass, atom, weight)
        np.add.at(mean, atom, sign * weight[:, None] * unit)
        np.add.at(square, atom, outer)
    return mass, mean, square


def _collect(pairs: Pairs, pull: Array, atoms: int) -> tuple[Array, Array]:
    """Forces and virial of dE/d(vector) of each pair."""
    forces = np.zeros((atoms, 3))
    for axis in range(3):
        forces[:, axis] += np.bincount(pairs.first, pull[:, axis], atoms)
        forces[:, axis] -= np.bincount(pairs.second, pull[:, axis], atoms)
    return forces, pairs.vectors.T @ pull
