"""Input of VASP: presets, INCAR keys, k points, spin; written by atomate2's input generator."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from atomate2.vasp.sets.base import VaspInputGenerator
from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints

from sse_flows.codes.sites import site_symbols
from sse_flows.codes.spin import has_order, is_polarised
from sse_flows.codes.vasp.magnetism import LORBIT, start_moments
from sse_flows.codes.vasp.potcars import Potcar
from sse_flows.codes.vasp.presets import presets
from sse_flows.errors import SSEError

KPointRule = list[int] | float | dict[str, float]
"""A Γ-centred mesh, a density (points times atoms), or a ``length`` in Å, see ``presets.yaml``."""

LINEAR_RESPONSE_REFUSES = frozenset(("NCORE", "NPAR"))
"""Keys that VASP does not take together with LEPSILON."""

_ROUNDING = 1e-4  # of a number of k points

_LORBIT_MOMENTS = 10  # from here on VASP writes the moments of the atoms

_RELAX_ONLY = frozenset(("IBRION", "POTIM", "NFREE", "IOPT", "SMASS"))


def incar_of(
    calculation: str, preset: str, changes: Mapping[str, Any], steps: Mapping[str, Any]
) -> dict[str, Any]:
    """INCAR of a calculation, but for what depends on the structure.

    Parameters
    ----------
    calculation
        ``relax``, ``static``, ``forces`` or ``born``.
    preset
        A name in ``presets.yaml``.
    changes
        The user's keys; None takes one away. Keys of ionic steps count in relaxations alone.
    steps
        Keys that make the calculation what it is.
    """
    named = presets()[preset]
    settings = {**named["incar"], **named.get(calculation, {})}
    moments = dict(VaspInputGenerator().config_dict["INCAR"]["MAGMOM"])
    for key, value in changes.items():
        if key == "MAGMOM":
            moments.update(value or {})
        elif key not in _RELAX_ONLY or calculation == "relax":
            settings[key] = value
    merged = {**settings, "MAGMOM": moments, **{k: v for k, v in steps.items() if k not in changes}}
    return {key: value for key, value in merged.items() if value is not None}


def mesh(structure: Structure, rule: KPointRule) -> list[int]:
    """Γ-centred mesh of a cell.

    Parameters
    ----------
    structure
        The cell.
    rule
        A mesh as it is; a density of k points times atoms, shared out among the reciprocal vectors
        as pymatgen's Kpoints.automatic_density does it; or a length L in Å, for int(L |b| + 1/2)
        points along b (without 2π).

    Notes
    -----
    A number of points that is whole but for rounding is that number, in every direction: of 5000,
    pymatgen gives a cubic cell of five atoms 10 x 10 x 9 points, and so breaks its symmetry.
    """
    if isinstance(rule, Mapping):
        lengths = structure.lattice.reciprocal_lattice_crystallographic.abc
        wanted = [rule["length"] * length + 0.5 for length in lengths]
    elif isinstance(rule, (int, float)):
        density = int(rule) * (1.01 if _is_cube(int(rule)) else 1.0)
        edges = np.array(structure.lattice.abc)
        wanted = list((density / len(structure) * edges.prod()) ** (1 / 3) / edges)
    else:
        return [int(number) for number in rule]
    return [max(1, int(number + _ROUNDING)) for number in wanted]


def _is_cube(number: int) -> bool:
    """Whether a density is a cube of a whole number, which pymatgen raises by 1 %."""
    return round(number ** (1 / 3)) ** 3 == number


@dataclass
class Inputs(VaspInputGenerator):
    """atomate2's input generator with all that it leaves to the machine settled.

    The INCAR is that of ``config_dict``, ISPIN 2 where the crystal asks for it, and the moments of
    the sites where they stand in an order.

    Attributes
    ----------
    rule
        k points, see :func:`mesh`.
    spin
        ``auto``, ``none`` or ``polarised``, see :func:`sse_flows.codes.spin.is_polarised`;
        ``incar`` where the user's INCAR says.
    potcars
        Element -> POTCAR by name and content.
    """

    rule: Any = field(default_factory=lambda: [1, 1, 1])
    spin: str = "auto"
    potcars: dict[str, Potcar] = field(default_factory=dict)
    sort_structure: bool = False
    sym_prec: float = 0.01
    inherit_incar: bool | list[str] = False
    auto_ismear: bool = False
    auto_metal_kpoints: bool = False
    bandgap_tol: float = 1e-4

    @property
    def incar_updates(self) -> dict[str, Any]:
        """Spin and magnetic order, as the structure wants them."""
        if self.structure is None:
            return {}
        incar = self.config_dict["INCAR"]
        if self.spin == "incar":
            spin, polarised = {}, incar.get("ISPIN") == 2
        else:
            polarised = is_polarised(self.structure, self.spin)
            spin = {"ISPIN": 2 if polarised else 1}
        if not (polarised and has_order(self.structure)):
            return spin
        order: dict[str, Any] = {"MAGMOM": start_moments(self.structure, incar.get("MAGMOM", {}))}
        if not incar.get("LEPSILON") and int(incar.get("LORBIT", 0)) < _LORBIT_MOMENTS:
            order["LORBIT"] = LORBIT
        return {**spin, **order}

    @property
    def kpoints(self) -> Kpoints:
        """The KPOINTS file: a Γ-centred mesh."""
        if self.structure is None:
            raise ValueError("the input set has no structure")
        one, two, three = mesh(self.structure, self.rule)
        return Kpoints.gamma_automatic((one, two, three))


def make_inputs(
    incar: Mapping[str, Any],
    rule: KPointRule,
    potcars: Mapping[str, Potcar],
    functional: str,
    spin: str,
) -> Inputs:
    """The generator of these inputs.

    Parameters
    ----------
    incar
        As of :func:`incar_of`.
    rule, potcars, spin
        See :class:`Inputs`.
    functional
        Set of POTCARs.
    """
    config = {
        "INCAR": deepcopy(dict(incar)),
        "KPOINTS": {},
        "POTCAR": {element: one.symbol for element, one in potcars.items()},
        "POTCAR_FUNCTIONAL": functional,
    }
    plain = float(rule) if isinstance(rule, (int, float)) else rule  # 5000 and 5000.0: one key
    return Inputs(config_dict=config, rule=plain, spin=spin, potcars=dict(potcars))


def check_structure(structure: Structure, inputs: Inputs) -> None:
    """Refuse what cannot be written as a POSCAR with these POTCARs.

    Raises
    ------
    SSEError
        The structure is disordered, an element has no POTCAR, or the sites of an element do not
        stand together.
    """
    symbols = site_symbols(structure, inputs.potcars, "POTCAR")
    groups = [b for a, b in zip([None, *symbols], symbols, strict=False) if a != b]
    if len(groups) > len(set(groups)):
        raise SSEError(
            f"the sites of {structure.composition.reduced_formula} are not grouped by element",
            mend="Use structure.get_sorted_structure()",
        )
