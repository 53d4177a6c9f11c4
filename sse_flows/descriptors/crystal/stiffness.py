"""Frequencies that a crystal would have if bonds were springs of a stiffness known from geometry.

The squared Einstein frequency of an atom, the trace of its own 3 x 3 block of the force constants
over its mass, is the second moment of the phonon DOS projected on it. Here the trace is a sum over
the faces of its Voronoi cell, k_i = Σ_f w_f κ(d_f) with w the face's area over the largest of the
cell, so a face that vanishes takes its bond with it smoothly. Five laws give κ; their prefactors
are one, so the frequencies are relative, in units of the square root of κ per atomic mass unit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sse_flows.descriptors.crystal.arrays import FloatArray, IntArray
from sse_flows.descriptors.crystal.elements import property_column
from sse_flows.descriptors.crystal.geometry import face_weights
from sse_flows.descriptors.crystal.tessellation import Tessellation
from sse_flows.errors import SSEError

SOFTNESS = 0.37
"""b of the exponential law, Å: the usual constant of bond valences (Brown and Altermatt 1985)."""

LAWS: tuple[str, ...] = ("d^-3", "d^-4", "d^-6", "bond valence", "polar d^-4")
"""κ(d): d^-3, d^-4, d^-6, exp((d_cov - d)/b), (1 + Δχ²) d^-4; d in Å, d_cov = r_i + r_j."""

STATISTICS: tuple[str, ...] = ("mean", "maximum", "minimum", "spread")
"""Over the atoms; the spread is the standard deviation."""

_SITE_QUANTITIES: tuple[str, ...] = (
    *(f"Einstein frequency {law}" for law in LAWS),
    *(f"stiffest bond frequency {law}" for law in LAWS),
    "atomic mass",
    "cell volume",
    "shortest bond",
    "relative shortest bond",
    "electronegativity difference",
)

STIFFNESS_LABELS: tuple[str, ...] = (
    *(f"{name} {of}" for of in _SITE_QUANTITIES for name in STATISTICS),
    *(f"root mean square Einstein frequency {law}" for law in LAWS),
    *(f"mean bond frequency {law}" for law in LAWS),
    "density",
)
"""The features, in order."""


class _Bonds(NamedTuple):
    """Per face: both sites, weight, distance, and where its cell's faces begin."""

    centers: IntArray
    neighbors: IntArray
    weights: FloatArray
    distances: FloatArray
    starts: IntArray


def stiffness_features(tessellation: Tessellation, numbers: IntArray) -> FloatArray:
    """Compute the features for decorations of one geometry.

    Parameters
    ----------
    tessellation
        The geometry; here its scale does matter.
    numbers
        Atomic number of each site in each decoration, shape (decorations, sites).

    Returns
    -------
    ndarray
        Shape (decorations, features), columns as `STIFFNESS_LABELS`.

    Raises
    ------
    SSEError
        If there is not one atomic number for every site.
    """
    batch = np.atleast_2d(np.asarray(numbers, np.int64))
    if batch.shape[1] != tessellation.n_sites:
        raise SSEError(
            f"{batch.shape[1]} atoms cannot decorate {tessellation.n_sites} sites",
            mend="Give an atomic number for every site of the tessellation",
        )
    bonds = _Bonds(
        tessellation.centers,
        tessellation.neighbors,
        face_weights(tessellation),
        tessellation.distances,
        tessellation.offsets[:-1],
    )
    return np.array([_features(tessellation, bonds, row) for row in batch])


def _features(tessellation: Tessellation, bonds: _Bonds, numbers: IntArray) -> FloatArray:
    """The features of one decoration."""
    mass = property_column("AtomicWeight")[numbers]
    radius = property_column("CovalentRadius")[numbers] / 100.0  # pm
    electronegativity = property_column("Electronegativity")[numbers]
    own, other = bonds.centers, bonds.neighbors
    covalent = radius[own] + radius[other]
    polarity = np.abs(electronegativity[own] - electronegativity[other])
    stiffness = bonds.weights * _stiffness(bonds.distances, covalent, polarity)
    einstein = _sums(stiffness, bonds) / mass
    bond_square = stiffness * (1.0 / mass[own] + 1.0 / mass[other])
    stiffest = np.maximum.reduceat(bond_square, bonds.starts, axis=1)
    sites = np.vstack(
        [
            np.sqrt(einstein),
            np.sqrt(stiffest),
            mass,
            tessellation.volumes,
            np.minimum.reduceat(bonds.distances, bonds.starts),
            np.minimum.reduceat(bonds.distances / covalent, bonds.starts),
            _sums(bonds.weights * polarity, bonds) / _sums(bonds.weights, bonds),
        ]
    )
    return np.concatenate(
        [
            _statistics(sites),
            np.sqrt(einstein.mean(axis=1)),
            np.sqrt(bond_square.sum(axis=1) / bonds.weights.sum()),
            [mass.sum() / tessellation.volumes.sum()],
        ]
    )


def _stiffness(distance: FloatArray, covalent: FloatArray, polarity: FloatArray) -> FloatArray:
    """κ of every face by each law, shape (laws, faces)."""
    fourth = distance**-4.0
    return np.array(
        [
            distance**-3.0,
            fourth,
            distance**-6.0,
            np.exp((covalent - distance) / SOFTNESS),
            (1.0 + polarity**2) * fourth,
        ]
    )


def _sums(values: FloatArray, bonds: _Bonds) -> FloatArray:
    """Sums over the faces of each site, along the last axis."""
    summed: np.ndarray[Any, Any] = np.add.reduceat(values, bonds.starts, axis=-1)
    return summed


def _statistics(sites: FloatArray) -> FloatArray:
    """Mean, maximum, minimum and standard deviation over sites, quantity by quantity."""
    columns = [sites.mean(axis=1), sites.max(axis=1), sites.min(axis=1), sites.std(axis=1)]
    return np.column_stack(columns).ravel()
