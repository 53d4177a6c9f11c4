"""The time that a batch job has left."""

from __future__ import annotations

import stat
import time

import pytest

from sse_flows.codes.walltime import (
    MARGIN,
    parse_time_left,
    seconds_for_calculation,
    seconds_left,
)


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    for variable in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(variable, raising=False)


def squeue(tmp_path, monkeypatch, answer: str) -> None:
    """A squeue that answers only the question that is to be asked."""
    program = tmp_path / "squeue"
    program.write_text(f'#!/bin/sh\n[ "$*" = "-h -j 17 -o %L" ] && echo "{answer}"\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "17")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("02:00", 120),
        ("1:00:00", 3600),
        ("2-00:00:01\n", 172801),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("NOT_SET", None),
        ("", None),
    ],
)
def test_slurms_times_are_read(text, seconds):
    assert parse_time_left(text) == seconds


def test_outside_a_job_there_is_no_limit():
    assert seconds_left() is None
    assert seconds_for_calculation() is None


def test_the_end_of_the_job_is_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 3600))
    assert seconds_left() == pytest.approx(3600, abs=5)
    assert seconds_for_calculation() == pytest.approx(3600 - MARGIN, abs=5)


def test_else_squeue_is_asked(tmp_path, monkeypatch):
    squeue(tmp_path, monkeypatch, "10:00")
    assert seconds_left() == 600


def test_a_job_without_limit_or_an_absent_squeue_is_no_limit(tmp_path, monkeypatch):
    squeue(tmp_path, monkeypatch, "UNLIMITED")
    assert seconds_left() is None
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert seconds_left() is None


def test_a_calculation_always_gets_a_few_seconds(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) - 5))
    assert seconds_for_calculation() == 10
