"""The command line, called as its entry point is, within this process."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Lines of stderr but those that say how far a run is."""
        return [line for line in self.err.splitlines() if not line.startswith("[")]


@pytest.fixture
def sse(monkeypatch, capsys, tmp_path, no_configuration):
    """Run `sse` with some arguments in an empty folder."""
    from sse_flows.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["sse", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run
