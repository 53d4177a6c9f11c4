"""Magnetic order as VASP takes it: moments to start with, and whether a result has kept them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from atomate2.vasp.sets.base import VaspInputGenerator
from pymatgen.core import Species, Structure

from sse_flows.codes.spin import directions

LORBIT = 11
"""What has VASP write the moments of the atoms into the OUTCAR."""

_LEAST = 1.0  # Bohr magnetons, of an atom of an order, whatever its element
_KEPT = 0.1  # what is left of a moment that still has its direction
_GAINED = 1.0  # what an atom without a moment may not come to


def start_moments(structure: Structure, by_element: Mapping[str, float]) -> list[float]:
    """MAGMOM of the sites of an order.

    Moments of the sites give directions alone. Their size is the element's, the same on all its
    sites: VASP takes sites of slightly other moments for different ones. It is generous, since
    electrons that start with too small a moment may lose it.

    Parameters
    ----------
    structure
        With moments, in the order of the POSCAR.
    by_element
        Element -> μB; where this is atomate2's value, pymatgen's is taken if it is larger
        (atomate2 starts cobalt in its state of low spin).

    Returns
    -------
    list of float
        μB; 0 where the structure has hardly a moment.
    """
    from pymatgen.analysis.magnetism.analyzer import DEFAULT_MAGMOMS

    usual = dict(VaspInputGenerator().config_dict["INCAR"]["MAGMOM"])

    def size(symbol: str) -> float:
        own = by_element.get(symbol)
        if own is not None and own != usual.get(symbol):
            return abs(float(own))
        return float(max(_LEAST, DEFAULT_MAGMOMS.get(symbol, 0.0), usual.get(symbol, 0.0)))

    sizes = [size(site.specie.symbol) for site in structure]
    return (directions(structure) * sizes).tolist()


def changed_moments(asked: Structure, found: Structure) -> str:
    """Which atoms lost, turned or gained a moment against the order asked for.

    Parameters
    ----------
    asked, found
        The same atoms in the same order, with moments in μB.

    Returns
    -------
    str
        Such as ``Fe 3: -0.02 μB``, atoms counted from 1 as VASP does; empty where none did.
    """
    ways = directions(asked)
    moments = np.array([float(moment) for moment in found.site_properties["magmom"]])
    kept = np.where(ways != 0, moments * ways > _KEPT, np.abs(moments) < _GAINED)
    return ", ".join(
        f"{found[i].specie.symbol} {i + 1}: {moments[i]:.2f} μB" for i in np.flatnonzero(~kept)
    )


def told_apart(structure: Structure, order: Structure) -> Structure:
    """The crystal with atoms up and atoms down as different species, for its space group.

    Parameters
    ----------
    structure
        The crystal.
    order
        The same atoms in the same order, with moments.
    """
    species = [
        Species(site.specie.symbol, int(way))
        for site, way in zip(structure, directions(order), strict=True)
    ]
    return Structure(structure.lattice, species, structure.frac_coords)
