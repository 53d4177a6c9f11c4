"""``sse substitute``: virtual compounds from prototypes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sse_flows.cli.libraries import (
    AnionElements,
    Cations,
    Exchange,
    GroupAnions,
    GroupCations,
    Grouping,
    ScaleVolume,
    Sites,
    make_library,
)

if TYPE_CHECKING:
    from sse_flows.structures.library import Library


class ChildFormat(StrEnum):
    """How children are written."""

    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


Prototypes = Annotated[
    list[str] | None,
    typer.Argument(
        help="Built-in prototypes or structure files.", show_default="the six built-in ones"
    ),
]
Target = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write there: .csv, .jsonl or .parquet."),
]
Crystals = Annotated[
    list[str] | None,
    typer.Option("--cif", help="Write the crystals of these ids as CIF; may be repeated."),
]
Folder = Annotated[Path, typer.Option("--folder", help="Where CIF files go.")]
Mobile = Annotated[str, typer.Option("--mobile-ion", "-m", help="Mobile ion of the prototypes.")]


def substitute(
    prototypes: Prototypes = None,
    cations: Cations = None,
    anions: AnionElements = None,
    exchange: Exchange = None,
    site: Sites = None,
    group_cations: GroupCations = Grouping.site,
    group_anions: GroupAnions = Grouping.element,
    scale_volume: ScaleVolume = True,
    mobile_ion: Mobile = "Li",
    output: Target = None,
    cif: Crystals = None,
    folder: Folder = Path("substituted"),
) -> None:
    """Fill the sites of prototypes with other elements, neutral by charge, each compound once.

    Without --output the compounds are only counted.
    """
    library = make_library(
        prototypes,
        cations,
        anions,
        exchange,
        site,
        group_cations,
        group_anions,
        scale_volume,
        mobile_ion,
    )
    if cif:
        return _write_crystals(library, cif, folder)
    _write(library, output)
    typer.echo(_summary(library), err=output is not None)
    if output is not None:
        typer.echo(f"wrote {output}")


def _write(library: Library, output: Path | None) -> None:
    from sse_flows.structures.library import write_children

    if output is None:
        for _ in library.chunks():
            pass
        return
    write_children(library.chunks(), output, _format(output).value)


def _format(path: Path) -> ChildFormat:
    from sse_flows.errors import SSEError

    name = path.suffix.removeprefix(".")
    if name not in list(ChildFormat):
        raise SSEError(
            f"{path} does not tell how to write it", mend="Name it .csv, .jsonl or .parquet"
        )
    return ChildFormat(name)


def _summary(library: Library) -> str:
    """Groups of every prototype and what became of its decorations."""
    from sse_flows.cli.tables import aligned

    rows = [["prototype", "formula", "sites", "children", "duplicates", "repeated"]]
    for one in library.substitutions:
        groups = " ".join(f"{group.name}x{group.count}" for group in one.prototype.groups)
        numbers = (one.counts.kept, one.counts.duplicates, one.counts.repeated)
        rows.append([one.prototype.id, one.prototype.formula, groups, *map(str, numbers)])
    total = sum(one.counts.kept for one in library.substitutions)
    return f"{aligned(rows)}\n{total} compounds"


def _write_crystals(library: Library, ids: list[str], folder: Path) -> None:
    from sse_flows.errors import SSEError

    crystals = {name: library.structure(name) for text in ids for name in text.split(",")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, crystal in crystals.items():
            crystal.to(str(folder / f"{name}.cif"), fmt="cif")
    except OSError as error:
        raise SSEError(f"cannot write to {folder}: {error.strerror}") from error
    typer.echo(f"wrote {len(crystals)} CIF files to {folder}")
