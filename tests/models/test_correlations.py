"""Correlations of pairwise complete descriptors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.models.correlations import correlations
from sse_flows.models.document import Correlations


def test_pairwise_complete_and_none_for_constants() -> None:
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.normal(size=(8, 3)), columns=list("abc"))
    values.loc[2, "a"] = values.loc[5, "b"] = np.nan
    values["same"], values["rare"] = 0.1, np.nan
    values.loc[:1, "rare"] = [1.0, 2.0]
    y = rng.normal(size=8)
    found = correlations(values, y)
    table = pd.DataFrame(found.matrix, index=found.descriptors, columns=found.descriptors)
    both = values["a"].notna() & values["b"].notna()
    expected = np.corrcoef(values["a"][both], values["b"][both])[0, 1]
    assert table.loc["a", "b"] == pytest.approx(expected, abs=1e-6)
    assert table.loc["b", "a"] == table.loc["a", "b"]
    assert table.loc["a", "a"] == 1.0
    assert table["same"].isna().all()
    assert table["rare"].isna().all()
    with_y = dict(zip(found.descriptors, found.log10_conductivity, strict=True))
    assert with_y["c"] == pytest.approx(np.corrcoef(values["c"], y)[0, 1], abs=1e-6)
    assert with_y["same"] is None
    assert Correlations.model_validate_json(found.model_dump_json()) == found
