"""Whatever breaks, a campaign comes through with `sse recover`: nothing lost, nothing done twice.

Real Slurm, MongoDB's own protocol, FireWorks' own qlaunch. ``SSE_WRITE_FAULT_TABLE=docs/faults.md``
writes what was measured.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from sse_flows.testing import faults, jobs
from sse_flows.testing.fault_runs import FaultRun, is_alive, job_node, qlaunch_running
from sse_flows.testing.jobs import executions
from sse_flows.testing.slurm import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

ALL = " --category relax --category supercell --category postprocess --category models"
SEED = int(os.environ.get("SSE_FAULT_SEED", "1"))
ENDED = ("CANCELLED", "COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "UNKNOWN")


HEAD = """\
# Faults on a cluster, as measured

Written by `SSE_WRITE_FAULT_TABLE=docs/faults.md pytest tests/launchers/test_faults.py`: a real
Slurm, MongoDB's wire protocol, FireWorks' own `qlaunch`. Computed again are jobs that were running
when the fault came, or whose result was gone, with what builds on them. The documents (id, index,
output) are compared with those of a run without a fault.

| fault | what FireWorks alone is left with | `sse recover` | computed again | same documents |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Row:
    """What one fault did."""

    fault: str
    left: str
    recover: str
    twice: int
    same: bool

    def line(self) -> str:
        same = "yes" if self.same else "no"
        return f"| {self.fault} | {self.left} | {self.recover} | {self.twice} | {same} |\n"


@pytest.fixture(scope="module")
def table():
    """Rows of the table of faults, written at the end if that was asked for."""
    rows: list[Row] = []
    yield rows
    path = os.environ.get("SSE_WRITE_FAULT_TABLE")
    if path and rows:
        Path(path).write_text(HEAD + "".join(one.line() for one in rows))


@pytest.fixture
def make_run(cluster, stoppable_mongo, launchpad, job_store, site, tmp_path):
    """A function that submits the campaign; its workers take jobs of all categories."""

    def make(relaxations, idle: float = 3.0) -> FaultRun:
        (site.folder / "profiles.yaml").write_text("")  # resources of my_qadapter.yaml for all
        site.edit("my_qadapter.yaml", "singleshot", f"singleshot --idle {idle:g}{ALL}")
        site.edit("my_qadapter.yaml", "max_queued: 20", "max_queued: 4")
        site.edit("FW_config.yaml", "QUEUE_UPDATE_INTERVAL: 1", "QUEUE_UPDATE_INTERVAL: 0")
        run = FaultRun(launchpad, job_store, tmp_path / "campaign", relaxations)
        run.submit()
        return run

    yield make
    cluster.run("scontrol", "update", "PartitionName=debug", "State=UP")


def reservation(run, compound):
    """Slurm job that the first job of a compound is reserved for; None without one."""
    firework = run.firework(compound, "order")
    if not firework["launches"]:
        return None
    history = run.launch(compound, "order")["state_history"]
    return next((one["reservation_id"] for one in history if one.get("reservation_id")), None)


def settle(run) -> None:
    """Wait for the end; then recovering again finds nothing."""
    run.wait_until_complete()
    assert run.recover() == []
    assert run.differences() == {}


def test_cancelled_timed_out_and_killed_jobs(cluster, make_run, table):
    victims = {
        "cancelled": "`scancel` of a running job",
        "walltime": "end of the walltime: SIGKILL to the whole job",
        "killed": "`kill -9` of a worker",
    }
    run = make_run(dict.fromkeys(("pending", *victims), jobs.hold))
    run.open_gates("pending")
    cluster.run("scontrol", "update", "PartitionName=debug", "State=DOWN")
    with qlaunch_running():
        wait_until(lambda: reservation(run, "pending") is not None, 60, "a reservation")
        pending = reservation(run, "pending")
        assert cluster.state(pending) == "PENDING"
        faults.cancel_job(cluster, pending)
        cluster.run("scontrol", "update", "PartitionName=debug", "State=UP")
        run.wait_until_begun(*victims)
        ran_in = {name: run.slurm_job(name) for name in victims}
        faults.cancel_job(cluster, ran_in["cancelled"])
        cluster.run("scancel", "--signal=KILL", "--full", ran_in["walltime"])
        faults.kill_launch(run.launchpad, run.launch("killed")["launch_id"])
        for job in ran_in.values():
            cluster.wait_for_state(job, *ENDED)
        left = {name: run.state(name) for name in victims}
        left["pending"] = run.state("pending", "order")
        assert left == {**dict.fromkeys(victims, "RUNNING"), "pending": "RESERVED"}
        status = run.command("status")
        assert "4 lost" in status or status.count("lost") >= 4, status
        run.open_gates()
        before = run.counts()
        assert len([one for one in run.recover("--dry-run") if "would have" in one]) == 4
        assert run.counts() == before
        run.recovered.clear()
        assert len(run.recover()) == 4
        settle(run)
    again = run.computed_more()
    assert again == Counter(run.relaxation_of(name) for name in victims)
    same = not run.differences()
    for name, fault in victims.items():
        twice = again[run.relaxation_of(name)]
        table.append(Row(fault, left[name], run.did(name), twice, same))
    fault = "`scancel` of a waiting, reserved job"
    table.append(Row(fault, left["pending"], run.did("pending"), 0, same))


def test_lost_nodes_zombies_and_an_absent_controller(cluster, make_run, site, table):
    site.edit("my_qadapter.yaml", "ntasks: 1", "ntasks: 2")  # a job fills a node
    run = make_run(dict.fromkeys(("lost", "zombie"), jobs.hold))
    with faults.controller_away(cluster), qlaunch_running("--nlaunches", "1") as launcher:
        wait_until(lambda: run.counts().get("RESERVED", 0) == 1, 60, "a reservation")
        time.sleep(2.0)
    away = "READY" if launcher.returncode == 0 and not run.counts().get("RESERVED") else "RESERVED"
    with qlaunch_running():
        run.wait_until_begun("lost", "zombie")
        cluster.restart_controller()
        nodes = {name: job_node(cluster, run.slurm_job(name)) for name in ("lost", "zombie")}
        assert nodes["lost"] != nodes["zombie"]
        zombie = faults.launch_process(run.launchpad, run.launch("zombie")["launch_id"])
        os.kill(zombie, signal.SIGSTOP)
        cluster.stop_node(nodes["zombie"])
        cluster.mark_down(nodes["zombie"], "does not answer, but its jobs live")
        faults.lose_node(cluster, nodes["lost"])
        cluster.start_node(nodes["lost"])
        left = {name: run.state(name) for name in nodes}
        assert left == dict.fromkeys(nodes, "RUNNING")
        run.open_gates()
        run.recover()
        settle(run)
        assert is_alive(zombie)
        before = run.stored()
        os.kill(zombie, signal.SIGCONT)
        wait_until(lambda: not is_alive(zombie), 60, "the zombie to end")
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
    table.append(Row("slurmctld away during submission", away, "nothing to do", 0, same))
    table.append(Row("slurmctld restarted while jobs run", "nothing", "nothing to do", 0, same))


def test_an_absent_database_full_disks_and_damaged_files(
    cluster, make_run, stoppable_mongo, job_store, table
):
    full = lambda number, gate, log: jobs.write_output(number, 200_000, log)  # noqa: E731
    held = dict.fromkeys(("away-1", "away-2"), jobs.hold)
    run = make_run({**held, "cut": jobs.read_back, "full": full})
    try:
        disk = faults.mounted(run.results / "work", "size=600k")
        disk.__enter__()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    try:
        _database_and_disk(run, stoppable_mongo, table)
        _lost_results(run, job_store, table)
    finally:
        disk.__exit__(None, None, None)


def _database_and_disk(run, mongo, table):
    ballast = run.results / "work" / "ballast"
    ballast.write_bytes(bytes(500_000))
    with qlaunch_running():
        run.wait_until_begun("away-1", "away-2", "cut")
        work = Path(run.firework("cut")["spec"]["sse"]["work"])
        wait_until((work / "output.gz").is_file, 30, "an output")
        wait_until(lambda: run.state("full") == "FIZZLED", 60, "a full disk")
        time.sleep(0.5)
        faults.cut_short(work / "output.gz")
        run.open_gates("cut")
        wait_until(lambda: run.state("cut") == "FIZZLED", 60, "a damaged file")
        with faults.database_away(mongo.server, 20.0):
            run.open_gates()
        wait_until(run.is_still, 120, "the rest")
        left = {name: run.state(name) for name in ("away-1", "away-2", "cut", "full")}
        status = run.command("status")
        assert "No space left" in status, status
        run.recover()
        wait_until(run.is_still, 120, "what was recovered")
        assert run.state("cut") == "COMPLETED"
        assert run.state("full") == "FIZZLED"
        ballast.unlink()
        run.recover("--failed")
        settle(run)
    same, again = not run.differences(), run.computed_more()
    twice = {name: again[run.relaxation_of(name)] for name in left}
    table.append(
        Row(
            "the database is away for 20 s while jobs end",
            left["away-1"],
            run.did("away-1"),
            twice["away-1"] + twice["away-2"],
            same,
        )
    )
    table.append(Row("a truncated output file", left["cut"], run.did("cut"), twice["cut"], same))
    table.append(
        Row(
            "a full disk",
            left["full"],
            run.did("full") + " (`--failed`, once there is space)",
            twice["full"],
            same,
        )
    )
    assert twice == {"away-1": 0, "away-2": 0, "cut": 1, "full": 1}


def _lost_results(run, store, table):
    uuids = {
        one["spec"]["sse"]["uuid"]
        for one in run.launchpad.fireworks.find({"spec.sse.compound": "away-1"})
    }
    before = executions(run.log)
    store.remove_docs({"uuid": {"$in": sorted(uuids)}})
    run.recovered.clear()
    with qlaunch_running():
        while run.recover():
            run.wait_until_complete()
    again = executions(run.log) - before
    lost = {key: pair for key, pair in run.differences().items() if pair != (None, "no document")}
    assert lost == {}  # a job that replaced itself had left a document without output
    table.append(
        Row(
            "results of a compound vanish from the store",
            "COMPLETED",
            run.did("away-1"),
            sum(again.values()),
            not lost,
        )
    )


def test_two_launchers_and_two_workers_race(cluster, make_run, table):
    slow = lambda number, gate, log: jobs.add(number, 1, log, 0.5)  # noqa: E731
    run = make_run(dict.fromkeys(("a", "b", "c", "d"), slow))
    worker = [shutil.which("sse"), "worker", "rapidfire", "--idle", "3"]
    with qlaunch_running(), qlaunch_running():
        workers = [subprocess.Popen(worker, stdout=subprocess.DEVNULL) for _ in range(2)]
        run.wait_until_complete()
        for one in workers:
            assert one.wait(60) == 0
        settle(run)
    again = run.computed_more()
    assert not again
    fault = "two `qlaunch` and two more workers race for the same jobs"
    table.append(Row(fault, "nothing", run.did("a"), 0, not run.differences()))


def test_kills_at_any_moment(cluster, make_run, table):
    """Workers that compute are killed, wherever they are between two writes."""
    chance = random.Random(SEED)
    run = make_run(dict.fromkeys("abcd", brief))
    kills, end = 0, time.monotonic() + 180
    with qlaunch_running() as launcher:
        while kills < 10 and not run.is_complete():
            assert launcher.poll() is None, "qlaunch ended"
            assert time.monotonic() < end, f"{kills} kills: {run.counts()} {run.recovered[-20:]}"
            kills += _kill_one(run, chance)
        left = run.counts()
        come_through(run)
        settle(run)
    again = run.computed_more()
    assert kills > 5
    assert again.total() <= kills
    fault = f"`kill -9` of {kills} workers at random moments"
    table.append(Row(fault, _states(left), run.kinds(), again.total(), not run.differences()))


def _kill_one(run, chance) -> bool:
    """Kill a worker that computes; where there is none and none will come, recover."""
    query = {"state": "RUNNING", "fworker.env.pid": {"$gt": 0}}
    known = [one["fworker"]["env"]["pid"] for one in run.launchpad.launches.find(query)]
    alive = [process for process in known if is_alive(process)]
    if not alive:
        time.sleep(0.05)
        if run.is_at_rest():
            run.recover()
        return False
    time.sleep(chance.uniform(0.0, 0.4))
    with contextlib.suppress(ProcessLookupError):
        faults.kill_process(chance.choice(alive))
        return True
    return False


def _states(counts) -> str:
    return ", ".join(sorted(counts.keys() & {"RUNNING", "RESERVED", "FIZZLED", "COMPLETED"}))


def test_outages_at_any_moment(cluster, make_run, stoppable_mongo, table):
    """A database that stops while jobs are checked out, stored, completed and grown."""
    chance = random.Random(SEED)
    run = make_run(dict.fromkeys("abcdef", brief))
    outages = 0
    with qlaunch_running():
        wait_until(lambda: executions(run.log).total() > 3, 60, "a first job")
        while outages < 6 and not run.is_complete():
            time.sleep(chance.uniform(0.2, 1.2))
            with faults.database_away(stoppable_mongo.server, chance.uniform(0.5, 3.0)):
                outages += 1
        wait_until(run.is_still, 120, "workers without work")
        left = run.counts()
        come_through(run)
        settle(run)
    again = run.computed_more()
    assert again.total() <= 4 * outages  # workers at a time
    fault = f"the database stops {outages} times for seconds at random moments"
    table.append(Row(fault, _states(left), run.kinds(), again.total(), not run.differences()))


def brief(number, gate, log):
    """A relaxation that waits for nothing."""
    return jobs.add(number, 1, log, 0.2)


def come_through(run, rounds: int = 8) -> int:
    """Recover as often as a user would, with qlaunch between; returns how often there was need."""
    for count in range(rounds):
        wait_until(run.is_at_rest, 120, "rest")
        if not run.recover() and run.is_complete():
            return count
    raise AssertionError(f"not recovered: {run.counts()} {run.recovered[-20:]}")


def test_the_walltime_of_slurm_itself(cluster, make_run, site, table):
    site.edit("my_qadapter.yaml", 'queue: "debug"', 'queue: "short"')
    site.edit("my_qadapter.yaml", "04:00:00", "00:01:00")
    run = make_run({"slow": jobs.hold})
    with qlaunch_running():
        run.wait_until_begun("slow")
        job = run.slurm_job("slow")
        assert cluster.wait_for_state(job, *ENDED, timeout=100) == "TIMEOUT"
        left = run.state("slow")
        assert left == "RUNNING"
        run.open_gates()
        run.recover()
        settle(run)
    again = run.computed_more()
    assert again == Counter([run.relaxation_of("slow")])
    fault = "walltime of one minute, by Slurm itself"
    table.append(Row(fault, left, run.did("slow"), 1, not run.differences()))
