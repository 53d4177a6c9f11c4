"""A pool and models trained on part of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.models import TrainedModels
from sse_flows.models.train import train


@pytest.fixture(scope="session")
def pool() -> pd.DataFrame:
    """Forty compounds, the first twenty with a conductivity that follows the band gap."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.normal(size=(40, 30)), columns=list(DESCRIPTORS))
    table["band_gap"] = rng.uniform(0, 6, size=40)
    table["soft_mode_flag"] = (np.arange(40) % 4 == 0).astype(float)
    table["conductivity"] = 10 ** (-7.0 + table["band_gap"] + 0.2 * rng.normal(size=40))
    table.loc[20:, "conductivity"] = np.nan
    table["formula"] = np.resize(["Li3PS4", "Li2O", "LiCl", "Na3PS4"], 40)
    table["energy_above_hull"] = np.resize([0.0, 0.0, 0.0, 0.0, 0.05], 40)
    table.index = pd.Index([f"p{i:02d}" for i in range(40)], name="compound_id")
    return table


@pytest.fixture(scope="session")
def models(pool: pd.DataFrame) -> TrainedModels:
    return train(pool, max_features=2, n_estimators=10)
