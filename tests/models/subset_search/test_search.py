"""The search finds what trying everything finds."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sse_flows.errors import SSEError
from sse_flows.models.subset_search import (
    SubsetProblem,
    SubsetSearch,
    estimate_seconds,
    leave_one_out_margins,
    search_subsets,
)

SCORES = ("accuracy", "f1", "log_loss")


@pytest.mark.parametrize("score", SCORES)
def test_winners_and_ties_are_those_of_brute_force(kind, kernel, score, make_problem, brute_force):
    problem = make_problem(kind)
    expected = brute_force(problem, score)
    for certify in (False, True):
        found = search_subsets(problem, score=score, kernel=kernel, certify=certify, n_jobs=1)
        assert found.sizes == expected
        assert found.complete
        assert found.kernel == kernel


@pytest.mark.parametrize("C", [1e-6, 1e3, 1e8])
def test_extreme_penalties(C, kernel, make_problem, brute_force):
    problem = make_problem("raw", n=24, columns=7, C=C)
    assert search_subsets(problem, kernel=kernel).sizes == brute_force(problem)


def test_more_columns_than_lanes_and_many_rows(kernel, make_problem, brute_force):
    problem = make_problem("tall", columns=10, seed=3)
    assert search_subsets(problem, kernel=kernel, n_jobs=1).sizes == brute_force(problem)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5])
def test_few_columns(columns, kernel, brute_force):
    random = np.random.default_rng(columns)
    target = random.random(20) > 0.5
    problem = SubsetProblem(random.normal(size=(20, columns)), target, np.ones(columns))
    assert search_subsets(problem, kernel=kernel).sizes == brute_force(problem)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_subsets_of_limited_size(most, kernel, make_problem, brute_force):
    problem = make_problem("correlated", columns=9)
    found = search_subsets(problem, kernel=kernel, max_features=most)
    assert found.sizes == brute_force(problem, max_features=most)
    assert found.n_subsets == sum(size.n_subsets for size in found.sizes)


def test_winners_are_those_of_scikit_learn(make_problem):
    problem = make_problem("plain", n=20, columns=4, seed=5)
    model = LogisticRegression(solver="newton-cholesky", tol=1e-10)
    best: dict[int, list[tuple[float, float, tuple[int, ...]]]] = {}
    for size in range(1, 5):
        for subset in combinations(range(4), size):
            X, y = problem.design[:, subset], problem.target
            labels = cross_val_predict(model, X, y, cv=LeaveOneOut())
            best.setdefault(size, []).append(
                (float((labels == y).mean()), float(f1_score(y, labels)), subset)
            )
    for index, score in enumerate(("accuracy", "f1")):
        for found in search_subsets(problem, score=score).sizes:
            top = max(entry[index] for entry in best[found.n_features])
            winners = [e[2] for e in best[found.n_features] if e[index] == pytest.approx(top)]
            assert found.score == pytest.approx(top)
            assert found.subsets == winners


def test_a_margin_of_zero_is_the_negative_class(kernel):
    # without a positive row the other rows are balanced, and a constant model predicts nothing
    target = np.arange(21) < 11
    zero = np.zeros((21, 1))
    model = LogisticRegression().fit(zero, target)
    model.intercept_[:], model.coef_[:] = 0.0, 0.0
    assert not model.predict(zero).any()
    for constant in (0.0, 3.7, -1e6):
        problem = SubsetProblem(zero + constant, target, np.ones(1))
        assert search_subsets(problem, kernel=kernel).sizes[0].score == 0.0
        assert (leave_one_out_margins(problem, (0,))[:11] == 0.0).all()


def test_without_ties_the_scores_are_the_same(kernel, kind, make_problem):
    problem = make_problem(kind)
    every = search_subsets(problem, kernel=kernel)
    one = search_subsets(problem, kernel=kernel, ties=False)
    for full, quick in zip(every.sizes, one.sizes, strict=True):
        assert quick.score == full.score
        assert quick.n_tied == len(quick.subsets) >= 1
        assert set(quick.subsets) <= set(full.subsets)


def test_the_list_of_ties_is_cut_and_all_are_counted(kernel, make_problem, brute_force):
    problem = make_problem("separable", columns=9, C=10.0)
    found = search_subsets(problem, kernel=kernel, tie_cap=3)
    for size, expected in zip(found.sizes, brute_force(problem), strict=True):
        assert size.n_tied == expected.n_tied
        assert size.subsets == expected.subsets[:3]
    assert max(size.n_tied for size in found.sizes) > 3


def test_threads_do_not_change_the_answer(kernel, make_problem):
    problem = make_problem("plain", n=45, columns=14)
    one = search_subsets(problem, kernel=kernel, n_jobs=1, max_features=6)
    assert search_subsets(problem, kernel=kernel, n_jobs=3, max_features=6).sizes == one.sizes


def test_kernels_agree_on_a_larger_problem(kernel, make_problem):
    problem = make_problem("correlated", n=45, columns=13, seed=2)
    certified = search_subsets(problem, kernel="numba", certify=True)
    assert search_subsets(problem, kernel=kernel).sizes == certified.sizes
    assert search_subsets(problem, kernel=kernel, certify=True).sizes == certified.sizes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_features": 9}, "max_features"),
        ({"max_features": 0}, "max_features"),
        ({"score": "roc"}, "not a score"),
        ({"kernel": "cuda"}, "not a kernel"),
        ({"part": (2, 2)}, "part"),
        ({"tie_cap": 0}, "tie_cap"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_wrong_options_are_refused(options, message, make_problem):
    with pytest.raises(SSEError, match=message):
        search_subsets(make_problem("plain"), **options)


def test_progress_reaches_the_total(make_problem):
    reports = []
    found = search_subsets(make_problem("plain", columns=11), progress=reports.append)
    assert [r.done for r in reports] == sorted(r.done for r in reports)
    assert reports[-1].done == reports[-1].total == found.n_subsets == 2**11 - 1
    assert reports[-1].seconds_left == 0.0


def test_the_time_is_estimated(make_problem):
    assert 0 < estimate_seconds(make_problem("plain", columns=10), sample_seconds=0.05) < 60


def test_a_result_survives_json(make_problem):
    found = search_subsets(make_problem("twins"), max_features=3)
    assert SubsetSearch.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_as_many_columns_as_a_mask_holds(kernel, make_problem):
    problem = make_problem("plain", n=40, columns=63)
    found = search_subsets(problem, kernel=kernel, max_features=2)
    assert found.n_subsets == 63 + 63 * 62 // 2
    scores = {
        subset: np.mean((leave_one_out_margins(problem, subset) > 0) == problem.target)
        for subset in combinations(range(63), 2)
    }
    best = max(scores.values())
    assert found.sizes[1].score == best
    assert found.sizes[1].subsets == [s for s, score in scores.items() if score == best]
