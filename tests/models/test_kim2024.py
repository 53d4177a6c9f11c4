"""The published equation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sse_flows.errors import SSEError
from sse_flows.models import Kim2024


def _row(**values: float) -> pd.DataFrame:
    return pd.DataFrame([dict.fromkeys(Kim2024.coefficients, 0.0) | values])


def test_equation() -> None:
    row = _row(
        formula_units=2,
        low_energy_ratio_mobile=0.5,
        low_energy_ratio_hybrid=0.25,
        disorder_cation=0.1,
        disorder_anion=0.2,
        vibrational_entropy=150,
    )
    z = -0.427 * 2 + 4.523 * 0.5 + 2.561 * 0.25 + 1.305 * 0.1 + 2.220 * 0.2 + 0.007 * 150 - 2.552
    model = clone(Kim2024())
    assert model.decision_function(row)[0] == pytest.approx(z)
    assert model.predict_proba(row)[0, 1] == pytest.approx(1 / (1 + np.exp(-z)))
    assert model.predict(row)[0] == (z > 0)


def test_lacking_a_descriptor_there_is_no_probability() -> None:
    model = Kim2024()
    row = _row(disorder_anion=np.nan, vibrational_entropy=900.0)
    assert np.isnan(model.predict_proba(row)).all()
    assert not model.predict(row)[0]
    with pytest.raises(SSEError, match="formula_units"):
        model.predict_proba(row.drop(columns="formula_units"))
