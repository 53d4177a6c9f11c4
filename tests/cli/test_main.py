"""The `sse` command: quick help, and errors of one line."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from sse_flows import __version__
from sse_flows.cli import main as module
from sse_flows.errors import SSEError

COMMANDS = [
    *("check", "init", "run", "status", "results", "report"),
    *("import", "screen", "train", "evaluate", "retrain", "versions"),
]
HEAVY = [
    "atomate2",
    "ase",
    "chgnet",
    "jobflow",
    "maggma",
    "matplotlib",
    "mongomock",
    "numpy",
    "pandas",
    "phonopy",
    "pydantic",
    "pymatgen",
    "scipy",
    "sevenn",
    "sklearn",
    "torch",
]


def _help(*options: str) -> subprocess.CompletedProcess:
    code = "import sys; sys.argv = ['sse', '--help']; from sse_flows.cli.main import main; main()"
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)


def test_help_lists_every_command_and_imports_nothing_heavy():
    done = _help("-X", "importtime")
    assert all(f"  {command} " in done.stdout for command in COMMANDS)
    imported = {line.split("|")[-1].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert imported.isdisjoint(HEAVY), imported & set(HEAVY)


def test_help_answers_at_once():
    bare = [sys.executable, "-c", "import typer.rich_utils"]
    helped, needed = [], []
    for _ in range(5):
        start = time.perf_counter()
        _help()
        helped.append(time.perf_counter() - start)
        start = time.perf_counter()
        subprocess.run(bare, timeout=300, check=True)
        needed.append(time.perf_counter() - start)
    # as long as what typer takes, half a second, however busy the machine
    assert min(helped) < 3 * min(needed)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(sse, command):
    result = sse(command, "--help")
    assert result.code == 0
    assert f"sse {command} [OPTIONS]" in result.out.splitlines()[0]


def test_the_version_is_printed(sse):
    assert sse("--version").out == f"sse-flows {__version__}\n"


def test_an_unknown_command_is_refused(sse):
    result = sse("runn")
    assert result.code == 2
    assert "runn" in result.err


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (SSEError("bad", compound="li2s", mend="Mend it"), 1, "error: li2s: bad. Mend it"),
        (KeyboardInterrupt(), 130, "stopped; run the same command again to go on"),
    ],
)
def test_what_ends_a_command_is_one_line(monkeypatch, capsys, raised, code, line):
    def app():
        raise raised

    monkeypatch.setattr(module, "app", app)
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == code
    assert capsys.readouterr().err == line + "\n"


def test_an_interrupted_command_says_so_though_typer_does_not(sse, monkeypatch):
    def interrupted(*_: object):
        raise KeyboardInterrupt

    monkeypatch.setattr("sse_flows.campaign.local.run_campaign", interrupted)
    result = sse("run", "c.yaml")
    assert result.code == 130
    assert result.errors == ["stopped; run the same command again to go on"]


def test_a_reader_that_had_enough_is_no_error(tmp_path):
    code = "import sys; from sse_flows.cli.main import main; sys.argv = ['sse', '--help']; main()"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert "Traceback" not in done.stderr


def test_an_unreadable_configuration_of_jobflow_is_one_line_without_its_secrets(tmp_path):
    file = tmp_path / "jobflow.yaml"
    store = "{type: MongoStor, database: sse, collection_name: x, password: this-is-secret}"
    file.write_text(f"JOB_STORE:\n  docs_store: {store}\n")
    (tmp_path / "c.yaml").write_text("name: x\ntrain: {table: builtin}\n")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JOBFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", "from sse_flows.cli.main import main; main()", "run", "c.yaml"],
        env={**clean, "JOBFLOW_CONFIG_FILE": str(file), "SSE_TRACEBACK": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert "jobflow.yaml is no configuration of jobflow: KeyError. Mend its" in done.stderr
    assert "this-is-secret" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
