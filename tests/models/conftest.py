"""Small tables of descriptors with a known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.models import TrainedModels
from sse_flows.models.train import train


def make_table(n_rows: int = 24, seed: int = 0) -> pd.DataFrame:
    """Correlated descriptors, some missing; conductivity follows two of them."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(30) + 0.3 * rng.normal(size=(30, 30))
    values = rng.normal(size=(n_rows, 30)) @ mixing
    table = pd.DataFrame(values, columns=list(DESCRIPTORS))
    table.index = pd.Index([f"c{i:02d}" for i in range(n_rows)], name="compound_id")
    signal = table["phonon_band_center_mobile"] - table["band_gap"]
    conductivity = 10 ** (-4 + signal + 0.3 * rng.normal(size=n_rows))
    table = table.mask(rng.random(table.shape) < 0.04)
    table["disorder_total"] = 0.0
    table["vibrational_entropy"] = np.nan
    return table.assign(conductivity=conductivity, formula="Li3PS4")


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    return make_table()


@pytest.fixture(scope="session")
def models(table: pd.DataFrame) -> TrainedModels:
    return train(table, max_features=2, n_estimators=10, nested=True)
