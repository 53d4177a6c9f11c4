"""A campaign that was killed on a laptop goes on at the cluster, and back again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from monty.json import MontyEncoder

from sse_flows.campaign.exporting import documents_of
from sse_flows.campaign.flow import Plan
from sse_flows.campaign.keys import keyed
from sse_flows.campaign.run import LocalRunner
from sse_flows.launchers.submit import Submitter
from sse_flows.store.archive import Archive, ArchiveWriter
from sse_flows.store.durable import durable
from sse_flows.store.export import read_documents, write_documents
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.jobs import executions
from sse_flows.testing.launchpads import documents, drain

COMPOUNDS = {"a": 1.0, "b": 2.0}
KILLED = """
import os, signal, sys
from pathlib import Path
from sse_flows.campaign.keys import keyed
from sse_flows.campaign.run import LocalRunner
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.jobs import executions

folder, log, number = sys.argv[1:]
store = embedded_store(folder)
store.connect()

def watch(graph, node):
    if len(executions(log)) >= int(number):
        os.killpg(0, signal.SIGKILL)

flow = keyed(campaign_flow({"a": 1.0, "b": 2.0}, log)).decoded()
LocalRunner(store, Path(folder), 1, watch).run(flow)
"""


def opened(folder):
    folder.mkdir(exist_ok=True)
    store = embedded_store(folder)
    store.connect()
    return store


def move(source, target, path, flow):
    plan = Plan(name="trivial", roles={}, jobs={name: {} for name in COMPOUNDS})
    with ArchiveWriter(path) as archive:
        write_documents(source, documents_of(source, flow, plan), archive)
        archive.finish({})
    return read_documents(Archive(path), target)


def finished(store) -> set[str]:
    return {uuid for (uuid, _), output in documents(store).items() if output is not None}


@pytest.mark.parametrize("number", [6, 15])
def test_what_was_killed_on_a_laptop_goes_on_at_the_cluster(
    launchpad, job_store, tmp_path, monkeypatch, number
):
    from jobflow import SETTINGS

    log = str(tmp_path / "executions.log")
    laptop = opened(tmp_path / "laptop")
    command = [sys.executable, "-W", "ignore", "-c", KILLED, tmp_path / "laptop", log, str(number)]
    ended = subprocess.run(command, start_new_session=True, check=False)
    assert ended.returncode == -signal.SIGKILL

    monkeypatch.setattr(SETTINGS, "JOB_STORE", job_store)
    flow = keyed(campaign_flow(COMPOUNDS, log))
    cluster = durable(job_store)
    brought = move(laptop, cluster, tmp_path / "to.tar", flow.decoded())
    assert brought.new == laptop.count() == job_store.count() >= number - 1
    before, known = executions(log), finished(job_store)
    Submitter(launchpad, job_store, tmp_path).submit(flow, "trivial")
    drain(launchpad, tmp_path / "launches")
    assert {one["state"] for one in launchpad.fireworks.find()} <= {"COMPLETED", "ARCHIVED"}
    again = {uuid for uuid, _ in executions(log) - before}
    assert again
    assert not again & known  # nothing that was stored was computed again

    back = opened(tmp_path / "back")
    move(job_store, back, tmp_path / "back.tar", flow.decoded())
    computed = executions(log)
    LocalRunner(back, tmp_path / "back", 1).run(flow.decoded())
    assert executions(log) == computed  # and nothing is left to do here

    alone = opened(tmp_path / "alone")
    LocalRunner(alone, tmp_path / "alone", 1).run(flow.decoded())
    expected, found = documents(alone), documents(job_store)
    # the kill may have come before what a detour asked for, on which nothing builds: its own
    # result was stored by then, so that it is not run again
    lost = [expected.pop(key) for key in set(expected) - set(found)]
    assert set(lost) <= {12.5, 13.5}
    assert found == documents(back) == expected


HERE_TOO = """
import json, sys
from pathlib import Path
from monty.json import MontyDecoder
from sse_flows.campaign.keys import keyed
from sse_flows.campaign.run import LocalRunner
from sse_flows.testing.campaign_flow import campaign_flow

if __name__ == "__main__":
    folder, log = sys.argv[1:]
    store = json.load(sys.stdin, cls=MontyDecoder)
    store.connect()
    flow = keyed(campaign_flow({"a": 1.0, "b": 2.0}, log)).decoded()
    print("ready", flush=True)
    graph = LocalRunner(store, Path(folder), 1).run(flow)
    print(graph.counts()["done"] - len(graph.nodes))
"""


def test_run_here_and_on_the_cluster_at_the_same_time_loses_and_doubles_nothing(
    launchpad, job_store, tmp_path, monkeypatch
):
    from jobflow import SETTINGS

    log = str(tmp_path / "executions.log")
    monkeypatch.setattr(SETTINGS, "JOB_STORE", job_store)
    flow = keyed(campaign_flow(COMPOUNDS, log))
    Submitter(launchpad, job_store, tmp_path).submit(flow, "trivial")
    (tmp_path / "here.py").write_text(HERE_TOO)
    command = [sys.executable, "-W", "ignore", tmp_path / "here.py", tmp_path / "here", log]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        process.stdin.write(json.dumps(durable(job_store), cls=MontyEncoder))
        process.stdin.close()
        assert process.stdout.readline() == "ready\n"
        drain(launchpad, tmp_path / "launches")
        assert process.stdout.readline() == "0\n"
    assert {one["state"] for one in launchpad.fireworks.find()} == {"COMPLETED"}
    assert job_store.count() == len(documents(job_store))
    assert max(executions(log).values()) <= 2  # once here and once there, where they met

    alone = opened(tmp_path / "alone")
    LocalRunner(alone, tmp_path / "alone", 1).run(flow.decoded())
    assert documents(alone) == documents(job_store)
