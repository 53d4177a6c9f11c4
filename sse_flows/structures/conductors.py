"""The built-in table of solid electrolytes with a measured conductivity.

``conductors.yaml`` beside this module lists Li and Na conductors with the conductivity at room
temperature, the crystal structure (space group, cell, Wyckoff positions with occupancies) and the
DOI of each. The models are trained on it, so it holds poor conductors as well as good ones.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from pymatgen.core import Structure
    from pymatgen.core.operations import SymmOp
    from pymatgen.symmetry.groups import SpaceGroup

    FloatArray = NDArray[np.float64]

SUPERIONIC = 1e-4
"""Conductivity (S/cm) at room temperature above which a compound counts as superionic."""

DOI_PATTERN = r"^10\.\d{4,9}/\S+$"

_MERGE_TOLERANCE = 1e-3
"""Fractional distance below which two images of a site are one: coordinates carry five decimals."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConductorSite(_Entry):
    """A Wyckoff position and what occupies it."""

    label: str = Field(description="Name of the site within the compound, such as Li1")
    wyckoff: str = Field(
        pattern=r"^\d+[a-zA-Z]$",
        description="Multiplicity and letter, such as 2b",
    )
    species: dict[str, float] = Field(description="Element: occupancy, 0 < occupancy <= 1 in sum")
    xyz: tuple[float, float, float] = Field(
        description="Fractional coordinates of one representative"
    )


class ConductorLattice(_Entry):
    """The conventional cell."""

    a: float = Field(gt=0, description="Length of the first edge, Å")
    b: float = Field(gt=0, description="Length of the second edge, Å")
    c: float = Field(gt=0, description="Length of the third edge, Å")
    alpha: float = Field(gt=0, lt=180, description="Angle between b and c, degrees")
    beta: float = Field(gt=0, lt=180, description="Angle between a and c, degrees")
    gamma: float = Field(gt=0, lt=180, description="Angle between a and b, degrees")


class ConductorSpaceGroup(_Entry):
    """The space group, in pymatgen's default setting."""

    symbol: str = Field(description="Hermann-Mauguin symbol, such as P6_3/mmc")
    number: int = Field(ge=1, le=230, description="Number in the International Tables")


class Crystal(_Entry):
    """A crystal by its space group, conventional cell and symmetry-distinct sites."""

    space_group: ConductorSpaceGroup = Field(description="Space group")
    lattice: ConductorLattice = Field(description="Conventional cell, Å and degrees")
    sites: tuple[ConductorSite, ...] = Field(min_length=1, description="Symmetry-distinct sites")

    @property
    def is_ordered(self) -> bool:
        """Whether every site is filled by one element."""
        return all(list(site.species.values()) == [1.0] for site in self.sites)

    @property
    def structure(self) -> Structure:
        """The conventional cell (disordered where the crystal is), without oxidation states."""
        from pymatgen.core import Composition, Lattice, Structure

        operations = _space_group(self.space_group.number).symmetry_ops
        return Structure.from_spacegroup(
            self.space_group.number,
            Lattice.from_parameters(*self.lattice.model_dump().values()),
            [Composition(site.species) for site in self.sites],
            [_on_position(np.array(site.xyz), operations) for site in self.sites],
            labels=[site.label for site in self.sites],
            tol=_MERGE_TOLERANCE,
        )


@cache
def _space_group(number: int) -> SpaceGroup:
    """Pymatgen's space group, kept: it makes the operations anew (1 s for Fm-3m) once forgotten."""
    from pymatgen.symmetry.groups import SpaceGroup

    return SpaceGroup.from_int_number(number)


def _on_position(xyz: FloatArray, operations: Iterable[SymmOp]) -> FloatArray:
    """Move a rounded coordinate (3,) exactly onto its Wyckoff position: average its near images."""
    shifts = np.array([operation.operate(xyz) - xyz for operation in operations])
    shifts -= np.round(shifts)
    stay = np.abs(shifts).max(axis=1) < _MERGE_TOLERANCE
    return xyz + shifts[stay].mean(axis=0)


class Approximant(Crystal):
    """An ordered (or more easily ordered) crystal near a disordered one, for calculations."""

    source: str = Field(description="Database entry or construction the approximant comes from")


class Conductor(Crystal):
    """A solid electrolyte: its measured conductivity and its crystal structure.

    Examples
    --------
    >>> get_conductor("li3n-beta").structure.composition.reduced_formula
    'Li3N'
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="Unique lower-case name")
    name: str = Field(description="Name as written in the literature, such as β-Li3N")
    formula: str = Field(description="Reduced formula, which the sites must give")
    mobile_ion: str = Field(description="Element that carries the current")
    family: str = Field(description="Family of conductors, such as argyrodite or NASICON")
    conductivity: float = Field(gt=0, description="Ionic conductivity, S/cm")
    conductivity_bound: Literal["upper"] | None = Field(
        default=None, description="'upper' where the measurement gives only an upper bound"
    )
    temperature: float = Field(gt=0, description="Temperature of the conductivity, K")
    conductivity_doi: str = Field(pattern=DOI_PATTERN, description="Source of the conductivity")
    structure_doi: str | None = Field(
        default=None, pattern=DOI_PATTERN, description="Source of the structure, if a paper"
    )
    structure_source: str | None = Field(
        default=None, description="Source of the structure, if there is no DOI to cite for it"
    )
    band_gap: float | None = Field(default=None, ge=0, description="Band gap (PBE), eV")
    band_gap_source: str | None = Field(
        default=None, description="Database entry of the band gap and the energy above hull"
    )
    energy_above_hull: float | None = Field(
        default=None, ge=0, description="Energy above the convex hull, eV/atom"
    )
    oxidation_states: dict[str, float] | None = Field(
        default=None, description="Mean charge of each element, e, where a guess would fail"
    )
    approximant: Approximant | None = Field(
        default=None,
        description="Crystal to calculate with where ordering the published one needs a large cell",
    )
    notes: str = Field(default="", description="What a reader of the numbers should know")

    @property
    def is_superionic(self) -> bool:
        """Whether the conductivity exceeds 1e-4 S/cm."""
        return self.conductivity > SUPERIONIC


@cache
def _table() -> dict[str, Conductor]:
    import yaml

    text = (files("sse_flows.structures") / "conductors.yaml").read_text(encoding="utf-8")
    conductors = [Conductor.model_validate(entry) for entry in yaml.safe_load(text)]
    return {conductor.id: conductor for conductor in conductors}


def load_conductors() -> list[Conductor]:
    """All built-in conductors, in the order of the table.

    The table is read and validated once in a process.
    """
    return list(_table().values())


def get_conductor(id: str) -> Conductor:
    """One built-in conductor by its id.

    Parameters
    ----------
    id
        Such as ``"li3n-beta"``.

    Raises
    ------
    SSEError
        If there is no such id; the message lists near matches.
    """
    table = _table()
    if id in table:
        return table[id]
    near = get_close_matches(id.lower(), table, n=5, cutoff=0.4)
    raise SSEError(
        f"{id!r} is not one of the {len(table)} built-in conductors",
        compound=id,
        mend=f"did you mean {', '.join(near)}?" if near else "load_conductors() lists all of them",
    )
