"""Functions over items in worker processes that may die."""

from __future__ import annotations

import os
from functools import partial

from sse_flows.processes import end_with, fresh_processes, map_surviving
from sse_flows.testing.batches import die_at, square


def test_what_ends_its_process_is_named_and_the_rest_done():
    sizes = []

    def pool(size: int):
        sizes.append(size)
        return fresh_processes(size, end_with, os.getpid())

    work = partial(die_at, shared=3)
    found = dict(map_surviving(pool, work, range(7), 2, lambda number: -number))
    assert found == {0: 0, 1: 1, 2: 2, 3: -3, 4: 4, 5: 5, 6: 6}
    assert sizes[:2] == [2, 2]
    assert set(sizes[2:]) == {1}


def test_no_item_is_no_work():
    pool = partial(fresh_processes, prepare=end_with)
    assert not list(map_surviving(pool, partial(square, shared=0), [], 1, abs))
