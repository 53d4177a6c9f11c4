"""The made-up library of pseudopotentials, in the folders where pymatgen looks for POTCARs."""

from __future__ import annotations

import gzip
import math
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from sse_flows.testing.vasp_double.potcar import Potential, potcar_text

FUNCTIONALS = (
    "POT_GGA_PAW_PBE_54",
    "POT_GGA_PAW_PBE",
    "POT_GGA_PAW_PBE_52",
    "POTPAW_PBE_52",
    "POTPAW_PBE_54",
    "POT_PAW_PBE_64",
)
"""Folders of pymatgen's functionals; the first holds the files, the others point to it."""

_HARDEST = 520.0  # eV, the common cutoff of the Materials Project
_SEMICORE = {"sv": 8, "pv": 6, "d": 10}
_LARGEST_Z = 96


def write_library(folder: Path) -> Path:
    """Write a pseudopotential of every element and variant that the default sets ask for.

    Parameters
    ----------
    folder
        Where to write; becomes ``PMG_VASP_PSP_DIR``.
    """
    first = folder / FUNCTIONALS[0]
    first.mkdir(parents=True, exist_ok=True)
    for symbol in wanted_symbols():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen's, of what it does not know of an element
            text = potcar_text(made_up(symbol))
        with gzip.open(first / f"POTCAR.{symbol}.gz", "wt", compresslevel=1) as file:
            file.write(text)
    for name in FUNCTIONALS[1:]:
        if not (folder / name).exists():
            (folder / name).symlink_to(FUNCTIONALS[0], target_is_directory=True)
    return folder


@cache
def wanted_symbols() -> tuple[str, ...]:
    """Symbols of all elements, and those in pymatgen's and atomate2's sets."""
    import pymatgen.io.vasp
    import yaml
    from pymatgen.core import Element

    symbols = {str(element) for element in Element if element.Z <= _LARGEST_Z}
    for path in Path(pymatgen.io.vasp.__file__).parent.glob("*.yaml"):
        potcars = (yaml.safe_load(path.read_text()) or {}).get("POTCAR", {})
        for value in potcars.values():
            symbols.add(value["symbol"] if isinstance(value, dict) else str(value))
    return tuple(sorted(symbols | _atomate2_symbols()))


def _atomate2_symbols() -> set[str]:
    from atomate2.vasp.sets.base import _BASE_VASP_SET

    return {str(symbol) for symbol in _BASE_VASP_SET["POTCAR"].values()}


def made_up(symbol: str) -> Potential:
    """Pseudopotential of a symbol such as ``Ti_pv``: tabulated facts of its element, no more."""
    from pymatgen.core import Element

    name, _, variant = symbol.partition("_")
    element = Element(name)
    return Potential(
        symbol=symbol,
        element=name,
        mass=float(element.atomic_mass),
        valence=_valence(element) + _semicore(element, variant.split("_")[0]),
        cutoff=_HARDEST if element.Z < 10 else 300.0,
        electronegativity=_finite(element.X, 1.3),
        covalent_radius=_covalent_radius(element),
        metallic_radius=_finite(element.metallic_radius, _finite(element.atomic_radius, 1.5)),
        metal=bool(element.is_metal),
        open_shell=bool(
            (element.is_transition_metal or element.is_rare_earth) and element.group not in (3, 12)
        ),
        states=_ionic_radii(element),
    )


def _valence(element: Any) -> int:
    """Electrons outside the noble gas, and outside filled d and f shells of the main groups."""
    group = element.group
    if element.Z <= 2:
        return element.Z
    if element.is_lanthanoid or element.is_actinoid:
        return element.Z - (54 if element.is_lanthanoid else 86)
    return group if group <= 12 else group - 10


def _semicore(element: Any, variant: str) -> int:
    """Electrons of the shell below that a variant counts as valence."""
    return 2 if variant == "sv" and element.Z in (3, 4) else _SEMICORE.get(variant, 0)


def _finite(value: Any, otherwise: float) -> float:
    number = otherwise if value is None else float(value)
    return number if math.isfinite(number) and number > 0 else otherwise


def _covalent_radius(element: Any) -> float:
    from ase.data import covalent_radii

    return float(covalent_radii[element.Z])


def _ionic_radii(element: Any) -> dict[int, float]:
    """Radius of each common oxidation state, Å; Shannon's crystal radius where he has one."""
    covalent = _covalent_radius(element)
    known = {int(charge): float(radius) for charge, radius in element.ionic_radii.items()}
    return {
        int(charge): known.get(
            int(charge), covalent + 0.75 if charge < 0 else max(0.45 * covalent, 0.2)
        )
        for charge in element.common_oxidation_states
        if charge != 0
    }
