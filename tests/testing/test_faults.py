"""The faults that tests inject do happen."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from pymongo.errors import ConnectionFailure

from sse_flows.testing import faults
from sse_flows.testing.ports import free_port


def test_database_goes_away_and_comes_back_with_its_data(stoppable_mongo) -> None:
    from pymongo import MongoClient

    server = stoppable_mongo.server
    impatient: MongoClient = MongoClient(server.uri, serverSelectionTimeoutMS=100)
    with stoppable_mongo.client() as patient, impatient:
        rows = patient[stoppable_mongo.name].rows
        rows.insert_one({"_id": 1})
        with faults.database_away(server, 1.0), pytest.raises(ConnectionFailure):
            impatient[stoppable_mongo.name].rows.find_one()
        assert rows.find_one() == {"_id": 1}


def test_a_killed_launch_stays_running(launchpad) -> None:
    from fireworks import Firework, FWorker, ScriptTask, Workflow

    launchpad.add_wf(Workflow([Firework([ScriptTask(script="true")])]))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        _, launch = launchpad.checkout_fw(FWorker(env={"pid": process.pid}), "/tmp")
        faults.kill_launch(launchpad, launch)
        assert process.wait(120) == -9
    assert launchpad.get_launch_by_id(launch).state == "RUNNING"
    launchpad.launches.update_one({}, {"$unset": {"fworker.env": ""}})
    with pytest.raises(LookupError, match="does not say"):
        faults.kill_launch(launchpad, launch)


def test_a_small_disk_is_full_soon(small_disk) -> None:
    with pytest.raises(OSError, match="No space") as caught:
        (small_disk / "file").write_bytes(b"x" * 1_000_000)
    assert caught.value.errno == errno.ENOSPC


def test_a_filled_disk_takes_nothing_until_a_file_is_gone(tmp_path) -> None:
    try:
        disk = faults.mounted(tmp_path / "disk", "size=600k,nr_inodes=100")
        folder = disk.__enter__()
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no right to mount a file system")
    try:
        files = faults.fill(folder)
        with pytest.raises(OSError, match="No space"):
            (folder / "folder").mkdir()
        files.pop().unlink()
        with pytest.raises(OSError, match="No space"):
            (folder / "new").write_bytes(bytes(10_000))
        files.pop(0).unlink()
        (folder / "new").write_bytes(bytes(10_000))
    finally:
        disk.__exit__(None, None, None)


def test_the_kernel_kills_what_takes_too_much_memory() -> None:
    try:
        group = faults.memory_group(30_000_000)
        place = group.__enter__()
    except OSError as error:
        pytest.skip(str(error))
    script = (
        f"import os; open({str(place / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
        "taken = [bytearray(b'x' * 1_000_000) for _ in range(200)]"
    )
    try:
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    finally:
        group.__exit__(None, None, None)
    assert not place.exists()


def test_a_port_is_none_that_the_system_gives_to_clients() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = {free_port() for _ in range(50)}
    assert len(ports) > 40
    if first > 12_000:
        assert not [port for port in ports if first <= port <= last]


def test_files_of_a_limited_process_stay_small(tmp_path) -> None:
    script = f"open({str(tmp_path / 'file')!r}, 'wb', 0).write(b'x' * 1000)"
    script += f"; open({str(tmp_path / 'file')!r}, 'ab', 0).write(b'x' * 1000)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        preexec_fn=faults.file_size_limit(1000),
        check=False,
        capture_output=True,
        text=True,
    )
    assert "File too large" in done.stderr
    assert (tmp_path / "file").stat().st_size == 1000


def test_a_file_is_cut_short(tmp_path) -> None:
    file = tmp_path / "output"
    file.write_text("0123456789")
    assert faults.cut_short(file, 0.3) == 3
    assert file.read_text() == "012"


@pytest.mark.slurm
def test_jobs_are_cancelled_lost_and_out_of_reach(cluster) -> None:
    first = cluster.submit("sleep 300", "-w", "n1")
    second = cluster.submit("sleep 300", "--no-requeue", "-w", "n2")
    for job in (first, second):
        cluster.wait_for_state(job, "RUNNING")
    with faults.controller_away(cluster):
        assert "DOWN" in cluster.run("scontrol", "ping", check=False)
    assert cluster.state(second) == "RUNNING"
    faults.cancel_job(cluster, first)
    faults.lose_node(cluster, 2)
    assert cluster.wait_for_state(first, "CANCELLED") == "CANCELLED"
    assert cluster.wait_for_state(second, "NODE_FAIL") == "NODE_FAIL"
