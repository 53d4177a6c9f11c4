"""No password leaves the two files that hold it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from sse_flows.testing.slurm import wait_until

SECRET = "hunter2-secret"


def command_lines() -> str:
    """Command lines of all processes of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(found)


@pytest.mark.slurm
def test_a_password_is_in_no_script_log_document_queue_or_process_list(cluster, launchpad, site):
    from fireworks import Firework, ScriptTask, Workflow

    site.edit("my_launchpad.yaml", "port: ", f"password: {SECRET}\nport: ")  # no user: not sent
    site.edit("profiles.yaml", '  walltime: "04', '  processes: 2\n  walltime: "04')
    spec = {"_category": "postprocess"}
    for text in ("sleep 4", "exit 1"):
        launchpad.add_wf(Workflow([Firework([ScriptTask.from_str(text)], spec=spec, name=text)]))
    launch = [shutil.which("qlaunch"), "-r", "singleshot"]
    out = subprocess.run(launch, check=True, capture_output=True, text=True, timeout=300).stdout
    end = time.monotonic() + 300
    seen: list[str] = []
    unfinished = {"state": {"$nin": ["COMPLETED", "FIZZLED"]}}
    while launchpad.fireworks.count_documents(unfinished) and time.monotonic() < end:
        seen.append(command_lines())
        seen.append(cluster.run("squeue", "-o", "%j %k %o %Z", check=False))
        seen.append(cluster.run("scontrol", "show", "job", check=False))
        time.sleep(0.5)
    wait_until(lambda: not cluster.run("squeue", "-h"), 120, "the last lines of the job's output")
    states = sorted(one["state"] for one in launchpad.fireworks.find({}))
    assert states == ["COMPLETED", "FIZZLED"]
    files = [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert any(path.name == "FW_submit.script" for path in files)
    assert any(path.suffix == ".out" for path in files)
    assert any("sse worker singleshot --fw_id" in text for text in seen)
    seen += [out, *(path.read_text(errors="replace") for path in files)]
    for collection in (launchpad.fireworks, launchpad.launches, launchpad.workflows):
        seen += map(str, collection.find({}))
    assert not [text for text in seen if SECRET in text]
