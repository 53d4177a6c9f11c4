"""``sse run``, ``status``, ``results`` and ``report``: the life of a campaign."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from sse_flows.cli.options import CampaignFile, Format, Output, Processes, TableFormat, tell
from sse_flows.errors import SSEError

WATCH_SECONDS = 10


def run(
    campaign_file: CampaignFile,
    processes: Processes = None,
    report: Annotated[bool, typer.Option(help="Write the report at the end.")] = True,
) -> None:
    """Run or resume a campaign on this machine; an error only if no compound comes through."""
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
    if outcome.status.nothing_came_through:
        raise SSEError("no compound came through", mend="Mend what failed and run it again")


class StatusFormat(StrEnum):
    """How the status is written."""

    table = "table"
    json = "json"


class StatusCommand(TyperCommand):
    """``sse status``, whose ``--watch`` may do without its number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default number where none follows."""
        words = []
        for word, following in zip(args, [*args[1:], ""], strict=True):
            number = following.replace(".", "", 1).isdigit()
            words.append(f"--watch={WATCH_SECONDS}" if word == "--watch" and not number else word)
        return super().parse_args(ctx, words)


def status(
    campaign_file: CampaignFile,
    watch: Annotated[
        float | None,
        typer.Option(
            min=0.1, metavar="[SECONDS]", help="Look again until the end.", show_default=False
        ),
    ] = None,
    form: Annotated[
        StatusFormat, typer.Option("--format", "-f", help="How to write it.")
    ] = StatusFormat.table,
) -> None:
    """Compounds x stages: waiting, queued, running, done, failed and why."""
    from sse_flows.cli.watching import show, source

    look = source(campaign_file)
    tell_if_changed(campaign_file)
    if watch is not None and form is StatusFormat.table:
        with contextlib.suppress(KeyboardInterrupt):  # the way to leave; the campaign goes on
            show(look, watch)
        return
    found = look()
    if form is StatusFormat.json:
        from sse_flows.cli.cluster_tables import status_json

        typer.echo(status_json(found))
    else:
        from sse_flows.cli.watching import table

        typer.echo(table(found))


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
    from sse_flows.launchers.submission import refuse_lost_store
    from sse_flows.store.jobstore import open_store, store_place

    campaign = Campaign.from_file(campaign_file)
    plan = Plan.read(campaign.folder)
    refuse_lost_store(campaign.folder)
    tell_if_changed(campaign_file)
    store = open_store(campaign.folder)
    table = CampaignResults(store, plan).table()
    if table.empty:
        tell(f"no compound of {plan.name} has descriptors in {store_place(store)} yet: sse status")
    if provenance_file is not None:
        write_provenance(campaign, plan, store, provenance_file)
    if form is Format.table:
        typer.echo(results_table(table))
        return
    text = write_table(table, form.value, output)
    typer.echo(f"wrote {output}" if text is None else text, nl=text is None)


def report(
    campaign_file: CampaignFile,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write there.", show_default="report.html of the results folder"
        ),
    ] = None,
) -> None:
    """Write one self-contained HTML page of what is done so far."""
    from sse_flows.campaign.flow import Campaign
    from sse_flows.campaign.local import write_campaign_report
    from sse_flows.cli.watching import status_for_report
    from sse_flows.launchers.submission import refuse_lost_store

    campaign = Campaign.from_file(campaign_file)
    refuse_lost_store(campaign.folder)
    status = status_for_report(campaign_file)
    page = write_campaign_report(campaign, output, status=status)
    tell_if_changed(campaign_file)
    typer.echo(f"report: {page}")


def tell_if_changed(campaign_file: Path) -> None:
    """Say that what is shown is of the campaign file as it was, where it is another one now."""
    from sse_flows.campaign.flow import Campaign, Plan

    campaign = Campaign.from_file(campaign_file)
    changed = Plan.read(campaign.folder).changed(campaign.manifest)
    if changed:
        names = ", ".join(changed)
        tell(f"{campaign_file} has changed since it was run or submitted ({names}); do so again")
