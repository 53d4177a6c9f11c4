"""How long `sse status` takes over a large campaign.

    python benchmarks/status.py [--compounds 1000] [--supercells 24] [--profile]

Trivial compounds of the shape of a campaign are put on a LaunchPad. In each compound one firework
is on its way: of every four two run in jobs of Slurm, one is reserved and one has failed; a third
of the results that end a stage are in the store. Timed are what reads the status, in this process,
and the whole command, Python's start included.

The server is the one that SSE_TEST_MONGODB_URI names, else a mongod on PATH, else the stand-in of
the tests, which is slower than MongoDB; Slurm is a script. CPU seconds of the server are not in.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fireworks import LaunchPad
from jobflow import JobStore
from pymongo import UpdateOne
from submit import Place, keyed_flow

from sse_flows.campaign.flow import Campaign, Plan
from sse_flows.campaign.keys import KeyedFlow
from sse_flows.launchers.submit import Submitter
from sse_flows.launchers.watch import watch
from sse_flows.testing.launchpad_states import FakeSlurm
from sse_flows.testing.mongo_server import MongoServer

STATES = ("RUNNING", "RUNNING", "RESERVED", "FIZZLED")
COMMAND = "from sse_flows.cli.main import main; main()"


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--compounds", type=int, default=1000)
    parser.add_argument("--supercells", type=int, default=24)
    parser.add_argument("--profile", action="store_true", help="say which functions took longest")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, MongoServer(Path(folder) / "mongo") as server:
        place = Place(server.host, server.port, Path(folder))
        found = measure(place, given.compounds, given.supercells, given.profile)
    print(json.dumps(found, indent=1))


def measure(place: Place, compounds: int, supercells: int, profile: bool) -> dict[str, Any]:
    """Put a campaign on its way and ask for its status."""
    times: dict[str, Any] = {"compounds": compounds}
    flow = keyed_flow(place, compounds, supercells, times)
    launchpad, store = place.fresh(), place.store()
    campaign = _campaign_file(place)
    submitter = Submitter(launchpad, store, campaign.folder)
    submitter.submit(flow, "bench")
    plan = _plan(flow)
    plan.write(campaign.folder)
    submitter.submission.write(campaign.folder)
    _put_on_its_way(launchpad, place)
    _store_results(plan, store)
    times["fireworks"] = dict(
        Counter(one["state"] for one in launchpad.fireworks.find({}, {"state": 1}))
    )
    with cProfile.Profile() if profile else place.timed(times, "status") as profiler:
        found = watch(plan, submitter.submission, launchpad, store)
    if profile:
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(40)
    times["problems"] = len(found.problems)
    _command(place, times)
    return times


def _campaign_file(place: Place) -> Campaign:
    """A campaign file and the configuration of FireWorks and jobflow beside it."""
    folder, server = place.folder, f"host: {place.host}, port: {place.port}"
    (folder / "campaign.yaml").write_text("name: bench\ntrain: {table: builtin}\n")
    (folder / "my_launchpad.yaml").write_text(f"{{{server}, name: {place.name}}}\n")
    server = f"database: {place.name}, {server}"
    docs = f"docs_store: {{type: MongoStore, collection_name: outputs, {server}}}"
    data = f"data: {{type: GridFSStore, collection_name: blobs, {server}}}"
    settings = f"JOB_STORE: {{{docs}, additional_stores: {{{data}}}}}\n"
    (folder / "jobflow.yaml").write_text(settings)
    campaign = Campaign.from_file(folder / "campaign.yaml")
    campaign.folder.mkdir(parents=True)
    return campaign


def _plan(flow: KeyedFlow) -> Plan:
    """What ends each stage of each compound."""
    ends: dict[str, dict[str, str]] = {}
    for job in flow.jobs():
        about = job["metadata"]
        if about["compound"] not in (None, "Li"):
            ends.setdefault(about["compound"], {})[about["stage"]] = job["uuid"]
    return Plan(name="bench", roles={name: ["screen"] for name in ends}, jobs=ends)


def _put_on_its_way(launchpad: LaunchPad, place: Place) -> None:
    """Start, reserve or fail one firework of each compound, and open its gates."""
    fireworks, workflows, launches, queue = [], [], [], {}
    now = datetime.now(UTC).isoformat()
    query = {"metadata.sse.kind": "compound"}
    for number, workflow in enumerate(launchpad.workflows.find(query, {"fw_states": 1}), 1):
        state = STATES[number % len(STATES)]
        states = {**workflow["fw_states"]}
        fw_id = next(one for one, found in states.items() if found == "READY")
        change = {"state": state, "launches": [number], "updated_on": now}
        fireworks.append(UpdateOne({"fw_id": int(fw_id)}, {"$set": change}))
        change = {f"fw_states.{fw_id}": state, "state": "RUNNING"}
        workflows.append(UpdateOne({"_id": workflow["_id"]}, {"$set": change}))
        launches.append(_launch(number, int(fw_id), state, now))
        if state != "FIZZLED":
            queue[f"j{number}"] = "PENDING" if state == "RESERVED" else "RUNNING"
    launchpad.fireworks.bulk_write(fireworks, ordered=False)
    launchpad.workflows.bulk_write(workflows, ordered=False)
    launchpad.launches.insert_many(launches)
    slurm = FakeSlurm(place.folder / "slurm")
    slurm.set(**queue)
    os.environ |= slurm.environment


def _launch(number: int, fw_id: int, state: str, now: str) -> dict[str, Any]:
    history = [{"state": "RESERVED", "created_on": now, "reservation_id": str(number)}]
    if state != "RESERVED":
        history.append({"state": "RUNNING", "created_on": now, "updated_on": now})
    if state == "FIZZLED":
        history.append({"state": state, "created_on": now})
    trace = "Traceback (most recent call last):\n" + 20 * "  File x, line 1\n" + "ValueError: no"
    env = {"slurm_job_id": str(number), "pid": 1, "host": "n1"} if state != "RESERVED" else {}
    return {
        "launch_id": number,
        "fw_id": fw_id,
        "state": state,
        "state_history": history,
        "host": "n1",
        "launch_dir": "/tmp",
        "fworker": {"name": "n1", "env": env},
        "action": {"stored_data": {"_exception": {"_stacktrace": trace}}},
    }


def _store_results(plan: Plan, store: JobStore) -> None:
    ends = [(stage, job) for jobs in plan.jobs.values() for stage, job in jobs.items()]
    now = datetime.now().isoformat()
    some = {job: stage for stage, job in ends[::3]}
    documents = [
        {"uuid": job, "index": 1, "output": {"x": 1.0}, "completed_at": now, "name": stage}
        for job, stage in some.items()
    ]
    store.docs_store._collection.insert_many(documents)


def _command(place: Place, times: dict[str, Any]) -> None:
    """Time the whole command."""
    environment = {**os.environ, "JOBFLOW_CONFIG_FILE": str(place.folder / "jobflow.yaml")}
    command = [sys.executable, "-W", "ignore", "-c", COMMAND, "status", "campaign.yaml"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=place.folder, env=environment, capture_output=True, text=True, check=False
    )
    times["command, wall s"] = round(time.perf_counter() - start, 2)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    times["command, CPU s"] = round(cpu, 2)
    times["last lines"] = (done.stdout or done.stderr).splitlines()[-5:]


if __name__ == "__main__":
    main()
