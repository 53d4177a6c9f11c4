"""What a subset problem accepts, and that scaling its columns changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from sse_flows.errors import SSEError
from sse_flows.models.subset_search import SubsetProblem, leave_one_out_margins

TARGET = np.array([True, True, True, False, False, False])


@pytest.mark.parametrize(
    ("design", "target", "penalty", "message"),
    [
        (np.ones(6), TARGET, np.ones(1), "shape"),
        (np.ones((6, 2)), TARGET[:5], np.ones(2), "needs a target"),
        (np.ones((6, 2)), TARGET, np.ones(3), "needs a target"),
        (np.full((6, 2), np.nan), TARGET, np.ones(2), "missing"),
        (np.ones((6, 2)), TARGET, np.array([1.0, 0.0]), "penalty"),
        (np.ones((6, 2)), TARGET, np.array([1.0, np.inf]), "penalty"),
        (np.ones((6, 2)), np.arange(6) == 0, np.ones(2), "two rows"),
        (np.ones((6, 64)), TARGET, np.ones(64), "63"),
    ],
)
def test_what_cannot_be_searched_is_refused(design, target, penalty, message):
    with pytest.raises(SSEError, match=message):
        SubsetProblem(design, target, penalty)


def test_units_of_the_columns_do_not_matter(make_problem):
    problem = make_problem("plain")
    units = np.geomspace(1e-6, 1e7, problem.n_columns)
    other = SubsetProblem(
        problem.design * units + 3 * units, problem.target, problem.penalty * units**2
    )
    for subset in [(0,), (1, 4, 7), tuple(range(8))]:
        expected = leave_one_out_margins(problem, subset)
        np.testing.assert_allclose(leave_one_out_margins(other, subset), expected, atol=1e-7)


def test_the_problem_keeps_its_own_data(make_problem):
    problem = make_problem("plain")
    design = problem.design.copy()
    other = SubsetProblem(design, problem.target, problem.penalty)
    digest = other.digest()
    design[:] = 0.0
    assert other.digest() == digest == problem.digest()
    assert make_problem("plain", C=2.0).digest() != digest
    with pytest.raises(ValueError, match="read-only"):
        other.design[0, 0] = 1.0
