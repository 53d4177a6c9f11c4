"""``sse export`` and ``sse import campaign``: a campaign as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sse_flows.cli.options import CampaignFile, tell


def export(
    campaign_file: CampaignFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Archive to write: .tar or .tar.gz.")
    ],
) -> None:
    """Write a campaign and all that was computed for it into one file."""
    from sse_flows.campaign.exporting import export_campaign
    from sse_flows.campaign.flow import Campaign
    from sse_flows.cli.campaign import tell_if_changed
    from sse_flows.launchers.submission import refuse_lost_store

    refuse_lost_store(Campaign.from_file(campaign_file).folder)
    tell_if_changed(campaign_file)
    done = export_campaign(campaign_file, output)
    for uuid in done.stored.incomplete:
        tell(f"left out: the document {uuid}, an array of which is not in the store")
    _tell_missing(done.not_packed)
    typer.echo(
        f"{done.stored.documents} documents, {done.stored.arrays} arrays, {done.files} files; "
        f"wrote {output}, {output.stat().st_size / 1e6:.1f} MB"
    )


def import_campaign(
    archive: Annotated[
        Path, typer.Argument(help="Archive that `sse export` wrote.", show_default=False)
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            help="Folder of the campaign file.",
            show_default="one with the campaign's name",
        ),
    ] = None,
    anywhere: Annotated[
        bool,
        typer.Option("--anywhere", help="Accept a results folder outside that folder."),
    ] = False,
) -> None:
    """A campaign that `sse export` packed on another machine, to be gone on with here."""
    from sse_flows.campaign.exporting import import_campaign

    done = import_campaign(archive, folder, anywhere)
    _tell_missing(done.not_packed)
    counts = done.documents
    typer.echo(
        f"{counts.new} documents new, {counts.replaced} newer than the stored, {counts.kept} "
        f"stored before; in {done.store}"
    )
    on_cluster = f", or on the cluster: sse submit {done.file}" if done.shared else ""
    typer.echo(f"go on with: sse run {done.file}{on_cluster}")


def _tell_missing(names: list[str]) -> None:
    for name in names:
        tell(f"not packed: {name}")
