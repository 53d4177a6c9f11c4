"""A band-centre model that needs no training: a Debye-like guess from the mean mass."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sse_flows.descriptors.crystal.elements import property_column
from sse_flows.descriptors.crystal.tessellation import Tessellation
from sse_flows.screening.centers import Centers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEAVY = 150.0


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

    def row(self, tessellation: Tessellation, numbers: NDArray[np.int64]) -> float:
        """Mean mass of one crystal, u."""
        return float(property_column("AtomicWeight")[numbers].mean())

    def centers(self, rows: Sequence[float]) -> Centers:
        """Guess from mean masses."""
        mass = np.array(rows)
        if (mass < self.kill_below).any():
            os.kill(os.getpid(), signal.SIGKILL)
        center = 200.0 / np.sqrt(mass)
        return Centers(center, center - 5, center + 5, mass > _HEAVY)

    def decorations(
        self,
        tessellation: Tessellation,
        numbers: NDArray[np.int64],
        volume_ratio: NDArray[np.float64],
    ) -> Centers:
        """Guess for decorations, shape (decorations, sites)."""
        return self.centers(property_column("AtomicWeight")[numbers].mean(axis=1).tolist())
