"""A band-centre model that needs no training: a Debye-like guess from mass and volume."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sse_flows.descriptors.crystal.featurizer import WardFeaturizer
from sse_flows.screening.centers import Centers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MASS = "MagpieData mean AtomicWeight"
_HEAVY = 1000.0


@dataclass(frozen=True)
class MassModel:
    """Centre of 200 meV over the root of the mean atomic mass, ± 5 meV.

    Parameters
    ----------
    kill_below
        End the process at a crystal whose mean mass (u) is below this, as want of memory would.
    """

    kill_below: float = 0.0

    @property
    def digest(self) -> str:
        """Of its one parameter."""
        return f"mass model {self.kill_below:g}"

    @property
    def featurizers(self) -> Sequence[WardFeaturizer]:
        """The mean mass."""
        return (WardFeaturizer([_MASS]),)

    def centers(self, features: NDArray[np.float64]) -> Centers:
        """Guess from mean masses, shape (crystals, 1)."""
        mass = features[:, 0]
        if (mass < self.kill_below).any():
            os.kill(os.getpid(), signal.SIGKILL)
        center = 200.0 / np.sqrt(mass)
        return Centers(center, center - 5, center + 5, mass > _HEAVY)
