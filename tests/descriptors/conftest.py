"""A made-up crystal with its phonons, for all descriptor tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.modes import lattice_dynamics
from sse_flows.structures.compound import Compound, Disorder

_path = Path(__file__).resolve().parents[1] / "phonons" / "crystals.py"
_spec = importlib.util.spec_from_file_location("crystals", _path)
assert _spec is not None
assert _spec.loader is not None
crystals = importlib.util.module_from_spec(_spec)
sys.modules["crystals"] = crystals
_spec.loader.exec_module(crystals)


def dynamics_of(case, compound_id: str = "antifluorite") -> LatticeDynamics:
    return lattice_dynamics(
        **case.arguments(), compound_id=compound_id, method="springs", with_bands=False
    )


@pytest.fixture(scope="session")
def model():
    """The module with the spring models."""
    return crystals


@pytest.fixture(scope="session")
def antifluorite_dynamics():
    """Function: lattice dynamics of Li2O with springs, in a given cell and supercell."""

    def make(cell=crystals.ANTIFLUORITE, repeat=2):
        springs = crystals.ANTIFLUORITE_SPRINGS
        return dynamics_of(crystals.spring_crystal(cell, repeat, springs, cutoff=3.5))

    return make


@pytest.fixture(scope="session")
def dynamics(antifluorite_dynamics) -> LatticeDynamics:
    return antifluorite_dynamics()


@pytest.fixture
def compound() -> Compound:
    return Compound(
        compound_id="antifluorite",
        formula="Li2O",
        mobile_ion="Li",
        structure=crystals.ANTIFLUORITE,
        disorder=Disorder(mobile=0.1, anion=0.2, cation=0.0, total=0.15),
        source="model",
        conductivity=1e-4,
        band_gap=5.0,
        formation_energy=-2.0,
        property_source="made up",
        energy_above_hull=0.0,
    )
