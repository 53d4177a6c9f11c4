"""The elements in their stable form, and heats of formation against them.

``elements.yaml`` beside this module is the table of structures. Gases and sulfur stand as single
molecules in a box; a calculation of theirs keeps the box fixed (`is_molecule`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup

from sse_flows.errors import SSEError


class Molecule(BaseModel):
    """A molecule alone in a cubic box."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["dimer", "crown"] = Field(
        description="Two atoms, or a crown-shaped ring of eight"
    )
    bond: float = Field(gt=0, description="Bond length, Å")
    angle: float | None = Field(None, gt=0, lt=180, description="Bond angle of a ring, degrees")
    box: float = Field(gt=0, description="Edge of the box, Å")


class ElementEntry(BaseModel):
    """The stable form of an element: a crystal, or a molecule in a box."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    symbol: str = Field(description="Element symbol")
    name: str = Field(description="Name of the form, such as bcc or graphite")
    space_group: int | None = Field(None, ge=1, le=230, description="Number of the space group")
    lattice: tuple[float, float, float, float, float, float] | None = Field(
        None, description="Conventional cell: a, b, c in Å, α, β, γ in degrees"
    )
    sites: tuple[tuple[float, float, float], ...] = Field(
        (), description="Fractional coordinates of one representative of each Wyckoff position"
    )
    molecule: Molecule | None = Field(None, description="The molecule, if it is one")
    source: str = Field(description="Where the numbers are from")
    note: str | None = Field(None, description="Why this form, or what to mind")


@cache
def _table() -> dict[str, ElementEntry]:
    import yaml

    text = (files("sse_flows.structures") / "elements.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    entries = (
        ElementEntry(**{**entry, "source": data["sources"][entry["source"]]})
        for entry in data["elements"]
    )
    return {entry.symbol: entry for entry in entries}


def known_elements() -> tuple[str, ...]:
    """Symbols of the elements in the table, by atomic number."""
    return tuple(_table())


def element_entry(symbol: str) -> ElementEntry:
    """The table's entry of an element, with its source.

    Raises
    ------
    SSEError
        If the element is not in the table.
    """
    entry = _table().get(symbol)
    if entry is None:
        raise SSEError(
            f"no reference structure of the element {symbol!r}",
            mend="Give its energy per atom, or the compound's heat of formation",
        )
    return entry


def is_molecule(symbol: str) -> bool:
    """Whether the element's reference is a molecule, whose box must not be relaxed."""
    return element_entry(symbol).molecule is not None


def element_structure(symbol: str) -> Structure:
    """Primitive cell of an element's stable form, or its molecule in a box.

    Parameters
    ----------
    symbol
        Element symbol.

    Raises
    ------
    SSEError
        If the element is not in the table.

    Examples
    --------
    >>> len(element_structure("Li")), len(element_structure("S"))
    (1, 8)
    """
    entry = element_entry(symbol)
    if entry.molecule is not None:
        coords = _molecule_coords(entry.molecule)
        lattice = Lattice.cubic(entry.molecule.box)
        return Structure(
            lattice,
            [symbol] * len(coords),
            coords + entry.molecule.box / 2,
            coords_are_cartesian=True,
        )
    if entry.lattice is None or entry.space_group is None:
        raise ValueError(f"the table's entry of {symbol} has neither a crystal nor a molecule")
    _space_group(entry.space_group)
    conventional = Structure.from_spacegroup(
        entry.space_group,
        Lattice.from_parameters(*entry.lattice),
        [symbol] * len(entry.sites),
        [list(site) for site in entry.sites],
        tol=1e-3,
    )
    return conventional.get_primitive_structure()


@cache
def _space_group(number: int) -> SpaceGroup:
    """Pymatgen's space group with its operations, which it forgets once nobody holds it."""
    return SpaceGroup.from_int_number(number)


def _molecule_coords(molecule: Molecule) -> np.ndarray:
    """Cartesian coordinates (Å) about the origin.

    In the crown, eight atoms lie alternately h above and below a plane at a distance r from its
    axis. Next-nearest neighbours, 2 b sin(angle / 2) apart, span a quarter of the circle, which
    gives r; the bond b then gives h.
    """
    b = molecule.bond
    if molecule.kind == "dimer" or molecule.angle is None:
        # off the axes of the box, so that its symmetry does not tie degenerate orbitals
        axis = np.array([1.0, 1.0, 1.0]) / np.sqrt(3)
        return np.array([-axis * b / 2, axis * b / 2])
    radius = b * np.sin(np.radians(molecule.angle) / 2) / np.sin(np.pi / 4)
    height = np.sqrt(b**2 - (2 * radius * np.sin(np.pi / 8)) ** 2) / 2
    turn = np.arange(8) * np.pi / 4
    sign = np.where(np.arange(8) % 2 == 0, 1.0, -1.0)
    return np.column_stack([radius * np.cos(turn), radius * np.sin(turn), height * sign])


def formation_energy(
    energy_per_atom: float, composition: Composition | str, references: Mapping[str, float]
) -> float:
    r"""Heat of formation from the elements, eV/atom.

    Parameters
    ----------
    energy_per_atom
        Total energy of the compound, eV/atom.
    composition
        Its composition.
    references
        Energy of each element in its stable form by the same method, eV/atom.

    Returns
    -------
    float
        :math:`\Delta H_f = E - \sum_i x_i E_i` with atomic fractions x; at 0 K, without
        vibrations.

    Raises
    ------
    SSEError
        If an element has no reference.

    Examples
    --------
    >>> round(formation_energy(-4.0, "Li2O", {"Li": -1.9, "O": -4.9}), 3)
    -1.1
    """
    amounts = Composition(composition).get_el_amt_dict()
    missing = sorted(set(amounts) - set(references))
    if missing:
        raise SSEError(
            f"no reference energy of {', '.join(missing)}",
            compound=Composition(composition).reduced_formula,
            mend="Compute the elements by the same method, or give the heat of formation",
        )
    total = sum(amounts.values())
    return energy_per_atom - sum(n / total * references[el] for el, n in amounts.items())
