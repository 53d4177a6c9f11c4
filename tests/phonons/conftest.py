"""Entries of a phonon database made from springs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

for _name in ("crystals", "entries", "vaspruns"):
    _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
    assert _spec is not None
    assert _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules[_name] = _module
    _spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def springs():
    """Antifluorite Li2O in a supercell of 96 atoms."""
    crystals = sys.modules["crystals"]
    return crystals.spring_crystal(
        crystals.ANTIFLUORITE, 2, crystals.ANTIFLUORITE_SPRINGS, cutoff=3.5
    )


@pytest.fixture(scope="session")
def files(springs) -> dict[str, str]:
    """Files of an entry of the Kyoto database, Born charges included."""
    return sys.modules["entries"].kyoto_files(springs)
