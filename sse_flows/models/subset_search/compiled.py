"""The screen in single precision that C++ compiles, where it was built."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from sse_flows.models.subset_search.problem import Floats, Masks, Standardised


def library() -> ctypes.CDLL | None:
    """The compiled library, or None where it was not built."""
    return None


class Screen:
    """Not built yet."""

    def __init__(self, data: Standardised, max_features: int):
        raise NotImplementedError

    def run(
        self, path: list[int], start: int, stop: int, rule: Floats, **options: Any
    ) -> tuple[int, Masks, Floats]:
        """Screen cores."""
        return stop, np.zeros(0, dtype=np.int64), np.zeros((0, 1))
