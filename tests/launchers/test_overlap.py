"""One is written while the next is made."""

from __future__ import annotations

import threading

import pytest

from sse_flows.launchers.overlap import overlapped


def test_the_next_is_made_while_one_is_written():
    made_next, written = threading.Event(), []

    def made():
        yield 1
        made_next.set()
        yield 2

    def write(number: int) -> int:
        assert made_next.wait(60)
        written.append(number)
        return 10 * number

    assert list(overlapped(write, made())) == [10, 20]
    assert written == [1, 2]


def test_after_an_error_no_other_is_written():
    written = []

    def write(number: int) -> int:
        written.append(number)
        if number == 2:
            raise ValueError("full")
        return number

    results = overlapped(write, iter([1, 2, 3]))
    assert next(results) == 1
    with pytest.raises(ValueError, match="full"):
        list(results)
    assert written == [1, 2]


def test_of_nothing_nothing_is_written():
    assert list(overlapped(print, [])) == []
