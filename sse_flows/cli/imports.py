"""``sse import``: phonons that others computed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sse_flows.campaign.places import IMPORTED
from sse_flows.cli import export
from sse_flows.cli.options import Processes

if TYPE_CHECKING:
    from sse_flows.campaign.importing import Imported
    from sse_flows.phonons.entries import Origin

app = typer.Typer(
    help="Import phonons that others computed, or a campaign of another machine.",
    no_args_is_help=True,
)
app.command("campaign")(export.import_campaign)

Paths = Annotated[
    list[Path],
    typer.Argument(
        help="Archives, folders of an entry, phonopy.yaml files, or folders full of those.",
        show_default=False,
    ),
]
Results = Annotated[Path, typer.Option("--results", "-r", help="Results folder with the store.")]
MobileIon = Annotated[str, typer.Option("--mobile-ion", "-m", help="Element of the mobile ion.")]
Ids = Annotated[
    list[str] | None,
    typer.Option("--ids", help="Material ids, mp-1960 or mp-1960,mp-841; may be repeated."),
]
Systems = Annotated[
    list[str] | None,
    typer.Option("--chemsys", help="Chemical systems, Li-O or Li-P-*; may be repeated."),
]


class Method(StrEnum):
    """How the Materials Project computed its phonons."""

    phonopy = "phonopy"
    pheasy = "pheasy"
    dfpt = "dfpt"


@app.callback()
def imports() -> None:
    """Import phonons that others computed, or a campaign of another machine."""


@app.command("kyoto")
def kyoto(
    paths: Paths,
    results: Results = Path(IMPORTED["kyoto"]),
    mobile_ion: MobileIon = "Li",
    processes: Processes = None,
) -> None:
    """Entries of the Kyoto phonon database, or folders with a phonopy.yaml."""
    _import_files(paths, "kyoto", results, mobile_ion, processes)


@app.command("phonopy")
def phonopy(
    paths: Paths,
    results: Results = Path(IMPORTED["phonopy"]),
    mobile_ion: MobileIon = "Li",
    processes: Processes = None,
) -> None:
    """Your own phonons: folders of phonopy, or of VASP runs made for it.

    A folder holds the cell (phonopy.yaml, phonopy_disp.yaml or phonopy_params.yaml; or
    POSCAR-unitcell and phonopy.conf with DIM) and the forces: FORCE_SETS, FORCE_CONSTANTS,
    force_constants.hdf5, one vasprun.xml a displaced supercell (disp-001/vasprun.xml or
    vasprun.xml-001; disp-000 or perfect is the undisplaced one), or one vasprun.xml with the
    Hessian (IBRION 5 to 8). A BORN is used. Any vasprun.xml may be packed with gzip.
    """
    _import_files(paths, "phonopy", results, mobile_ion, processes)


@app.command("mp")
def mp(
    ids: Ids = None,
    chemsys: Systems = None,
    results: Results = Path(IMPORTED["mp"]),
    mobile_ion: MobileIon = "Li",
    method: Annotated[
        Method | None,
        typer.Option(help="Only these phonons.", show_default="force constants before DFPT"),
    ] = None,
) -> None:
    """Phonon DOS of the Materials Project, and all phonons where it gives force constants.

    The key is taken from MP_API_KEY.
    """
    from sse_flows.campaign.importing_mp import import_materials
    from sse_flows.cli.progress import Progress
    from sse_flows.store.jobstore import open_store

    _check_element(mobile_ion)
    with Progress(unit="materials") as progress:
        progress.note(f"asking the Materials Project; results in {results}")
        outcomes = import_materials(
            open_store(results),
            ids=_split(ids),
            chemsys=_split(chemsys),
            mobile_ion=mobile_ion,
            method=None if method is None else method.value,
            watch=lambda done, total, one: progress.advance(done, total, one.compound_id),
        )
    _tell(outcomes, results)


def _import_files(
    paths: list[Path], origin: Origin, results: Path, mobile_ion: str, processes: int | None
) -> None:
    from sse_flows.campaign.importing import import_entries
    from sse_flows.cli.progress import Progress
    from sse_flows.phonons.entries import find_entries
    from sse_flows.store.jobstore import open_store

    _check_element(mobile_ion)
    with Progress(unit="entries") as progress:
        sources = find_entries(paths, origin)
        progress.note(f"{len(sources)} entries; results in {results}")
        outcomes = import_entries(
            sources,
            open_store(results),
            mobile_ion=mobile_ion,
            processes=processes,
            watch=lambda done, total, one: progress.advance(done, total, one.compound_id),
        )
    _tell(outcomes, results)


def _tell(outcomes: Sequence[Imported], results: Path) -> None:
    """Name what failed and count the rest; nothing imported is an error."""
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


def _split(values: list[str] | None) -> list[str]:
    """Single values of options that hold one or several, divided by commas or spaces."""
    return list(dict.fromkeys(" ".join(values or []).replace(",", " ").split()))


def _check_element(symbol: str) -> None:
    from pymatgen.core import Element

    from sse_flows.errors import SSEError

    if not Element.is_valid_symbol(symbol):
        raise SSEError(f"{symbol!r} is no element", mend="Give a symbol like Li to --mobile-ion")
