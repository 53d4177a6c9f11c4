"""Retraining as a Flow: the descriptors of a store and measured conductivities, model by version.

    descriptors (references) ─┬─> train_models ──> screen_pool ──> version_models
    measured conductivities ──┘        └────────────────────────────────┘

Every job has a content key, so what is unchanged is found in the store and not computed again. A
version builds on the one before, which is part of its content: without a change in descriptors,
conductivities or settings the flow of the latest version comes out again, and there is nothing to
do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import Flow, Maker, OutputReference

from sse_flows.campaign.events import read_events
from sse_flows.campaign.graph import Graph
from sse_flows.campaign.jobs import screen_pool, train_models, version_models
from sse_flows.campaign.keys import with_content_keys
from sse_flows.campaign.run import LocalRunner, Watcher
from sse_flows.campaign.tables import table_hash, table_path
from sse_flows.campaign.versions import Stored, latest_version, stored_version
from sse_flows.descriptors.document import DescriptorSet
from sse_flows.errors import SSEError
from sse_flows.models.defaults import MAX_FEATURES
from sse_flows.moments import in_utc
from sse_flows.screening.document import Filters
from sse_flows.screening.versions import ModelVersion

if TYPE_CHECKING:
    from jobflow import JobStore

RUN_FOLDER = "retrain"
"""Within the results folder: log, lock and working folders, apart from those of a campaign."""


@dataclass
class Inputs:
    """What a retraining starts from.

    Attributes
    ----------
    sets
        Descriptors of all compounds, those with and those without a measured conductivity.
    references
        Id of the stored document of each, by compound id.
    conductivities
        Measured, S/cm by compound id, in place of those of the descriptors.
    properties
        Band gaps (eV) and energies above hull (eV/atom) by compound id, likewise.
    """

    sets: list[DescriptorSet]
    references: dict[str, str]
    conductivities: dict[str, float] = field(default_factory=dict)
    properties: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep what belongs to the sets: other lines of a table change nothing."""
        names = {one.compound_id for one in self.sets}
        self.conductivities = {
            k: self.conductivities[k] for k in sorted(names & {*self.conductivities})
        }
        self.properties = {k: self.properties[k] for k in sorted(names & {*self.properties})}

    @property
    def measured(self) -> list[DescriptorSet]:
        """Sets with a measured conductivity."""
        return [
            one
            for one in self.sets
            if one.compound_id in self.conductivities or one.conductivity is not None
        ]


@dataclass
class RetrainMaker(Maker):
    """Makes the flow that trains models, screens the pool and writes a version.

    Parameters
    ----------
    name
        Of the series of versions, and of the flow.
    threshold
        Superionic above, S/cm.
    max_features
        Largest subset of descriptors of the classifier.
    trees
        Of the forest.
    nested
        Also score with the choice of descriptors inside the folds.
    elimination
        Eliminate descriptors of the forest.
    random_state
        Seed.
    table
        Another table to train on as well: ``"builtin"``, a CSV file, or None.
    filters
        Of the screening.
    """

    name: str = "models"
    threshold: float = 1e-4
    max_features: int = MAX_FEATURES
    trees: int = 200
    nested: bool = True
    elimination: bool = False
    random_state: int = 0
    table: str | None = None
    filters: Filters = field(default_factory=Filters)

    def make(self, inputs: Inputs, previous: Stored | None = None) -> Flow:
        """The flow of the version that follows `previous`, with content keys.

        Parameters
        ----------
        inputs
            Descriptors, conductivities and properties.
        previous
            The version before; None for the first.
        """
        measured = inputs.measured
        table = self.table if self.table in (None, "builtin") else str(table_path(self.table))
        hashed = None if table is None else table_hash(table)
        train = train_models(
            _references(measured, inputs),
            table,
            hashed,
            self.training_settings,
            inputs.conductivities or None,
            _of(measured, inputs.properties),
            _digest(measured),
        )
        pool = _references(inputs.sets, inputs)
        properties = _of(inputs.sets, inputs.properties)
        screen = screen_pool(pool, train.output, self.filters, properties, _digest(inputs.sets))
        settings = {**self.training_settings, "table": table, "table_hash": hashed}
        settings["filters"] = self.filters.model_dump(mode="json", exclude_defaults=True)
        write = version_models(
            self.name,
            (train.output, screen.output),
            (train.uuid, screen.uuid),
            _fingerprints(inputs),
            settings,
            previous and previous.references(),
            previous and previous.uuid,
        )
        for job, stage in ((train, "models"), (screen, "screening"), (write, "model_version")):
            job.update_metadata({"stage": stage, "models": self.name})
        return with_content_keys(Flow([train, screen, write], name=self.name))

    @property
    def training_settings(self) -> dict[str, Any]:
        """Keyword arguments of :func:`sse_flows.models.train.train`."""
        return {
            "threshold": self.threshold,
            "max_features": self.max_features,
            "n_estimators": self.trees,
            "random_state": self.random_state,
            "nested": self.nested,
            "elimination": self.elimination,
        }


@dataclass(frozen=True)
class Retrained:
    """How a retraining ended.

    Attributes
    ----------
    stored
        The latest version and where its documents are.
    is_new
        Whether it was made now; if not, nothing had changed and nothing was computed.
    """

    stored: Stored
    is_new: bool

    @property
    def version(self) -> ModelVersion:
        """The latest version."""
        return self.stored.version


def retrain(
    maker: RetrainMaker,
    inputs: Inputs,
    store: JobStore,
    folder: Path,
    watch: Watcher | None = None,
) -> Retrained:
    """Make a new version of the models if anything has changed since the latest.

    Parameters
    ----------
    maker
        Settings and the name of the series.
    inputs
        Descriptors and measured conductivities.
    store
        Connected; it holds the documents that `inputs` refers to and takes the new ones.
    folder
        Results folder.
    watch
        As of :class:`sse_flows.campaign.run.LocalRunner`.

    Raises
    ------
    SSEError
        The models cannot be trained, with the reason, or another retraining is running.
    """
    latest = latest_version(store, maker.name)
    if latest is not None:
        before = latest.version.previous_job
        same = maker.make(inputs, None if before is None else stored_version(store, before))
        if _version_job(same) == latest.uuid:
            return Retrained(latest, is_new=False)
    flow = maker.make(inputs, latest)
    graph = LocalRunner(store, folder / RUN_FOLDER, 1, watch).run(flow)
    _check_done(graph, folder / RUN_FOLDER)
    return Retrained(stored_version(store, _version_job(flow)), is_new=True)


def read_inputs(
    store: JobStore,
    sets: list[DescriptorSet],
    conductivities: dict[str, float],
    properties: dict[str, dict[str, float]],
) -> Inputs:
    """Inputs of a retraining, with the stored document of every set.

    Raises
    ------
    SSEError
        No set has a measured conductivity, or the store does not hold one of the sets.
    """
    inputs = Inputs(sets, _stored_ids(store, sets), conductivities, properties)
    if not inputs.measured:
        raise SSEError(
            f"none of the {len(sets)} described compounds has a measured conductivity",
            mend="Name a table of their ids with --conductivities",
        )
    return inputs


def _stored_ids(store: JobStore, sets: list[DescriptorSet]) -> dict[str, str]:
    """Id of the newest document of each compound that holds these very values."""
    wanted = {one.compound_id: one.values for one in sets}
    found: dict[str, tuple[str, str]] = {}
    fields = ["uuid", "completed_at", "output.compound_id", "output.values"]
    for doc in store.query({"metadata.stage": "descriptors", "output": {"$ne": None}}, fields):
        name, when = doc["output"]["compound_id"], in_utc(doc["completed_at"])
        if wanted.get(name) == doc["output"]["values"] and when > found.get(name, ("",))[0]:
            found[name] = (when, doc["uuid"])
    lost = sorted(set(wanted) - set(found))
    if lost:
        raise SSEError("the store holds no document of its descriptors", compound=lost[0])
    return {name: uuid for name, (_, uuid) in found.items()}


def _references(sets: Iterable[DescriptorSet], inputs: Inputs) -> list[OutputReference]:
    return [OutputReference(inputs.references[one.compound_id]) for one in sets]


def _of(
    sets: Iterable[DescriptorSet], properties: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]] | None:
    """Properties of some compounds; None where none is given."""
    found = {one.compound_id: properties.get(one.compound_id) for one in sets}
    return {name: known for name, known in found.items() if known} or None


def _fingerprints(inputs: Inputs) -> dict[str, str]:
    """SHA-256 of the descriptors of every training compound, those given beside them included."""
    return {
        one.compound_id: _hash([one.values, inputs.properties.get(one.compound_id)])
        for one in inputs.measured
    }


def _digest(sets: list[DescriptorSet]) -> str:
    """SHA-256 of the documents: a tolerant job may store another under the same id."""
    return _hash([one.model_dump(mode="json") for one in sets])


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _check_done(graph: Graph, folder: Path) -> None:
    """Raise what the first job that failed said."""
    lost = next((node for node in graph.nodes.values() if node.reason), None)
    if lost is not None:
        said = [one for one in read_events(folder) if one.get("uuid") == lost.job.uuid]
        raise SSEError(
            f"the models could not be made: {lost.reason}",
            mend=said[-1].get("mend") if said else None,
        )


def _version_job(flow: Flow) -> str:
    return next(job.uuid for job, _ in flow.iterflow() if job.metadata["stage"] == "model_version")
