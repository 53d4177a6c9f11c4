"""A campaign file becomes one jobflow Flow. Start reading here.

    order ──> relax ──> phonons ──> descriptors ─┐
    (one chain a compound)                       ├──> models ──> screening
    references (relaxed elements) ──> descriptors┘

Every job carries its compound and stage in its metadata, and an id made from its content.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import Flow, Job, JobConfig, OnMissing
from pydantic import BaseModel, Field, ValidationError

from sse_flows.campaign.jobs import (
    describe_compound,
    elemental_energies,
    order_structure,
    screen_pool,
    train_models,
)
from sse_flows.campaign.keys import KeyedFlow, keyed
from sse_flows.campaign.manifest import Manifest, read_manifest
from sse_flows.campaign.places import PLAN_FILE
from sse_flows.campaign.pool import (
    Pool,
    elements_of,
    read_pool,
    refuse_what_the_code_cannot,
    without_charges,
)
from sse_flows.campaign.tables import table_hash, table_path
from sse_flows.errors import SSEError
from sse_flows.files import write_whole
from sse_flows.structures.compound import Compound

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from sse_flows.codes.code import Code

STAGES = ("order", "relax", "phonons", "descriptors")
"""What happens to each compound, in this order."""

REFERENCES = "references"
"""Stage of the relaxed elements, which belong to no compound."""


class Plan(BaseModel):
    """Which job gives what: enough to read a campaign's results without building it again."""

    name: str = Field(description="Name of the campaign")
    roles: dict[str, list[str]] = Field(description="Compound -> 'train' and/or 'screen'")
    jobs: dict[str, dict[str, str]] = Field(description="Compound -> stage -> job id")
    models: str | None = Field(None, description="Job of the trained models")
    screening: str | None = Field(None, description="Job of the screening")
    failures: dict[str, str] = Field(
        default_factory=dict, description="What was refused before anything ran, and why"
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="The campaign file as it was planned; empty: not known"
    )

    def changed(self, manifest: Manifest) -> list[str]:
        """Sections of a campaign file that are not as they were when it was planned."""
        now = settings_of(manifest) if self.settings else {}
        return [name for name, value in now.items() if self.settings.get(name) != value]

    def write(self, folder: Path) -> None:
        """Write into the results folder, whole or not at all."""
        write_whole(folder / PLAN_FILE, self.model_dump_json(indent=1))

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Read from the results folder.

        Raises
        ------
        SSEError
            The campaign has not been run yet, or the file is damaged.
        """
        path = folder / PLAN_FILE
        if not path.is_file():
            raise SSEError(
                f"no results in {folder}", mend="Run the campaign first, by sse run or sse submit"
            )
        try:
            return cls.model_validate_json(path.read_text())
        except ValidationError as error:
            raise SSEError(
                f"{path} is damaged or of another version of sse-flows",
                mend="Run the campaign again: it writes the file anew and keeps all results",
            ) from error


class Campaign:
    """A checked campaign file and what follows from it.

    Parameters
    ----------
    manifest
        The checked content of the file.
    base
        Folder that relative paths refer to; the file's own.

    Examples
    --------
    >>> campaign = Campaign.from_file("campaign.yaml")  # doctest: +SKIP
    >>> flow = campaign.flow()  # doctest: +SKIP
    """

    def __init__(self, manifest: Manifest, base: Path | str = "."):
        self.manifest = manifest
        self.base = Path(base).resolve()

    @classmethod
    def from_file(cls, path: str | Path) -> Campaign:
        """Read a campaign file; see :func:`sse_flows.campaign.manifest.read_manifest`."""
        return cls(read_manifest(path), Path(path).resolve().parent)

    @property
    def folder(self) -> Path:
        """Where results go."""
        name = self.manifest.results.folder.replace("{name}", self.manifest.name)
        return (self.base / Path(name).expanduser()).resolve()

    @cached_property
    def pool(self) -> Pool:
        """Compounds to compute, what each is for, and what was refused."""
        return read_pool(self.manifest, self.base)

    @cached_property
    def _built(self) -> tuple[KeyedFlow, Plan]:
        return _Builder(self).build()

    def keyed(self) -> KeyedFlow:
        """The whole campaign with content keys, as plain data.

        Raises
        ------
        SSEError
            The code cannot be used, a table is missing, or no compound is left.
        """
        return self._built[0]

    @cached_property
    def _flow(self) -> Flow:
        return self.keyed().decoded()

    def flow(self) -> Flow:
        """The whole campaign as one flow with content keys, for any launcher of jobflow.

        Raises
        ------
        SSEError
            As :meth:`keyed`.
        """
        return self._flow

    def plan(self) -> Plan:
        """Which job of :meth:`flow` gives what."""
        return self._built[1]


class _Builder:
    """Makes the flow of one campaign."""

    def __init__(self, campaign: Campaign):
        self.manifest = campaign.manifest
        self.pool = campaign.pool
        self.base = campaign.base
        self.code = make_code(self.manifest)
        self.references: dict[str, Job] = {}
        self.described: dict[str, Job] = {}

    def build(self) -> tuple[KeyedFlow, Plan]:
        table = self._table()
        self.code.of([])  # what the code lacks altogether is no fault of a compound
        refuse_what_the_code_cannot(self.pool, self.code)
        if not self.pool.compounds and table is None:
            reasons = "; ".join(f"{k}: {v}" for k, v in self.pool.failures.items())
            raise SSEError(f"no compound is left to compute. {reasons}".strip())
        chains = [self._chain(compound) for compound in self.pool.compounds.values()]
        tail = self._tail(table)
        flow = keyed(Flow([*self.references.values(), *chains, *tail], name=self.manifest.name))
        return flow, self._plan(flow)

    def _chain(self, compound: Compound) -> Flow:
        """Order, relax, phonons and descriptors of one compound."""
        from sse_flows.phonons.flow import LatticeDynamicsMaker

        phonons = self.manifest.phonons
        limits = self.manifest.ordering
        code = self.code.of(elements_of(compound))
        structure, charges = without_charges(compound.approximant or compound.structure)
        order = order_structure(structure, charges, limits.max_atoms, limits.timeout)
        cell, magnetic = order.output["structure"], self._magnetic_cell(compound, structure)
        relax = self._relax_maker(code).make(cell if magnetic is None else magnetic)
        if magnetic is not None:
            code = code.with_order(relax.output.structure)
        maker = LatticeDynamicsMaker(
            phonon_maker=code.phonon_maker(phonons.displacement),
            method=code.method,
            supercell=phonons.supercell,
            min_length=phonons.min_length,
            max_atoms=phonons.max_atoms,
            supercell_maker=code.supercell_maker(),
            born_maker=code.born_maker() if phonons.born_charges else None,
        )
        gap = relax.output.output.band_gap if code.gives_band_gap else None
        dynamics = maker.make(
            relax.output.structure,
            compound.compound_id,
            relax.output.output.energy,
            band_gap=gap,
        )
        energies = elemental_energies(self._energies(compound))
        energies.config = _tolerant()
        describe = describe_compound(
            compound.model_copy(update={"moments": None}),  # no descriptor is made of them
            dynamics.output,
            order.output["warnings"],
            energies.output,
            **({} if gap is None else {"band_gap": gap}),
        )
        self.described[compound.compound_id] = describe
        stages = zip(STAGES, (order, relax, dynamics, Flow([energies, describe])), strict=True)
        parts = [_label(part, stage, compound.compound_id) for stage, part in stages]
        return Flow(parts, name=compound.compound_id)

    def _magnetic_cell(self, compound: Compound, structure: Structure) -> Structure | None:
        """The cell of a magnetic order that the source gives, where the code keeps one."""
        from sse_flows.codes.spin import has_order, ordered_cell

        if not (self.code.keeps_order and structure.is_ordered):
            return None
        if compound.moments and compound.approximant is None:
            structure = structure.copy(site_properties={"magmom": compound.moments})
        return ordered_cell(structure) if has_order(structure) else None

    def _relax_maker(self, code: Code) -> Any:
        return code.relax_maker(self.manifest.relax.force_max, self.manifest.relax.steps)

    def _energies(self, compound: Compound) -> dict[str, Any]:
        """Energy per atom of each element, as references to jobs that relax the elements."""
        if not self.manifest.formation_energies or compound.formation_energy is not None:
            return {}
        symbols = sorted({element.symbol for element in compound.structure.composition.elements})
        return {symbol: self._reference(symbol) for symbol in symbols}

    def _reference(self, symbol: str) -> Any:
        from sse_flows.structures.elements import element_structure, is_molecule

        if symbol not in self.references:
            try:
                structure = element_structure(symbol)
            except SSEError:
                return None
            maker = self._relax_maker(self.code.of([symbol]))
            maker.relax_cell = not is_molecule(symbol)
            job = maker.make(structure)
            _label(job, REFERENCES, symbol)
            self.references[symbol] = job
        return self.references[symbol].output.output.energy_per_atom

    def _table(self) -> str | None:
        table = self.manifest.train.table
        if table in (None, "builtin"):
            return table
        return str(table_path(str(self.base / str(table))))

    def _tail(self, table: str | None) -> list[Job]:
        """Models and screening, from whatever compounds came through."""
        if self.manifest.train.empty and table is None:
            return []
        models = self.manifest.models
        train = train_models(
            [job.output for id_, job in self.described.items() if "train" in self.pool.roles[id_]],
            table,
            None if table is None else table_hash(table),
            {
                "threshold": models.threshold,
                "max_features": models.max_features,
                "n_estimators": models.trees,
                "random_state": models.random_state,
                "nested": models.nested,
                "elimination": models.elimination,
            },
        )
        jobs = [_label(train, "models", None)]
        pool = [
            job.output for id_, job in self.described.items() if "screen" in self.pool.roles[id_]
        ]
        if pool:
            screen = screen_pool(pool, train.output, self.manifest.filters)
            jobs.append(_label(screen, "screening", None))
        for job in jobs:
            job.config = _tolerant()
        return jobs

    def _plan(self, flow: KeyedFlow) -> Plan:
        plan = Plan(
            name=self.manifest.name,
            roles=self.pool.roles,
            jobs={id_: dict.fromkeys(STAGES, "") for id_ in self.pool.compounds},
            failures=self.pool.failures,
            settings=settings_of(self.manifest),
        )
        place = {uuid: number for number, uuid in enumerate(flow.parents)}
        for job in sorted(flow.jobs(), key=lambda job: place[job["uuid"]]):
            stage, compound = job["metadata"]["stage"], job["metadata"].get("compound")
            if stage in STAGES:  # the last job of a stage gives its document
                plan.jobs[compound][stage] = job["uuid"]
            elif stage == "models":
                plan.models = job["uuid"]
            elif stage == "screening":
                plan.screening = job["uuid"]
        return plan


def make_code(manifest: Manifest) -> Code:
    """The code of a campaign."""
    return manifest.code.make()


def _label(part: Flow | Job, stage: str, compound: str | None) -> Any:
    part.update_metadata({"stage": stage, "compound": compound}, dynamic=True)
    return part


def _tolerant() -> JobConfig:
    # a compound that failed must not keep the others from being used
    return JobConfig(on_missing_references=OnMissing.NONE)


def settings_of(manifest: Manifest) -> dict[str, Any]:
    """The settings of a campaign as plain data, for the report."""
    return json.loads(manifest.model_dump_json())
