"""The search as a Flow gives the answer of one search."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder

from sse_flows.campaign.subset_search import SubsetSearchMaker
from sse_flows.errors import SSEError
from sse_flows.models.subset_document import SubsetResult, SubsetSettings, conclude, search_part
from sse_flows.models.subset_table import subset_table


@pytest.fixture
def question():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(24, 7)), columns=list("abcdefg"))
    frame["label"] = np.where(frame["a"] + rng.normal(size=24) > 0, "fast", "slow")
    frame.loc[3, "b"] = np.nan
    return subset_table(frame, "label")[0]


def _result(flow) -> SubsetResult:
    store = JobStore(MemoryStore())
    responses = run_locally(flow, store=store, ensure_success=True)
    assert len(responses) == len(list(flow.iterflow()))
    output = store.get_output(flow.output.uuid, load=True)
    return SubsetResult.model_validate({k: v for k, v in output.items() if k[0] != "@"})


@pytest.mark.parametrize("n_parts", [1, 3])
def test_parts_give_the_answer_of_one_search(question, tmp_path, monkeypatch, n_parts) -> None:
    monkeypatch.chdir(tmp_path)
    settings = SubsetSettings(missing="median", max_features=5)
    maker = SubsetSearchMaker(n_parts=n_parts, settings=settings, n_jobs=1, rescore=False)
    found = _result(maker.make(question))
    whole = conclude([search_part(question, settings, n_jobs=1)], rescore=False)
    same = {"cpu_seconds"}
    assert found.model_dump(exclude=same) == whole.model_dump(exclude=same)
    assert found.n_subsets == 7 + 21 + 35 + 35 + 21
    assert found.classes == ("fast", "slow")
    assert len(list(tmp_path.glob("subsets-*.json"))) == n_parts


def test_a_flow_survives_the_way_to_a_cluster(question) -> None:
    maker = SubsetSearchMaker(n_parts=2, settings={"missing": "median", "C": 10.0}, rescore=False)
    flow = maker.make(question)
    again = json.loads(json.dumps(flow, cls=MontyEncoder), cls=MontyDecoder)
    jobs = [one.name for one, _ in again.iterflow()]
    assert jobs == ["subsets, part 1 of 2", "subsets, part 2 of 2", "merge_subset_parts"]
    maker_again = json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder)
    assert maker_again.n_parts == 2


def test_no_part_is_refused(question) -> None:
    with pytest.raises(SSEError, match="n_parts=0"):
        SubsetSearchMaker(n_parts=0).make(question)
