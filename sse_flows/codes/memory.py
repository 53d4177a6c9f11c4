"""Keep freed memory in the process: force fields allocate the same large arrays at every call."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4


@cache
def keep_freed_memory() -> bool:
    """Tell glibc's malloc to reuse large blocks instead of handing them back to the kernel.

    By default every array above 128 kB is a fresh ``mmap`` whose pages are faulted in and zeroed
    again and again; for a 96-atom cell that is about a fifth of a SevenNet force call on a CPU.

    Returns
    -------
    bool
        Whether the setting was made (glibc only; elsewhere nothing happens).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = [(_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 1024**2)]
    return sum(mallopt(option, value) for option, value in settings) == len(settings)
