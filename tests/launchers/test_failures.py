"""Why a launch failed, in one line, and whether another try may end better."""

from __future__ import annotations

import pytest

from sse_flows.codes.espresso.faults import KILLED as KILLED_KIND
from sse_flows.codes.espresso.faults import KINDS
from sse_flows.codes.espresso.faults import TRUNCATED as TRUNCATED_KIND
from sse_flows.launchers.failures import (
    KILLED,
    LOST_CONNECTION,
    OUT_OF_MEMORY,
    TRUNCATED,
    failure_kind,
    failure_of,
    last_lines,
)

TRACE = """Traceback (most recent call last):
  File "a.py", line 1, in f
    raise ValueError(text)
ValueError: no element Xx
in the second line
"""


def stored(reason=None, mend=None, trace="") -> dict:
    details = {"reason": reason, "mend": mend} if reason else None
    exception = {"_stacktrace": trace, "_details": details}
    return {"stored_data": {"_message": "runtime error", "_exception": exception}}


def test_the_task_itself_knows_best():
    found = failure_of(stored("did not converge", "mix less", TRACE))
    assert (found.reason, found.mend, found.kind) == ("did not converge", "mix less", None)


def test_else_the_end_of_the_traceback_is_told():
    assert (
        failure_of(stored(trace=TRACE)).reason == "ValueError: no element Xx | in the second line"
    )
    assert last_lines("") == ""


@pytest.mark.parametrize("action", [None, {}, {"gridfs_id": "12"}, {"stored_data": {}}])
def test_a_launch_that_says_nothing(action):
    assert failure_of(action).reason == "no reason was stored"


def test_a_reason_is_one_line_of_bounded_length():
    found = failure_of(stored("a\nb " + "x" * 1000))
    assert found.reason.startswith("a b x")
    assert len(found.reason) == 300


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("the database did not answer for 600 s: connection refused", LOST_CONNECTION),
        ("no answer from the store mongodb: ServerSelectionTimeoutError", LOST_CONNECTION),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate", OUT_OF_MEMORY),
        ("slurmstepd: error: Detected 1 oom_kill event", OUT_OF_MEMORY),
        ("a worker process died, perhaps for want of memory", OUT_OF_MEMORY),
        (KILLED_KIND.message.format(found="exit code 137"), KILLED),
        (TRUNCATED_KIND.message.format(found="data-file-schema.xml"), TRUNCATED),
        ("zlib.error: Error -5 while decompressing data: incomplete or truncated", TRUNCATED),
    ],
)
def test_passing_trouble_is_known(text, kind):
    assert failure_kind(text) == kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_would_come_again_is_not_passing(kind):
    assert failure_kind(kind.message.format(found="the sign of it")) is None
