"""``sse evaluate`` and ``train``: models of any table of descriptors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sse_flows.cli.options import (
    Conductivities,
    Elimination,
    MaxFeatures,
    MobileIon,
    Nested,
    Output,
    Properties,
    Threshold,
    tell,
)
from sse_flows.models.defaults import MAX_FEATURES

if TYPE_CHECKING:
    import pandas as pd

Table = Annotated[
    str,
    typer.Argument(
        help="CSV as `sse results` writes it, builtin, kyoto, or the results folder of an import "
        "or a campaign.",
        show_default=False,
    ),
]


def evaluate(
    table: Table,
    conductivities: Conductivities = None,
    properties: Properties = None,
    mobile_ion: MobileIon = "Li",
    model: Annotated[
        Path | None, typer.Option(help="Test this saved model on the compounds it never saw.")
    ] = None,
    groups: Annotated[
        str | None, typer.Option(help="Also leave out whole groups: a column, say family.")
    ] = None,
    scramble: Annotated[
        int, typer.Option(min=0, help="Permutations of the labels to search as well.")
    ] = 0,
    max_features: MaxFeatures = MAX_FEATURES,
    elimination: Elimination = False,
    nested: Nested = True,
    trees: Annotated[int, typer.Option(min=1, help="Trees of each forest.")] = 100,
    threshold: Threshold = 1e-4,
    level: Annotated[float, typer.Option(help="Of conformal intervals and sets.")] = 0.9,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write the document, JSON.")
    ] = None,
) -> None:
    """Scores side by side: plain, nested, grouped, scrambled, naive."""
    from sse_flows.cli.tables import evaluation_table, unseen_table
    from sse_flows.models import evaluate as scores
    from sse_flows.models.registry import load_models
    from sse_flows.models.unseen import evaluate_unseen

    rows = _read(table, mobile_ion, conductivities, properties, groups)
    if model is not None:
        unseen = evaluate_unseen(rows, load_models(model), level=level)
        _write(unseen.model_dump_json(indent=1), output)
        return typer.echo(unseen_table(unseen))
    found = scores.evaluate(
        rows,
        threshold=threshold,
        max_features=max_features,
        groups=groups,
        n_permutations=scramble,
        elimination=elimination,
        nested=nested,
        n_estimators=trees,
        note=tell,
    )
    _write(found.model_dump_json(indent=1), output)
    typer.echo(evaluation_table(found))


def train(
    table: Table,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the saved model.")],
    conductivities: Conductivities = None,
    properties: Properties = None,
    mobile_ion: MobileIon = "Li",
    threshold: Threshold = 1e-4,
    max_features: MaxFeatures = MAX_FEATURES,
    nested: Nested = True,
    trees: Annotated[int, typer.Option(min=1, help="Trees of the forest.")] = 200,
    elimination: Elimination = False,
) -> None:
    """Train both models on a table and save them."""
    from sse_flows.errors import SSEError
    from sse_flows.models.registry import save_models
    from sse_flows.models.train import train as fit
    from sse_flows.report import write_model_page

    models = fit(
        _read(table, mobile_ion, conductivities, properties),
        threshold=threshold,
        max_features=max_features,
        nested=nested,
        n_estimators=trees,
        elimination=elimination,
        note=tell,
    )
    try:
        folder = save_models(models, output)
    except OSError as error:
        raise SSEError(f"cannot write {output}: {error.strerror}", mend="Name another") from error
    write_model_page(models, folder / "report.html")
    for note in models.notes:
        typer.echo(note)
    typer.echo(f"wrote {folder}; test it on other compounds: sse evaluate TABLE --model {folder}")


def _read(
    table: str,
    mobile_ion: str,
    conductivities: str | None = None,
    properties: Path | None = None,
    groups: str | None = None,
) -> pd.DataFrame:
    """The table, with the column of groups where it is one of the user's own."""
    import pandas as pd

    from sse_flows.campaign.tables import read_any_table, table_path, with_conductivities
    from sse_flows.screening.properties import read_properties, with_properties
    from sse_flows.structures.conductivities import read_conductivities

    rows = read_any_table(table, mobile_ion)
    if conductivities is not None:
        measured = read_conductivities(conductivities)
        rows = with_conductivities(rows, {k: one.conductivity for k, one in measured.items()})
    if properties is not None:
        rows = with_properties(rows, read_properties(properties))
    if groups is not None and groups not in rows.columns and not Path(table).is_dir():
        own = pd.read_csv(table_path(table), dtype=str, index_col="compound_id")
        if groups in own.columns:
            rows[groups] = own[groups]
    return rows


def _write(text: str, output: Output) -> None:
    from sse_flows.errors import SSEError

    if output is None:
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SSEError(f"cannot write {output}: {error.strerror}", mend="Name another") from error
