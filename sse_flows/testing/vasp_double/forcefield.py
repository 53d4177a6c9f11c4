"""Another source of forces than the double's own model: any calculator of ASE."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any, Protocol

import numpy as np

from sse_flows.testing.vasp_double.crystal import Crystal
from sse_flows.testing.vasp_double.model import Evaluated, PairModel
from sse_flows.testing.vasp_double.setup import Setup

VARIABLE = "VASP_DOUBLE_MODEL"
"""``CHGNet``, ``SevenNet-0`` and the like, or ``module:Callable``, with ``?{json options}``."""


class Model(Protocol):
    """Gives energy, forces and stress."""

    def evaluate(self, crystal: Crystal) -> Evaluated:
        """Of one geometry."""


class AseModel:
    """A calculator of ASE.

    Parameters
    ----------
    calculator
        As ASE has them; must give a stress.
    """

    def __init__(self, calculator: Any):
        self.calculator = calculator

    def evaluate(self, crystal: Crystal) -> Evaluated:
        """Energy, forces and stress of a geometry."""
        from ase import Atoms

        atoms = Atoms(crystal.species, crystal.positions, cell=crystal.lattice, pbc=True)
        atoms.calc = self.calculator
        return Evaluated(
            float(atoms.get_potential_energy()),
            np.asarray(atoms.get_forces(), dtype=float),
            np.asarray(atoms.get_stress(voigt=False), dtype=float),
        )


def make_model(setup: Setup) -> Model:
    """The model that the environment asks for; the double's own where it asks for none."""
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        return PairModel(setup.potentials, setup.crystal.counts)
    name, _, options = asked.partition("?")
    return AseModel(_calculator(name, json.loads(options or "{}")))


def _calculator(name: str, options: dict[str, Any]) -> Any:
    module, colon, attribute = name.partition(":")
    if colon:
        return getattr(importlib.import_module(module), attribute)(**options)
    from atomate2.forcefields.utils import ase_calculator

    from sse_flows.codes.forcefield import SHIPPED_MODELS

    known, defaults = SHIPPED_MODELS.get(name, (name, {}))
    return ase_calculator(known, **{**defaults, **options})
