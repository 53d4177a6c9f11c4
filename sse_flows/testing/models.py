"""A tiny fitted model of the band centre, saved, for tests of what uses one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sse_flows.descriptors.crystal.arrays import CrystalArrays


def small_band_center(folder: str | Path, seed: int = 0) -> Path:
    """Train on a few dozen made-up salts and save; the numbers mean nothing, the files are real.

    Parameters
    ----------
    folder
        Where to save.
    seed
        Of the made-up lattice constants.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    from sse_flows.models.band_center import BandCenterModel
    from sse_flows.models.band_center_data import TrainingCompound
    from sse_flows.models.band_center_elements import ElementBandCenters
    from sse_flows.models.band_center_file import save_band_center
    from sse_flows.models.band_center_train import train_band_center
    from sse_flows.models.sparse_gp import SparseGaussianProcess

    compounds = [
        TrainingCompound(f"salt-{k}", crystal, center)
        for k, (crystal, center) in enumerate(_salts(seed))
    ]
    quick = ElementBandCenters(
        HistGradientBoostingRegressor(max_iter=10, random_state=0),
        SparseGaussianProcess(max_iter=2),
    )
    trained = train_band_center(compounds, model=BandCenterModel(quick, n_folds=2), n_jobs=1)
    return save_band_center(trained.model, trained.document, trained.data, folder)


def _salts(seed: int) -> list[tuple[CrystalArrays, float]]:
    """Rock salts and CsCl structures of many elements with a Debye-like centre, meV."""
    from sse_flows.descriptors.crystal.arrays import read_crystal
    from sse_flows.descriptors.crystal.elements import property_column

    generator = np.random.default_rng(seed)
    mass, found = property_column("AtomicWeight"), []
    for cation in (3, 11, 12, 13, 19, 20, 31, 37):
        for anion in (7, 8, 9, 15, 16, 17, 35):
            edge = 3.0 + 0.02 * (cation + anion) ** 0.8 + 0.1 * generator.random()
            crystal = read_crystal((np.eye(3) * edge, [cation, anion], [[0, 0, 0], [0.5] * 3]))
            center = 900.0 / (edge * np.sqrt(mass[[cation, anion]].mean()))
            found.append((crystal, float(center)))
    return found
