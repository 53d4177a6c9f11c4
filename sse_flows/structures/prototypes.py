"""Ordered crystals whose groups of sites are filled with other elements.

``prototypes.yaml`` beside this module lists the built-in ones. Any ordered structure can be one.
A prototype is its primitive cell with every site in a group; all sites of a group always carry the
same element. Mobile ions form one group, so do the sites of one anion; cations may differ between
sites that symmetry does not make equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sse_flows.errors import SSEError
from sse_flows.roles import Roles, assign_roles
from sse_flows.structures.conductors import Crystal, get_conductor
from sse_flows.structures.formulas import reduced_formulas

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    IntArray = NDArray[np.int64]

Grouping = Literal["site", "element"]
"""Whether sites that symmetry does not make equal may carry different elements, or never do."""

ROLES = ("mobile", "cation", "anion")
SYMPREC = 0.01
"""Tolerance (Å) within which sites are equal by symmetry."""
_NEIGHBOUR_DECIMALS = 2


class PrototypeEntry(BaseModel):
    """A line of the table of prototypes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="Unique lower-case name")
    name: str = Field(description="Name as written in the literature")
    formula: str = Field(description="Reduced formula, which the sites must give")
    family: str = Field(description="Family of structures, such as garnet")
    source: str = Field(description="Where the coordinates come from")
    conductor: str | None = Field(None, description="Built-in conductor whose crystal it is")
    crystal: Crystal | None = Field(None, description="Or a crystal of its own")

    @model_validator(mode="after")
    def _has_one_crystal(self) -> PrototypeEntry:
        if (self.conductor is None) == (self.crystal is None):
            raise ValueError("give either conductor or crystal")
        return self

    @property
    def structure(self) -> Structure:
        """The conventional cell."""
        if self.crystal is not None:
            return self.crystal.structure
        conductor = get_conductor(str(self.conductor))
        return (conductor.approximant or conductor).structure


@dataclass(frozen=True)
class SiteGroup:
    """Sites that always carry the same element.

    Attributes
    ----------
    name
        The element of the prototype, with a number where it has several groups (La1, La2).
    element
        Symbol of that element.
    role
        ``mobile``, ``cation`` or ``anion``.
    count
        Number of its sites in the primitive cell.
    """

    name: str
    element: str
    role: str
    count: int


@dataclass(frozen=True, eq=False)
class Prototype:
    """A primitive cell with its sites in groups.

    Attributes
    ----------
    id, name
        Short unique name, and the one for people.
    source
        Where the structure comes from.
    structure
        Primitive cell without oxidation states.
    groups
        Mobile ion first, then cations, then anions.
    labels
        Index of the group of every site, shape (sites,).
    """

    id: str
    name: str
    source: str
    structure: Structure
    groups: tuple[SiteGroup, ...]
    labels: IntArray

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return reduced_formulas(self.numbers[None, :], self.counts)[0]

    @cached_property
    def counts(self) -> IntArray:
        """Sites in each group, shape (groups,)."""
        return np.array([group.count for group in self.groups])

    @cached_property
    def numbers(self) -> IntArray:
        """Atomic number of each group in the prototype itself, shape (groups,)."""
        from pymatgen.core import Element

        return np.array([Element(group.element).Z for group in self.groups])

    def as_plain(self) -> dict[str, Any]:
        """All of it as lists, numbers and texts, which `from_plain` reads."""
        return {
            "id": self.id,
            "name": self.name,
            "source": self.source,
            "lattice": self.structure.lattice.matrix.tolist(),
            "symbols": [site.specie.symbol for site in self.structure],
            "positions": self.structure.frac_coords.tolist(),
            "groups": [asdict(group) for group in self.groups],
            "labels": self.labels.tolist(),
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Prototype:
        """A prototype from what `as_plain` gave."""
        from pymatgen.core import Lattice, Structure

        return cls(
            id=data["id"],
            name=data["name"],
            source=data["source"],
            structure=Structure(Lattice(data["lattice"]), data["symbols"], data["positions"]),
            groups=tuple(SiteGroup(**group) for group in data["groups"]),
            labels=np.array(data["labels"]),
        )

    @cached_property
    def images(self) -> tuple[IntArray, ...]:
        """How isometries of the sites mix the groups; each of shape (groups, groups), boolean.

        Only the role of a site counts. Entry [a, b] tells whether a site of group a lies where one
        of group b was. The identity comes first.
        """
        return _group_images(self)


def load_prototypes(
    ids: Sequence[str] | None = None,
    mobile_ion: str = "Li",
    cations: Grouping = "site",
    anions: Grouping = "element",
) -> list[Prototype]:
    """Built-in prototypes.

    Parameters
    ----------
    ids
        Which; by default all of the table.
    mobile_ion
        Element of the mobile ion in the prototypes.
    cations, anions
        How the sites of a role are grouped.

    Raises
    ------
    SSEError
        If there is no such prototype.
    """
    table = prototype_table()
    chosen = list(table) if ids is None else list(ids)
    return [_built_in(_entry(name, table).id, mobile_ion, cations, anions) for name in chosen]


def read_prototypes(
    sources: Iterable[str | Path],
    mobile_ion: str = "Li",
    cations: Grouping = "site",
    anions: Grouping = "element",
) -> list[Prototype]:
    """Prototypes by id, or from structure files.

    Raises
    ------
    SSEError
        If a source is neither a file nor an id, or its structure is disordered.
    """
    from sse_flows.structures.readers import read_records

    found: list[Prototype] = []
    for source in sources:
        path = Path(source)
        if not path.is_file():
            found += load_prototypes([str(source)], mobile_ion, cations, anions)
            continue
        for record in read_records(path):
            if isinstance(record, SSEError):
                raise record
            made = make_prototype(
                record.structure, record.id, mobile_ion, cations, anions, source=str(path)
            )
            found.append(made)
    taken = [one.id for one in found]
    twice = sorted({name for name in taken if taken.count(name) > 1})
    if twice:
        raise SSEError(
            f"two prototypes are called {', '.join(twice)}", mend="Rename one of the files"
        )
    return found


@cache
def prototype_table() -> dict[str, PrototypeEntry]:
    """Entries of the table of built-in prototypes by id."""
    import yaml

    text = (files("sse_flows.structures") / "prototypes.yaml").read_text(encoding="utf-8")
    entries = [PrototypeEntry.model_validate(entry) for entry in yaml.safe_load(text)]
    return {entry.id: entry for entry in entries}


def _entry(name: str, table: Mapping[str, PrototypeEntry]) -> PrototypeEntry:
    if name in table:
        return table[name]
    near = get_close_matches(name.lower(), table, n=3, cutoff=0.4) or list(table)
    raise SSEError(
        f"{name!r} is neither a file nor one of the {len(table)} built-in prototypes",
        mend=f"Give a structure file, or one of {', '.join(near)}",
    )


@cache
def _built_in(name: str, mobile_ion: str, cations: Grouping, anions: Grouping) -> Prototype:
    entry = prototype_table()[name]
    made = make_prototype(
        entry.structure, entry.id, mobile_ion, cations, anions, name=entry.name, source=entry.source
    )
    if made.formula != entry.formula:
        raise ValueError(f"{entry.id}: the sites give {made.formula}, not {entry.formula}")
    return made


def make_prototype(
    structure: Structure,
    id: str,
    mobile_ion: str = "Li",
    cations: Grouping = "site",
    anions: Grouping = "element",
    *,
    name: str | None = None,
    source: str = "",
) -> Prototype:
    """Make a prototype of an ordered structure.

    Parameters
    ----------
    structure
        The crystal, any cell, any order of sites.
    id
        Short unique name; ids of the children begin with it.
    mobile_ion
        Element of the mobile ion.
    cations, anions
        ``"site"``: sites that symmetry does not make equal are groups of their own;
        ``"element"``: all sites of an element are one group.
    name, source
        For people; by default the formula and nothing.

    Raises
    ------
    SSEError
        If sites are disordered or overlap, or there is no mobile ion or no anion.
    """
    from pymatgen.core import Structure
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    from sse_flows.structures.checks import check_structure

    if not structure.is_ordered:
        raise SSEError(
            f"{structure.composition.reduced_formula} has partially occupied sites",
            compound=id,
            mend="A prototype must be ordered: order it first, or give an ordered approximant",
        )
    check_structure(structure, id)
    roles = assign_roles(structure, mobile_ion, compound_id=id)
    symbols = [site.specie.symbol for site in structure]
    bare = Structure(structure.lattice, symbols, structure.frac_coords)  # no charges, no velocities
    cell = SpacegroupAnalyzer(bare, SYMPREC).find_primitive() or bare
    by = {"mobile": "element", "cation": cations, "anion": anions}
    keys = _site_keys(cell, [by[roles.group(site.specie.symbol)] for site in cell])
    order = sorted(set(keys), key=lambda key: (*_place(key[0], roles), key))
    groups = _named(order, keys, roles)
    labels = np.array([order.index(key) for key in keys])
    return Prototype(id, name or cell.composition.reduced_formula, source, cell, groups, labels)


_Key = tuple[str, int, tuple[float, ...], int]


def _site_keys(cell: Structure, grouping: Sequence[str]) -> list[_Key]:
    """What tells a site's group: the same for the same crystal, whatever its cell or order.

    Element, number of sites, and for groups by site the distances of the neighbours; the last
    entry parts inequivalent sites that have all of that in common.
    """
    import spglib

    numbers = [site.specie.Z for site in cell]
    data: Any = (cell.lattice.matrix, cell.frac_coords, numbers)
    symmetry = spglib.get_symmetry_dataset(data, symprec=SYMPREC)
    orbits = np.arange(len(cell)) if symmetry is None else symmetry.equivalent_atoms
    keys: list[_Key] = []
    for site, how in enumerate(grouping):
        symbol = cell[site].specie.symbol
        if how == "element":
            keys.append((symbol, numbers.count(numbers[site]), (), 0))
        else:
            orbit = int(orbits[site])
            keys.append((symbol, int((orbits == orbit).sum()), _surrounding(cell, orbit), orbit))
    return keys


def _surrounding(cell: Structure, site: int) -> tuple[float, ...]:
    """Rounded distances (Å) of the twelve nearest neighbours of a site."""
    reach = 2.5 * (cell.volume / len(cell)) ** (1 / 3)
    near = sorted(neighbour.nn_distance for neighbour in cell.get_neighbors(cell[site], reach))
    return tuple(round(distance, _NEIGHBOUR_DECIMALS) for distance in near[:12])


def _place(symbol: str, roles: Roles) -> tuple[int, float]:
    """Role and electronegativity of an element: groups come in this order."""
    from pymatgen.core import Element

    return ROLES.index(roles.group(symbol)), float(Element(symbol).X)


def _named(order: list[_Key], keys: list[_Key], roles: Roles) -> tuple[SiteGroup, ...]:
    """Groups in order, numbered where an element has several."""
    elements = [key[0] for key in order]
    groups = []
    for position, key in enumerate(order):
        symbol = key[0]
        several = elements.count(symbol) > 1
        number = elements[: position + 1].count(symbol) if several else ""
        role = roles.group(symbol)
        groups.append(SiteGroup(f"{symbol}{number}", symbol, role, keys.count(key)))
    return tuple(groups)


def _group_images(prototype: Prototype) -> tuple[IntArray, ...]:
    import spglib

    cell, labels = prototype.structure, prototype.labels
    roles = np.array([ROLES.index(prototype.groups[label].role) + 1 for label in labels])
    data: Any = (cell.lattice.matrix, cell.frac_coords, roles)
    found = spglib.get_symmetry(data, symprec=SYMPREC)
    size = len(prototype.groups)
    identity = np.eye(size, dtype=bool)
    images = {identity.tobytes(): identity}
    if found is None:
        return (identity,)
    for rotation, shift in zip(found["rotations"], found["translations"], strict=True):
        mapped = _site_map(cell, cell.frac_coords @ rotation.T + shift)
        mixed = np.zeros((size, size), dtype=bool)
        mixed[labels[mapped], labels] = True
        images.setdefault(mixed.tobytes(), mixed)
    return tuple(images.values())


def _site_map(cell: Structure, moved: NDArray[np.float64]) -> IntArray:
    """Site on which each moved site comes to lie, shape (sites,)."""
    shift = moved[:, None, :] - cell.frac_coords[None, :, :]
    shift -= np.round(shift)
    distance = np.linalg.norm(shift @ cell.lattice.matrix, axis=2)
    return np.argmin(distance, axis=1)
