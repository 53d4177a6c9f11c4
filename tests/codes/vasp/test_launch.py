"""Commands, keys that share the work, and the end of VASP with its worker."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from atomate2 import SETTINGS

from sse_flows.codes.vasp import leash
from sse_flows.codes.vasp.check import find_program, version_of
from sse_flows.codes.vasp.launch import Launch
from sse_flows.errors import SSEError


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """Scripts called vasp_std, vasp_gam and mpirun on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("vasp_std", "vasp_gam", "mpirun"):
        path = folder / name
        path.write_text("#!/bin/sh\n# vasp.6.4.2 20Jul23\nexec sleep 600\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def test_commands_are_atomate2s_unless_the_file_names_one(monkeypatch):
    monkeypatch.setattr(SETTINGS, "VASP_CMD", "srun vasp_std")
    monkeypatch.setattr(SETTINGS, "VASP_GAMMA_CMD", "srun vasp_gam")
    assert Launch().commands() == ("srun vasp_std", "srun vasp_gam")
    own = Launch("mpirun -np 8 /opt/vasp_std/bin/vasp_std")
    assert own.commands()[1] == "mpirun -np 8 /opt/vasp_std/bin/vasp_gam"
    assert Launch("mpirun vasp6").commands() == ("mpirun vasp6", "mpirun vasp6")
    assert Launch("a", "b").commands() == ("a", "b")
    monkeypatch.setenv("MY_MPI", "srun -n 4")
    assert Launch("$MY_MPI vasp_std").commands()[0] == "srun -n 4 vasp_std"


def test_where_only_one_command_is_set_the_other_is_like_it(monkeypatch):
    monkeypatch.setattr(SETTINGS, "VASP_GAMMA_CMD", "vasp_gam")  # atomate2's default
    monkeypatch.setattr(SETTINGS, "VASP_CMD", "srun -n 8 vasp_std")
    assert Launch().commands()[1] == "srun -n 8 vasp_gam"
    monkeypatch.setattr(SETTINGS, "VASP_CMD", "vasp_std")
    assert Launch().commands() == ("vasp_std", "vasp_gam")


@pytest.mark.parametrize("end", ["> vasp.log", "2>&1", "| tee log", ">vasp.log"])
def test_a_command_for_a_shell_is_refused(programs, end):
    with pytest.raises(SSEError, match="without a shell"):
        Launch(f"mpirun -np 2 vasp_std {end}").leashed()


def test_a_missing_program_is_named_before_custodian_starts():
    with pytest.raises(SSEError, match=r"cannot start VASP: no-such-program is not found"):
        Launch("no-such-program -np 8 vasp_std").leashed()


def test_only_keys_that_share_the_work_come_from_the_machine(monkeypatch):
    monkeypatch.setattr(SETTINGS, "VASP_INCAR_UPDATES", {"NCORE": 4, "KPAR": 2})
    assert Launch(incar={"KPAR": 8}).keys() == {"NCORE": 4, "KPAR": 8}
    assert Launch().keys({"KPAR"}) == {"KPAR": 2}
    monkeypatch.setattr(SETTINGS, "VASP_INCAR_UPDATES", {"NCORE": 4, "ENCUT": 300})
    with pytest.raises(SSEError, match=r"VASP_INCAR_UPDATES of atomate2 sets ENCUT"):
        Launch().keys()


def test_programs_are_found_with_version_and_starter_and_not_run(programs):
    found = find_program(Launch(f"mpirun -np 8 {programs / 'vasp_std'}"))
    assert found is not None
    assert (found.version, found.starter) == ("6.4.2", "mpirun -np 8")
    gamma = find_program(Launch("mpirun -np 8 vasp_std"), gamma=True)
    assert gamma is not None
    assert gamma.path == str(programs / "vasp_gam")
    assert find_program(Launch("mpirun -np 8 vasp_missing")) is None
    assert find_program(Launch("no-such-program vasp_std")) is None


def test_the_stand_in_of_the_tests_says_what_it_is(tmp_path):
    from sse_flows.testing.vasp_double.installation import _write_program

    _write_program(tmp_path / "vasp_std")
    assert version_of(tmp_path / "vasp_std") == "6.0.0 TEST DOUBLE, NOT VASP"


def test_a_program_without_version_has_none(tmp_path):
    (tmp_path / "a").write_bytes(b"\0\1\2")
    (tmp_path / "b").write_bytes(b"")
    assert version_of(tmp_path / "a") is None
    assert version_of(tmp_path / "b") is None
    assert version_of(tmp_path / "c") is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the Linux kernel")
def test_vasp_ends_when_its_worker_is_killed(programs, tmp_path):
    standard, _ = Launch(str(programs / "vasp_std")).leashed()
    starter = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen({shlex.split(standard)!r}, start_new_session=True)\n"
        "print(p.pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        deadline = time.monotonic() + 120
        while "sleep" not in _command(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "sleep" in _command(pid)
        worker.send_signal(signal.SIGKILL)
    while _runs(pid) and time.monotonic() < deadline + 120:
        time.sleep(0.05)
    assert not _runs(pid)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_what_cannot_be_started_says_so():
    run = subprocess.run(
        [sys.executable, leash.__file__, "no-such-program"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (
        127,
        "cannot start no-such-program: No such file or directory\n",
    )
