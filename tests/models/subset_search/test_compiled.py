"""The screen in single precision never drops a subset that its bounds have to keep."""

from __future__ import annotations

import numpy as np
import pytest

from sse_flows.models.subset_search import compiled, fit_margins
from sse_flows.models.subset_search.evaluate import FLOOR, assess_masks
from sse_flows.models.subset_search.lattice import Lattice
from sse_flows.models.subset_search.problem import columns_of

pytestmark = pytest.mark.skipif(compiled.library() is None, reason="needs the compiled kernel")


def _widths() -> list[str]:
    if compiled.library() is None:
        return []
    best = compiled.INSTRUCTION_SETS.index(compiled.instruction_set())
    return list(compiled.INSTRUCTION_SETS[: best + 1])


@pytest.mark.parametrize("instructions", _widths())
@pytest.mark.parametrize("C", [1e-2, 1.0, 1e3, 1e6])
def test_no_subset_is_dropped_at_any_limit(instructions, C, kind, make_problem):
    problem = make_problem(kind, n=32, columns=9, C=C)
    data, lattice = problem.standardised, Lattice(9, 9)
    screen = compiled.Screen(data, 9, instructions)
    rule = np.ones((3, 10))
    rule[2] = 1e6
    masks, starts = screen.run([], lattice.n_cores, rule, floor=0.0, log_loss=False)
    assert sorted(masks.tolist()) == list(range(1, 2**9))
    counts, _ = assess_masks(data, masks, rule, starts=starts)
    errors = counts.sum(axis=1)
    dropped = 0
    for limit in range(errors.max()):
        rule[2] = limit + 1e-6
        for floor in (0.0, FLOOR):
            kept, _ = screen.run([], lattice.n_cores, rule, floor=floor, log_loss=False)
            assert np.isin(masks[errors <= limit], kept).all()
        dropped += len(masks) - len(kept)
    assert dropped > 0


@pytest.mark.parametrize("instructions", _widths())
def test_the_coefficients_are_good_first_guesses(instructions, make_problem):
    problem = make_problem("plain", n=32, columns=7)
    screen = compiled.Screen(problem.standardised, 7, instructions)
    rule = np.ones((3, 8))
    rule[2] = 1e6
    masks, starts = screen.run([], 8, rule, floor=0.0, log_loss=False)
    for mask, start in list(zip(masks.tolist(), starts, strict=True))[::9]:
        subset = columns_of(mask)
        columns = problem.standardised.columns[:, : problem.n_rows]
        eta = start[0] + start[1 : len(subset) + 1] @ columns[[c + 1 for c in subset]]
        np.testing.assert_allclose(eta, fit_margins(problem, subset), atol=2e-3)


@pytest.mark.parametrize("instructions", _widths())
@pytest.mark.parametrize("kind", ["plain", "correlated", "unbalanced", "tall"])
def test_the_certified_screen_leaves_little_to_double_precision(kind, instructions, make_problem):
    problem = make_problem(kind, n=40, columns=10)
    data, lattice = problem.standardised, Lattice(10, 10)
    screen = compiled.Screen(data, 10, instructions)
    rule = np.ones((3, 11))
    rule[2] = 1e6
    masks, starts = screen.run([], lattice.n_cores, rule, floor=0.0, log_loss=False)
    counts, _ = assess_masks(data, masks, rule, starts=starts)
    errors = counts.sum(axis=1)
    rule[2] = errors.min() + 1e-6
    kept, _ = screen.run([], lattice.n_cores, rule, floor=0.0, log_loss=False)
    assert np.isin(masks[errors == errors.min()], kept).all()
    assert len(kept) <= (errors == errors.min()).sum() + 0.01 * len(masks)
