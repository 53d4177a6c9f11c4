"""Frequencies that a crystal would have if bonds were springs of a stiffness known from geometry.

The squared Einstein frequency of an atom, the trace of its own 3 x 3 block of the force constants
over its mass, is the second moment of the phonon DOS projected on it. Here the trace is a sum over
the faces of its Voronoi cell, k_i = Σ_f w_f κ(d_f) with w the face's area over the largest of the
cell, so a face that vanishes takes its bond with it smoothly. Five laws give κ; their prefactors
are one, so the frequencies are relative, in units of the square root of κ per atomic mass unit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

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
    mass = property_column("AtomicWeight")[batch]
    radius = property_column("CovalentRadius")[batch]
    chi = property_column("Electronegativity")[batch]
    weights = face_weights(tessellation)
    faces = (tessellation.offsets, tessellation.neighbors, weights, tessellation.distances)
    laws = _geometric_laws(tessellation.distances)
    features = np.empty((len(batch), len(STIFFNESS_LABELS)))
    _fill(*faces, laws, tessellation.volumes, mass, radius, chi, features)
    return features


def power_laws(distances: FloatArray) -> list[FloatArray]:
    """κ of the first three `LAWS`: d^-3, d^-4 and d^-6, d in Å."""
    return [distances**-3.0, distances**-4.0, distances**-6.0]


def _geometric_laws(distances: FloatArray) -> FloatArray:
    """What distances alone say of κ: d^-3, d^-4, d^-6 and exp(-d/b), shape (faces, 4)."""
    return np.column_stack([*power_laws(distances), np.exp(-distances / SOFTNESS)])


@njit(cache=True, nogil=True)
def _fill(offsets, neighbors, weights, distances, laws, volumes, mass, radius, chi, features):
    """Features of every decoration; mass, radius (pm) and chi of shape (decorations, sites)."""
    n = len(volumes)
    for row in range(len(features)):
        covalent = radius[row] / 100.0
        sites, square, bond = _site_quantities(
            offsets, neighbors, weights, distances, laws, mass[row], covalent, chi[row]
        )
        sites[10], sites[11] = mass[row], volumes
        out = features[row]
        for q in range(len(sites)):
            _statistics(sites[q], out[4 * q : 4 * q + 4])
        end = 4 * len(sites)
        out[end : end + 5] = np.sqrt(square / n)
        out[end + 5 : end + 10] = np.sqrt(bond / weights.sum())
        out[end + 10] = mass[row].sum() / volumes.sum()


@njit(cache=True, nogil=True)
def _site_quantities(offsets, neighbors, weights, distances, laws, mass, radius, chi):
    """Quantities of each site but mass and volume, and sums of squared frequencies by law.

    Returns
    -------
    tuple
        Shape (quantities, sites); squared Einstein frequencies summed over sites (laws,); and
        squared bond frequencies, with their weights, summed over faces (laws,).
    """
    sites = np.zeros((15, len(mass)))
    square, bond, kappa = np.zeros(5), np.zeros(5), np.empty(5)
    stretch = np.exp(radius / SOFTNESS)  # exp of a sum is a product: no exp for every bond
    for i in range(len(mass)):
        total, apart = 0.0, 0.0
        sites[12, i] = sites[13, i] = np.inf
        for f in range(offsets[i], offsets[i + 1]):
            j, w = neighbors[f], weights[f]
            polarity = abs(chi[i] - chi[j])
            kappa[0], kappa[1], kappa[2] = laws[f, 0], laws[f, 1], laws[f, 2]
            kappa[3] = stretch[i] * stretch[j] * laws[f, 3]
            kappa[4] = (1.0 + polarity * polarity) * laws[f, 1]
            inverse_mass = 1.0 / mass[i] + 1.0 / mass[j]
            for law in range(5):
                strength = w * kappa[law]
                sites[law, i] += strength / mass[i]
                bond[law] += strength * inverse_mass
                sites[5 + law, i] = max(sites[5 + law, i], strength * inverse_mass)
            sites[12, i] = min(sites[12, i], distances[f])
            sites[13, i] = min(sites[13, i], distances[f] / (radius[i] + radius[j]))
            total += w
            apart += w * polarity
        square += sites[:5, i]
        sites[:10, i] = np.sqrt(sites[:10, i])
        sites[14, i] = apart / total
    return sites, square, bond


@njit(cache=True, nogil=True)
def _statistics(values, out):
    """Mean, maximum, minimum and standard deviation over sites."""
    mean = values.mean()
    out[0], out[1], out[2] = mean, values.max(), values.min()
    out[3] = np.sqrt(np.mean((values - mean) ** 2))
