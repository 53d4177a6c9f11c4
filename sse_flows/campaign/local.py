"""A campaign from file to report on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sse_flows.campaign.flow import Campaign, Plan
from sse_flows.campaign.run import LocalRunner, Watcher, lock
from sse_flows.campaign.status import Status, read_status
from sse_flows.errors import SSEError
from sse_flows.store.jobstore import open_store

if TYPE_CHECKING:
    from jobflow import JobStore

REPORT_FILE = "report.html"


@dataclass(frozen=True)
class CampaignOutcome:
    """How a run of a campaign ended.

    Attributes
    ----------
    status
        State of every compound and stage.
    report
        The page, if one was written.
    """

    status: Status
    report: Path | None


def run_campaign(
    path: str | Path,
    processes: int | None = None,
    watch: Watcher | None = None,
    note: Callable[[str], None] = lambda text: None,
    report: bool = True,
) -> CampaignOutcome:
    """Run or resume a campaign and write its report.

    Parameters
    ----------
    path
        The campaign file.
    processes
        Worker processes; by default one a core.
    watch
        Called with the graph of jobs whenever one changes its state.
    note
        Called with a line of text when a new step begins.
    report
        Whether to write the page at the end.

    Raises
    ------
    SSEError
        The file, the store or the results folder is unusable; a compound that fails is not an
        error but part of the outcome.
    """
    note("reading the campaign and its structures")
    campaign = Campaign.from_file(path)
    folder = campaign.folder
    store = open_store(folder)
    flow, plan = campaign.flow(), campaign.plan()
    note(f"{len(plan.jobs)} compounds, {len(plan.failures)} refused; results in {folder}")
    with lock(folder):  # a run that works there keeps its plan
        plan.write(folder)
    LocalRunner(store, folder, processes, watch).run(flow)
    page = None
    if report:
        note("writing the report")
        page = write_campaign_report(campaign, store=store)
    return CampaignOutcome(read_status(folder, plan), page)


def write_campaign_report(
    campaign: Campaign,
    output: Path | None = None,
    store: JobStore | None = None,
    status: Status | None = None,
) -> Path:
    """Write the page of what a campaign has done so far.

    Parameters
    ----------
    campaign
        The campaign; it must have been run, if not to its end.
    output
        Where to write; by default ``report.html`` in the results folder.
    store
        Its store, if it is open already.
    status
        Where it stands; by default what the log of runs on this machine says.
    """
    from sse_flows.campaign.results import gather_report
    from sse_flows.report import write_report

    folder = campaign.folder
    plan = Plan.read(folder)  # before a store is opened, which would make one
    status = status or read_status(folder, plan)
    data = gather_report(campaign, store or open_store(folder), folder, status)
    target = output or folder / REPORT_FILE
    try:
        return write_report(data, target)
    except OSError as error:
        raise SSEError(f"cannot write {target}: {error.strerror}") from error
