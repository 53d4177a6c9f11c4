"""Made-up responses to fields and displacements: Born charges, dielectric tensors, the Hessian.

Born charges and dielectric tensor follow from positions by rotation-covariant formulas, so they
have the symmetry of the crystal; the charges sum to zero. The Hessian and the ionic part of the
dielectric tensor are those of the force model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sse_flows.testing.vasp_double.crystal import Array, Crystal
from sse_flows.testing.vasp_double.model import COULOMB, Evaluated
from sse_flows.testing.vasp_double.neighbors import find_pairs

_SHELL = 3.5  # Å, reach of the environment that makes tensors anisotropic
_STRAIN = 0.3
_DISPLACEMENT = 0.01  # Å
_MOSS = 95.0  # eV: refractive index to the fourth times the gap (T. S. Moss)
_METALLIC = 100.0
_THZ = 15.633302  # root of eV/(Å^2 u) in THz


@dataclass(frozen=True)
class Response:
    """Answer to an electric field.

    Parameters
    ----------
    born
        Born effective charges, e, shape (atoms, 3, 3).
    dielectric
        High-frequency dielectric tensor, shape (3, 3).
    ionic
        Contribution of the ions to the static tensor, shape (3, 3); None without the Hessian.
    """

    born: Array
    dielectric: Array
    ionic: Array | None = None


def field_response(
    crystal: Crystal, states: Array, gap: float, force_constants: Array | None
) -> Response:
    """Born charges from oxidation states (one a block) and environments, eps from the gap (eV)."""
    environment = _environment(crystal)
    born = states[crystal.types][:, None, None] * (np.eye(3) + _STRAIN * environment)
    born = born - born.mean(axis=0)
    level = np.sqrt(_MOSS / gap) if gap > 0 else _METALLIC
    dielectric = level * (np.eye(3) + _STRAIN * environment.mean(axis=0))
    ionic = None if force_constants is None else _ionic(crystal, born, force_constants)
    return Response(born, dielectric, ionic)


def hessian(crystal: Crystal, evaluate: Callable[[Crystal], Evaluated]) -> Array:
    """Force constants by central differences, eV/Å^2, shape (3 atoms, 3 atoms)."""
    positions = crystal.positions
    rows = []
    for number in range(positions.size):
        step = np.zeros_like(positions)
        step.flat[number] = _DISPLACEMENT
        ahead, back = (evaluate(crystal.moved(positions + s * step)).forces for s in (1, -1))
        rows.append((back - ahead).ravel() / (2 * _DISPLACEMENT))
    matrix = np.array(rows)
    return (matrix + matrix.T) / 2


def normal_modes(force_constants: Array, masses: Array) -> tuple[Array, Array, Array]:
    """Mass-weighted Hessian, its eigenvalues and eigenvectors as vasprun.xml of VASP 6 has them.

    Parameters
    ----------
    force_constants
        eV/Å^2, shape (3 atoms, 3 atoms).
    masses
        u, shape (atoms,).

    Returns
    -------
    tuple of ndarray
        Minus the dynamical matrix, THz^2; its eigenvalues from the highest frequency down; rows
        of eigenvectors.
    """
    root = np.sqrt(np.repeat(masses, 3))
    dynamical = -force_constants / np.outer(root, root) * _THZ**2
    values, vectors = np.linalg.eigh(dynamical)
    return dynamical, values, vectors.T


def _environment(crystal: Crystal) -> Array:
    """Traceless tensor of each atom's neighbours, shape (atoms, 3, 3)."""
    pairs = find_pairs(crystal, _SHELL)
    unit = pairs.vectors / pairs.distances[:, None]
    weight = (1 - (pairs.distances / _SHELL) ** 2) ** 2
    tensor = weight[:, None, None] * (unit[:, :, None] * unit[:, None, :] - np.eye(3) / 3)
    total = np.zeros((len(crystal.species), 3, 3))
    np.add.at(total, pairs.first, tensor)
    np.add.at(total, pairs.second, tensor)
    return total


def _ionic(crystal: Crystal, born: Array, force_constants: Array) -> Array:
    """Z^T Φ^-1 Z / (ε0 V), with translations left out."""
    charges = np.swapaxes(born, 1, 2).reshape(-1, 3)
    softest = 1e-3 * np.abs(force_constants).max()
    values, vectors = np.linalg.eigh(force_constants)
    coupled = vectors.T @ charges
    keep = values > softest
    inverse = (coupled[keep].T / values[keep]) @ coupled[keep]
    return 4 * np.pi * COULOMB / crystal.volume * inverse
