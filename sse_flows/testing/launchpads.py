"""FireWorks within one process: a LaunchPad of mongomock, and its jobs run one after the other."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire
from jobflow import SETTINGS, JobStore

from sse_flows.campaign.keys import keyed
from sse_flows.launchers import firetask
from sse_flows.launchers.submit import SubmitOutcome, Submitter
from sse_flows.launchers.worker import Limits, Worker
from sse_flows.store.durable import durable
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.launchpad_states import memory_launchpad

COMPOUNDS = {"a": 1.0, "b": 2.0, "c": 3.0}


def drain(launchpad: LaunchPad, folder: Path, **options: Any) -> None:
    """Run all that is ready, and all that becomes ready, with FireWorks' own ``rapidfire``."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"nlaunches": 0, "sleep_time": 0, "strm_lvl": "CRITICAL", **options}
    rapidfire(launchpad, FWorker("test"), str(folder), **options)


def drain_by_worker(launchpad: LaunchPad) -> None:
    """Run all that is ready with a worker of ours, of this process."""
    Worker(launchpad, FWorker("another"), Limits(idle=0.0)).drain()


def stopped_worker(
    launchpad: LaunchPad, store: JobStore, begin: Callable[[], None] = lambda: None
) -> int:
    """Begin a worker in a process of its own, and wait until it stops itself by SIGSTOP.

    Parameters
    ----------
    launchpad, store
        The process opens them anew, since connections do not outlive a fork.
    begin
        What it does first.

    Returns
    -------
    int
        Id of the process, which ends with 0 if it is let go on and nothing fails.
    """
    process = os.fork()
    if not process:
        try:
            begin()
            mine: Any = JobStore.from_dict(store.as_dict())
            SETTINGS.JOB_STORE = durable(mine)
            firetask._connected = None
            drain_by_worker(LaunchPad.from_dict({**launchpad.to_dict(), "strm_lvl": "CRITICAL"}))
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(process, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        raise AssertionError(f"the worker ended instead ({status})")
    return process


class MockCluster:
    """A LaunchPad, a store and a results folder, all of this process.

    Parameters
    ----------
    folder
        The results folder.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = str(folder / "executions.log")
        self.store = embedded_store(folder)
        self.store.connect()
        self.launchpad = memory_launchpad()

    def submit(
        self,
        compounds: Mapping[str, float] = COMPOUNDS,
        name: str = "trivial",
        priority: int | None = None,
        profiles: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> SubmitOutcome:
        """Submit a flow of :func:`sse_flows.testing.campaign_flow.campaign_flow`."""
        flow = campaign_flow(compounds, self.log, **options)
        submitter = Submitter(self.launchpad, self.store, self.folder, priority, profiles)
        outcome = submitter.submit(keyed(flow), name)
        self.submission = submitter.submission
        return outcome

    def drain(self, **options: Any) -> None:
        """Run all that is ready, see :func:`drain`."""
        drain(self.launchpad, self.folder / "launches", **options)

    def states(self, **query: Any) -> dict[str, int]:
        """State -> number of fireworks."""
        return dict(Counter(doc["state"] for doc in self.launchpad.fireworks.find(query)))

    def documents(self) -> dict[tuple[str, int], Any]:
        """Outputs of all jobs by id and index."""
        return documents(self.store)

    def tail(self) -> dict[str, Any]:
        """Latest output of what comes last, by stage."""
        stages = {"metadata.stage": {"$in": ["models", "screening"]}}
        docs = sorted(self.store.query(stages), key=lambda doc: doc["completed_at"])
        return {doc["metadata"]["stage"]: doc["output"] for doc in docs}


def documents(store: JobStore) -> dict[tuple[str, int], Any]:
    """Outputs of all jobs of a store by id and index."""
    return {(doc["uuid"], doc["index"]): doc["output"] for doc in store.query()}
