"""A whole campaign killed with SIGKILL at random moments loses nothing and repeats nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from sse_flows.store.jobstore import STORE_FILE, embedded_store
from sse_flows.testing.jobs import executions

KILLS = 10
GROUPS, PARTS, CHAIN = 6, 4, 8

CAMPAIGN = f"""
import json, sys
from pathlib import Path
from jobflow import Flow
from sse_flows.campaign.keys import with_content_keys
from sse_flows.campaign.run import LocalRunner
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.jobs import TOLERANT, add, fan_out, total

folder, log = sys.argv[1:]
groups = [
    fan_out([100 * g + n for n in range({PARTS})], log, 0.05 + 0.02 * g) for g in range({GROUPS})
]
chain = [add(0, 1, log, 0.06)]
for _ in range({CHAIN}):
    chain.append(add(chain[-1].output, 1, log, 0.1))
end = total([*(g.output["sum"] for g in groups), chain[-1].output], log)
end.config = TOLERANT
flow = with_content_keys(Flow([*groups, *chain, end]))
store = embedded_store(folder)
store.connect()
print("ready", flush=True)
begun = set()

def watch(graph, node):
    if node.state == "running":
        begun.add(node.key)
    elif node.key in begun:
        print("computed", flush=True)

graph = LocalRunner(store, Path(folder), 2, watch).run(flow)
print(json.dumps([graph.counts(), store.get_output(flow.jobs[-1].uuid)]))
"""
EXPECTED_SUM = sum(100 * g + n + 1 for g in range(GROUPS) for n in range(PARTS)) + CHAIN + 1
NUMBER_OF_JOBS = GROUPS * (1 + PARTS + 1 + 1) + CHAIN + 1 + 1
"""A group is what replaces itself, its parts, their sum, and what stores it."""


def _start(folder: Path, log: Path) -> subprocess.Popen:
    command = [sys.executable, "-W", "ignore", "-c", CAMPAIGN, str(folder), str(log)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def _kill_after(process: subprocess.Popen, line: str, delay: float) -> None:
    """Kill process and workers some time after it has printed a line."""
    while process.stdout.readline() not in (f"{line}\n", ""):
        pass
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def _finished(folder: Path) -> dict[tuple[str, int], object]:
    """What is stored for good: all jobs of an id of which a result is there."""
    store = embedded_store(folder)
    store.connect()
    documents = list(store.query(properties=["uuid", "index", "output"]))
    store.close()
    known = {doc["uuid"] for doc in documents if doc["output"] is not None}
    return {(d["uuid"], d["index"]): d["output"] for d in documents if d["uuid"] in known}


def _is_intact(folder: Path) -> bool:
    with sqlite3.connect(folder / STORE_FILE) as db:
        return db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_killed_at_ten_random_moments_nothing_is_lost_or_computed_twice(tmp_path):
    folder, log = tmp_path / "run", tmp_path / "executions.log"
    folder.mkdir()
    chance = random.Random(20260)
    stored: dict[tuple[str, int], object] = {}
    runs: dict[tuple[str, int], int] = {}
    for _ in range(KILLS):
        moment = chance.choice(["ready", "computed", "computed", "computed"])
        _kill_after(_start(folder, log), moment, chance.uniform(0, 0.7))
        if not (folder / STORE_FILE).exists():
            continue
        assert _is_intact(folder)
        now = _finished(folder)
        assert {key: now.get(key) for key in stored} == stored
        counted = executions(log)
        assert {key: counted[key] for key in runs} == runs
        stored = now
        runs = {key: counted[key] for key in now}
    assert stored, "no kill came late enough to leave anything"

    process = _start(folder, log)
    output, _ = process.communicate(timeout=400)
    counts, result = json.loads(output.splitlines()[-1])
    assert result == {"sum": EXPECTED_SUM, "count": GROUPS + 1}
    assert counts["done"] == sum(counts.values())
    counted = executions(log)
    assert {key: counted[key] for key in runs} == runs
    finished = _finished(folder)
    assert len(finished) == NUMBER_OF_JOBS
    assert _is_intact(folder)

    output, _ = _start(folder, log).communicate(timeout=400)
    assert json.loads(output.splitlines()[-1])[1] == result
    assert executions(log) == counted
    assert _finished(folder) == finished
