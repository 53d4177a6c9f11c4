"""The surroundings of the elements in many decorations of one geometry, scaled each by its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sse_flows.models.site_environments import element_environments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sse_flows.descriptors.crystal.tessellation import Tessellation

    FloatArray = NDArray[np.float64]


def decorated_environments(
    tessellation: Tessellation, numbers: NDArray[np.int64], volume_ratio: FloatArray
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Rows of `element_environments` for decorations.

    Parameters
    ----------
    tessellation
        Of the prototype.
    numbers
        Atomic numbers, shape (decorations, sites).
    volume_ratio
        Volume of each decoration over that of the prototype, shape (decorations,).

    Returns
    -------
    rows, owners
        One row for each element of each decoration, and the decoration it belongs to, ascending.
    """
    tables = [
        element_environments(tessellation.scaled(float(ratio) ** (1 / 3)), row)
        for row, ratio in zip(numbers, volume_ratio, strict=True)
    ]
    owners = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return np.concatenate(tables), owners
