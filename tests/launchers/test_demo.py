"""A cut of the demonstration campaign through Slurm, with a job killed in its midst.

To the same documents and the same report as on one machine.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.fault_runs import qlaunch_running

pytestmark = [
    pytest.mark.forcefield,
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.timeout(1800),
]

CAMPAIGN = """\
name: cut
mobile_ion: Li
train: {{conductors: [lii, li2s, li3ocl], table: builtin}}
screen: {{files: [pool]}}
code: {{model: CHGNet}}
phonons: {{min_length: 5.0}}
models: {{max_features: 1, trees: 20, nested: false}}
filters: {{max_energy_above_hull: 0.05, min_band_gap: 1.0}}
results: {{folder: {folder}}}
"""
COMPARED = ("relax", "phonons", "descriptors", "references", "models", "screening")
TOLERANCE = 1e-8
NOT_COMPARED = ("dir_name", "elapsed_time", "estimators", "estimators_hash")
"""Where and how long; and estimators, which skops names after addresses in memory. What they
predict is compared in the screening."""


def sse(*arguments: str, **changes: str | None) -> str:
    """Output of a command; `changes` of the environment, None takes a variable away."""
    environment = {**os.environ, **changes}
    kept = {name: value for name, value in environment.items() if value is not None}
    done = subprocess.run(
        [shutil.which("sse"), *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        env=kept,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_campaign(folder: Path, results: str) -> str:
    """Campaign file of three conductors and two crystals of a pool; returns its path."""
    pool = folder / "pool"
    if not pool.is_dir():
        pool.mkdir()
        origin, quarter, half = [0, 0, 0], [0.25] * 3, [0.5] * 3
        for name, edge, species, coords in (
            ("lif", 4.03, ["Li", "F"], [origin, half]),
            ("li2o", 4.62, ["O", "Li"], [origin, quarter]),
        ):
            crystal = Structure.from_spacegroup("Fm-3m", Lattice.cubic(edge), species, coords)
            crystal.to(str(pool / f"{name}.cif"))
    path = folder / f"{results}.yaml"
    path.write_text(CAMPAIGN.format(folder=results))
    return str(path)


def documents(store: Any) -> dict[tuple[str, int], Any]:
    """Outputs by id and index with the large arrays in them."""
    wanted = {"metadata.stage": {"$in": list(COMPARED)}}
    found = store.query(wanted, load=True)
    return {(doc["uuid"], doc["index"]): doc["output"] for doc in found}


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Paths at which two documents differ, numbers by more than the tolerance."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return [f"{path}: keys {sorted(one.keys() ^ other.keys())}"]
        kept = [key for key in one if key not in NOT_COMPARED]
        return [d for key in kept for d in differences(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return [f"{path}: {len(one)} and {len(other)} values"]
        pairs = enumerate(zip(one, other, strict=True))
        return [d for n, (a, b) in pairs for d in differences(a, b, f"{path}[{n}]")]
    if isinstance(one, float) and isinstance(other, (int, float)):
        close = math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        return [] if close or (one != one and other != other) else [f"{path}: {one} and {other}"]
    return [] if one == other else [f"{path}: {one!r} and {other!r}"]


def page(path: Path) -> str:
    """A report without what must differ: when and where it was made."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", path.read_text())
    return re.sub(r"(<dt>(?:store|results\.folder)</dt><dd>)[^<]*", r"\1PLACE", text)


def kill_a_job_at_work(cluster: Any, launchpad: Any) -> str:
    """Kill all processes of a Slurm job with a calculation running; returns its number."""
    began = time.monotonic()
    while time.monotonic() - began < 600:
        heavy = {"state": "RUNNING", "spec._category": {"$in": ["relax", "supercell"]}}
        one = launchpad.fireworks.find_one(heavy, {"launches": 1})
        launch = launchpad.launches.find_one({"launch_id": one["launches"][-1]}) if one else None
        if launch is None or launchpad.fireworks.count_documents({"state": "COMPLETED"}) < 10:
            time.sleep(0.1)
            continue
        job = str(launch["fworker"]["env"]["slurm_job_id"])
        cluster.run("scancel", "--signal=KILL", "--full", job, check=False)
        cluster.wait_for_state(job, "FAILED", "CANCELLED", "COMPLETED", "NODE_FAIL")
        lost = {"state": "RUNNING", "fworker.env.slurm_job_id": job}
        if launchpad.launches.find_one(lost):
            return job
    raise TimeoutError("no job was caught at work")


def recover_until_complete(launchpad: Any, campaign: str) -> list[str]:
    """Call `sse recover` until every firework is completed; returns its lines."""
    lines: list[str] = []
    began = time.monotonic()
    while launchpad.fireworks.count_documents({"state": {"$ne": "COMPLETED"}}):
        assert time.monotonic() - began < 900, lines
        said = sse("recover", campaign).splitlines()
        lines += [line for line in said if line != "nothing to recover"]
        time.sleep(2.0)
    return lines


def test_through_slurm_with_a_killed_job_as_on_one_machine(
    cluster, launchpad, job_store, site, tmp_path
):
    began = time.monotonic()
    here, there = write_campaign(tmp_path, "here"), write_campaign(tmp_path, "there")
    sse("run", here, "--processes", "2", JOBFLOW_CONFIG_FILE=None, FW_CONFIG_FILE=None)
    ran = time.monotonic()
    sse("submit", there)
    with qlaunch_running():
        killed = kill_a_job_at_work(cluster, launchpad)
        recovered = recover_until_complete(launchpad, there)
    launches = list(launchpad.launches.find({"state": "COMPLETED"}))
    jobs = Counter(one["fworker"]["env"]["slurm_job_id"] for one in launches)
    print(
        f"one machine {ran - began:.0f} s, Slurm {time.monotonic() - ran:.0f} s: "
        f"{launchpad.fireworks.count_documents({})} fireworks in {len(jobs)} jobs; killed {killed}"
    )
    print("\n".join(recovered))
    assert any(line.startswith("lost run") for line in recovered)
    compare(tmp_path, here, there, job_store)


def compare(folder: Path, here: str, there: str, job_store: Any) -> None:
    """Documents, tables, status and pages of the two are the same."""
    local = embedded_store(folder / "here")
    local.connect()
    expected, found = documents(local), documents(job_store)
    assert expected.keys() == found.keys()
    assert len(expected) > 40
    found_differences = [
        f"{uuid} {index}{where}"
        for (uuid, index), output in expected.items()
        for where in differences(output, found[uuid, index])
    ]
    assert found_differences == []
    alone: dict[str, Any] = {"JOBFLOW_CONFIG_FILE": None, "FW_CONFIG_FILE": None}
    tables = [json.loads(sse("results", here, "--format", "json", **alone))]
    tables.append(json.loads(sse("results", there, "--format", "json")))
    assert differences(*tables) == []
    states = [json.loads(sse("status", here, "--format", "json", **alone))]
    states.append(json.loads(sse("status", there, "--format", "json")))
    for key in ("stages", "tail", "counts", "problems", "complete"):
        assert states[0][key] == states[1][key]
    sse("report", there)
    assert page(folder / "here" / "report.html") == page(folder / "there" / "report.html")
