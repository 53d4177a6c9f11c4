"""A campaign's jobs through FireWorks' own qlaunch, a real Slurm and `sse worker`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from sse_flows.campaign.keys import keyed
from sse_flows.launchers.profiles import load_profiles
from sse_flows.launchers.submit import Submitter
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.fault_runs import qlaunch_running
from sse_flows.testing.jobs import executions


@pytest.mark.slow
@pytest.mark.slurm
def test_few_jobs_drain_a_campaign_and_every_calculation_runs_once(
    cluster, launchpad, job_store, site, tmp_path
):
    site.edit("my_qadapter.yaml", "max_queued: 20", "max_queued: 3")
    log = str(tmp_path / "executions.log")
    results = tmp_path / "results"
    results.mkdir()
    flow = campaign_flow({f"compound {n} $(id)": float(n) for n in range(12)}, log)
    Submitter(launchpad, job_store, results, None, load_profiles()).submit(keyed(flow), "trivial")
    queued = []
    unfinished = {"state": {"$ne": "COMPLETED"}}
    end = time.monotonic() + 500
    with qlaunch_running():
        while launchpad.fireworks.count_documents(unfinished) and time.monotonic() < end:
            queued.append(len(cluster.run("squeue", "-h", "-o", "%j").splitlines()))
            time.sleep(0.5)
    states = Counter(one["state"] for one in launchpad.fireworks.find({}, {"state": 1}))
    assert set(states) == {"COMPLETED"}
    assert set(executions(log).values()) == {1}
    launches = list(launchpad.launches.find({}))
    jobs = {one["fworker"]["env"]["slurm_job_id"] for one in launches}
    print(
        f"{states['COMPLETED']} fireworks in {len(jobs)} Slurm jobs, at most {max(queued)} queued"
    )
    assert len(jobs) < states["COMPLETED"] / 4
    assert max(queued) <= 3
    assert not [path for path in Path.cwd().rglob("launcher_*") if not any(path.iterdir())]
