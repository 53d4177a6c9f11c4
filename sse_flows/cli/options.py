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


class Format(StrEnum):
    """How tables are written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


TableFormat = Annotated[Format, typer.Option("--format", "-f", help="How to write the table.")]
