"""What surrounds the atoms of each element of a crystal, in numbers that phonons depend on.

An atom of mass m on springs of summed stiffness k vibrates at about √(k/m). Here the springs are
the faces of the Voronoi cell, each as stiff as its length and its two elements suggest; a face much
smaller than the largest of its cell counts less, so one that vanishes takes its spring with it.
What a spring holds matters as much as how stiff it is, so the neighbours' masses,
electronegativities and own stiffness are averaged with the springs as weights. Quantities of atoms
are then gathered over the atoms of each element: they depend on the crystal, not on the cell
chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sse_flows.descriptors.crystal import stiffness
from sse_flows.descriptors.crystal.arrays import FloatArray, IntArray
from sse_flows.descriptors.crystal.elements import property_column
from sse_flows.descriptors.crystal.geometry import face_weights
from sse_flows.descriptors.crystal.tessellation import Tessellation

LAWS: tuple[str, ...] = (*stiffness.LAWS, "polar valence", "solid angle d^-3")
"""Those of :mod:`sse_flows.descriptors.crystal.stiffness`; (1 + Δχ²) exp((r_i + r_j - d)/0.30 Å);
d^-3 times area/d^2."""

_VALENCE, _POLAR = LAWS.index("bond valence"), LAWS.index("polar d^-4")
_ANGLE = LAWS.index("solid angle d^-3")

_POLAR_SOFTNESS = 0.30
"""Å; of the polar valence."""

_SMALL_FACE = 0.1
"""Area over the largest at which half a spring is left."""

_HELD = ("electronegativity", "column", "row", "covalent radius", "valence electrons", "Mendeleev")
_HELD_COLUMNS = (
    "Electronegativity",
    "Column",
    "Row",
    "CovalentRadius",
    "NValence",
    "MendeleevNumber",
)

SITE_LABELS: tuple[str, ...] = (
    *(f"log frequency {law}" for law in LAWS),
    "log reduced-mass frequency",
    "log stiffest bond",
    "log stiffest bond frequency",
    "shortest bond",
    "relative shortest bond",
    "log cell volume",
    "coordination",
    *(f"held {name}" for name in _HELD),
    "held log mass",
    "held coordination",
    "held log frequency",
    "held log polar frequency",
    "share of the neighbour's stiffness",
    "surrounding log mass",
    "surrounding electronegativity",
    "polarity",
    "signed polarity",
    "share of the same element",
)
"""Quantities of one atom; "held" are means over neighbours weighted with the springs' stiffness,
"surrounding" means weighted with the areas of the faces."""

OWN_PROPERTIES: tuple[str, ...] = (
    "MendeleevNumber",
    "MeltingT",
    "Column",
    "Row",
    "CovalentRadius",
    "Electronegativity",
    "NsValence",
    "NpValence",
    "NdValence",
    "NfValence",
    "NValence",
    "NUnfilled",
    "GSvolume_pa",
)

_SPREAD = ("log frequency d^-3", "log frequency bond valence", "log cell volume")
_EXTREME = ("log frequency bond valence", "log frequency polar valence")
_CRYSTAL = ("log frequency d^-3", "log frequency bond valence", "log frequency polar valence")

ELEMENT_LABELS: tuple[str, ...] = (
    "atomic number",
    "log mass",
    *OWN_PROPERTIES,
    *(f"mean {name}" for name in SITE_LABELS),
    *(f"spread of {name}" for name in _SPREAD),
    *(f"smallest {name}" for name in _EXTREME),
    *(f"largest {name}" for name in _EXTREME),
    "share of the atoms",
    "mean log mass of the crystal",
    "spread of log mass of the crystal",
    *(f"mean {name} of the crystal" for name in _CRYSTAL),
    *(f"spread of {name} of the crystal" for name in _CRYSTAL),
)
"""Quantities of one element of a crystal."""

_COLUMN = {name: k for k, name in enumerate(SITE_LABELS)}


class ElementEnvironments:
    """Featurizer whose rows hold `ELEMENT_LABELS` for each element of a crystal, end to end.

    Elements come by atomic number. Rows of crystals with more elements are longer, so it goes with
    `feature_rows` but not with tables; `split_elements` cuts them.
    """

    def decorate(self, tessellation: Tessellation, numbers: IntArray) -> FloatArray:
        """Quantities of the elements of decorations with the same number of elements each.

        Parameters
        ----------
        tessellation
            The geometry.
        numbers
            Atomic numbers, shape (decorations, sites).

        Returns
        -------
        ndarray
            Shape (decorations, elements * `len(ELEMENT_LABELS)`).
        """
        return np.array([element_environments(tessellation, row).ravel() for row in numbers])

    def feature_labels(self) -> list[str]:
        """Names for one element."""
        return list(ELEMENT_LABELS)


def split_elements(row: FloatArray) -> FloatArray:
    """Table of the elements, shape (elements, quantities), from a row of `ElementEnvironments`."""
    return row.reshape(-1, len(ELEMENT_LABELS))


def element_environments(tessellation: Tessellation, numbers: IntArray) -> FloatArray:
    """Quantities of every element of a crystal.

    Parameters
    ----------
    tessellation
        Of the crystal.
    numbers
        Atomic numbers, shape (sites,).

    Returns
    -------
    ndarray
        Shape (elements, quantities), by atomic number, columns as `ELEMENT_LABELS`.
    """
    sites = site_environments(tessellation, numbers)
    log_mass = np.log(property_column("AtomicWeight")[numbers])
    chosen = sites[:, [_COLUMN[name] for name in _CRYSTAL]]
    crystal = [log_mass.mean(), log_mass.std(), *chosen.mean(axis=0), *chosen.std(axis=0)]
    return np.array(
        [
            _element(number, sites[numbers == number], crystal, len(numbers))
            for number in np.unique(numbers)
        ]
    )


def _element(number: int, sites: FloatArray, crystal: list[float], total: int) -> FloatArray:
    """Quantities of one element from those of its atoms."""
    own = [property_column(name)[number] for name in OWN_PROPERTIES]
    extreme = sites[:, [_COLUMN[name] for name in _EXTREME]]
    return np.array(
        [
            number,
            np.log(property_column("AtomicWeight")[number]),
            *own,
            *sites.mean(axis=0),
            *sites[:, [_COLUMN[name] for name in _SPREAD]].std(axis=0),
            *extreme.min(axis=0),
            *extreme.max(axis=0),
            len(sites) / total,
            *crystal,
        ]
    )


class _Springs(NamedTuple):
    """One row a face: its two sites, area weight, distance, stiffness by every law."""

    own: IntArray
    other: IntArray
    starts: IntArray
    weights: FloatArray
    distances: FloatArray
    covalent: FloatArray
    """Sum of the covalent radii, Å."""
    polarity: FloatArray
    """Electronegativity of the neighbour less that of the site."""
    stiffness: FloatArray
    """By every law, less for small faces, shape (laws, faces)."""

    def total(self, values: FloatArray) -> FloatArray:
        """Sums over the faces of each site, along the last axis."""
        summed: FloatArray = np.add.reduceat(values, self.starts, axis=-1)
        return summed

    def held(self, values: FloatArray) -> FloatArray:
        """Means over the faces of each site, weighted with their stiffness."""
        springs = self.stiffness[_VALENCE]
        return self.total(springs * values) / self.total(springs)

    def around(self, values: FloatArray) -> FloatArray:
        """Means over the faces of each site, weighted with their areas."""
        return self.total(self.weights * values) / self.total(self.weights)


def _springs(tessellation: Tessellation, numbers: IntArray) -> _Springs:
    own, other = tessellation.centers, tessellation.neighbors
    radius = property_column("CovalentRadius")[numbers] / 100.0  # pm
    electronegativity = property_column("Electronegativity")[numbers]
    weights, distances = face_weights(tessellation), tessellation.distances
    covalent = radius[own] + radius[other]
    polarity = electronegativity[other] - electronegativity[own]
    share = weights / (weights + _SMALL_FACE)
    strength = share * _stiffness(distances, covalent, polarity)
    strength[_ANGLE] *= tessellation.areas / distances**2
    starts = tessellation.offsets[:-1]
    return _Springs(own, other, starts, weights, distances, covalent, polarity, strength)


def _stiffness(distance: FloatArray, covalent: FloatArray, polarity: FloatArray) -> FloatArray:
    """Stiffness of every face by each law, in units of the law's own, shape (laws, faces)."""
    polar = 1.0 + polarity**2
    cubic, quartic, sextic = stiffness.power_laws(distance)
    return np.array(
        [
            cubic,
            quartic,
            sextic,
            np.exp((covalent - distance) / stiffness.SOFTNESS),
            polar * quartic,
            polar * np.exp((covalent - distance) / _POLAR_SOFTNESS),
            cubic,
        ]
    )


def site_environments(tessellation: Tessellation, numbers: IntArray) -> FloatArray:
    """Quantities of every atom, shape (sites, quantities), columns as `SITE_LABELS`."""
    springs = _springs(tessellation, numbers)
    mass = property_column("AtomicWeight")[numbers]
    frequency = 0.5 * np.log(springs.total(springs.stiffness) / mass)
    coordination = springs.total(springs.weights) ** 2 / springs.total(springs.weights**2)
    return np.column_stack(
        [
            *frequency,
            *_bonds(springs, mass),
            np.log(tessellation.volumes),
            coordination,
            *_held(springs, numbers, coordination, frequency),
            *_surrounding(springs, numbers),
        ]
    )


def _bonds(springs: _Springs, mass: FloatArray) -> list[FloatArray]:
    """The stiffest and shortest springs of each atom."""
    valence, starts = springs.stiffness[_VALENCE], springs.starts
    reduced = valence * (1.0 / mass[springs.own] + 1.0 / mass[springs.other])
    stiffest = np.maximum.reduceat(valence, starts)
    return [
        0.5 * np.log(springs.total(reduced)),
        np.log(stiffest),
        0.5 * np.log(stiffest / mass),
        np.minimum.reduceat(springs.distances, starts),
        np.minimum.reduceat(springs.distances / springs.covalent, starts),
    ]


def _held(
    springs: _Springs, numbers: IntArray, coordination: FloatArray, frequency: FloatArray
) -> list[FloatArray]:
    """What an atom's springs hold at their other ends."""
    other = springs.other
    valence = springs.stiffness[_VALENCE]
    return [
        *(springs.held(property_column(name)[numbers][other]) for name in _HELD_COLUMNS),
        springs.held(np.log(property_column("AtomicWeight")[numbers][other])),
        springs.held(coordination[other]),
        springs.held(frequency[_VALENCE][other]),
        springs.held(frequency[_POLAR][other]),
        springs.held(valence / springs.total(valence)[other]),
    ]


def _surrounding(springs: _Springs, numbers: IntArray) -> list[FloatArray]:
    """Who an atom's neighbours are, by area alone."""
    other = springs.other
    return [
        springs.around(np.log(property_column("AtomicWeight")[numbers][other])),
        springs.around(property_column("Electronegativity")[numbers][other]),
        springs.around(np.abs(springs.polarity)),
        springs.around(springs.polarity),
        springs.around((numbers[other] == numbers[springs.own]).astype(float)),
    ]
