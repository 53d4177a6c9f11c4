"""The local runner: parallel, resumable, and stopped by nothing but what a user can mend."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jobflow import Flow

from sse_flows.campaign.events import read_events
from sse_flows.campaign.finished import FinishedJobs, note_nothing
from sse_flows.campaign.graph import BLOCKED, DONE, FAILED, Graph
from sse_flows.campaign.keys import with_content_keys
from sse_flows.campaign.run import LocalRunner, available_cores, is_running, lock
from sse_flows.campaign.worker import run_job
from sse_flows.errors import SSEError
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing import jobs
from sse_flows.testing.jobs import TOLERANT, add, executions, total


class Bench:
    """A results folder, its store, and a log of what was computed."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = str(folder / "executions.log")
        self.store = embedded_store(folder)
        self.store.connect()

    def run(self, *parts, processes: int = 2, folder: Path | None = None) -> Graph:
        flow = with_content_keys(Flow(list(parts)))
        return LocalRunner(self.store, folder or self.folder, processes).run(flow)

    def executions(self) -> int:
        return sum(executions(self.log).values())

    def outputs(self) -> dict[str, object]:
        """Latest output by job name."""
        found = self.store.query(sort={"index": 1}, properties=["name", "output"])
        return {doc["name"]: doc["output"] for doc in found}

    def events(self, state: str) -> list[dict]:
        return [event for event in read_events(self.folder) if event["state"] == state]


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path / "run")
    yield bench
    bench.store.close()


def named(job, name: str, tolerant: bool = False):
    job.name = name
    if tolerant:
        job.config = TOLERANT
    return job


def states(graph: Graph) -> dict[str, str]:
    return {node.job.name: node.state for node in graph.nodes.values()}


def test_jobs_run_at_the_same_time(bench, tmp_path):
    left, right = str(tmp_path / "left"), str(tmp_path / "right")
    bench.run(named(jobs.meet(left, right), "l"), named(jobs.meet(right, left), "r"))
    assert bench.outputs() == {"l": True, "r": True}


def test_flows_that_grow_are_computed_once_and_found_again(bench):
    def parts():
        fan = named(jobs.fan_out([1, 2, 3], bench.log), "fan")
        after = named(add(fan.output["sum"], 100, bench.log), "after fan")
        turn = named(jobs.detour(4, bench.log), "turn")
        more = named(jobs.addition(5, bench.log), "more")
        end = named(total([after.output, turn.output, more.output], bench.log), "end")
        return fan, after, turn, more, end

    graph = bench.run(*parts())
    assert set(states(graph).values()) == {DONE}
    outputs = bench.outputs()
    assert outputs["after fan"] == 2 + 3 + 4 + 100
    assert outputs["end"] == {"sum": 109 + 4 + 5, "count": 3}
    assert sorted(doc["output"] for doc in bench.store.query({"name": "add"})) == [2, 3, 4, 14, 25]
    first = bench.executions()
    assert first == len([node for node in graph.nodes.values() if node.job.index == 1])

    again = bench.run(*parts())
    assert bench.executions() == first
    assert set(states(again).values()) == {DONE}
    runs = [event["state"] for event in read_events(bench.folder)]
    assert set(runs[runs.index("start", 1) :]) == {"start", "found"}


def test_a_result_of_none_is_computed_once(bench):
    def parts():
        plain = named(jobs.nothing(log=bench.log), "plain")
        replaced = named(jobs.hand_over(bench.log), "replaced")
        after = named(jobs.nothing(plain.output, bench.log), "after")
        return plain, replaced, after, named(total([after.output, 1.0], bench.log), "end")

    graph = bench.run(*parts())
    assert set(states(graph).values()) == {DONE}
    assert bench.outputs()["end"] == {"sum": 1.0, "count": 1}
    assert bench.executions() == 5
    again = bench.run(*parts())
    assert set(states(again).values()) == {DONE}
    assert bench.executions() == 5


def test_a_job_that_replaced_itself_is_not_finished_by_that(bench):
    fan = with_content_keys(Flow([jobs.hand_over(bench.log)])).jobs[0]
    note_nothing(bench.store, fan, fan.run(bench.store))
    finished = FinishedJobs(bench.store)
    finished.look_up([fan.uuid])
    assert fan.uuid not in finished
    bench.run(jobs.hand_over(bench.log))
    finished.look_up([fan.uuid])
    assert fan.uuid in finished


def test_a_failure_stops_only_what_builds_on_it(bench):
    bad = named(jobs.refuse(1), "bad")
    worse = named(jobs.crash(2), "worse")
    child = named(add(bad.output, 1), "child")
    grandchild = named(add(child.output, 1), "grandchild")
    good = named(add(1, 1), "good")
    inputs = [bad.output, worse.output, child.output, good.output]
    graph = bench.run(
        bad, worse, child, grandchild, good, named(total(inputs), "sum", tolerant=True)
    )
    assert states(graph) == {
        "bad": FAILED,
        "worse": FAILED,
        "child": BLOCKED,
        "grandchild": BLOCKED,
        "good": DONE,
        "sum": DONE,
    }
    assert bench.outputs() == {"good": 2, "sum": {"sum": 2, "count": 1}}
    failed = {event["name"]: event for event in bench.events(FAILED)}
    assert failed["bad"]["reason"] == "1 is refused"
    assert failed["bad"]["mend"] == "Choose another number"
    assert "details" not in failed["bad"]
    assert failed["worse"]["reason"] == "RuntimeError: broken by 2"
    assert "Traceback" in failed["worse"]["details"]


def test_what_failed_is_tried_again_and_an_aggregate_takes_it_in(bench, tmp_path):
    path = str(tmp_path / "input")

    def parts():
        late = named(jobs.need_file(5, path, bench.log), "late")
        good = named(add(1, 1, bench.log), "good")
        inputs = [late.output, good.output]
        aggregate = named(total(inputs, bench.log), "sum", tolerant=True)
        return late, good, aggregate, named(add(aggregate.output["sum"], 1, bench.log), "next")

    bench.run(*parts())
    assert bench.outputs()["sum"] == {"sum": 2, "count": 1}
    assert bench.executions() == 4

    bench.run(*parts())  # still missing: only the failed one is tried
    assert bench.executions() == 5

    Path(path).touch()
    graph = bench.run(*parts())
    assert set(states(graph).values()) == {DONE}
    assert bench.outputs()["sum"] == {"sum": 7, "count": 2}
    assert bench.outputs()["next"] == 8  # and what builds on the aggregate
    assert bench.executions() == 8

    bench.run(*parts())
    assert bench.executions() == 8


def test_an_aggregate_killed_before_it_took_in_what_had_come_is_run_again(bench, tmp_path):
    path = tmp_path / "input"

    def late():
        return named(jobs.need_file(5, str(path), bench.log), "late")

    def parts():
        one = late()
        return one, named(total([one.output], bench.log), "sum", tolerant=True)

    bench.run(*parts())
    assert bench.outputs()["sum"]["count"] == 0
    path.touch()
    bench.run(late())  # the run ends here
    bench.run(*parts())
    assert bench.outputs()["sum"] == {"sum": 5, "count": 1}
    assert bench.executions() == 4


def test_an_interrupted_dynamic_job_goes_on_with_what_its_parts_have_done(bench):
    def parts():
        fan = named(jobs.fan_out([1, 2, 3], bench.log), "fan")
        return fan, named(add(fan.output["sum"], 100, bench.log), "after fan")

    flow = with_content_keys(Flow(list(parts())))
    first = next(one for one, _ in flow.iterflow() if one.name == "fan")
    response = first.run(bench.store)  # killed after its first part:
    replaced = with_content_keys(response.replace, keep={first.uuid})
    replaced.jobs[0].run(bench.store)
    assert bench.store.query_one({"uuid": first.uuid})["output"] is None
    assert bench.executions() == 2

    graph = bench.run(*parts())
    assert set(states(graph).values()) == {DONE}
    assert bench.outputs()["after fan"] == 109
    assert executions(bench.log)[replaced.jobs[0].uuid, 1] == 1
    assert executions(bench.log)[first.uuid, 1] == 2  # it only says what its parts are
    done = bench.executions()
    bench.run(*parts())
    assert bench.executions() == done


def test_a_job_that_kills_its_worker_fails_alone(bench):
    deadly = named(jobs.die(1, None, bench.log), "deadly")
    child = named(add(deadly.output, 1), "child")
    # long enough to be running whenever the other one dies
    slow = [named(add(n, 0, bench.log, 0.3), f"slow {n}") for n in range(4)]
    graph = bench.run(deadly, child, *slow)
    assert states(graph) == {
        "deadly": FAILED,
        "child": BLOCKED,
        **{f"slow {n}": DONE for n in range(4)},
    }
    key = next(node.key for node in graph.nodes.values() if node.job.name == "deadly")
    assert executions(bench.log)[key] == 2
    (event,) = bench.events(FAILED)
    assert "worker process died" in event["reason"]
    assert "fewer processes" in event["mend"]


def test_a_worker_that_dies_once_costs_nothing_but_time(bench, tmp_path):
    fragile = named(jobs.die(1, str(tmp_path / "died"), bench.log), "fragile")
    graph = bench.run(fragile, named(add(fragile.output, 1), "child"), processes=1)
    assert set(states(graph).values()) == {DONE}
    assert bench.outputs() == {"fragile": 1, "child": 2}
    assert bench.events(FAILED) == []


def test_two_campaigns_share_what_they_have_in_common(bench, tmp_path):
    common = [add(n, 1, bench.log) for n in range(3)]
    bench.run(*common, add(100, 1, bench.log))
    assert bench.executions() == 4
    first = [add(n, 1, bench.log) for n in range(3)]
    graph = bench.run(
        *first, total([one.output for one in first], bench.log), folder=tmp_path / "other"
    )
    assert bench.executions() == 5
    assert set(states(graph).values()) == {DONE}
    assert bench.outputs()["total"] == {"sum": 6, "count": 3}


def test_the_watcher_sees_every_change(bench):
    seen = []
    flow = with_content_keys(Flow([named(add(1, 1), "one"), named(jobs.refuse(1), "two")]))
    watch = lambda graph, node: seen.append((node.job.name, node.state))  # noqa: E731
    LocalRunner(bench.store, bench.folder, 1, watch).run(flow)
    assert sorted(seen) == [("one", DONE), ("one", "running"), ("two", FAILED), ("two", "running")]


def test_files_that_a_job_leaves_are_kept_and_empty_folders_are_not(bench):
    bench.run(named(jobs.write_file("OUTPUT"), "writer"), add(1, 1))
    folder = Path(bench.outputs()["writer"])
    assert folder.parent == bench.folder / "work"
    assert (folder / "OUTPUT").read_text() == "left behind"
    assert list((bench.folder / "work").iterdir()) == [folder]


# the lock


def test_a_second_runner_is_refused_while_the_first_runs(bench):
    with lock(bench.folder):
        assert is_running(bench.folder)
        with pytest.raises(SSEError, match="running already") as caught:
            bench.run(add(1, 1))
        assert "sse status" in caught.value.mend
        assert read_events(bench.folder) == []
    assert not is_running(bench.folder)
    bench.run(add(1, 1))
    assert bench.outputs() == {"add": 2}


def test_a_folder_that_was_never_run_is_not_running_and_stays_as_it_is(tmp_path):
    assert not is_running(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_folder_that_cannot_be_written_is_refused_and_not_running(read_only_folder):
    with pytest.raises(SSEError, match="cannot write to"), lock(read_only_folder):
        pass
    assert not is_running(read_only_folder)


def test_a_log_that_cannot_be_written_is_an_error_with_a_mend(bench):
    (bench.folder / "events.jsonl").mkdir(parents=True)
    with pytest.raises(SSEError, match=r"cannot write to .*events\.jsonl") as caught:
        bench.run(add(1, 1))
    assert "Free some space" in caught.value.mend


def test_there_is_at_least_one_core():
    assert available_cores() >= 1


# one job in a worker, without the process


@pytest.fixture
def worker(bench, monkeypatch):
    """Run a job as a worker does, within this process."""
    from monty.json import MontyEncoder

    from sse_flows.campaign import worker

    monkeypatch.setattr(worker, "_store", bench.store)
    return lambda job: run_job(json.dumps(job, cls=MontyEncoder), str(bench.folder / "work" / "x"))


def test_an_outcome_names_the_job_and_what_it_asks_for(worker):
    job = jobs.fan_out([1, 2])
    outcome = worker(job)
    assert (outcome.uuid, outcome.index, outcome.error) == (job.uuid, 1, None)
    assert list(outcome.more) == ["replace"]
    assert outcome.seconds >= 0


def test_an_outcome_of_a_failure_is_one_line(worker):
    outcome = worker(jobs.crash(3))
    assert outcome.error == "RuntimeError: broken by 3"
    assert (outcome.mend, outcome.more) == (None, {})
    assert worker(jobs.refuse(3)).mend == "Choose another number"


def test_what_a_job_prints_stays_out_of_the_way(worker, capsys):
    worker(add(1, 1))
    assert capsys.readouterr().out == ""


def test_workers_end_with_their_parent(bench):
    code = f"""
import time
from pathlib import Path
from jobflow import Flow
from sse_flows.campaign.keys import with_content_keys
from sse_flows.campaign.run import LocalRunner
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.jobs import add
store = embedded_store({str(bench.folder)!r})
store.connect()
flow = with_content_keys(Flow([add(n, 1, {bench.log!r}, 600) for n in range(2)]))
LocalRunner(store, Path({str(bench.folder)!r}), 2).run(flow)
"""
    import psutil

    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code])
    try:
        _until(lambda: bench.executions() == 2, 300)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
    finally:
        process.kill()
        process.wait()
    _until(lambda: not any(child.is_running() for child in children), 120)


def _until(condition, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
