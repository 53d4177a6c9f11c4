"""VASP is stopped in time, and a stopped run is never taken for a converged one."""

from __future__ import annotations

import time

import pytest

from sse_flows.codes.vasp.run import make_handlers
from sse_flows.codes.vasp.walltime import (
    StoppedHandler,
    TimeHandler,
    refuse_to_start_late,
    step_times,
    was_stopped,
)
from sse_flows.errors import OutOfTimeError, SSEError

STEPS = """\
      LOOP:  cpu time    10.0000: real time    12.5000
      LOOP:  cpu time    10.0000: real time    40.0000
     LOOP+:  cpu time   100.0000: real time   300.0000
"""


@pytest.fixture
def ends_in(monkeypatch):
    """Sets the end of the batch job, seconds from now."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)

    def set_end(seconds: float) -> None:
        monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time() + seconds)))

    return set_end


def word(folder, ionic: bool) -> str | None:
    handler = TimeHandler(ionic)
    assert handler.check(str(folder)) is False  # never an error: VASP ends by itself
    path = folder / "STOPCAR"
    return path.read_text().split()[0] if path.is_file() else None


def test_the_longest_steps_are_read(tmp_path):
    (tmp_path / "OUTCAR").write_text(STEPS)
    assert step_times(tmp_path / "OUTCAR") == (40.0, 300.0)
    assert step_times(tmp_path / "none") == (0.0, 0.0)


@pytest.mark.parametrize(
    ("left", "ionic", "expected"),
    [
        (7200, True, None),
        (1000, True, "LSTOP"),  # 3 ionic steps of 300 s do not fit any more
        (1000, False, None),
        (140, True, "LABORT"),
        (140, False, "LABORT"),
    ],
)
def test_the_stop_is_gentle_while_there_is_time(tmp_path, ends_in, left, ionic, expected):
    (tmp_path / "OUTCAR").write_text(STEPS)
    ends_in(left)
    assert word(tmp_path, ionic) == expected


def test_without_a_limit_nothing_is_stopped(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert word(tmp_path, True) is None
    refuse_to_start_late(tmp_path)


def test_a_calculation_is_not_started_in_the_last_minutes(tmp_path, ends_in):
    ends_in(60)
    with pytest.raises(OutOfTimeError, match=r"only (59|60) s of the batch job"):
        refuse_to_start_late(tmp_path)


@pytest.mark.parametrize(
    ("text", "ionic", "stopped"),
    [
        ("soft stop encountered!  aborting job ...", True, True),
        ("soft stop encountered!  aborting job ...", False, False),  # its only step is done
        ("hard stop encountered!  aborting job ...", False, True),
        ("reached required accuracy\nsoft stop encountered!  aborting job ...", True, False),
        ("aborting loop because EDIFF is reached", True, False),
    ],
)
def test_vasps_own_words_tell_a_stopped_run(tmp_path, text, ionic, stopped):
    (tmp_path / "OUTCAR").write_text(text)
    assert was_stopped(tmp_path, ionic) is stopped


def test_the_words_on_standard_output_count_too(tmp_path):
    (tmp_path / "vasp.out").write_text(" hard stop encountered!  aborting job ...\n")
    assert was_stopped(tmp_path, ionic=False)


def test_the_folder_named_is_not_that_of_scratch(tmp_path):
    (tmp_path / "OUTCAR").write_text("hard stop encountered!  aborting job ...")
    with pytest.raises(SSEError, match="in /of/the/job"):
        StoppedHandler(TimeHandler(), "/of/the/job").check(str(tmp_path))


def test_what_reads_much_does_not_look_at_a_running_vasp():
    (heavy,) = [one for one in make_handlers(True) if type(one).__name__ == "LargeSigmaHandler"]
    assert heavy.is_monitor is False
    assert type(heavy).is_monitor  # atomate2's own stay as they are


def test_a_stop_of_ours_is_a_want_of_time_and_anothers_is_not(tmp_path, ends_in):
    (tmp_path / "OUTCAR").write_text("hard stop encountered!  aborting job ...")
    clock = TimeHandler()
    with pytest.raises(SSEError, match="somebody stopped VASP") as caught:
        StoppedHandler(clock).check(str(tmp_path))
    assert not isinstance(caught.value, OutOfTimeError)
    ends_in(60)
    clock.check(str(tmp_path))
    with pytest.raises(OutOfTimeError, match="before the end of its batch job"):
        StoppedHandler(clock).check(str(tmp_path))


def test_the_stop_is_looked_at_before_any_handler_mends_it():
    first, *others = make_handlers(ionic=True)
    assert isinstance(first, StoppedHandler)
    assert not first.is_monitor  # looked at when VASP has ended, whatever monitors said
    assert isinstance(others[-1], TimeHandler)
    assert others[-1].is_monitor
    assert not others[-1].is_terminating
    names = {type(one).__name__ for one in others}
    assert {"VaspErrorHandler", "UnconvergedErrorHandler", "LrfCommutatorHandler"} <= names
    assert "WalltimeHandler" not in names


def test_handlers_are_fresh_ones_for_each_run():
    one, two = make_handlers(ionic=True), make_handlers(ionic=True)
    assert not {id(handler) for handler in one} & {id(handler) for handler in two}
