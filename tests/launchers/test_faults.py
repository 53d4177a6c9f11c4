"""Whatever breaks, a campaign comes through with `sse recover`: nothing lost, nothing done twice.

Real Slurm, MongoDB's own protocol, FireWorks' own qlaunch. Here jobs, nodes and the controller
break; storage and chance have files of their own. ``SSE_WRITE_FAULT_TABLE=docs/faults.md`` writes
what all three measured.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from datetime import datetime

import pytest

from sse_flows.testing import faults, jobs
from sse_flows.testing.fault_runs import is_alive, job_node, qlaunch_running, settle
from sse_flows.testing.fault_table import Row

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

ENDED = (
    "CANCELLED", "COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "UNKNOWN",
)  # fmt: skip


def reservation(run, compound):
    """Slurm job that the first job of a compound is reserved for; None without one."""
    firework = run.firework(compound, "order")
    if not firework["launches"]:
        return None
    history = run.launch(compound, "order")["state_history"]
    return next((one["reservation_id"] for one in history if one.get("reservation_id")), None)


def test_cancelled_timed_out_and_killed_jobs(cluster, make_run, table):
    victims = {
        "cancelled": "`scancel` of a running job",
        "killed-job": "SIGKILL to all processes of a job",
        "killed": "`kill -9` of a worker",
        "walltime": "end of the walltime: Slurm itself ends the job",
    }
    run = make_run(dict.fromkeys(("pending", *victims), jobs.hold))
    run.open_gates("pending")
    cluster.set_partition("State=DOWN")
    with qlaunch_running():
        run.wait(lambda: reservation(run, "pending") is not None, "a reservation")
        pending = reservation(run, "pending")
        assert cluster.state(pending) == "PENDING"
        faults.cancel_job(cluster, pending)
        cluster.set_partition("State=UP")
        run.wait_until_begun(*victims)
        ran_in = {name: run.slurm_job(name) for name in victims}
        end_walltime_now(cluster, ran_in["walltime"])
        faults.cancel_job(cluster, ran_in["cancelled"])
        cluster.run("scancel", "--signal=KILL", "--full", ran_in["killed-job"])
        faults.kill_launch(run.launchpad, run.launch("killed")["launch_id"])
        ended = {name: cluster.wait_for_state(job, *ENDED) for name, job in ran_in.items()}
        assert ended["walltime"] == "TIMEOUT"
        run.wait_until_at_rest()
        left = {name: run.state(name) for name in victims}
        left["pending"] = run.state("pending", "order")
        assert left == {**dict.fromkeys(victims, "RUNNING"), "pending": "RESERVED"}
        status = run.command("status")
        assert "5 lost" in status or status.count("lost") >= 5, status
        run.open_gates()
        before = run.counts()
        assert len([one for one in run.recover("--dry-run") if "would have" in one]) == 5
        assert run.counts() == before
        run.recovered.clear()
        assert len(run.recover()) == 5
        settle(run)
    again = run.computed_more()
    assert again == Counter(run.relaxation_of(name) for name in victims)
    same = not run.differences()
    for name, fault in victims.items():
        twice = again[run.relaxation_of(name)]
        table.append(Row(fault, left[name], run.did(name), twice, same))
    fault = "`scancel` of a waiting, reserved job"
    table.append(Row(fault, left["pending"], run.did("pending"), 0, same))


def end_walltime_now(cluster, job):
    """Let the time of a running job be over; Slurm looks every half minute."""
    now = datetime.now().strftime("%Y-%m-%dT%H:%M:%S")
    cluster.run("scontrol", "update", f"JobId={job}", f"EndTime={now}")


def test_lost_nodes_zombies_and_an_absent_controller(cluster, make_run, site, table):
    site.edit("my_qadapter.yaml", "ntasks: 1", "ntasks: 2")  # a job fills a node
    run = make_run(dict.fromkeys(("lost", "zombie"), jobs.hold))
    site.edit("my_qadapter.yaml", "max_queued: 4", "max_queued: null")  # squeue is not asked first
    with qlaunch_running("--nlaunches", "1") as launcher:
        with faults.controller_away(cluster):
            run.wait(lambda: run.counts().get("RESERVED", 0) == 1, "a reservation")
        assert launcher.wait(120) == 0
    site.edit("my_qadapter.yaml", "max_queued: null", "max_queued: 4")
    assert run.recover() == []
    with qlaunch_running():
        run.wait_until_begun("lost", "zombie")
        cluster.restart_controller()
        assert run.recover() == []
        nodes = {name: job_node(cluster, run.slurm_job(name)) for name in ("lost", "zombie")}
        assert nodes["lost"] != nodes["zombie"]
        zombie = faults.launch_process(run.launchpad, run.launch("zombie")["launch_id"])
        os.kill(zombie, signal.SIGSTOP)
        cluster.stop_node(nodes["zombie"])
        cluster.mark_down(nodes["zombie"], "does not answer, but its jobs live")
        faults.lose_node(cluster, nodes["lost"])
        cluster.start_node(nodes["lost"])
        run.wait_until_at_rest()
        left = {name: run.state(name) for name in nodes}
        assert left == dict.fromkeys(nodes, "RUNNING")
        run.open_gates()
        run.recover()
        settle(run)
        assert is_alive(zombie)
        before = run.stored()
        os.kill(zombie, signal.SIGCONT)
        run.wait(lambda: not is_alive(zombie), "the zombie to end")
        assert run.stored() == before  # dates and all
        assert run.is_complete()
        assert run.recover() == []
    again = run.computed_more()
    assert again == Counter(run.relaxation_of(name) for name in nodes)
    same = not run.differences()
    table.append(Row("a node is lost with its jobs", left["lost"], run.did("lost"), 1, same))
    fault = "a worker thought lost comes back after its job ran elsewhere"
    table.append(
        Row(fault, left["zombie"], f"{run.did('zombie')}; the late result is refused", 1, same)
    )
    table.append(Row("slurmctld away during submission", "nothing", "nothing to do", 0, same))
    table.append(Row("slurmctld restarted while jobs run", "nothing", "nothing to do", 0, same))


def test_preempted_and_requeued_jobs(cluster, make_run, site, table):
    site.edit("my_qadapter.yaml", "ntasks: 1", "ntasks: 2")
    run = make_run(dict.fromkeys(("requeue", "cancel"), jobs.hold))
    with qlaunch_running():
        run.wait_until_begun("requeue", "cancel")
        forced = run.slurm_job("requeue")
        with pytest.raises(RuntimeError, match="disabled"):
            cluster.run("scontrol", "requeue", forced)
        requeue(cluster, forced)
        requeued = run.state("requeue")
        assert requeued == "RUNNING"
        assert len(run.recover()) == 1
        assert "put back into the queue" in run.recovered[0]
        assert run.did("requeue") == "lost run: put back"
        run.recovered.clear()
        run.wait_until_begun("requeue", times=2)

        ran_in = {name: run.slurm_job(name) for name in ("requeue", "cancel")}
        ended = {name: preempt(cluster, job, name) for name, job in ran_in.items()}
        run.wait_until_at_rest()
        left = {name: run.state(name) for name in ended}
        assert left == dict.fromkeys(ended, "RUNNING")
        run.open_gates()
        assert len(run.recover()) == 2
        settle(run)
        # begins anew, finds its firework done or takes what there is, and ends
        assert cluster.wait_for_state(forced, *ENDED) in ("COMPLETED", ended["requeue"])
        assert run.recover() == []
    again = run.computed_more()
    twice = {name: run.relaxation_of(name) for name in ended}
    assert again == Counter({twice["requeue"]: 2, twice["cancel"]: 1})
    same = not run.differences()
    for name, end in ended.items():
        fault = f"preemption, `PreemptMode={name.upper()}`: Slurm says {end}"
        table.append(Row(fault, left[name], run.did(name), 1, same))
    fault = "`scontrol requeue`, refused unless an administrator sets `Requeue=1` before"
    table.append(Row(fault, requeued, "lost run: put back", 1, same))


def requeue(cluster, job) -> None:
    """Put a running job back into the queue, against its `--no-requeue`."""
    cluster.run("scontrol", "update", f"JobId={job}", "Requeue=1")
    cluster.run("scontrol", "requeue", job)
    cluster.wait_for_state(job, "PENDING")
    cluster.run("scontrol", "update", f"JobId={job}", "Requeue=0")


def preempt(cluster, job, mode) -> str:
    """Drive a job out by one of a higher partition; returns how it ended."""
    cluster.set_partition(f"PreemptMode={mode.upper()}")
    node = job_node(cluster, job)
    urgent = cluster.submit("true", "--partition=short", f"--nodelist=n{node}", "--ntasks=2")
    assert cluster.wait_for_state(urgent, *ENDED) == "COMPLETED"
    return cluster.wait_for_state(job, *ENDED)


def test_the_second_node_of_a_job_is_lost(cluster, make_run, site, table):
    site.edit("my_qadapter.yaml", "ntasks: 1", "ntasks: 2")
    site.edit("my_qadapter.yaml", "nodes: 1", "nodes: 2")
    run = make_run({"both": jobs.hold_on_nodes})
    with qlaunch_running():
        run.wait_until_begun("both")
        job = run.slurm_job("both")
        step = f"{job}.0 n[1-2]"
        run.wait(lambda: step in cluster.run("squeue", "-h", "-s", "-o", "%i %N"), "a job step")
        faults.lose_node(cluster, 2)
        assert cluster.wait_for_state(job, *ENDED) == "NODE_FAIL"
        left = run.state("both")
        assert left == "RUNNING"
        cluster.start_node(2)
        run.open_gates()
        run.wait_until_at_rest()
        assert len(run.recover()) == 1
        settle(run)
    again = run.computed_more()
    assert again == Counter([run.relaxation_of("both")])
    fault = "the second node of a job on two is lost, with a command under `srun`"
    table.append(Row(fault, left, run.did("both"), 1, not run.differences()))


def test_one_of_several_workers_of_a_job_is_killed_for_memory(cluster, make_run, site, table):
    try:
        group = faults.memory_group(64_000_000)
        place = group.__enter__()
    except OSError as error:
        pytest.skip(str(error))
    try:
        hungry = lambda number, gate, log: jobs.eat_memory(number, gate, str(place), log)  # noqa: E731
        run = make_run({"hungry": hungry, "other": jobs.hold}, " --processes 2")
        site.edit("my_qadapter.yaml", "max_queued: 4", "max_queued: 1")
        with qlaunch_running():
            run.wait_until_begun("hungry", "other")
            run.wait(lambda: run.launch("hungry")["fworker"]["env"].get("died"), "a note")
            job = run.slurm_job("hungry")
            assert run.slurm_job("other") == job
            assert cluster.state(job) == "RUNNING"
            left = run.state("hungry")
            assert left == "RUNNING"
            run.open_gates("hungry")
            assert len(run.recover()) == 1
            assert "ended with -9" in run.recovered[0]
            run.open_gates()
            settle(run)
    finally:
        group.__exit__(None, None, None)
    again = run.computed_more()
    assert again == Counter([run.relaxation_of("hungry")])
    fault = "the kernel kills one of two workers of a job for want of memory; the other goes on"
    table.append(Row(fault, left, run.did("hungry"), 1, not run.differences()))
