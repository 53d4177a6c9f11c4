"""The private Slurm cluster: jobs run, and faults are what they are on a real cluster."""

from __future__ import annotations

import pytest

from sse_flows.testing.slurm import SlurmCluster, node_processes, wait_until

pytestmark = pytest.mark.slurm


def test_runs_a_job_and_says_so(cluster: SlurmCluster, tmp_path) -> None:
    job = cluster.submit("echo $SLURM_JOB_ID on $SLURMD_NODENAME", "-o", str(tmp_path / "out"))
    cluster.wait_for_state(job, "COMPLETED")
    assert (tmp_path / "out").read_text().split()[:2] == [job, "on"]
    wait_until(lambda: f"JobId={job} " in cluster.completed_jobs.read_text(), 120)


def test_a_killed_node_loses_its_jobs_and_comes_back(cluster: SlurmCluster) -> None:
    job = cluster.submit("sleep 300 & sleep 300", "--no-requeue", "-w", "n1")
    cluster.wait_for_state(job, "RUNNING")
    wait_until(lambda: len(node_processes(cluster.folder, 1)) >= 4, 120)
    cluster.kill_node(1)
    wait_until(lambda: not node_processes(cluster.folder, 1), 120)
    cluster.mark_down(1)
    assert cluster.wait_for_state(job, "NODE_FAIL") == "NODE_FAIL"
    assert node_processes(cluster.folder, 2)
    cluster.start_node(1)
    again = cluster.submit("true", "-w", "n1", "-o", "/dev/null")
    assert cluster.wait_for_state(again, "COMPLETED", "FAILED") == "COMPLETED"


def test_jobs_outlive_daemons_that_restart(cluster: SlurmCluster, tmp_path) -> None:
    job = cluster.submit(f"until [ -e {tmp_path}/go ]; do sleep 0.2; done", "-w", "n2")
    cluster.wait_for_state(job, "RUNNING")
    cluster.stop_node(2)
    cluster.start_node(2)
    cluster.restart_controller()
    assert cluster.state(job) == "RUNNING"
    (tmp_path / "go").touch()
    assert cluster.wait_for_state(job, "COMPLETED", "FAILED") == "COMPLETED"


def test_refuses_a_folder_too_deep_for_sockets(tmp_path) -> None:
    with pytest.raises(ValueError, match="too long"):
        SlurmCluster(tmp_path / ("x" * 60))
