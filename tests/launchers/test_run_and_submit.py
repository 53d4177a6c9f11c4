"""One campaign by `sse run` and by `sse submit`: either goes on where the other stopped."""

from __future__ import annotations

from typing import Any

import pytest

from sse_flows.campaign.keys import keyed
from sse_flows.campaign.run import LocalRunner
from sse_flows.launchers.submit import SubmitOutcome, Submitter
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.jobs import executions
from sse_flows.testing.launchpads import documents, drain

ALL = {"a": 1.0, "b": 2.0, "c": 3.0}
SOME = {"a": 1.0, "b": 2.0}


class Site:
    """A LaunchPad and a store that this machine and the nodes share."""

    def __init__(self, launchpad: Any, store: Any, folder: Any):
        self.launchpad, self.store, self.folder = launchpad, store, folder
        self.log = str(folder / "executions.log")

    def flow(self, compounds: dict[str, float]) -> Any:
        return keyed(campaign_flow(compounds, self.log))

    def run(self, compounds: dict[str, float]) -> None:
        LocalRunner(self.store, self.folder, 1).run(self.flow(compounds).decoded())

    def submit(self, compounds: dict[str, float]) -> SubmitOutcome:
        return Submitter(self.launchpad, self.store, self.folder).submit(
            self.flow(compounds), "trivial"
        )

    def drain(self, **options: Any) -> None:
        drain(self.launchpad, self.folder / "launches", **options)

    def times(self) -> set[int]:
        return set(executions(self.log).values())

    def jobs(self) -> int:
        return len(executions(self.log))


@pytest.fixture
def shared(launchpad, job_store, tmp_path, monkeypatch) -> Site:
    from jobflow import SETTINGS

    monkeypatch.setattr(SETTINGS, "JOB_STORE", job_store)
    folder = tmp_path / "results"
    folder.mkdir()
    return Site(launchpad, job_store, folder)


def test_submitting_what_was_run_adds_only_what_is_missing(shared):
    shared.run(SOME)
    computed = shared.jobs()
    outcome = shared.submit(ALL)
    assert outcome.counts()["compound"] == {"found": 2, "added": 1}
    assert outcome.counts()["reference"] == {"found": 1}
    shared.drain()
    assert shared.times() == {1}
    new = shared.jobs() - computed
    assert 0 < new < computed
    shared.run(ALL)  # nothing is left
    assert shared.jobs() == computed + new
    assert shared.times() == {1}


def test_running_what_was_submitted_and_half_done_computes_only_the_rest(shared):
    shared.submit(ALL)
    shared.drain(nlaunches=9)
    half = shared.jobs()
    named = shared.launchpad.fireworks.find({"name": {"$regex": "fan_out|detour"}})
    growing = {one["spec"]["sse"]["uuid"] for one in named}
    assert half > 5
    shared.run(ALL)
    everything = executions(shared.log)
    assert len(everything) > half
    twice = {uuid for (uuid, _), times in everything.items() if times > 1}
    assert twice <= growing  # begun again to see what is left of what it asked for
    found = documents(shared.store)
    shared.drain()  # what waits on the LaunchPad still finds its results
    assert {one["state"] for one in shared.launchpad.fireworks.find()} == {"COMPLETED"}
    # a job whose result was there had asked for another, which nothing builds on
    besides = executions(shared.log) - everything
    assert len(besides) <= len(ALL)
    assert set(besides.values()) <= {1}
    left = {key: output for key, output in documents(shared.store).items() if key not in besides}
    assert left == found
    assert set(shared.submit(ALL).fates.values()) == {"found"}


def test_either_way_the_same_documents(shared, tmp_path):
    from sse_flows.store.jobstore import embedded_store

    alone = embedded_store(tmp_path)
    alone.connect()
    LocalRunner(alone, tmp_path, 1).run(shared.flow(ALL).decoded())
    (shared.folder / "executions.log").unlink()
    shared.submit(ALL)
    shared.drain()
    assert documents(shared.store) == documents(alone)
