"""How long it takes to submit a campaign, and what many workers make of it, beside plain FireWorks.

    python benchmarks/submit.py add [--compounds 1000] [--peer 1000] [--supercells 24]
    python benchmarks/submit.py drain [--jobs 200] [--workers 4]

`add` puts trivial compounds of the shape of a campaign on a LaunchPad: as `sse submit` does, and,
for comparison in the same run, as one jobflow workflow a compound, by ``flow_to_workflow`` and
``LaunchPad.add_wf``. `--peer` is the number of compounds for the comparison; if it is smaller, its
time is scaled, which flatters it; `--supercells` adds so many jobs to each. Each begins with its
flow made and a fresh database, and drops all it made. Content keys, which the other does not have,
are timed apart. `drain` lets worker processes run trivial jobs, counts those lost or run twice,
and does the same with bare ``rapidfire`` and jobflow's own task.

The server is the one that SSE_TEST_MONGODB_URI names, else a mongod on PATH, else the stand-in of
the tests, which is slower than MongoDB. CPU seconds are of this process: the server's are its own;
"in the server" is what passed between sending its commands and having its answers, while this
process may have been at work as well.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import multiprocessing
import os
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow, JobStore
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import MongoStore
from pymongo import monitoring

from sse_flows.campaign.keys import KeyedFlow, keyed
from sse_flows.launchers import firetask
from sse_flows.launchers.submit import Submitter
from sse_flows.store.indexes import ensure_indexes
from sse_flows.testing import jobs
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.mongo_server import MongoServer


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["add", "drain"])
    parser.add_argument("--compounds", type=int, default=1000)
    parser.add_argument("--peer", type=int, default=1000)
    parser.add_argument("--supercells", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, MongoServer(Path(folder) / "mongo") as server:
        place = Place(server.host, server.port, Path(folder))
        if given.what == "add":
            found = add(place, given.compounds, given.peer, given.supercells)
        else:
            found = drain(place, given.jobs, given.workers)
    print(json.dumps(found, indent=1))


class Waited(monitoring.CommandListener):
    """Counts commands to the server, and sums up how long they took."""

    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()
        self.seconds = 0.0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Count one."""
        self.commands[event.command_name] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Add its time."""
        self.seconds += event.duration_micros / 1e6

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Add its time."""
        self.seconds += event.duration_micros / 1e6


class Place:
    """A fresh database for each measurement.

    Parameters
    ----------
    host, port
        The server.
    folder
        For working folders.
    """

    def __init__(self, host: str, port: int, folder: Path):
        self.host, self.port, self.folder = host, port, folder
        self.name = ""
        self.waited = Waited()
        monitoring.register(self.waited)

    def fresh(self) -> LaunchPad:
        """An empty LaunchPad."""
        self.name = f"sse_bench_{uuid.uuid4().hex[:12]}"
        launchpad = self.launchpad()
        launchpad.reset("", require_password=False)
        return launchpad

    def launchpad(self) -> LaunchPad:
        """The LaunchPad once more, for another process."""
        return LaunchPad(host=self.host, port=self.port, name=self.name, strm_lvl="CRITICAL")

    def store(self) -> JobStore:
        """Its JobStore, connected, with the indexes that every command of ours makes."""
        store = JobStore(MongoStore(self.name, "outputs", host=self.host, port=self.port))
        store.connect()
        ensure_indexes(store)
        return store

    @contextmanager
    def timed(self, times: dict[str, float], name: str) -> Iterator[None]:
        """Take wall and CPU seconds of this process, and those in the server, and its commands."""
        gc.collect()
        self.waited.seconds = 0.0
        self.waited.commands.clear()
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        times[f"{name}, wall s"] = round(time.perf_counter() - wall, 2)
        times[f"{name}, CPU s"] = round(time.process_time() - cpu, 2)
        times[f"{name}, in the server, s"] = round(self.waited.seconds, 2)
        times[f"{name}, commands"] = self.waited.commands.total()


def add(place: Place, compounds: int, peer: int, supercells: int) -> dict[str, Any]:
    """Submit compounds, submit them again, and add some as plain workflows."""
    times: dict[str, Any] = {"compounds": compounds, "compounds of the peer": peer}
    _add_plainly(place, peer, supercells, times)
    flow = keyed_flow(place, compounds, supercells, times)
    launchpad = place.fresh()
    for name in ("submit", "submit again"):
        with place.timed(times, name):
            submitter = Submitter(launchpad, place.store(), place.folder)
            submitter.submit(flow, "bench")
    times["fireworks"] = launchpad.fireworks.count_documents({})
    for kind in ("wall", "CPU"):
        scaled = times[f"peer, {kind} s"] * compounds / peer
        submitted = times[f"submit, {kind} s"]
        times[f"ratio of {kind} times"] = round(scaled / submitted, 1)
        with_keys = submitted + times[f"keys, {kind} s"]
        times[f"ratio of {kind} times with keys"] = round(scaled / with_keys, 1)
    return times


def keyed_flow(place: Place, compounds: int, supercells: int, times: dict[str, Any]) -> KeyedFlow:
    """A campaign of trivial compounds."""
    flow = larger(campaign_flow(named(compounds)), supercells)
    with place.timed(times, "keys"):
        return keyed(flow)


def named(compounds: int) -> dict[str, float]:
    """Names and numbers of compounds."""
    return {f"x{number}": float(number) for number in range(compounds)}


def _add_plainly(place: Place, compounds: int, supercells: int, times: dict[str, Any]) -> None:
    plain = larger(campaign_flow(named(compounds)), supercells).jobs[1 : 1 + compounds]
    launchpad = place.fresh()
    with place.timed(times, "peer"):
        for one in plain:
            launchpad.add_wf(flow_to_workflow(one, allow_external_references=True))


def larger(flow: Flow, supercells: int) -> Flow:
    """The same with more jobs in each compound, as if its supercells were known beforehand."""
    for number, chain in enumerate(part for part in flow.jobs if isinstance(part, Flow)):
        more = [jobs.add(number, 0.01 * one) for one in range(supercells)]
        for job in more:
            job.update_metadata({"stage": "phonons", "compound": chain.name}, dynamic=True)
        chain.add_jobs(more)
    return flow


def drain(place: Place, number: int, workers: int) -> dict[str, Any]:
    """Let workers run trivial jobs, ours and the peer's."""
    found: dict[str, Any] = {"jobs": number, "workers": workers}
    log = str(place.folder / "ours.log")
    chains = [
        [first := jobs.add(n, 1, log), jobs.add(first.output, 2, log)] for n in range(number // 2)
    ]
    parts = [Flow(chain, name=f"x{n}") for n, chain in enumerate(chains)]
    for n, part in enumerate(parts):
        part.update_metadata({"stage": "relax", "compound": f"x{n}"}, dynamic=True)
    launchpad = place.fresh()
    Submitter(launchpad, place.store(), place.folder).submit(keyed(Flow(parts)), "bench")
    _run(place, workers, found, "ours")
    _count(found, "ours", log, launchpad, number)
    log = str(place.folder / "peer.log")
    launchpad = place.fresh()
    for n in range(number // 2):
        first = jobs.add(n, 1, log)
        flow = Flow([first, jobs.add(first.output, 2, log)])
        launchpad.add_wf(flow_to_workflow(flow, place.store()))
    _run(place, workers, found, "peer")
    _count(found, "peer", log, launchpad, number)
    return found


def _run(place: Place, workers: int, found: dict[str, Any], name: str) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_work, args=(place, name, n)) for n in range(workers)]
    start, before = time.perf_counter(), os.times()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    found[f"{name}, wall s"] = round(time.perf_counter() - start, 2)
    found[f"{name}, CPU s of workers"] = round(cpu, 2)


def _work(place: Place, name: str, number: int) -> None:
    logging.disable(logging.INFO)
    store = place.store()
    firetask.open_store = lambda: store
    folder = place.folder / f"{name}-{number}"
    folder.mkdir()
    options: dict[str, Any] = {"nlaunches": 0, "sleep_time": 1, "strm_lvl": "CRITICAL"}
    rapidfire(place.launchpad(), FWorker(f"worker {number}"), str(folder), **options)


def _count(found: dict[str, Any], name: str, log: str, launchpad: LaunchPad, number: int) -> None:
    runs: Counter = jobs.executions(log)
    found[f"{name}, lost"] = number - len(runs)
    found[f"{name}, run twice"] = sum(count > 1 for count in runs.values())
    completed = launchpad.fireworks.count_documents({"state": "COMPLETED"})
    found[f"{name}, not completed"] = number - completed


if __name__ == "__main__":
    main()
