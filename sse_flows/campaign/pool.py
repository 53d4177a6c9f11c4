"""The compounds of a campaign: gathered from all sources, checked, measured and merged."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pymatgen.core import Species, Structure

from sse_flows.campaign.manifest import Manifest, Structures
from sse_flows.errors import SSEError
from sse_flows.structures.compound import Compound

if TYPE_CHECKING:
    from sse_flows.codes.code import Code


@dataclass
class Pool:
    """Compounds by id, what each is for, and what was refused.

    Attributes
    ----------
    compounds
        Id -> compound, training compounds first.
    roles
        Id -> ``["train"]``, ``["screen"]`` or both.
    failures
        Id or file -> why it was refused, in one line.
    """

    compounds: dict[str, Compound] = field(default_factory=dict)
    roles: dict[str, list[str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def read_pool(manifest: Manifest, base: Path) -> Pool:
    """Gather the compounds that a campaign trains on and screens.

    Parameters
    ----------
    manifest
        The campaign.
    base
        Folder that relative paths refer to.

    Raises
    ------
    SSEError
        A source as a whole cannot be read; a single broken entry is a failure of the pool instead.
    """
    pool = Pool()
    for role, source in (("train", manifest.train), ("screen", manifest.screen)):
        for compound in _gather(source, role, manifest, base, pool):
            _add(pool, compound, role)
    if manifest.train.conductivities:
        _add_conductivities(pool, base / manifest.train.conductivities)
    if manifest.merge_duplicates:
        _merge(pool)
    return pool


def refuse_what_the_code_cannot(pool: Pool, code: Code) -> None:
    """Take compounds of elements that the code cannot treat out of the pool, with the reason."""
    for compound_id, compound in list(pool.compounds.items()):
        try:
            code.of(elements_of(compound))
        except SSEError as error:
            pool.failures[compound_id] = f"{error.message}. {error.mend}"
            del pool.compounds[compound_id], pool.roles[compound_id]


def elements_of(compound: Compound) -> list[str]:
    """Symbols of the elements that a calculation of the compound meets."""
    structure = compound.approximant or compound.structure
    return sorted(element.symbol for element in structure.composition.element_composition)


def without_charges(structure: Structure) -> tuple[Structure, dict[str, float] | None]:
    """Bare structure and its oxidation states by element, None where it carries none."""
    charges = {
        species.symbol: float(species.oxi_state)
        for site in structure
        for species in site.species
        if isinstance(species, Species) and species.oxi_state is not None
    }
    if not charges:
        return structure, None
    bare = structure.copy()
    bare.remove_oxidation_states()
    return bare, charges


def _gather(
    source: Structures, role: str, manifest: Manifest, base: Path, pool: Pool
) -> list[Compound]:
    from sse_flows.structures.intake import from_conductors, from_paths
    from sse_flows.structures.materials_project import from_materials_project

    ions = manifest.mobile_ions
    found = []
    if source.conductors:
        found.append(from_conductors(source.conductors, ions))
    if source.files:
        files = from_paths([base / name for name in source.files], ions)
        found.append(files)
        for number, compound in enumerate(files.compounds):
            files.compounds[number] = _named_from(compound, base)
    if source.materials_project:
        query = source.materials_project
        found.append(
            from_materials_project(
                ids=query.ids,
                chemsys=query.chemsys,
                energy_above_hull_max=query.energy_above_hull_max,
                mobile_ions=ions,
            )
        )
    for intake in found:
        pool.failures.update(intake.failures)
    return [compound for intake in found for compound in intake.compounds]


_SOURCES = ("source", "property_source", "conductivity_source")


def _named_from(compound: Compound, base: Path) -> Compound:
    """The compound with its files named from the campaign's folder, wherever that lies."""
    here = f"{base}/"  # what does not begin with it is a DOI, or a file elsewhere
    named = {field: getattr(compound, field) for field in _SOURCES}
    update = {field: text.removeprefix(here) for field, text in named.items() if text}
    return compound.model_copy(update=update)


def _add(pool: Pool, compound: Compound, role: str) -> None:
    """Add a compound; the same id twice is the same compound or is told apart by a number."""
    known = pool.compounds.get(compound.compound_id)
    if known is not None and known.structure == compound.structure:
        pool.roles[compound.compound_id].append(role)
        return
    if known is not None:
        number = 2
        while f"{compound.compound_id}-{number}" in pool.compounds:
            number += 1
        compound = compound.model_copy(update={"compound_id": f"{compound.compound_id}-{number}"})
    pool.compounds[compound.compound_id] = compound
    pool.roles[compound.compound_id] = [role]


def _add_conductivities(pool: Pool, path: Path) -> None:
    from sse_flows.structures.conductivities import read_conductivities

    for compound_id, measured in read_conductivities(path).items():
        if compound_id not in pool.compounds:
            pool.failures[compound_id] = f"in {path.name} but no structure has this id"
            continue
        compound = pool.compounds[compound_id]
        compound.conductivity, compound.conductivity_source = measured.conductivity, measured.source


def _merge(pool: Pool) -> None:
    from sse_flows.structures.duplicates import merge_duplicates

    kept = merge_duplicates(list(pool.compounds.values()))
    for compound in kept:
        roles = set(pool.roles[compound.compound_id])
        for alias in compound.aliases:
            roles.update(pool.roles.get(alias, []))
        pool.roles[compound.compound_id] = sorted(roles, key=["train", "screen"].index)
    pool.compounds = {compound.compound_id: compound for compound in kept}
    pool.roles = {compound_id: pool.roles[compound_id] for compound_id in pool.compounds}
