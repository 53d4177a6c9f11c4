"""``sse import``: phonons that others computed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sse_flows.campaign.places import IMPORTED_KYOTO
from sse_flows.cli.options import Processes

app = typer.Typer(help="Import phonons that others computed.", no_args_is_help=True)

Paths = Annotated[
    list[Path],
    typer.Argument(
        help="Archives, folders of an entry, phonopy.yaml files, or folders full of those.",
        show_default=False,
    ),
]
Results = Annotated[Path, typer.Option("--results", "-r", help="Results folder with the store.")]
MobileIon = Annotated[str, typer.Option("--mobile-ion", "-m", help="Element of the mobile ion.")]


@app.callback()
def imports() -> None:
    """Import phonons that others computed."""


@app.command("kyoto")
def kyoto(
    paths: Paths,
    results: Results = Path(IMPORTED_KYOTO),
    mobile_ion: MobileIon = "Li",
    processes: Processes = None,
) -> None:
    """Entries of the Kyoto phonon database, or folders with a phonopy.yaml."""
    from sse_flows.campaign.importing import import_entries
    from sse_flows.cli.progress import Progress
    from sse_flows.phonons.entries import find_entries
    from sse_flows.store.jobstore import open_store

    _check_element(mobile_ion)
    with Progress(unit="entries") as progress:
        sources = find_entries(paths)
        progress.note(f"{len(sources)} entries; results in {results}")
        outcomes = import_entries(
            sources,
            open_store(results),
            mobile_ion=mobile_ion,
            processes=processes,
            watch=lambda done, total, one: progress.advance(done, total, one.compound_id),
        )
    failed = [one for one in outcomes if one.state == "failed"]
    for one in failed:
        mend = f" -> {one.mend}" if one.mend else ""
        typer.echo(f"failed: {one.compound_id}: {one.error}{mend}", err=True)
    counts = {state: sum(one.state == state for one in outcomes) for state in ("imported", "found")}
    typer.echo(
        f"{counts['imported']} imported, {counts['found']} stored before, {len(failed)} failed; "
        f"store in {results}"
    )
    if len(failed) == len(outcomes):
        raise typer.Exit(1)


def _check_element(symbol: str) -> None:
    from pymatgen.core import Element

    from sse_flows.errors import SSEError

    if not Element.is_valid_symbol(symbol):
        raise SSEError(f"{symbol!r} is no element", mend="Give a symbol like Li to --mobile-ion")
