"""The screen in single precision that screen.cpp compiles to, where it was built.

The library has a plain C interface and is loaded by ctypes, which lets go of the interpreter's lock
during a call, so threads run side by side.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sse_flows.models.subset_search.evaluate import SATURATION
from sse_flows.models.subset_search.lattice import LANES
from sse_flows.models.subset_search.problem import Floats, Masks, Standardised

INTERFACE = 1
"""Number of the C interface, as in screen.cpp."""
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
_DOUBLES = ctypes.POINTER(ctypes.c_double)
_FLOATS = ctypes.POINTER(ctypes.c_float)
_INTEGERS = ctypes.POINTER(ctypes.c_int64)


@cache
def library() -> ctypes.CDLL | None:
    """The compiled library, or None where it was not built or cannot be loaded."""
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"_screen{suffix}")
        if path.exists():
            try:
                loaded = ctypes.CDLL(str(path))
                return _declare(loaded) if loaded.subset_interface() == INTERFACE else None
            except (OSError, AttributeError):  # of another machine, or of an older version
                return None
    return None


def instruction_set() -> str:
    """The widest instruction set that the library has and the processor runs."""
    loaded = library()
    return INSTRUCTION_SETS[loaded.subset_instruction_set()] if loaded else "none"


def _declare(loaded: ctypes.CDLL) -> ctypes.CDLL:
    integer, pointer = ctypes.c_int, ctypes.c_void_p
    loaded.subset_instruction_set.restype = integer
    loaded.subset_problem_new.restype = pointer
    loaded.subset_problem_new.argtypes = [_DOUBLES] * 3 + [integer] * 3
    loaded.subset_problem_free.restype = None
    loaded.subset_problem_free.argtypes = [pointer]
    loaded.subset_screen.restype = ctypes.c_int64
    loaded.subset_screen.argtypes = [
        *(pointer, integer, _INTEGERS, integer, ctypes.c_int64, integer),
        *(_DOUBLES, ctypes.c_double, ctypes.c_double, integer, _INTEGERS, _FLOATS),
    ]
    return loaded


def _suited(max_features: int, n_columns: int) -> str:
    """The fastest instruction set: short vectors waste fewer lanes on subsets too large."""
    best = instruction_set()
    return "avx2" if best == "avx512" and 2 * max_features < n_columns else best


class Screen:
    """A problem in single precision; threads may share it."""

    def __init__(self, data: Standardised, max_features: int, instructions: str | None = None):
        loaded = library()
        assert loaded is not None  # the caller has asked `available_kernels`
        self._library = loaded
        self._max_features = max_features
        best = instructions or _suited(max_features, len(data.penalty) - 1)
        self._instructions = INSTRUCTION_SETS.index(best)
        columns = np.ascontiguousarray(data.columns)
        self._problem = loaded.subset_problem_new(
            columns.ctypes.data_as(_DOUBLES),
            np.ascontiguousarray(data.sign).ctypes.data_as(_DOUBLES),
            np.ascontiguousarray(data.penalty).ctypes.data_as(_DOUBLES),
            data.n_rows,
            columns.shape[1],
            columns.shape[0] - 1,
        )
        if not self._problem:
            raise MemoryError("no memory for the products of columns")

    def __del__(self) -> None:
        if getattr(self, "_problem", None):
            self._library.subset_problem_free(self._problem)

    def run(
        self,
        path: list[int],
        n_cores: int,
        rule: Floats,
        *,
        floor: float,
        log_loss: bool,
        saturation: float = SATURATION,
    ) -> tuple[Masks, NDArray[np.float32]]:
        """Screen consecutive cores.

        Parameters
        ----------
        path
            Columns of the first core, see `Lattice.path`.
        rule
            See `rule_of`.
        floor
            See `FLOOR`; 0 rests on proven bounds alone.

        Returns
        -------
        Subsets that may reach the limit as masks, and their coefficients on standardised columns,
        intercept first, shape (m, max_features + 1).
        """
        # pages that nothing is written to take no memory
        masks = np.empty(n_cores << LANES, dtype=np.int64)
        starts = np.empty((n_cores << LANES, self._max_features + 1), dtype=np.float32)
        core = np.array([*path, 0], dtype=np.int64)
        rule = np.ascontiguousarray(rule)
        found = self._library.subset_screen(
            self._problem,
            self._instructions,
            core.ctypes.data_as(_INTEGERS),
            len(path),
            n_cores,
            self._max_features,
            rule.ctypes.data_as(_DOUBLES),
            floor,
            saturation,
            log_loss,
            masks.ctypes.data_as(_INTEGERS),
            starts.ctypes.data_as(_FLOATS),
        )
        if found < 0:
            raise MemoryError("the compiled screen found no memory")
        return masks[:found].copy(), starts[:found].copy()
