"""``sse check``: what is here, what is missing, and how to mend each."""

from __future__ import annotations

import typer


def check() -> None:
    """Look at Python packages, force fields, programs, store and keys."""
    from sse_flows.campaign.environment import inspect_environment

    findings = inspect_environment()
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}[finding.state]
        typer.echo(f"{mark}  {finding.subject:<{width}}  {finding.detail}")
        if finding.mend:
            typer.echo(f"{'':<{width + 11}}-> {finding.mend}")
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)
