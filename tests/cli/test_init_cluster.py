"""`sse init cluster` on the command line."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "hunter2-secret"


@pytest.fixture
def empty_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("SSE_MONGODB_PASSWORD", raising=False)


def test_it_writes_the_files_and_says_what_comes_next(sse, tmp_path, empty_path):
    result = sse("init", "cluster", "site", "--host", "db.example.org", "--account", "me")
    assert result.code == 0, result.err
    folder = tmp_path / "site"
    assert f"wrote 6 files in {folder}" in result.out
    assert f"  export FW_CONFIG_FILE={folder}/FW_config.yaml" in result.out
    assert result.out.splitlines()[-1] == "  qlaunch -r rapidfire --nlaunches infinite"
    assert "host: db.example.org" in (folder / "my_launchpad.yaml").read_text()
    assert 'account: "me"' in (folder / "my_qadapter.yaml").read_text()
    again = sse("init", "cluster", "site")
    assert again.code == 1
    assert "--force" in again.err
    assert sse("init", "cluster", "site", "--force").code == 0


def test_the_default_folder_is_the_one_that_fireworks_finds(sse, tmp_path, monkeypatch, empty_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sse("init", "cluster").code == 0
    assert (tmp_path / ".fireworks" / "my_launchpad.yaml").is_file()


def test_the_password_is_never_shown(sse, tmp_path, monkeypatch, empty_path):
    monkeypatch.setenv("SSE_MONGODB_PASSWORD", SECRET)
    result = sse("init", "cluster", "site", "--username", "me")
    assert result.code == 0
    assert SECRET not in result.out + result.err
    assert SECRET in (tmp_path / "site" / "my_launchpad.yaml").read_text()


def test_there_is_no_option_for_a_password(sse, tmp_path, empty_path):
    assert sse("init", "cluster", "site", "--password", SECRET).code == 2
    refused = sse("init", "cluster", "site", "--uri", f"mongodb://me:{SECRET}@host")
    assert refused.code == 1
    assert SECRET not in refused.out + refused.err
    assert not (tmp_path / "site").exists()


def test_without_a_terminal_or_variable_a_user_is_refused(tmp_path, monkeypatch, empty_path):
    code = "from sse_flows.cli.main import main; main()"
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, "init", "cluster", str(tmp_path / "s"), "--username", "me"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": root, "HOME": str(tmp_path)},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: no password for me. Set SSE_MONGODB_PASSWORD, or run")
    assert done.stderr.count("\n") == 1


def test_a_typed_password_is_not_echoed(tmp_path, monkeypatch, empty_path):
    """On a terminal of its own: what is typed is in the file, and not on the screen."""
    monkeypatch.setenv("HOME", str(tmp_path))
    code = "from sse_flows.cli.main import main; main()"
    child, terminal = pty.fork()
    if child == 0:
        arguments = ["init", "cluster", str(tmp_path / "site"), "--username", "me"]
        os.chdir(Path(__file__).resolve().parents[2])
        os.execv(sys.executable, [sys.executable, "-c", code, *arguments])
    shown = b""
    while not shown.endswith(b"(not shown): "):  # the blank comes when the echo is off
        shown += os.read(terminal, 1000)
    os.write(terminal, f"{SECRET}\n".encode())
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while more := os.read(terminal, 1000):
            shown += more
    assert os.waitpid(child, 0)[1] == 0
    assert SECRET not in shown.decode()
    assert f"password: {SECRET}" in (tmp_path / "site" / "my_launchpad.yaml").read_text()


def test_a_folder_named_cluster_is_no_campaign_file(sse, tmp_path):
    help_text = sse("init", "--help").out
    assert "campaign" in help_text
    assert "cluster" in help_text
    assert sse("init", "clusters.yaml").code == 0
    assert (tmp_path / "clusters.yaml").is_file()
