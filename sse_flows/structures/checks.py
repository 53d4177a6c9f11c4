"""Whether a structure that was read can be a crystal, and a compound made from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pymatgen.core import Composition, Structure

from sse_flows.errors import SSEError
from sse_flows.roles import assign_roles
from sse_flows.structures.compound import Compound
from sse_flows.structures.disorder import site_disorder
from sse_flows.structures.ordering import tidy
from sse_flows.structures.readers import Record

OVERLAP = 0.5
"""Shortest distance (Å) of two sites that must both be occupied."""
_FULL = 1.02
"""Sum of occupancies up to which rounding in a file is forgiven."""


def check_structure(structure: Structure, compound_id: str) -> None:
    """Refuse a structure that cannot be a crystal.

    Raises
    ------
    SSEError
        If a site is occupied more than once, or two sites closer than 0.5 Å must both be
        occupied at times.
    """
    for site in structure:
        if sum(site.species.values()) > _FULL:
            raise SSEError(
                f"site at {site.frac_coords.round(4).tolist()} has an occupancy of "
                f"{sum(site.species.values()):.3f}",
                compound=compound_id,
                mend="Correct the occupancies: those of one position must not exceed 1",
            )
    first, second, _, distance = structure.get_neighbor_list(OVERLAP, exclude_self=True)
    for i, j, d in zip(first, second, distance, strict=True):
        both = sum(structure[i].species.values()) + sum(structure[j].species.values())
        if both > _FULL:
            names = f"{structure[i].species_string} and {structure[j].species_string}"
            raise SSEError(
                f"{names} are {d:.2f} Å apart and cannot both be there (occupancies {both:.2f})",
                compound=compound_id,
                mend="Remove the duplicate atom or give the split positions their occupancies",
            )


def make_compound(
    record: Record, mobile_ions: str | Sequence[str], source: str, **known: Any
) -> Compound:
    """A checked compound, its disorder measured, from what a reader found.

    Raises
    ------
    SSEError
        If the structure is not sane, holds no mobile ion or no anion, or a property is out of
        its range.
    """
    check_structure(record.structure, record.id)
    roles = assign_roles(record.structure, mobile_ions, compound_id=record.id)
    formula = reduced_formula(record.structure)
    properties = {"formula": formula, "property_source": source, **known, **record.properties}
    if not {"band_gap", "formation_energy", "energy_above_hull"} & properties.keys():
        properties.pop("property_source")
    if "conductivity" in properties:
        properties.setdefault("conductivity_source", source)
    try:
        return Compound(
            compound_id=record.id,
            mobile_ion=roles.mobile,
            structure=record.structure,
            approximant=record.approximant,
            disorder=site_disorder(tidy(record.structure), roles),
            source=record.source or source,
            warnings=record.warnings,
            **properties,
        )
    except ValueError as error:
        raise SSEError(
            one_line(error), compound=record.id, mend="Correct the value and its unit"
        ) from error


def reduced_formula(structure: Structure) -> str:
    """Reduced formula, with the rounding errors of partial occupancies taken out."""
    amounts = structure.composition.get_el_amt_dict()
    return Composition({symbol: round(n, 3) for symbol, n in amounts.items()}).reduced_formula


def one_line(error: Exception) -> str:
    """The message of a foreign error, on one line of at most 200 characters."""
    return re.sub(r"\s+", " ", str(error))[:200]
