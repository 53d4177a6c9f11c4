"""Where a campaign stands, read once or again and again until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sse_flows.cli.options import tell
from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from sse_flows.campaign.status import Status

_FRAME = 12  # lines of a terminal that are not compounds


def source(campaign_file: Path) -> Callable[[], Status]:
    """Return a reader of the status: of a submitted campaign, else of runs on this machine."""
    from sse_flows.campaign.flow import Campaign, Plan
    from sse_flows.campaign.status import read_status
    from sse_flows.launchers.submission import is_submitted

    folder = Campaign.from_file(campaign_file).folder
    if is_submitted(folder):
        from sse_flows.launchers.submitted import open_submitted

        return open_submitted(campaign_file).status
    return lambda: read_status(folder, Plan.read(folder))


def status_for_report(campaign_file: Path) -> Status | None:
    """Return the status of a submitted campaign; None where its LaunchPad cannot be asked."""
    from sse_flows.campaign.flow import Campaign
    from sse_flows.launchers.submission import is_submitted

    if not is_submitted(Campaign.from_file(campaign_file).folder):
        return None
    try:
        return source(campaign_file)()
    except SSEError as error:
        tell(f"{error}; the page does not show what failed on the cluster")
        return None


def table(status: Status, rows: int | None = None) -> str:
    """The status as text; of many compounds the most telling `rows`."""
    from sse_flows.launchers.watch import ClusterStatus

    if isinstance(status, ClusterStatus):
        from sse_flows.cli.cluster_tables import cluster_table

        return cluster_table(status, rows)
    from sse_flows.cli.tables import status_table

    return status_table(status)


def show(look: Callable[[], Status], seconds: float) -> None:
    """Look again every so many seconds until nothing runs and nothing can start."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    status = look()
    if not console.is_terminal:
        _print_changes(look, status, seconds)
        return
    with Live(console=console, auto_refresh=False, screen=False) as live:
        while True:
            live.update(_frame(Text, status, console.height), refresh=True)
            if _ended(status):
                return
            time.sleep(seconds)
            status = look()


def _frame(kind: Any, status: Status, height: int) -> Any:
    """The status and the time, as high as the terminal at most."""
    lines = table(status, max(3, height - _FRAME)).splitlines()
    lines.append(time.strftime("%H:%M:%S, Ctrl-C to leave"))
    return kind("\n".join(lines[-(height - 1) :]), no_wrap=True, overflow="ellipsis")


def _print_changes(look: Callable[[], Status], status: Status, seconds: float) -> None:
    """Print the sums whenever they change: into a file or a pipe."""
    before = ""
    while True:
        text = _sums(status)
        if text != before:
            typer.echo(f"{time.strftime('%H:%M:%S')} {text}")
            before = text
        if _ended(status):
            typer.echo(table(status))
            return
        time.sleep(seconds)
        status = look()


def _sums(status: Status) -> str:
    from sse_flows.cli.cluster_tables import sum_lines
    from sse_flows.launchers.watch import ClusterStatus

    if isinstance(status, ClusterStatus):
        return "; ".join(sum_lines(status))
    return table(status).splitlines()[-1]


def _ended(status: Status) -> bool:
    return bool(getattr(status, "ended", not status.running))
