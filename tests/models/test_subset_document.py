"""Tables as questions, and parts of a search as one result."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models import BestSubsetClassifier
from sse_flows.models.subset_document import (
    SubsetPart,
    SubsetResult,
    SubsetSettings,
    conclude,
    search_part,
)
from sse_flows.models.subset_table import subset_table


def _frame(n: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(n, 5)), columns=list("abcde"))
    frame["sigma"] = 10 ** (frame["a"] + rng.normal(size=n))
    frame["text"] = "x"
    frame.index = pd.Index([f"c{i}" for i in range(n)])
    return frame


def test_a_threshold_divides_numbers_and_labels_are_classes() -> None:
    frame = _frame()
    table, without = subset_table(frame, "sigma", threshold=1.0)
    assert table.features == list("abcde")
    assert table.classes == ("sigma <= 1", "sigma > 1")
    assert table.positive == (frame["sigma"] > 1).tolist()
    assert without == []
    frame["label"] = np.where(frame["sigma"] > 1, "yes", "no")
    frame.loc["c2", "label"] = None
    table, without = subset_table(frame, "label", features=["b", "a"])
    assert table.features == ["b", "a"]
    assert (table.classes, without) == (("no", "yes"), ["c2"])
    assert "c2" not in table.ids


def test_descriptors_are_the_features_where_a_table_has_them() -> None:
    frame = _frame().assign(**dict.fromkeys(DESCRIPTORS, 1.0))
    assert subset_table(frame, "sigma", threshold=1.0)[0].features == list(DESCRIPTORS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "sigmas", "threshold": 1.0}, "no column sigmas. Did you mean sigma?"),
        ({"target": "sigma"}, "24 kinds of value, not two .* Give --threshold"),
        ({"target": "text", "threshold": 1.0}, "holds text, not numbers that a threshold"),
        ({"target": "sigma", "threshold": 1.0, "features": ["a", "text"]}, "text holds text"),
        ({"target": "sigma", "threshold": 1.0, "features": ["a", "sigma"]}, "among the features"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(options, message) -> None:
    target = options.pop("target")
    with pytest.raises(SSEError, match=message):
        subset_table(_frame(), target, **options)


def test_parts_become_the_result_of_the_classifier() -> None:
    frame = _frame()
    table, _ = subset_table(frame, "sigma", threshold=1.0)
    settings = SubsetSettings(C=10.0, standardize=False)
    parts = [search_part(table, settings, (i, 3), n_jobs=1) for i in range(3)]
    files = [SubsetPart.model_validate_json(one.model_dump_json()) for one in parts]
    result = conclude([files[2], files[0], files[1], files[0]])
    model = BestSubsetClassifier(C=10.0, standardize=False, n_jobs=1)
    model.fit(frame[list("abcde")], frame["sigma"] > 1)
    assert tuple(result.features) == model.features_
    assert [size.tied for size in result.sizes] == [
        [list(names) for names in model.ties(k)] for k in range(1, 6)
    ]
    rows = [size.model_dump(exclude={"tied"}) for size in result.sizes]
    pd.testing.assert_frame_equal(pd.DataFrame(rows), model.cv_results_, check_like=True)
    assert result.n_subsets == 31
    assert SubsetResult.model_validate_json(result.model_dump_json()) == result


def test_missing_and_foreign_parts_are_refused() -> None:
    frame = _frame()
    table, _ = subset_table(frame, "sigma", threshold=1.0)
    first, second = (search_part(table, SubsetSettings(), (i, 3), n_jobs=1) for i in range(2))
    with pytest.raises(SSEError, match=r"of 3 parts 2 is missing"):
        conclude([first, second])
    other = search_part(table, SubsetSettings(C=2.0), (1, 3), n_jobs=1)
    with pytest.raises(SSEError, match="different tables, settings or divisions"):
        conclude([first, other])
    with pytest.raises(SSEError, match="part 3 of 3"):
        search_part(table, SubsetSettings(), (3, 3))
    with pytest.raises(SSEError, match="no part"):
        conclude([])
