"""A submitted campaign with the LaunchPad and the store that it was submitted to, opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sse_flows.campaign.flow import Campaign, Plan
from sse_flows.errors import SSEError
from sse_flows.launchers.submission import Submission

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore

    from sse_flows.launchers.watch import ClusterStatus


@dataclass(frozen=True)
class Submitted:
    """A submitted campaign.

    Attributes
    ----------
    campaign, plan, submission
        What was submitted.
    launchpad, store
        Both connected.
    """

    campaign: Campaign
    plan: Plan
    submission: Submission
    launchpad: LaunchPad
    store: JobStore

    def status(self) -> ClusterStatus:
        """Where it stands; see :func:`sse_flows.launchers.watch.watch`."""
        from sse_flows.launchers.watch import watch

        return watch(self.plan, self.submission, self.launchpad, self.store)


def open_submitted(path: str | Path) -> Submitted:
    """Open what a campaign file was submitted to.

    Raises
    ------
    SSEError
        It was not submitted, LaunchPad or store are not configured or do not answer, or the
        LaunchPad is another than the one that it was submitted to.
    """
    from sse_flows.launchers.settings import open_launchpad, shared_store
    from sse_flows.launchers.submit import host_of
    from sse_flows.store.jobstore import connect

    campaign = Campaign.from_file(path)
    submission, plan = Submission.read(campaign.folder), Plan.read(campaign.folder)
    launchpad = open_launchpad(create=False)
    here = (host_of(launchpad), launchpad.db.name)
    there = (submission.host, submission.database)
    if here != there:
        raise SSEError(
            f"the campaign was submitted to {there[0]}, database {there[1]}, but my_launchpad.yaml "
            f"names {here[0]}, database {here[1]}",
            mend="Use the configuration of then (FW_CONFIG_FILE), or submit the campaign here",
        )
    store = shared_store()
    connect(store)
    return Submitted(campaign, plan, submission, launchpad, store)
