"""``sse recover``: put back what a fault left behind."""

from __future__ import annotations

from typing import Annotated

import typer

from sse_flows.cli.options import CampaignFile, tell


def recover(
    campaign_file: CampaignFile,
    failed: Annotated[
        bool, typer.Option("--failed", help="Also run again whatever failed, for any reason.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All campaigns of this LaunchPad, not only this one.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is wrong, no more.")] = False,
    retries: Annotated[
        int, typer.Option(min=0, help="Tries again after passing trouble (memory, connections).")
    ] = 3,
) -> None:
    """Put back jobs that were lost, got stuck or failed by passing trouble."""
    from sse_flows.cli.cluster_tables import findings_text
    from sse_flows.launchers.recover import Options
    from sse_flows.launchers.recover import recover as put_back
    from sse_flows.launchers.submitted import open_submitted

    opened = open_submitted(campaign_file)
    tell("asking LaunchPad, Slurm and store")
    keys = None if everything else opened.submission.parts
    options = Options(dry_run=dry_run, failed=failed, retries=retries)
    found = put_back(opened.launchpad, opened.store, keys, options)
    typer.echo(findings_text(found, dry_run))
    if any(one.did for one in found) and not dry_run:
        typer.echo("next: qlaunch -r rapidfire")
