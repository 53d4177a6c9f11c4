"""Cells written as six numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from sse_flows.descriptors.crystal.arrays import FloatArray
from sse_flows.errors import SSEError


def lattice_vectors(cell: Any) -> FloatArray:
    """Rows of lattice vectors (Å), a along x and b in the x-y plane.

    Parameters
    ----------
    cell
        Lengths a, b, c (Å) and angles α, β, γ (degrees).

    Raises
    ------
    SSEError
        The six numbers are no cell.
    """
    a, b, c, *angles = (float(value) for value in cell)
    alpha, beta, gamma = np.cos(np.radians(angles))
    height = np.sqrt(1 - gamma**2) if abs(gamma) < 1 else 0.0
    x = beta
    y = (alpha - beta * gamma) / height if height else np.nan
    rest = 1 - x**2 - y**2
    if min(a, b, c) <= 0 or not rest > 0:
        raise SSEError(f"{list(cell)} is no cell", mend="Give three lengths and three angles")
    return np.array([[a, 0, 0], [b * gamma, b * height, 0], [c * x, c * y, c * np.sqrt(rest)]])
