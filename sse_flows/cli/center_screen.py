"""``sse screen --model band-center``: a pool of any size by its predicted phonon band centre."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

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
from sse_flows.cli.options import Format, Output, Processes, TableFormat

if TYPE_CHECKING:
    from sse_flows.campaign.center_screening import Screened
    from sse_flows.screening.center_document import CenterCriteria, CenterScreening
    from sse_flows.screening.pools import PoolSource
    from sse_flows.structures.library import Library

BAND_CENTER = "band-center"
SHOWN = 10
"""Rows of each kind of anions in the table on the terminal."""
MP_CACHE = Path("runs/mp")

Pool = Annotated[
    str,
    typer.Option(
        metavar="mp|prototypes|FILE|FOLDER",
        help="The Materials Project (needs MP_API_KEY; kept on disk), the children of prototypes, "
        "JSON lines, or a folder of structure files.",
        show_default=False,
    ),
]
Model = Annotated[
    str,
    typer.Option(help="band-center, or the folder of a model that `sse band-center train` wrote."),
]
Prototypes = Annotated[
    list[str] | None,
    typer.Option(
        "--prototype",
        help="Prototype or structure file for --pool prototypes; may be repeated.",
        show_default="the six built-in ones",
    ),
]
MaxCenter = Annotated[float, typer.Option(min=0.1, help="Keep centres below this, meV.")]
MaxHull = Annotated[
    float,
    typer.Option(
        "--max-energy-above-hull", min=0, help="Largest energy above hull where known, eV/atom."
    ),
]
MinGap = Annotated[
    float | None, typer.Option("--min-band-gap", min=0, help="Smallest band gap where known, eV.")
]
RequireHull = Annotated[
    bool, typer.Option("--require-hull", help="Leave out what has no known hull energy.")
]
InsideDomain = Annotated[
    bool, typer.Option("--inside-domain", help="Leave out what is unlike the training data.")
]
Report = Annotated[
    Path | None, typer.Option(help="Write a page with the figures there.", show_default=False)
]
ToCampaign = Annotated[
    Path | None,
    typer.Option(
        help="Write a campaign file whose pool is the short-list, and its structures beside it.",
        show_default=False,
    ),
]
Top = Annotated[int, typer.Option(min=1, help="Length of the short-list.")]
Results = Annotated[
    Path | None,
    typer.Option(
        "--results",
        "-r",
        help="Results folder: keep every part of the work, so that a broken screen goes on.",
        show_default=False,
    ),
]
Level = Annotated[float, typer.Option(help="Share of crystals that an interval should hold.")]
Mobile = Annotated[str, typer.Option("--mobile-ion", "-m", help="Element of the mobile ion.")]
Cache = Annotated[Path, typer.Option(help="Where --pool mp is kept.")]


def screen_centers(
    pool: Pool,
    model: Model = BAND_CENTER,
    form: TableFormat = Format.table,
    output: Output = None,
    report: Report = None,
    max_center: MaxCenter = 40.0,
    max_hull: MaxHull = 0.05,
    min_gap: MinGap = None,
    require_hull: RequireHull = False,
    inside_domain: InsideDomain = False,
    level: Level = 0.9,
    mobile_ion: Mobile = "Li",
    to_campaign: ToCampaign = None,
    top: Top = 50,
    results: Results = None,
    processes: Processes = None,
    cache: Cache = MP_CACHE,
    prototype: Prototypes = None,
    cations: Cations = None,
    anions: AnionElements = None,
    exchange: Exchange = None,
    site: Sites = None,
    group_cations: GroupCations = Grouping.site,
    group_anions: GroupAnions = Grouping.element,
    scale_volume: ScaleVolume = True,
) -> None:
    """Keep the crystals of a pool that are soft and stable; the limits are those of Jaafreh 2024.

    Options from --prototype on are of --pool prototypes.
    """
    from sse_flows.screening.center_document import CenterCriteria

    criteria = CenterCriteria(
        max_center=max_center,
        max_energy_above_hull=max_hull,
        min_band_gap=min_gap,
        require_hull=require_hull,
        inside_domain=inside_domain,
    )
    library = partial(
        make_library,
        prototype,
        cations,
        anions,
        exchange,
        site,
        group_cations,
        group_anions,
        scale_volume,
        mobile_ion,
    )
    source = _source(pool, prototype, library, mobile_ion, max_hull, cache)
    found = _run(source, model, level, criteria, mobile_ion, processes, results)
    typer.echo(summary(found), err=True)
    _write(found, form, output, report)
    if to_campaign is not None:
        _to_campaign(found, source, to_campaign, top, mobile_ion, inside_domain)
    if found.summary.predicted == 0:
        raise typer.Exit(1)


def _source(
    pool: str,
    prototypes: list[str] | None,
    library: Callable[[], Library],
    mobile_ion: str,
    max_hull: float,
    cache: Path,
) -> PoolSource:
    from sse_flows.cli.progress import Progress
    from sse_flows.errors import SSEError
    from sse_flows.screening.pools import PrototypeChildren, open_pool

    if pool == "prototypes":
        return PrototypeChildren(library())
    if prototypes:
        raise SSEError("--prototype is of --pool prototypes", mend="Leave one of them out")
    if pool != "mp":
        return open_pool(pool)
    from sse_flows.structures.materials_pages import fetch_pages

    with Progress(unit="pages") as progress:
        return open_pool(fetch_pages(cache, mobile_ion, max_hull, watch=progress.advance))


def _run(
    source: PoolSource,
    model: str,
    level: float,
    criteria: CenterCriteria,
    mobile_ion: str,
    processes: int | None,
    results: Path | None,
) -> CenterScreening:
    from sse_flows.campaign.run import available_cores
    from sse_flows.cli.progress import Progress
    from sse_flows.screening.band_center import load_centers
    from sse_flows.screening.center_screen import screen_centers as screen

    folder = None if model == BAND_CENTER else model
    cores = processes or available_cores()
    with Progress(unit="crystals") as progress:
        if results is not None:
            from sse_flows.campaign.center_screening import run_screen

            screened: Screened = run_screen(
                source, folder, criteria, results, mobile_ion, level, cores, progress.update
            )
            return screened.screening
        progress.note(f"reading the model; pool: {source.name}")
        return screen(
            source,
            load_centers(folder, level),
            criteria,
            mobile_ion=mobile_ion,
            processes=cores,
            watch=lambda done, name: progress.advance(done, done, name),
        )


def _write(found: CenterScreening, form: Format, output: Path | None, report: Path | None) -> None:
    from sse_flows.campaign.results import write_table, write_text

    text = (
        write_text(screening_text(found) + "\n", output)
        if form is Format.table
        else write_table(found.to_frame(), form.value, output)
    )
    typer.echo(f"wrote {output}" if text is None else text, nl=text is None)
    if report is not None:
        from sse_flows.report.center_page import write_center_page

        typer.echo(f"wrote {write_center_page(found, report)}", err=True)


def _to_campaign(
    found: CenterScreening,
    source: PoolSource,
    path: Path,
    top: int,
    mobile_ion: str,
    inside_domain: bool,
) -> None:
    from sse_flows.campaign.shortlist import shortlisted, write_campaign

    ids = shortlisted(found.table, top, inside_domain=inside_domain)
    told = f"a screen of {source.name} by the band centre"
    files = write_campaign(path, ids, source, mobile_ion=mobile_ion, source=told)
    typer.echo(f"wrote {path} with {len(files)} structures; next: sse run {path}", err=True)


def summary(found: CenterScreening) -> str:
    """How many were predicted, kept and left out, and why."""
    from sse_flows.screening.center_screen import failure_kinds

    said = found.summary
    lines = [
        f"{said.predicted} crystals predicted, {len(found.table)} kept, {len(said.failed)} failed"
    ]
    lines += [f"left out: {reason}: {count}" for reason, count in said.filtered.items() if count]
    kinds = failure_kinds([one.reason for one in said.failed])
    lines += [f"failed: {count} x {kind}" for kind, count in list(kinds.items())[:SHOWN]]
    lines += [f"lost: {reason}" for reason in said.missing]
    return "\n".join(lines)


def screening_text(found: CenterScreening) -> str:
    """The first rows of every kind of anions; csv, json and parquet hold them all."""
    from sse_flows.cli.tables import aligned

    rows = [["anions", "rank", "id", "formula", "center", "interval", "above hull", "flags"]]
    first = found.table[found.table["rank"] <= SHOWN]
    for one in first.to_dict("records"):
        hull = one["energy_above_hull"]
        rows.append(
            [
                str(one["anions"]),
                str(one["rank"]),
                str(one["id"]),
                str(one["formula"]),
                f"{one['center']:.1f}",
                f"{one['center_low']:.1f} to {one['center_high']:.1f}",
                "-" if hull != hull else f"{hull:.3f}",  # noqa: PLR0124 - NaN
                str(one["flags"]),
            ]
        )
    more = len(found.table) - len(first)
    tail = f"\n{more} more: --format csv --output FILE holds every row" if more else ""
    return aligned(rows) + tail


class ScreenCommand(TyperCommand):
    """``sse screen``, which is another command where the model is one of the band centre."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Look at the model first: the two commands share no other option."""
        if asks_for_centers(args):
            return _command().make_context(info_name, args, parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


def asks_for_centers(args: list[str]) -> bool:
    """Whether ``--model`` is ``band-center`` or the folder of such a model."""
    values = [args[i + 1] for i, word in enumerate(args[:-1]) if word == "--model"]
    values += [word.partition("=")[2] for word in args if word.startswith("--model=")]
    return any(
        value == BAND_CENTER or (Path(value) / "band_center.json").is_file() for value in values
    )


def _command() -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command("screen")(screen_centers)
    return typer.main.get_command(app)
