"""The queue adapter: safe scripts, room in the queue, and what sbatch says."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_flows.errors import SSEError
from sse_flows.launchers.adapter import TEMPLATE, SlurmAdapter, safe_name, template_keys
from sse_flows.launchers.settings import read_yaml
from sse_flows.testing.fault_runs import qlaunch_running
from sse_flows.testing.slurm import wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def adapter():
    return SlurmAdapter(rocket_launch="sse worker singleshot")


@pytest.fixture
def fake_slurm(tmp_path, monkeypatch):
    """Put commands of a pretended Slurm on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(tmp_path))

    def put(name: str, script: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    return put


def test_the_adapter_at_the_top_is_loaded_by_fireworks_and_survives_its_copy():
    from fireworks.utilities.fw_serializers import load_object, load_object_from_file

    adapter = load_object_from_file(str(ROOT / "my_qadapter.yaml"))
    copy = load_object(adapter.to_dict())  # as qlaunch does before every submission
    for one in (adapter, copy):
        assert isinstance(one, SlurmAdapter)
        assert one.q_type == "SLURM"
        assert Path(one.template_file) == TEMPLATE
        assert one["max_queued"] == 20
        assert one["rocket_launch"] == "sse worker singleshot"
    assert copy.to_dict() == adapter.to_dict()


def test_the_script_is_valid_bash_with_the_keys_given_and_no_marks_left(adapter, tmp_path):
    adapter.update(walltime="02:00:00", ntasks=4, queue="long", account="me", mem_per_cpu="2G")
    script = adapter.get_script_str(str(tmp_path))
    for line in ("--time=02:00:00", "--ntasks=4", "--partition=long", "--account=me"):
        assert f"#SBATCH {line}\n" in script
    assert "#SBATCH --no-requeue\n" in script
    assert "--nodes" not in script
    assert "$$" not in script
    assert "max_queued" not in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_a_template_of_ones_own_is_used(tmp_path):
    mine = tmp_path / "mine.sh"
    mine.write_text(
        "#!/bin/sh\n#SBATCH -t $${walltime}\n#SBATCH -n $${ntasks}\n$${rocket_launch}\n"
    )
    adapter = SlurmAdapter(template_file=str(mine), walltime="5", rocket_launch="true")
    assert adapter.get_script_str("/tmp") == "#!/bin/sh\n#SBATCH -t 5\ntrue\n"


@pytest.mark.parametrize(
    ("key", "mend"), [("waltime", "walltime"), ("cpus-per-task", "cpus_per_task")]
)
def test_an_unknown_key_is_refused_with_the_nearest(adapter, key, mend):
    adapter.update({key: 1})
    with pytest.raises(SSEError, match=f"unknown key '{key}'. Did you mean {mend}?"):
        adapter.get_script_str("/tmp")


def test_a_line_break_in_an_option_is_refused(adapter):
    adapter.update(account="me\ntouch /tmp/pwned")
    with pytest.raises(SSEError, match="account has a line break"):
        adapter.get_script_str("/tmp")


@given(st.text())
def test_a_name_of_whatever_text_is_harmless(text):
    assert set(safe_name(text)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
    )
    assert 0 < len(safe_name(text)) <= 40


@pytest.mark.parametrize(
    "folder", ["a b", "$(touch pwned)", "x;touch pwned", "'\"`touch pwned`", "$$x"]
)
def test_neither_name_nor_folder_is_run_by_the_shell(adapter, tmp_path, folder):
    place = tmp_path / folder
    place.mkdir()
    adapter.update(job_name=f"{folder}\ntouch pwned\n#SBATCH --wrap=x", rocket_launch="pwd > here")
    script = adapter.get_script_str(str(place))
    subprocess.run(["bash"], input=script, text=True, check=True, cwd=tmp_path)
    assert (place / "here").read_text().strip() == str(place)
    assert not list(tmp_path.rglob("pwned"))
    assert sum(line.startswith("#SBATCH --job-name=sse-") for line in script.splitlines()) == 1
    assert "--wrap" not in [word for line in script.splitlines() for word in line.split("=")]


def test_the_script_hands_signals_on_and_ends_with_the_workers_status(adapter, tmp_path):
    worker = tmp_path / "worker.sh"
    worker.write_text(
        "trap 'echo usr1 >> seen' USR1\ntrap 'echo term >> seen; exit 7' TERM\n"
        "touch started\nwhile true; do sleep 0.05; done\n"
    )
    adapter.update(rocket_launch=f"bash {worker}", post_rocket="touch after")
    (tmp_path / "job.sh").write_text(adapter.get_script_str(str(tmp_path)))
    job = subprocess.Popen(["bash", str(tmp_path / "job.sh")])
    for number, marker in ((signal.SIGUSR1, "started"), (signal.SIGTERM, "seen")):
        wait_until((tmp_path / marker).exists, 120, marker)
        job.send_signal(number)
    assert job.wait(120) == 7
    assert (tmp_path / "seen").read_text().split() == ["usr1", "term"]
    assert (tmp_path / "after").exists()


def test_it_waits_until_the_queue_has_room(adapter, fake_slurm, tmp_path):
    fake_slurm("squeue", 'cat "$FAKE/jobs"')
    fake_slurm("sbatch", 'echo "Submitted batch job 41 on cluster x"')
    jobs = tmp_path / "jobs"
    jobs.write_text("sse-a\nsse-b\nother\nsselike\n")
    assert adapter.get_njobs_in_queue() == 2
    assert adapter.get_njobs_in_queue("someone") == 4
    adapter["max_queued"] = 2
    timer = threading.Timer(1.5, jobs.write_text, args=["sse-a\nother\n"])
    timer.start()
    begin = time.monotonic()
    assert adapter.submit_to_queue("script") == "41"
    assert time.monotonic() - begin > 1.4


def test_without_a_limit_the_queue_is_not_asked(adapter, fake_slurm):
    fake_slurm("squeue", "exit 1")
    fake_slurm("sbatch", "echo Submitted batch job 1")
    adapter["max_queued"] = None
    assert adapter.submit_to_queue("script") == "1"


@pytest.mark.parametrize("most", [0, -1, "many"])
def test_a_limit_that_cannot_be_is_refused(most):
    with pytest.raises(SSEError, match="max_queued"):
        SlurmAdapter(max_queued=most).check()


def test_what_sbatch_complains_about_is_told(adapter, fake_slurm):
    fake_slurm("squeue", "true")
    fake_slurm("sbatch", "echo 'sbatch: error: invalid partition specified: nope' >&2; exit 1")
    with pytest.raises(RuntimeError, match="invalid partition specified: nope"):
        adapter.submit_to_queue("script")


def test_a_controller_that_is_away_for_a_moment_is_asked_again(adapter, fake_slurm, tmp_path):
    fake_slurm("squeue", "true")
    fake_slurm(
        "sbatch",
        'echo x >> "$FAKE/tries"; if [ $(wc -l < "$FAKE/tries") = 1 ]; then echo "sbatch: error: '
        'Batch job submission failed: Unable to contact slurm controller (connect failure)" >&2;'
        " exit 1; fi; echo Submitted batch job 5",
    )
    assert adapter.submit_to_queue("script") == "5"
    assert (tmp_path / "tries").read_text().count("x") == 2


def test_sigterm_while_waiting_is_an_error_that_gives_the_reservation_back(adapter, fake_slurm):
    fake_slurm("squeue", "echo sse-a")
    adapter["max_queued"] = 1
    before = signal.getsignal(signal.SIGTERM)
    threading.Timer(0.5, os.kill, args=[os.getpid(), signal.SIGTERM]).start()
    with pytest.raises(RuntimeError, match="stopped by SIGTERM"):
        adapter.submit_to_queue("script")
    assert signal.getsignal(signal.SIGTERM) is before


def test_every_key_that_fireworks_own_template_has_for_resources_is_here():
    from fireworks.user_objects.queue_adapters import common_adapter

    theirs = template_keys(
        (Path(common_adapter.__file__).parent / "SLURM_template.txt").read_text()
    )
    rare = {"ntasks_per_core", "core_spec", "gpus_per_task", "gpu_bind", "gpu", "image", "volume"}
    assert theirs - rare <= template_keys(TEMPLATE.read_text())


def sleepers(launchpad, number, seconds, name="$(touch /tmp/sse_pwned); \"'\n#SBATCH x"):
    from fireworks import Firework, PyTask, Workflow

    spec = {"_category": "postprocess"}
    task = PyTask(func="time.sleep", args=[seconds])
    for index in range(number):
        launchpad.add_wf(Workflow([Firework([task], spec=spec, name=f"{name} {index}")]))


@pytest.mark.slurm
def test_few_slurm_jobs_drain_many_fireworks_and_the_limit_holds(cluster, launchpad, site):
    site.edit("my_qadapter.yaml", "max_queued: 20", "max_queued: 2")
    sleepers(launchpad, 24, 0.5)
    queued: list[int] = []
    with qlaunch_running("--sleep", "1") as launch:
        while launch.poll() is None:  # ended by the time limit of the test
            queued.append(len(cluster.run("squeue", "-h", "-o", "%j").splitlines()))
            time.sleep(0.5)
    assert launch.returncode == 0
    wait_until(lambda: not cluster.run("squeue", "-h"), 300, "all jobs to end")
    assert launchpad.fireworks.count_documents({"state": "COMPLETED"}) == 24
    jobs = {one["fworker"]["env"]["slurm_job_id"] for one in launchpad.launches.find({})}
    assert len(jobs) <= 5
    assert max(queued) <= 2
    assert not Path("/tmp/sse_pwned").exists()
    scripts = list(Path.cwd().rglob("FW_submit.script"))
    assert len(jobs) <= len(scripts) <= 12  # one whose firework was taken over runs nothing
    assert read_yaml(site.folder / "my_qadapter.yaml")["queue"] == "debug"


def rests(pid: int) -> bool:
    """Whether a process has begun its work and uses no processor time."""

    def ticks() -> int:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))

    before = ticks()
    time.sleep(2.0)
    return before > 20 and ticks() - before <= 1


@pytest.mark.slurm
def test_a_qlaunch_that_waits_for_room_holds_nothing_back_when_it_is_stopped(
    cluster, launchpad, site
):
    site.edit("my_qadapter.yaml", "max_queued: 20", "max_queued: 1")
    cluster.submit("sleep 600", "--job-name=sse-other")
    sleepers(launchpad, 1, 0.1)
    command = [shutil.which("qlaunch"), "-r", "singleshot"]
    launch = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # tests that run in the background of a shell ignore Ctrl-C, and so would their children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        wait_until(lambda: rests(launch.pid), 120, "a qlaunch that waits for room")
        assert launch.poll() is None
        assert launchpad.fireworks.count_documents({"state": "RESERVED"}) == 0
        launch.send_signal(signal.SIGINT)
        err = launch.communicate(timeout=120)[1]
    finally:
        launch.kill()
    assert launch.returncode != 0
    assert err.splitlines()[-1] == "qlaunch ends: interrupted"
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 1
