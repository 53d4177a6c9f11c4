"""Every subset is walked once."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from sse_flows.models.subset_search.evaluate import next_core
from sse_flows.models.subset_search.lattice import Lattice


@pytest.mark.parametrize(
    ("columns", "most"), [(1, 1), (3, 2), (4, 4), (5, 1), (9, 9), (10, 4), (12, 12)]
)
def test_cores_are_those_of_limited_size_in_depth_first_order(columns, most):
    lattice = Lattice(columns, most)
    cores = [tuple(lattice.path(rank)) for rank in range(lattice.n_cores)]
    assert cores == sorted(cores)
    wanted = [c for k in range(lattice.core_size + 1) for c in combinations(range(columns - 4), k)]
    assert sorted(wanted) == (cores if columns > 4 else [()])


@pytest.mark.parametrize(("columns", "most"), [(5, 1), (9, 9), (10, 4)])
def test_the_walk_follows_the_ranks(columns, most):
    lattice = Lattice(columns, most)
    path, depth = np.zeros(columns, dtype=np.int64), 0
    for rank in range(lattice.n_cores):
        assert path[:depth].tolist() == lattice.path(rank)
        depth = next_core(path, depth, lattice.n_core, lattice.core_size)
    assert depth == -1


@pytest.mark.parametrize(("columns", "most"), [(2, 1), (12, 12), (13, 5), (30, 6), (63, 5)])
def test_chunks_hold_every_subset_once(columns, most):
    lattice = Lattice(columns, most)
    half = list(range(0, lattice.n_chunks, 2))
    other = list(range(1, lattice.n_chunks, 2))
    expected = [0] + [comb(columns, size) for size in range(1, most + 1)]
    assert (lattice.sizes(half) + lattice.sizes(other)).tolist() == expected
    assert lattice.sizes(list(range(lattice.n_chunks))).tolist() == expected
    assert lattice.n_subsets() == sum(expected)


def test_the_published_search_has_over_ten_to_the_nine_subsets():
    assert Lattice(30, 30).n_subsets() == 2**30 - 1
    assert Lattice(30, 6).n_subsets() == 768_211
