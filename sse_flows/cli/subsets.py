"""``sse subsets``: every subset of the columns of any table, scored by leave-one-out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sse_flows.cli.options import Stopped, tell

if TYPE_CHECKING:
    import pandas as pd

    from sse_flows.models.subset_document import SubsetPart, SubsetSettings, SubsetTable


class _SearchUnlessNamed(TyperGroup):
    """``sse subsets TABLE`` is ``sse subsets search TABLE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["search", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_SearchUnlessNamed,
    help="Every subset of columns, scored by leave-one-out. `sse subsets TABLE ...` searches.",
    no_args_is_help=True,
)


class Scoring(StrEnum):
    """What is best."""

    accuracy = "accuracy"
    f1 = "f1"
    log_loss = "log_loss"


class Missing(StrEnum):
    """What is done with gaps."""

    median = "median"
    refuse = "refuse"


Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Also write the document, JSON.")
]
Plot = Annotated[
    Path | None, typer.Option(help="Draw score against number of features: .svg, .html, .png.")
]
Rescore = Annotated[
    bool, typer.Option(help="Score the best of every size by scikit-learn too: seconds each.")
]


Table = Annotated[str, typer.Argument(help="Any CSV file, or builtin.", show_default=False)]
Target = Annotated[str, typer.Option(help="Column of two labels, or of numbers.")]
Threshold = Annotated[float | None, typer.Option(help="Numbers above it are the positive class.")]
Positive = Annotated[
    str | None,
    typer.Option(help="The positive label.", show_default="the second in sorted order"),
]
Features = Annotated[
    str | None,
    typer.Option(
        help="Columns, separated by commas, or descriptors (the 30).",
        show_default="descriptors if the table has them, else all numbers",
    ),
]
MaxFeatures = Annotated[
    int | None, typer.Option(min=1, help="Largest subset.", show_default="all sizes")
]
Penalty = Annotated[float, typer.Option("--C", help="Inverse strength of the penalty.")]
Raw = Annotated[bool, typer.Option("--raw", help="Do not standardise the columns.")]
Certify = Annotated[bool, typer.Option("--certify", help="Prove every bound: slower.")]
TieCap = Annotated[int, typer.Option(min=1, help="Ties listed of each size.")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Threads.", show_default="one a core")
]
Kernel = Annotated[str, typer.Option(help="compiled, numba or auto.")]
Checkpoint = Annotated[Path | None, typer.Option(help="File from which a stopped search goes on.")]
Part = Annotated[str | None, typer.Option(help="Only part i of N, as i/N with i from 0; needs -o.")]
AllowLarge = Annotated[bool, typer.Option("--allow-large", help="All subsets of over 40 columns.")]


@app.command("search")
def search(
    table: Table,
    target: Target,
    threshold: Threshold = None,
    positive: Positive = None,
    features: Features = None,
    max_features: MaxFeatures = None,
    C: Penalty = 1.0,
    raw: Raw = False,
    score: Annotated[Scoring, typer.Option(help="What is best.")] = Scoring.accuracy,
    certify: Certify = False,
    missing: Annotated[Missing, typer.Option(help="Fill gaps, or not.")] = Missing.median,
    tie_cap: TieCap = 1000,
    rescore: Rescore = True,
    jobs: Jobs = None,
    kernel: Kernel = "auto",
    checkpoint: Checkpoint = None,
    part: Part = None,
    allow_large: AllowLarge = False,
    output: Output = None,
    plot: Plot = None,
) -> None:
    """Search all subsets and print the best of every size."""
    from sse_flows.models.progress import PacedNotes
    from sse_flows.models.subset_document import search_part

    which = _part(part, output, plot)
    question = _question(table, features, target=target, threshold=threshold, positive=positive)
    settings = _settings(
        max_features=max_features,
        C=C,
        standardize=not raw,
        scoring=score.value,
        certify=certify,
        tie_cap=tie_cap,
        missing=missing.value,
    )
    with _resumable(checkpoint):
        found = search_part(
            question,
            settings,
            which,
            n_jobs=jobs,
            kernel=kernel,
            checkpoint=checkpoint,
            progress=PacedNotes(tell, "search").search,
            allow_large=allow_large,
        )
    if part is not None:
        return _finish_part(found, output)
    _finish([found], rescore, output, plot)


@app.command("merge")
def merge(
    parts: Annotated[list[Path], typer.Argument(help="Files of all parts.", show_default=False)],
    rescore: Rescore = True,
    output: Output = None,
    plot: Plot = None,
) -> None:
    """Make one answer of all parts of a search."""
    _check_plot(plot)
    _finish([_read_part(path) for path in parts], rescore, output, plot)


@contextmanager
def _resumable(checkpoint: Path | None) -> Iterator[None]:
    """Say on interruption how to go on; the engine has saved its state by then."""
    try:
        yield
    except KeyboardInterrupt:
        how = "run the same command again" if checkpoint else "next time, give --checkpoint FILE"
        typer.echo(f"stopped; to go on, {how}", err=True)
        raise Stopped from None


def _part(text: str | None, output: Path | None, plot: Path | None) -> tuple[int, int]:
    from sse_flows.errors import SSEError

    _check_plot(plot)
    if text is None:
        return 0, 1
    number, _, total = text.partition("/")
    if not (number.isdigit() and total.isdigit() and int(number) < int(total)):
        raise SSEError(f"--part {text} is not i/N with 0 <= i < N", mend="Parts of 4: 0/4 to 3/4")
    if output is None or plot is not None:
        raise SSEError("a part is a file to be merged", mend="Give --output and no --plot")
    return int(number), int(total)


def _check_plot(plot: Path | None) -> None:
    from sse_flows.report.subset_figure import check_suffix

    if plot is not None:
        check_suffix(plot)


def _question(table: str, features: str | None, **asked: Any) -> SubsetTable:
    """The table as columns and classes; what is left out or filled is said on stderr."""
    from sse_flows.descriptors.document import DESCRIPTORS
    from sse_flows.models.subset_table import subset_table

    names: list[str] | None = None
    if features is not None:
        names = [name.strip() for name in features.split(",") if name.strip()]
        names = list(DESCRIPTORS) if names == ["descriptors"] else names
    question, without = subset_table(_read_csv(table), features=names, **asked)
    if without:
        typer.echo(f"[{len(without)} rows without {asked['target']} are left out]", err=True)
    for name, column in zip(question.features, zip(*question.values, strict=True), strict=True):
        if empty := sum(value is None for value in column):
            typer.echo(f"[{name} is empty in {empty} of {len(column)} rows]", err=True)
    return question


def _read_csv(table: str) -> pd.DataFrame:
    import pandas as pd

    from sse_flows.campaign.tables import table_path
    from sse_flows.errors import SSEError

    path = table_path(table)
    try:
        rows = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SSEError(
            f"{path} is not a CSV file ({' '.join(str(error).split())})",
            mend="Give a table with a line of column names and one row a line",
        ) from error
    if "compound_id" in rows.columns:
        return rows.set_index("compound_id")
    return rows.set_axis([f"row {i}" for i in range(1, len(rows) + 1)])


def _settings(**values: Any) -> SubsetSettings:
    from pydantic import ValidationError

    from sse_flows.errors import SSEError
    from sse_flows.models.subset_document import SubsetSettings

    try:
        return SubsetSettings(**values)
    except ValidationError as error:
        wrong = "; ".join(f"--{one['loc'][0]}: {one['msg']}" for one in error.errors())
        raise SSEError(wrong, mend="Mend the options") from error


def _read_part(path: Path) -> SubsetPart:
    from pydantic import ValidationError

    from sse_flows.errors import SSEError
    from sse_flows.models.subset_document import SubsetPart

    try:
        return SubsetPart.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is none"
        raise SSEError(
            f"cannot read {path} as a part of a search: {why}",
            mend="Give files that `sse subsets ... --part i/N -o FILE` wrote",
        ) from error


def _finish_part(found: SubsetPart, output: Path | None) -> None:
    _write(found.model_dump_json(indent=1), output)
    typer.echo(
        f"wrote {output}: part {found.part} of {found.n_parts}, "
        f"{found.search['n_subsets']:,} subsets; with all parts: sse subsets merge PART.json..."
    )


def _finish(parts: list[SubsetPart], rescore: bool, output: Path | None, plot: Path | None) -> None:
    from sse_flows.cli.tables import subsets_table
    from sse_flows.models.subset_document import conclude

    if rescore:
        typer.echo("[scoring the best of every size by scikit-learn]", err=True)
    result = conclude(parts, rescore=rescore)
    _write(result.model_dump_json(indent=1), output)
    if plot is not None:
        from sse_flows.report.subset_figure import write_subset_figure

        write_subset_figure(result, plot)
    typer.echo(subsets_table(result))


def _write(text: str, output: Path | None) -> None:
    from sse_flows.errors import SSEError

    if output is None:
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SSEError(f"cannot write {output}: {error.strerror}", mend="Name another") from error
