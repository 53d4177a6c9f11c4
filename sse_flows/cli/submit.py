"""``sse submit``: put a campaign on the LaunchPad of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sse_flows.cli.options import CampaignFile, tell

if TYPE_CHECKING:
    from sse_flows.launchers.submit import SubmitOutcome

_PLURALS = {"reference": "references", "compound": "compounds", "tail": "models and screening"}


def submit(
    campaign_file: CampaignFile,
    priority: Annotated[
        int | None,
        typer.Option(help="Against other campaigns: higher runs first.", show_default="0"),
    ] = None,
) -> None:
    """Put a campaign on FireWorks' LaunchPad; again, it adds only what is new."""
    from sse_flows.launchers.submit import submit_campaign

    outcome = submit_campaign(campaign_file, priority, tell)
    for line in summary(outcome):
        typer.echo(line)


def summary(outcome: SubmitOutcome) -> list[str]:
    """Lines that say what became of the parts of each kind, and what to do next."""
    lines = []
    for kind, fates in outcome.counts().items():
        if fates:
            text = ", ".join(f"{number} {fate}" for fate, number in sorted(fates.items()))
            lines.append(f"{_PLURALS[kind]}: {text}")
    if outcome.archived:
        lines.append(f"out of date, taken off the LaunchPad: {outcome.archived}")
    if outcome.fizzled:
        lines.append(f"with failed jobs: {outcome.fizzled}; look with sse status, then sse recover")
    if set(outcome.fates.values()) - {"found"}:
        lines.append("next: qlaunch -r rapidfire")
    else:
        lines.append("all results are in the store; next: sse report")
    return lines
