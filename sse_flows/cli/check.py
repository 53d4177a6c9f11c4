"""``sse check``: what is here, what is missing, and how to mend each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    campaign: Annotated[
        Path | None, typer.Argument(help="Campaign file: look at what its code needs, too.")
    ] = None,
) -> None:
    """Look at Python packages, force fields, programs, store, keys and cluster."""
    from sse_flows.campaign.environment import inspect_environment
    from sse_flows.launchers.environment import inspect_cluster

    findings = inspect_environment(campaign) if campaign else inspect_environment()
    findings += inspect_cluster()
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}[finding.state]
        typer.echo(f"{mark}  {finding.subject:<{width}}  {finding.detail}")
        if finding.mend:
            typer.echo(f"{'':<{width + 11}}-> {finding.mend}")
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)
