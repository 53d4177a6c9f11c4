"""``sse retrain`` and ``versions``: models that follow the phonons of a store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sse_flows.campaign.places import IMPORTED
from sse_flows.cli.options import (
    Conductivities,
    Elimination,
    MaxFeatures,
    MobileIon,
    Nested,
    Properties,
    Threshold,
)
from sse_flows.cli.screen import Anions, Gap, Hull, Unknown, filter_fields
from sse_flows.models.defaults import MAX_FEATURES

if TYPE_CHECKING:
    from jobflow import JobStore

    from sse_flows.campaign.graph import Graph, Node
    from sse_flows.campaign.versions import Stored

Results = Annotated[
    str,
    typer.Argument(help="Results folder of an import or a campaign, or kyoto.", show_default=False),
]
Name = Annotated[str, typer.Option(help="Of the series of versions.")]


def retrain(
    results: Results,
    conductivities: Conductivities = None,
    properties: Properties = None,
    name: Name = "models",
    table: Annotated[
        str | None, typer.Option(help="Train on this CSV file, or builtin, as well.")
    ] = None,
    threshold: Threshold = 1e-4,
    max_features: MaxFeatures = MAX_FEATURES,
    nested: Nested = True,
    trees: Annotated[int, typer.Option(min=1, help="Trees of the forest.")] = 200,
    elimination: Elimination = False,
    min_band_gap: Gap = 1.0,
    max_energy_above_hull: Hull = 1e-6,
    anions: Anions = "O,S",
    mobile_ion: MobileIon = "Li",
    keep_unknown: Unknown = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also save the models in a folder.")
    ] = None,
) -> None:
    """Train on what a store holds, screen it, and say what changed since the last time."""
    from sse_flows.campaign.jobs import PROGRESS
    from sse_flows.campaign.retrain import RetrainMaker, read_inputs
    from sse_flows.campaign.retrain import retrain as run
    from sse_flows.campaign.screening import checked_filters
    from sse_flows.campaign.stored import open_pool, read_pool_sets
    from sse_flows.cli.tables import version_table
    from sse_flows.screening.properties import read_properties
    from sse_flows.structures.conductivities import read_conductivities

    measured = {} if conductivities is None else read_conductivities(conductivities)
    known = {} if properties is None else read_properties(properties)
    fields = filter_fields(
        mobile_ion, anions, min_band_gap, max_energy_above_hull, keep_unknown=keep_unknown
    )
    settings = (name, threshold, max_features, trees, nested, elimination)
    maker = RetrainMaker(*settings, table=table, filters=checked_filters(fields))
    sets = read_pool_sets(results, mobile_ion)
    store = open_pool(results).store
    os.environ.setdefault(PROGRESS, "1")  # workers inherit it
    found = run(
        maker,
        read_inputs(store, sets, {k: one.conductivity for k, one in measured.items()}, known),
        store,
        Path(IMPORTED.get(results, results)),
        _tell,
    )
    _save(store, found.stored, output)
    typer.echo(version_table(found.version, found.stored.completed_at, is_new=found.is_new))


def versions(
    results: Results,
    name: Annotated[
        str | None, typer.Option(help="Of the series of versions.", show_default="all")
    ] = None,
    show: Annotated[
        int | None, typer.Option(min=1, help="Show what changed in this version.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Save the models of the version shown in a folder."),
    ] = None,
) -> None:
    """Versions of the trained models in a store."""
    from sse_flows.campaign.stored import open_pool
    from sse_flows.campaign.versions import find_version, list_versions
    from sse_flows.cli.tables import version_table, versions_table

    store = open_pool(results).store
    if show is None and output is None:
        return typer.echo(versions_table(list_versions(store, name)))
    found = find_version(store, name or "models", show)
    _save(store, found, output)
    typer.echo(version_table(found.version, found.completed_at))


def _tell(graph: Graph, node: Node | None) -> None:
    if node is not None:
        typer.echo(f"[{node.job.name}: {node.state}]", err=True)


def _save(store: JobStore, stored: Stored, output: Path | None) -> None:
    """Write the models of a version and their page into a folder, if one is named."""
    from sse_flows.campaign.versions import stored_models
    from sse_flows.errors import SSEError
    from sse_flows.models.registry import save_models
    from sse_flows.report import write_model_page

    if output is None:
        return
    models = stored_models(store, stored)
    try:
        folder = save_models(models, output)
    except OSError as error:
        raise SSEError(f"cannot write {output}: {error.strerror}", mend="Name another") from error
    write_model_page(models, folder / "report.html", stored.version)
