"""``sse run``, ``status``, ``results`` and ``report``: the life of a campaign on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sse_flows.cli.options import CampaignFile, Format, Output, Processes, TableFormat


def run(
    campaign_file: CampaignFile,
    processes: Processes = None,
    report: Annotated[bool, typer.Option(help="Write the report at the end.")] = True,
) -> None:
    """Run or resume a campaign on this machine."""
    from sse_flows.campaign.local import run_campaign
    from sse_flows.cli.progress import Progress

    with Progress() as progress:
        outcome = run_campaign(campaign_file, processes, progress.update, progress.note, report)
    for problem in outcome.status.problems:
        mend = f" -> {problem.mend}" if problem.mend else ""
        typer.echo(
            f"failed: {problem.compound} ({problem.stage}): {problem.reason}{mend}", err=True
        )
    if outcome.report is not None:
        typer.echo(f"report: {outcome.report}")


def status(campaign_file: CampaignFile) -> None:
    """Compounds x stages: waiting, running, done, failed and why."""
    from sse_flows.campaign.flow import Campaign, Plan
    from sse_flows.campaign.status import read_status
    from sse_flows.cli.tables import status_table

    folder = Campaign.from_file(campaign_file).folder
    typer.echo(status_table(read_status(folder, Plan.read(folder))))


def results(
    campaign_file: CampaignFile,
    form: TableFormat = Format.table,
    output: Output = None,
    provenance_file: Annotated[
        Path | None, typer.Option("--provenance", help="Also write where each row came from.")
    ] = None,
) -> None:
    """Descriptors and predictions of every compound that came through."""
    from sse_flows.campaign.flow import Campaign, Plan
    from sse_flows.campaign.results import CampaignResults, write_provenance, write_table
    from sse_flows.cli.tables import results_table
    from sse_flows.store.jobstore import open_store

    campaign = Campaign.from_file(campaign_file)
    plan = Plan.read(campaign.folder)
    store = open_store(campaign.folder)
    table = CampaignResults(store, plan).table()
    if provenance_file is not None:
        write_provenance(campaign, plan, store, provenance_file)
    if form is Format.table:
        typer.echo(results_table(table))
        return
    text = write_table(table, form.value, output)
    typer.echo(f"wrote {output}" if text is None else text, nl=text is None)


def report(campaign_file: CampaignFile, output: Output = None) -> None:
    """Write one self-contained HTML page of what is done so far."""
    from sse_flows.campaign.flow import Campaign
    from sse_flows.campaign.local import write_campaign_report

    typer.echo(f"report: {write_campaign_report(Campaign.from_file(campaign_file), output)}")
