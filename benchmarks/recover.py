"""How long `sse recover` takes over a large campaign, beside FireWorks' own means.

    python benchmarks/recover.py [--compounds 1000] [--supercells 24] [--running 750] [--failed 250]

Trivial compounds of the shape of a campaign are put on a LaunchPad. One half of them is complete,
with results in the store, the other has hardly begun; spread over both are fireworks that run (half
of them in Slurm jobs that are gone), that are reserved (the same) and that failed (half of them for
want of memory, which is tried again). Then `sse recover` is timed, and once more when there is
nothing left to do, and a dry run for comparison; and on the same state of another database
``lpad detect_lostruns --rerun`` and ``lpad detect_unreserved --rerun``.

The two do not do the same. FireWorks puts back what was silent for four hours (a reservation: for
two weeks), whether Slurm knows it or not; it looks neither at what failed, nor at the store, nor at
locks, half-written workflows and gates. So what each put back is given beside its time. FireWorks'
last step, a join of two collections in the server that finds ends not taken up, is left out.

The server is the one that SSE_TEST_MONGODB_URI names, else a mongod on PATH, else the stand-in of
the tests, which is slower than MongoDB. CPU seconds are of this process: the server's are its own.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fireworks import Firework, FWAction, LaunchPad, Workflow
from jobflow import JobStore
from submit import Place, keyed_flow

from sse_flows.launchers.recover import Options, recover
from sse_flows.launchers.submit import Submitter
from sse_flows.testing.launchpad_states import FakeSlurm
from sse_flows.testing.mongo_server import MongoServer

SILENT = timedelta(hours=5)
"""For how long what is lost has given no sign of life; FireWorks believes so after four."""

LOST_RUN, LOST_RESERVATION = "lost run", "lost reservation"


@dataclass(frozen=True)
class Numbers:
    """How many fireworks there are of each kind; half of those that run or wait are lost."""

    compounds: int
    supercells: int
    running: int
    reserved: int
    failed: int


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--compounds", type=int, default=1000)
    parser.add_argument("--supercells", type=int, default=24)
    parser.add_argument("--running", type=int, default=750)
    parser.add_argument("--reserved", type=int, default=100)
    parser.add_argument("--failed", type=int, default=250)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--profile", action="store_true", help="say which functions took longest")
    given = parser.parse_args()
    numbers = Numbers(*(getattr(given, name) for name in Numbers.__dataclass_fields__))
    with tempfile.TemporaryDirectory() as folder, MongoServer(Path(folder) / "mongo") as server:
        slurm = FakeSlurm(Path(folder) / "slurm")
        os.environ |= slurm.environment
        found = measure(Place(server.host, server.port, Path(folder)), slurm, numbers, given)
    print(json.dumps(found, indent=1))


def measure(
    place: Place, slurm: FakeSlurm, numbers: Numbers, given: argparse.Namespace
) -> dict[str, Any]:
    """Time ours, ours when nothing is left, and the peer."""
    times: dict[str, Any] = dict(vars(numbers))
    launchpad, store, keys = made(place, numbers, slurm)
    times["fireworks"] = launchpad.fireworks.count_documents({})
    for name in ("dry run", "recover", "idle recover"):
        options = Options(dry_run=name == "dry run")
        run = lambda: recover(launchpad, store, keys, options)  # noqa: B023, E731
        with place.timed(times, name):
            findings = profiled(run) if given.profile else run()
        times[f"{name}, put right"] = dict(Counter(one.kind for one in findings if one.did))
        times[f"{name}, left alone"] = dict(Counter(one.kind for one in findings if not one.did))
    if not given.no_peer:
        launchpad, *_ = made(place, numbers, slurm)
        _peer(launchpad, place, times)
    return times


def _peer(launchpad: LaunchPad, place: Place, times: dict[str, Any]) -> None:
    launchpad.launches.aggregate = lambda pipeline: []  # a join, which takes the stand-in hours
    with place.timed(times, "FireWorks"):
        _, lost, _ = launchpad.detect_lostruns(rerun=True)
        late = launchpad.detect_unreserved(SILENT.total_seconds() - 60, rerun=True)
    times["FireWorks, put right"] = {LOST_RUN: len(lost), LOST_RESERVATION: len(late)}
    with place.timed(times, "idle FireWorks"):
        launchpad.detect_lostruns(rerun=True)
        launchpad.detect_unreserved(SILENT.total_seconds() - 60, rerun=True)
    for who in ("recover", "FireWorks"):
        done = sum(times[f"{who}, put right"].values())
        times[f"{who}, CPU ms a firework"] = round(1000 * times[f"{who}, CPU s"] / max(done, 1), 1)


def made(place: Place, numbers: Numbers, slurm: FakeSlurm) -> tuple[LaunchPad, JobStore, list[str]]:
    """A LaunchPad and a store in trouble, in a fresh database, and the keys of their parts."""
    launchpad, store = place.fresh(), place.store()
    submitter = Submitter(launchpad, store, place.folder)
    submitter.submit(keyed_flow(place, numbers.compounds, numbers.supercells, {}), "bench")
    living = Trouble(launchpad, store, numbers).make()
    slurm.set(**{f"j{number}": "RUNNING" for number in living})
    return launchpad, store, submitter.submission.parts


class Trouble:
    """Brings a campaign that was just submitted into the state of one in trouble.

    Parameters
    ----------
    launchpad, store
        Where it was submitted.
    numbers
        How many fireworks get into which trouble.
    """

    def __init__(self, launchpad: LaunchPad, store: JobStore, numbers: Numbers):
        self.launchpad, self.store, self.numbers = launchpad, store, numbers
        self.now = datetime.now(UTC)
        self.launches: list[dict[str, Any]] = []
        self.living: list[int] = []
        self.documents: dict[str, dict[str, Any]] = {}  # compounds share some jobs

    def make(self) -> list[int]:
        """Change fireworks, launches and workflows; returns numbers of the Slurm jobs that live."""
        fireworks = {doc["fw_id"]: doc for doc in self.launchpad.fireworks.find()}
        workflows = list(self.launchpad.workflows.find())
        self._advance(fireworks, workflows)
        for state, fw_id in self._chosen(fireworks):
            self._move(fireworks[fw_id], state)
        for workflow in workflows:
            _hold_back(workflow, fireworks)
        for doc in fireworks.values():
            if doc["state"] == "COMPLETED":
                self._complete(doc)
        self._write(list(fireworks.values()), workflows)
        return self.living

    def _advance(self, fireworks: dict[int, dict], workflows: list[dict]) -> None:
        """Complete the reference and every other compound, and open the gates of the others."""
        compounds = [one for one in workflows if one["metadata"]["sse"]["kind"] == "compound"]
        done = [one for one in workflows if one["metadata"]["sse"]["kind"] == "reference"]
        for node in (node for one in [*done, *compounds[::2]] for node in one["nodes"]):
            fireworks[node]["state"] = "COMPLETED"
        for node in (node for one in compounds[1::2] for node in one["nodes"]):
            if fireworks[node]["state"] == "PAUSED":
                fireworks[node]["state"] = "READY"

    def _chosen(self, fireworks: dict[int, dict]) -> Iterator[tuple[str, int]]:
        free = [
            fw_id
            for fw_id, doc in fireworks.items()
            if doc["spec"]["sse"]["stage"] in ("order", "phonons") and doc["state"] != "WAITING"
        ]
        wanted = {"RUNNING": self.numbers.running, "RESERVED": self.numbers.reserved}
        wanted["FIZZLED"] = self.numbers.failed
        order = [state for state, number in wanted.items() for _ in range(number)]
        return zip(order, random.Random(1).sample(free, len(order)), strict=True)

    def _move(self, doc: dict[str, Any], state: str) -> None:
        """Start, reserve or fail a firework; every other one is lost, or fails in passing."""
        number = len(self.launches) + 1
        lost = number % 2 == 0
        when = (self.now - (SILENT if lost else timedelta(minutes=1))).isoformat()
        entry = {"state": "RESERVED" if state == "RESERVED" else "RUNNING"}
        history: list[dict[str, Any]] = [{**entry, "created_on": when, "updated_on": when}]
        if state == "RESERVED":
            history[0]["reservation_id"] = str(number)
        if state == "FIZZLED":
            history.append({"state": state, "created_on": when})
        elif not lost:
            self.living.append(number)
        reason = "MemoryError" if lost else "the field did not converge"
        stored = {"_message": "failed", "_exception": {"_details": {"reason": reason}}}
        action = FWAction(stored_data=stored, exit=True).to_dict() if state == "FIZZLED" else None
        self._launch(doc, state, history, action, number)

    def _complete(self, doc: dict[str, Any]) -> None:
        when = (self.now - SILENT).isoformat()
        history = [{"state": "RUNNING", "created_on": when, "updated_on": when}]
        history.append({"state": "COMPLETED", "created_on": when})
        self._launch(doc, "COMPLETED", history, FWAction().to_dict(), 0)
        sse = doc["spec"]["sse"]
        document = {"uuid": sse["uuid"], "index": sse["index"], "output": 1.0}
        about = {"stage": sse["stage"], "compound": sse["compound"]}
        document |= {"completed_at": self.now.isoformat(), "metadata": about}
        self.documents[sse["uuid"]] = document

    def _launch(
        self, doc: dict[str, Any], state: str, history: list, action: Any, job: int
    ) -> None:
        launch_id = len(self.launches) + 1
        env = {"slurm_job_id": str(job), "pid": 1} if job and state != "RESERVED" else {}
        doc["state"], doc["launches"] = state, [launch_id]
        doc["updated_on"] = history[-1]["created_on"]
        self.launches.append(
            {
                "launch_id": launch_id,
                "fw_id": doc["fw_id"],
                "state": state,
                "state_history": history,
                "fworker": {"name": "n1", "category": "", "query": "{}", "env": env},
                "launch_dir": "/tmp",
                "host": "n1",
                "ip": "127.0.0.1",
                "action": action,
                "trackers": [],
                "time_start": history[0]["created_on"],
                "time_end": None,
                "runtime_secs": None,
            }
        )

    def _write(self, fireworks: list[dict], workflows: list[dict]) -> None:
        pad = self.launchpad
        for collection, docs in ((pad.fireworks, fireworks), (pad.workflows, workflows)):
            collection.delete_many({})
            collection.insert_many(docs)
        pad.launches.insert_many(self.launches)
        pad._restart_ids(len(fireworks) + 1, len(self.launches) + 1)
        self.store.docs_store._collection.insert_many(self.documents.values())


def _hold_back(workflow: dict[str, Any], fireworks: dict[int, dict]) -> None:
    """Let what builds on something that has not ended well wait for it."""
    parents = {int(one): found for one, found in workflow["parent_links"].items()}
    for node in workflow["nodes"]:  # each after its parents
        if any(fireworks[one]["state"] != "COMPLETED" for one in parents.get(node, [])):
            fireworks[node]["state"] = "WAITING"
    states = {node: fireworks[node]["state"] for node in workflow["nodes"]}
    links = {int(one): found for one, found in workflow["links"].items()}
    bare = [Firework([], fw_id=node) for node in workflow["nodes"]]
    workflow["fw_states"] = {str(node): state for node, state in states.items()}
    workflow["state"] = Workflow(bare, links, fw_states=states).state


def profiled(run: Callable[[], Any]) -> Any:
    """Run under the profiler, and print what took longest."""
    profiler = cProfile.Profile()
    found = profiler.runcall(run)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)
    return found


if __name__ == "__main__":
    main()
