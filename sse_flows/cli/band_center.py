"""``sse band-center``: the phonon band centre learned from structure."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sse_flows.cli.options import Format, Output, Processes, TableFormat

if TYPE_CHECKING:
    from sse_flows.errors import SSEError
    from sse_flows.models.band_center import BandCenterModel
    from sse_flows.models.band_center_data import TrainingCompound
    from sse_flows.models.band_center_file import BandCenterDocument, BandCenterScores

app = typer.Typer(help="The phonon band centre learned from structure.", no_args_is_help=True)

SHOWN_FAILURES = 5


class CutOff(StrEnum):
    """What to do with a density of states that may go on beyond its grid."""

    drop = "drop"
    keep = "keep"


Data = Annotated[
    list[Path],
    typer.Argument(
        help="Training sets: results folders of campaigns or imports; JSON lines or documents of "
        "densities of states; CSV files (id, structure, band_center in meV).",
        show_default=False,
    ),
]
Cut = Annotated[CutOff, typer.Option(help="Densities of states that end at their grid's top.")]
Model = Annotated[
    Path | None,
    typer.Option(help="Folder of a trained model.", show_default="the one of the package"),
]


@app.callback()
def band_center() -> None:
    """The phonon band centre learned from structure."""


@app.command("train")
def train(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the saved model.")],
    cut_off: Cut = CutOff.drop,
    cite: Annotated[
        list[str] | None, typer.Option(help="Whom to cite for the data; may be repeated.")
    ] = None,
    processes: Processes = None,
) -> None:
    """Learn the band centre from crystals of known phonons; scores by folds of compositions."""
    from sse_flows.models.band_center_file import save_band_center
    from sse_flows.models.band_center_train import train_band_center

    trained = train_band_center(
        _compounds(data, cut_off),
        attribution=cite or [],
        n_jobs=processes or -1,
        note=_note,
    )
    _report(trained.failures)
    typer.echo(_scores(trained.document.scores))
    folder = save_band_center(trained.model, trained.document, trained.data, output)
    typer.echo(f"wrote {folder}; use it: sse band-center predict STRUCTURES --model {folder}")


@app.command("predict")
def predict(
    structures: Annotated[
        list[Path],
        typer.Argument(help="Structure files, folders of them, or JSON lines.", show_default=False),
    ],
    model: Model = None,
    form: TableFormat = Format.table,
    output: Output = None,
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.9,
    processes: Processes = None,
) -> None:
    """Band centres of crystals, meV, lowest first, with intervals and a flag for the unfamiliar."""
    from sse_flows.campaign.results import write_table, write_text
    from sse_flows.models.band_center_pool import read_pool

    fitted, document = _model(model)
    crystals, unread = read_pool(structures)
    table, failures = fitted.predict_table(crystals, level=level, n_jobs=processes or -1)
    _report({**unread, **failures})
    table = table.sort_values("band_center", kind="stable")
    _note("; ".join(document.attribution))
    text = (
        write_text(table.round(3).to_string() + "\n", output)
        if form is Format.table
        else write_table(table, form.value, output)
    )
    typer.echo(f"wrote {output}" if text is None else text, nl=text is None)
    if table.empty:
        raise typer.Exit(1)


@app.command("evaluate")
def evaluate(
    data: Data,
    model: Model = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(help="Cross-validate this published model instead; 'all' for every one."),
    ] = None,
    cut_off: Cut = CutOff.drop,
    processes: Processes = None,
) -> None:
    """Score a trained model on compounds that it has not seen, or the published models by folds."""
    from sse_flows.models.band_center import training_set
    from sse_flows.models.band_center_train import evaluate_band_center

    compounds = _compounds(data, cut_off)
    if compare:
        return typer.echo(_compared(compounds, compare, processes or -1))
    fitted, _ = _model(model)
    if model is None:
        _note("the package's model may have been trained on these compounds")
    rows, failures = training_set(compounds, n_jobs=processes or -1)
    _report(failures)
    typer.echo(_scores(evaluate_band_center(fitted, rows)))


def _compounds(data: list[Path], cut_off: CutOff) -> list[TrainingCompound]:
    from sse_flows.campaign.band_center import stored_training
    from sse_flows.models.band_center_data import merge_training, read_training

    return merge_training(
        stored_training(path) if path.is_dir() else read_training(path, cut_off=cut_off.value)
        for path in data
    )


def _model(folder: Path | None) -> tuple[BandCenterModel, BandCenterDocument]:
    from sse_flows.models.band_center_file import load_band_center, pretrained

    return pretrained() if folder is None else load_band_center(folder)


def _compared(compounds: list[TrainingCompound], names: list[str], processes: int) -> str:
    from sse_flows.models.band_center_compare import PUBLISHED, compare_compounds

    chosen = list(PUBLISHED) if names == ["all"] else names
    table, failures = compare_compounds(compounds, chosen, n_jobs=processes)
    _report(failures)
    return table.round(3).to_string(index=False)


def _scores(scores: dict[str, BandCenterScores]) -> str:
    lines = [f"{'family':<10}{'compounds':>10}{'R2':>8}{'MAE':>8}{'RMSE, meV':>11}"]
    lines += [
        f"{name:<10}{one.n_compounds:>10}{one.r2:>8.3f}{one.mae:>8.2f}{one.rmse:>11.2f}"
        for name, one in scores.items()
    ]
    return "\n".join(lines)


def _note(text: str) -> None:
    if text:
        typer.echo(f"[{text}]", err=True)


def _report(failures: dict[str, SSEError]) -> None:
    for failure in list(failures.values())[:SHOWN_FAILURES]:
        typer.echo(f"failed: {failure}", err=True)
    if len(failures) > SHOWN_FAILURES:
        typer.echo(f"failed: {len(failures) - SHOWN_FAILURES} more", err=True)
