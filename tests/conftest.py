"""Fixtures that several stages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of third-party reference data; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SSE_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"reference data not found in {folder}; set SSE_SHARED_DATA to its folder")
    return folder
