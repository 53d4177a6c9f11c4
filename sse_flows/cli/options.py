"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

CampaignFile = Annotated[
    Path, typer.Argument(help="The campaign file.", metavar="CAMPAIGN.YAML", show_default=False)
]
Processes = Annotated[
    int | None,
    typer.Option("--processes", "-p", min=1, help="Worker processes.", show_default="one a core"),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write there.", show_default="standard output")
]

Properties = Annotated[
    Path | None,
    typer.Option(
        help="Band gaps and hull energies by id: CSV (id, band_gap, energy_above_hull) or JSON "
        "lines (id, gap, ehull); .gz too.",
        show_default=False,
    ),
]
MobileIon = Annotated[str, typer.Option("--mobile-ion", "-m", help="Element of the mobile ion.")]
Conductivities = Annotated[
    str | None,
    typer.Option(
        help="Measured conductivities by id: CSV (id, conductivity_S_per_cm), or measured for "
        "the 56 shipped ones of the Kyoto database.",
        show_default=False,
    ),
]
MaxFeatures = Annotated[
    int,
    typer.Option("--max-features", min=1, help="Largest subset of descriptors; 30: all subsets."),
]
Threshold = Annotated[float, typer.Option(help="Superionic above, S/cm.")]
Nested = Annotated[bool, typer.Option(help="Choose descriptors inside the folds too.")]
Elimination = Annotated[
    bool, typer.Option("--elimination", help="Eliminate descriptors of the forest: minutes.")
]


INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count


class Stopped(SystemExit):
    """Interrupted, and all was said of how to go on."""

    def __init__(self) -> None:
        super().__init__(INTERRUPTED)


def tell(text: str) -> None:
    """Say on standard error what is going on."""
    typer.echo(f"[{text}]", err=True)


class Format(StrEnum):
    """How tables are written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


TableFormat = Annotated[Format, typer.Option("--format", "-f", help="How to write the table.")]
