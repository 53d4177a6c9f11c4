"""Programs under custodian, with scripts in the place of pw.x."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sse_flows.codes.espresso.inputs import read_input
from sse_flows.codes.espresso.job import Launch, run_ph, run_pw
from sse_flows.errors import SSEError

INPUT = """\
&CONTROL
   calculation = 'scf', prefix = 'pwscf', outdir = 'out'
/
&SYSTEM
/
&ELECTRONS
/
K_POINTS gamma
"""
GOOD = """\
echo "     convergence has been achieved in   9 iterations"
echo "   JOB DONE."
mkdir -p out/pwscf.save
echo "</qes:espresso>" > out/pwscf.save/data-file-schema.xml
"""
UNCONVERGED = """\
echo "     convergence NOT achieved after 100 iterations: stopping"
echo "   JOB DONE."
exit 2
"""


@pytest.fixture
def pw_x(tmp_path, monkeypatch):
    """Puts a script in the place of pw.x; returns the folder to run in and how to start it."""
    for variable in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(variable, raising=False)

    def write(script: str) -> tuple[Path, Launch]:
        program, folder = tmp_path / "bin" / "pw.x", tmp_path / "run"
        program.parent.mkdir()
        folder.mkdir()
        program.write_text(f"#!/bin/sh\necho started >> starts\n{script}")
        program.chmod(0o755)
        (folder / "pw.in").write_text(INPUT)
        return folder, Launch(str(program))

    return write


def starts(folder: Path) -> int:
    return len((folder / "starts").read_text().split())


@pytest.mark.parametrize(
    ("command", "program", "words"),
    [
        ("pw.x", "ph.x", ["ph.x"]),
        ("mpirun -np 4 pw.x -nk 2", "ph.x", ["mpirun", "-np", "4", "ph.x", "-nk", "2"]),
        ("srun /opt/pw.x/bin/pw.x", "ph.x", ["srun", "/opt/pw.x/bin/ph.x"]),
        ("srun '/opt/q e/pw.x'", "pw.x", ["srun", "/opt/q e/pw.x"]),
    ],
)
def test_other_programs_are_started_as_pw_is(command, program, words):
    assert Launch(command).words(program) == words


def test_the_machines_own_command_is_used_where_the_campaign_names_none(monkeypatch):
    monkeypatch.setenv("SSE_ESPRESSO_COMMAND", "srun pw.x -nk 8")
    assert Launch().words() == ["srun", "pw.x", "-nk", "8"]
    assert Launch("mpirun pw.x").words() == ["mpirun", "pw.x"]
    monkeypatch.delenv("SSE_ESPRESSO_COMMAND")
    assert Launch().words() == ["pw.x"]


def test_a_command_without_pw_is_refused():
    with pytest.raises(SSEError, match="names no") as caught:
        Launch("mpirun vasp").words()
    assert "SSE_ESPRESSO_COMMAND" in caught.value.mend


def test_a_command_that_cannot_be_read_is_refused():
    with pytest.raises(SSEError, match="No closing quotation"):
        Launch("mpirun 'pw.x").words()


def test_a_launcher_that_fails_is_not_taken_for_a_crash_of_pw(pw_x):
    folder, launch = pw_x("echo 'srun: error: Invalid number of tasks'; exit 1\n")
    with pytest.raises(SSEError, match=r"did not start \(srun: error: Invalid number") as caught:
        run_pw(folder, launch)
    assert "SSE_ESPRESSO_COMMAND" in caught.value.mend
    assert starts(folder) == 2


def test_a_good_run_is_started_once(pw_x):
    folder, launch = pw_x(GOOD)
    assert run_pw(folder, launch) == []
    assert starts(folder) == 1


def test_a_run_that_a_handler_mends_says_what_was_changed(pw_x):
    folder, launch = pw_x(f"if ! grep -q local-TF pw.in; then\n{UNCONVERGED}fi\n{GOOD}")
    assert run_pw(folder, launch) == ["mixing_beta 0.3", "mixing_mode local-TF, mixing_beta 0.2"]
    assert starts(folder) == 3


def test_job_done_without_convergence_is_a_failure_that_lists_what_was_tried(pw_x):
    folder, launch = pw_x(UNCONVERGED)
    with pytest.raises(SSEError, match="did not converge") as caught:
        run_pw(folder, launch)
    assert starts(folder) == 4
    for words in ("mixing_beta 0.3", "local-TF", "diagonalization cg", str(folder)):
        assert words in caught.value.message
    assert caught.value.mend


def test_convergence_is_told_from_the_text_even_if_the_code_of_exit_is_zero(pw_x):
    folder, launch = pw_x(UNCONVERGED.replace("exit 2", "exit 0"))
    with pytest.raises(SSEError, match="did not converge"):
        run_pw(folder, launch)


def test_a_failure_that_no_line_explains_is_still_a_failure(pw_x):
    folder, launch = pw_x(GOOD + "exit 3\n")
    with pytest.raises(SSEError, match=r"return code is 3.*") as caught:
        run_pw(folder, launch)
    assert "pw.out" in caught.value.mend


def test_a_crash_is_tried_once_more(pw_x):
    folder, launch = pw_x(f"[ $(wc -l < starts) = 1 ] && kill -9 $$\n{GOOD}")
    assert run_pw(folder, launch) == ["started again"]
    assert starts(folder) == 2


def test_results_that_are_cut_off_are_computed_once_more_and_then_given_up(pw_x):
    folder, launch = pw_x('echo "   JOB DONE."\n')
    with pytest.raises(SSEError, match="incomplete") as caught:
        run_pw(folder, launch)
    assert starts(folder) == 2
    assert "disk" in caught.value.mend


def test_what_only_a_user_can_mend_is_not_tried_again(pw_x):
    error = 'echo "     Error in routine readpp (1):"; echo "     file X not found"; exit 1\n'
    folder, launch = pw_x(error)
    with pytest.raises(SSEError, match=r"pseudopotential cannot be used.*file X not found"):
        run_pw(folder, launch)
    assert starts(folder) == 1


def test_the_time_left_in_a_batch_job_is_written_into_the_input(pw_x, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 1000))
    folder, launch = pw_x(GOOD)
    run_pw(folder, launch)
    seconds = read_input(folder / "pw.in")[0]["control"]["max_seconds"]
    assert seconds == pytest.approx(880, abs=10)


def test_a_program_that_is_not_there_says_how_to_get_it(pw_x):
    folder, _ = pw_x(GOOD)
    with pytest.raises(SSEError, match="cannot start /no/such") as caught:
        run_pw(folder, Launch("/no/such/pw.x"))
    assert "SSE_ESPRESSO_COMMAND" in caught.value.mend


def test_ph_is_started_beside_pw(pw_x):
    folder, launch = pw_x(GOOD)
    (Path(launch.command).with_name("ph.x")).symlink_to(launch.command)
    (folder / "ph.in").write_text("&INPUTPH\n/\n0 0 0\n")
    assert run_ph(folder, launch) == []
    assert "JOB DONE" in (folder / "ph.out").read_text()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's part is Linux's")
def test_the_program_ends_with_the_worker_that_started_it(pw_x):
    folder, launch = pw_x("echo $$ > pid\nexec sleep 600\n")
    code = (
        "from pathlib import Path; from sse_flows.codes.espresso.job import Launch, run_pw; "
        f"run_pw(Path({str(folder)!r}), Launch({launch.command!r}))"
    )
    worker = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 300
        while not (folder / "pid").is_file() or not (folder / "pid").read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        pid = int((folder / "pid").read_text())
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        while _alive(pid):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        worker.kill()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
