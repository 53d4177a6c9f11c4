"""A divided search, an interrupted one and a killed one give the answer of an undisturbed one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from sse_flows.errors import SSEError
from sse_flows.models.subset_search import (
    SubsetProblem,
    SubsetSearch,
    merge_searches,
    search_subsets,
)
from sse_flows.models.subset_search import search as search_module
from sse_flows.models.subset_search.winners import Winners


@pytest.fixture(scope="module")
def problem(make_problem) -> SubsetProblem:
    return make_problem("correlated", n=40, columns=12, seed=4)


@pytest.fixture(scope="module")
def whole(problem):
    return search_subsets(problem)


@pytest.mark.parametrize("score", ["accuracy", "f1", "log_loss"])
def test_parts_make_the_whole(score, problem):
    undivided = search_subsets(problem, score=score, max_features=5)
    parts = [search_subsets(problem, score=score, max_features=5, part=(i, 3)) for i in range(3)]
    for order in permutations(parts):
        merged = merge_searches(order)
        assert merged.sizes == undivided.sizes
        assert merged.n_subsets == undivided.n_subsets
        assert merged.complete


def test_a_part_given_twice_counts_once(problem, whole):
    parts = [search_subsets(problem, part=(i, 2)) for i in range(2)]
    assert not parts[0].complete
    assert parts[0].n_subsets + parts[1].n_subsets == whole.n_subsets
    merged = merge_searches([parts[1], parts[0], parts[1], merge_searches(parts)])
    assert merged.sizes == whole.sizes
    assert merged.n_subsets == whole.n_subsets
    assert merge_searches([merged]) == merged


def test_more_parts_than_chunks(make_problem, brute_force):
    small = make_problem("plain", columns=5)
    parts = [search_subsets(small, part=(i, 3)) for i in range(3)]
    assert parts[2].n_subsets == 0
    parts = [SubsetSearch.from_dict(json.loads(json.dumps(p.to_dict()))) for p in parts]
    assert merge_searches(parts).sizes == brute_force(small)


def test_a_chunk_half_taken_is_not_saved(tmp_path, problem, whole, monkeypatch):
    path, calls = tmp_path / "search.json", []
    add = Winners.add

    def interrupted(self, masks, scores):
        add(self, masks, scores)
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(search_module, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(Winners, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search_subsets(problem, checkpoint=path)
    assert len(json.loads(path.read_text())["done"]) == 4
    assert search_subsets(problem, checkpoint=path).sizes == whole.sizes


def test_parts_balance(problem):
    numbers = [search_subsets(problem, part=(i, 4), ties=False).n_subsets for i in range(4)]
    assert max(numbers) < 1.1 * min(numbers)


def test_parts_of_other_searches_are_refused(problem, make_problem):
    one = search_subsets(problem, part=(0, 2), max_features=3)
    with pytest.raises(SSEError, match="max_features"):
        merge_searches([one, search_subsets(problem, part=(1, 2), max_features=4)])
    other = make_problem("plain", n=40, columns=12)
    with pytest.raises(SSEError, match="problem"):
        merge_searches([one, search_subsets(other, part=(1, 2), max_features=3)])
    with pytest.raises(SSEError, match="overlap"):
        merge_searches([one, search_subsets(problem, part=(0, 3), max_features=3)])
    with pytest.raises(SSEError, match="no parts"):
        merge_searches([])


def test_an_interrupted_search_goes_on(tmp_path, problem, whole):
    path = tmp_path / "search.json"

    def interrupt(progress):
        if progress.done > 0.3 * progress.total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_subsets(problem, checkpoint=path, progress=interrupt)
    done = len(json.loads(path.read_text())["done"])
    assert 0 < done < whole.n_chunks
    reports = []
    resumed = search_subsets(problem, checkpoint=path, progress=reports.append)
    assert resumed.sizes == whole.sizes
    assert len(reports) == whole.n_chunks - done
    again = search_subsets(problem, checkpoint=path)
    assert again.sizes == whole.sizes


_CHILD = """
import sys, time, numpy as np
from pathlib import Path
from sse_flows.models.subset_search import SubsetProblem, search, search_subsets
data = np.load(sys.argv[1])
search.SAVE_EVERY = 0.0
problem = SubsetProblem(data["design"], data["target"], data["penalty"])
search_subsets(problem, checkpoint=Path(sys.argv[2]), n_jobs=2, progress=lambda p: time.sleep(0.1))
"""


def test_a_killed_search_goes_on(tmp_path, problem, whole):
    data, path = tmp_path / "data.npz", tmp_path / "search.json"
    np.savez(data, design=problem.design, target=problem.target, penalty=problem.penalty)
    root = str(Path(search_module.__file__).parents[3])
    environment = os.environ | {"PYTHONPATH": root}
    child = subprocess.Popen([sys.executable, "-c", _CHILD, data, path], env=environment)
    try:
        deadline = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < deadline:
            if path.exists() and len(json.loads(path.read_text())["done"]) >= 2:
                break
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    done = len(json.loads(path.read_text())["done"])
    assert 2 <= done < whole.n_chunks
    assert search_subsets(problem, checkpoint=path).sizes == whole.sizes


def test_the_checkpoint_of_another_search_is_refused(tmp_path, problem, make_problem):
    path = tmp_path / "search.json"
    search_subsets(problem, checkpoint=path, max_features=2)
    for options in ({"max_features": 3}, {"score": "f1"}, {"certify": True}, {"part": (0, 2)}):
        with pytest.raises(SSEError, match="another search"):
            search_subsets(problem, checkpoint=path, **({"max_features": 2} | options))
    other = make_problem("plain", n=40, columns=12)
    with pytest.raises(SSEError, match="another search"):
        search_subsets(other, checkpoint=path, max_features=2)
    path.write_text("{")
    with pytest.raises(SSEError, match="not the checkpoint"):
        search_subsets(problem, checkpoint=path, max_features=2)
