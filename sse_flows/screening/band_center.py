"""The trained model of the band centre as a screen uses it: many crystals, many decorations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sse_flows.descriptors.crystal.ward import decorate
from sse_flows.models.band_center import BandCenterModel
from sse_flows.models.band_center_rows import ElementRows
from sse_flows.models.site_environments import element_environments
from sse_flows.models.uncertainty import LEVEL
from sse_flows.screening.centers import Centers
from sse_flows.screening.environments import decorated_environments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sse_flows.descriptors.crystal.tessellation import Tessellation

    FloatArray = NDArray[np.float64]


def load_centers(folder: str | Path | None = None, level: float = LEVEL) -> BandCenters:
    """A saved model of the band centre, ready to screen.

    Parameters
    ----------
    folder
        What `sse band-center train` wrote; None for the model that comes with the package.
    level
        Share of new crystals that an interval should hold.

    Raises
    ------
    SSEError
        There is no model, or it cannot be read.
    """
    from sse_flows.models.band_center_file import load_band_center, pretrained

    model, document = pretrained() if folder is None else load_band_center(folder)
    return BandCenters(model, document.estimators_hash, level)


@dataclass(frozen=True)
class BandCenters:
    """A `BandCenterModel` that a screen can ask.

    Parameters
    ----------
    model
        Fitted.
    digest
        Changes when the model does.
    level
        Share of new crystals that an interval should hold.
    """

    model: BandCenterModel
    digest: str
    level: float = LEVEL

    def row(self, tessellation: Tessellation, numbers: NDArray[np.int64]) -> FloatArray:
        """The model's rows of one crystal, one for each element."""
        elements = element_environments(tessellation, numbers)
        crystal = decorate(tessellation, numbers[None])
        return np.hstack([elements, np.repeat(crystal, len(elements), axis=0)])

    def centers(self, rows: Sequence[Any]) -> Centers:
        """Predictions for crystals, from their rows."""
        owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        return self._centers(np.concatenate(rows), owners, len(rows))

    def decorations(
        self,
        tessellation: Tessellation,
        numbers: NDArray[np.int64],
        volume_ratio: FloatArray,
    ) -> Centers:
        """Predictions for decorations; their Ward features do not depend on the volume."""
        elements, owners = decorated_environments(tessellation, numbers, volume_ratio)
        crystals = decorate(tessellation, numbers)
        return self._centers(np.hstack([elements, crystals[owners]]), owners, len(numbers))

    def _centers(self, features: FloatArray, owners: NDArray[np.intp], count: int) -> Centers:
        """Predictions from rows."""
        rows = ElementRows([str(number) for number in range(count)], features, owners)
        table = self.model.table_of_rows(rows, level=self.level)
        return Centers(
            table["band_center"].to_numpy(),
            table["lower"].to_numpy(),
            table["upper"].to_numpy(),
            ~table["inside_domain"].to_numpy(bool),
        )
