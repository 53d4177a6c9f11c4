"""The jobs that a campaign adds to those of codes and phonons; each calls one function."""

from __future__ import annotations

import os
import sys
from typing import Any

from jobflow import job
from pymatgen.core import Structure

from sse_flows.descriptors.document import DescriptorSet
from sse_flows.models.document import TrainedModels
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.screening.document import Filters, ScreeningResult
from sse_flows.screening.versions import ModelVersion
from sse_flows.structures.compound import Compound

PROGRESS = "SSE_PROGRESS"
"""Variable of the environment: whether training says on standard error how far it is. It is no
argument of the job, whose id must not depend on it."""


@job
def order_structure(
    structure: Structure, charges: dict[str, float] | None, max_atoms: int, timeout: float
) -> dict[str, Any]:
    """Ordered primitive cell (``structure``) and what was done to get it (``warnings``)."""
    from sse_flows.structures.ordering import order

    ordering = order(structure, charges, max_atoms=max_atoms, timeout=timeout)
    return {"structure": ordering.structure, "warnings": ordering.warnings}


@job
def elemental_energies(energies: dict[str, float | None]) -> dict[str, float | None]:
    """Gather the energies per atom (eV) of the elements; None where a calculation failed."""
    return energies


@job(output_schema=DescriptorSet)
def describe_compound(
    compound: Compound,
    dynamics: LatticeDynamics,
    ordering_warnings: list[str],
    references: dict[str, float | None],
    band_gap: float | None = None,
) -> DescriptorSet:
    """All 30 descriptors of a compound.

    Parameters
    ----------
    compound
        The compound with the disorder of its experimental structure.
    dynamics
        Its lattice dynamics, with the energy of the relaxed cell.
    ordering_warnings
        What happened when it was ordered.
    references
        Energy per atom of each element's ground state by the same method, eV; None where its
        calculation failed. Used where the source of the structure knows no heat of formation.
    band_gap
        As the code of the campaign gives it, eV; used where the source knows none.
    """
    from sse_flows.descriptors.describe import describe
    from sse_flows.structures.elements import formation_energy

    compound.warnings.extend(ordering_warnings)
    known = {symbol: energy for symbol, energy in references.items() if energy is not None}
    elements = {element.symbol for element in dynamics.primitive.composition.elements}
    heat = source = None
    energy = dynamics.energy_per_atom
    if compound.formation_energy is None and energy is not None and elements <= set(known):
        heat = formation_energy(energy, dynamics.primitive.composition, known)
        source = f"{dynamics.method}, against the elements by the same method"
    gap = band_gap if compound.band_gap is None else None
    return describe(
        compound,
        dynamics,
        formation_energy=heat,
        formation_energy_source=source,
        band_gap=gap,
        band_gap_source=None if gap is None else dynamics.method,
    )


@job(output_schema=TrainedModels)
def train_models(
    sets: list[DescriptorSet | None],
    table: str | None,
    table_hash: str | None,
    settings: dict,
    conductivities: dict[str, float] | None = None,
    properties: dict[str, dict[str, float]] | None = None,
    sets_hash: str | None = None,
) -> TrainedModels:
    """Train on the compounds computed here, together with a table computed before.

    Parameters
    ----------
    sets
        Descriptors; None for a compound that failed.
    table
        ``"builtin"``, the path of a CSV file, or None. Rows of compounds computed here are left
        out in favour of the new ones.
    table_hash
        SHA-256 of the table, so that another table is another job.
    settings
        Keyword arguments of :func:`sse_flows.models.train.train`.
    conductivities
        Measured, S/cm by id, in place of those of the descriptors.
    properties
        Band gaps (eV) and energies above hull (eV/atom) by id, likewise.
    sets_hash
        Of the content of `sets`, where they are references to documents that may be replaced.
    """
    from sse_flows.campaign.tables import joined_table
    from sse_flows.models.progress import silent
    from sse_flows.models.train import train

    note = _on_stderr if os.environ.get(PROGRESS) else silent
    return train(joined_table(sets, table, conductivities, properties), **settings, note=note)


def _on_stderr(text: str) -> None:
    print(f"[{text}]", file=sys.stderr, flush=True)  # noqa: T201


@job(output_schema=ScreeningResult)
def screen_pool(
    sets: list[DescriptorSet | None],
    models: TrainedModels,
    filters: Filters,
    properties: dict[str, dict[str, float]] | None = None,
    sets_hash: str | None = None,
) -> ScreeningResult:
    """Rank the pool; compounds that failed are left out. Arguments as of `train_models`."""
    from sse_flows.campaign.tables import joined_table
    from sse_flows.screening.rank import screen

    return screen(joined_table(sets, None, properties=properties), models, filters)


@job(output_schema=ModelVersion)
def version_models(
    name: str,
    made: tuple[TrainedModels, ScreeningResult],
    jobs: tuple[str, str],
    fingerprints: dict[str, str],
    settings: dict[str, Any],
    previous: tuple[ModelVersion, TrainedModels, ScreeningResult] | None,
    previous_job: str | None,
) -> ModelVersion:
    """Number the models, and say what changed since the version before.

    Parameters
    ----------
    name
        Of the series of versions.
    made, jobs
        Models and screening of this version, and the ids of their jobs.
    fingerprints
        SHA-256 of the descriptors by compound id; of compounds of another table there is none.
    settings
        Of training and screening.
    previous, previous_job
        The version before with its models and screening, and its job; None for the first.
    """
    from sse_flows.screening.versions import compare_versions, describe_version

    version = describe_version(name, made, jobs, fingerprints, settings)
    if previous is None:
        return version
    numbered = {"version": previous[0].version + 1, "previous_job": previous_job}
    version = version.model_copy(update=numbered)
    before, models, screening = previous  # a list by now: JSON knows no tuples
    changes = compare_versions((before, models, screening), (version, made[0], made[1]))
    return version.model_copy(update={"changes": changes})
