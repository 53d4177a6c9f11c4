"""Batches in worker processes: all of them, none read too early, the deadly ones named."""

from __future__ import annotations

import pytest

from sse_flows.screening.parallel import CRASHED, map_batches
from sse_flows.testing.batches import die_at, die_once, fail_at, square


@pytest.mark.parametrize("processes", [1, 2])
def test_every_batch_is_done_once(processes):
    found = sorted(map_batches(square, range(12), 100, processes))
    assert found == [(n, n, n * n + 100) for n in range(12)]


def test_no_more_is_read_than_there_is_work_for():
    read = []

    def batches():
        for number in range(20):
            read.append(number)
            yield number

    work = map_batches(square, batches(), 0, 2)
    next(work)
    assert len(read) <= 6
    assert len(list(work)) == 19


def test_a_batch_that_kills_its_process_twice_is_named_and_the_others_done():
    found = {batch: result for _, batch, result in map_batches(die_at, range(10), 3, 2)}
    assert found.pop(3) is CRASHED
    assert found == {n: n for n in range(10) if n != 3}


def test_a_batch_that_comes_through_alone_is_good(tmp_path):
    found = sorted(map_batches(die_once, range(5), str(tmp_path / "mark"), 2))
    assert found == [(n, n, n) for n in range(5)]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_no_crash_is_raised(processes):
    with pytest.raises(ValueError, match="2 is wrong"):
        list(map_batches(fail_at, range(5), 2, processes))
