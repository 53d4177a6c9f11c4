"""Crystals of a pool as arrays: a pymatgen Structure for each would cost more than its features.

One line of JSON is one crystal, in either of two forms: ``{"id", "f", "cell", "sp", "xyz"}`` with
the cell as [a, b, c, α, β, γ] (Å, degrees), element symbols and fractional coordinates; or
``{"id", "structure"}`` with pymatgen's plain structure. Both may carry ``ehull`` or
``energy_above_hull`` (eV/atom) and ``gap`` or ``band_gap`` (eV).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sse_flows.descriptors.crystal.arrays import CrystalArrays, atomic_numbers, read_crystal
from sse_flows.descriptors.crystal.cells import lattice_vectors
from sse_flows.errors import SSEError, one_line
from sse_flows.structures.formulas import reduced_formula

if TYPE_CHECKING:
    from pymatgen.core import Structure

_MEND = 'Write {"id", "cell": [a, b, c, α, β, γ], "sp": [...], "xyz": [[...]]} on every line'


@dataclass(frozen=True)
class LightCrystal:
    """One crystal of a pool and what the pool knows of it.

    Attributes
    ----------
    id
        Its name in the pool.
    crystal
        Lattice, atomic numbers, positions.
    energy_above_hull
        eV/atom; None where not known.
    band_gap
        eV; None where not known.
    """

    id: str
    crystal: CrystalArrays
    energy_above_hull: float | None = None
    band_gap: float | None = None

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return reduced_formula(Counter(self.crystal.numbers.tolist()))

    @property
    def structure(self) -> Structure:
        """The crystal as pymatgen's."""
        from pymatgen.core import Lattice, Structure

        lattice, numbers, positions = self.crystal
        return Structure(Lattice(lattice), numbers.tolist(), positions)


def parse_line(line: bytes | str, place: str) -> LightCrystal | None:
    """The crystal of a line; None for an empty one or a header.

    Parameters
    ----------
    line
        JSON.
    place
        Where it stands, such as ``pool.jsonl:17``: the id where it gives none.

    Raises
    ------
    SSEError
        It is no JSON, or no ordered crystal.
    """
    if not line.strip():
        return None
    try:
        record = json.loads(line)
    except ValueError as error:
        raise SSEError(f"this is not JSON ({error})", compound=place, mend=_MEND) from error
    if not isinstance(record, dict):
        raise SSEError("this is no JSON object", compound=place, mend=_MEND)
    if not record.keys() & {"structure", "cell", "sp", "xyz", "@class"}:
        return None
    return from_record(record, place)


def from_record(record: Mapping[str, Any], place: str) -> LightCrystal:
    """The crystal of a record; see the module for its form.

    Raises
    ------
    SSEError
        It is no ordered crystal, or a property is no number.
    """
    name = str(record.get("id") or record.get("compound_id") or record.get("material_id") or place)
    try:
        crystal = _crystal(record, name)
        hull = _number(record, "ehull", "energy_above_hull")
        gap = _number(record, "gap", "band_gap")
    except SSEError as error:
        raise SSEError(error.message, compound=name, mend=error.mend) from error
    except Exception as error:  # data from anywhere fails in any way
        raise SSEError(f"no crystal ({one_line(error)})", compound=name, mend=_MEND) from error
    return LightCrystal(name, crystal, hull, gap)


def _crystal(record: Mapping[str, Any], name: str) -> CrystalArrays:
    plain = record if record.get("@class") == "Structure" else record.get("structure")
    if plain is not None:
        from sse_flows.structures.readers import structure_from_plain

        return read_crystal(structure_from_plain(plain, name))
    species = record["sp"]
    if not all(isinstance(symbol, str) for symbol in species):
        raise SSEError("a species is no element symbol", mend=_MEND)
    lattice = lattice_vectors(record["cell"])
    positions = np.array(record["xyz"], float).reshape(-1, 3)
    return read_crystal(CrystalArrays(lattice, atomic_numbers(species), positions))


def _number(record: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = record.get(name)
        if value is not None:
            number = float(value)
            return number if np.isfinite(number) else None
    return None
