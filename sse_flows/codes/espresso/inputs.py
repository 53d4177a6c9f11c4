"""Input of pw.x and ph.x: presets, cutoffs, k points, spin; written and read back by ASE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from monty.json import MSONable

from sse_flows.codes.espresso.pseudopotentials import Pseudopotential
from sse_flows.codes.presets import named_settings
from sse_flows.codes.sites import site_symbols
from sse_flows.codes.spin import MAGNETIC, has_moments, is_polarised
from sse_flows.files import write_whole

if TYPE_CHECKING:
    from ase import Atoms
    from ase.io.espresso import Namelist
    from pymatgen.core import Structure

PREFIX = "pwscf"
OUTDIR = "out"
PW_INPUT, PW_OUTPUT = "pw.in", "pw.out"
PH_INPUT, PH_OUTPUT = "ph.in", "ph.out"

KPoints = list[int] | float
"""A Γ-centred mesh, or the spacing of one in 1/Å (2π included)."""

_START_MAGNETIZATION = 0.5
_RHO_PER_WFC = {"NC": 4.0}  # ultrasoft and PAW charges are harder than their wave functions
_RHO_PER_WFC_SOFT = 8.0


@dataclass(frozen=True)
class Settings(MSONable):
    """What a calculation computes, apart from the crystal: all that its result depends on.

    Attributes
    ----------
    pseudopotentials
        Element -> file and content.
    kpoints
        Mesh or spacing, see `KPoints`.
    cutoff
        Least plane-wave cutoff, Ry.
    spin
        ``auto``, ``none`` or ``polarised``, see :func:`sse_flows.codes.spin.is_polarised`.
    input
        Namelists of pw.x (``control``, ``system``, ``electrons``, ``ions``, ``cell``) and
        ``inputph`` of ph.x, in Quantum ESPRESSO's own units. They win over all that is derived;
        None leaves a key to Quantum ESPRESSO's default.
    """

    pseudopotentials: dict[str, Pseudopotential]
    kpoints: KPoints
    cutoff: float = 50.0
    spin: str = "auto"
    input: dict[str, dict[str, Any]] = field(default_factory=dict)

    def with_input(self, **namelists: Mapping[str, Any]) -> Settings:
        """Equal settings with some keys of namelists set where the user's do not."""
        merged = merge(namelists, self.input)
        return Settings(self.pseudopotentials, self.kpoints, self.cutoff, self.spin, merged)

    def cutoffs(self, elements: set[str]) -> tuple[float, float]:
        """Cutoffs of wave functions and charge density, Ry, that suit all these elements."""
        chosen = [self.pseudopotentials[element] for element in sorted(elements)]
        wfc = max([self.cutoff, *(one.cutoff_wfc for one in chosen)])
        ratio = max(_RHO_PER_WFC.get(one.kind, _RHO_PER_WFC_SOFT) for one in chosen)
        wfc = float(self.input.get("system", {}).get("ecutwfc", wfc))
        rho = max([4.0 * wfc, *(one.cutoff_rho for one in chosen)])
        if any(not one.cutoff_rho for one in chosen):
            rho = max(rho, ratio * wfc)
        rho = float(self.input.get("system", {}).get("ecutrho", rho))
        return float(ceil(wfc)), float(ceil(rho))

    def low_cutoffs(self, elements: set[str]) -> list[str]:
        """Which cutoffs of `input` are below what files of these elements ask for, in words."""
        given = self.input.get("system", {})
        notes = []
        for one in (self.pseudopotentials[element] for element in sorted(elements)):
            for key, asked in (("ecutwfc", one.cutoff_wfc), ("ecutrho", one.cutoff_rho)):
                value = given.get(key)
                if value is not None and float(value) < asked:
                    notes.append(
                        f"{key} of {float(value):g} Ry is below the {asked:g} Ry of {one.file}"
                    )
        return notes


def presets() -> dict[str, dict[str, Any]]:
    """The named settings of ``presets.yaml``."""
    return named_settings("sse_flows.codes.espresso")


def merge(
    base: Mapping[str, Mapping[str, Any]], over: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Namelists of `base` with the keys of `over` set; keys are lower case throughout."""
    merged: dict[str, dict[str, Any]] = {}
    for namelists in (base, over):
        for name, keys in namelists.items():
            section = merged.setdefault(name.lower(), {})
            section.update({key.lower(): deepcopy(value) for key, value in keys.items()})
    return merged


_UNTIL_7_0 = re.compile(r"hubbard_|lda_plus_u|u_projection_type")  # DFT+U before its own card


def known_keys() -> dict[str, set[str]]:
    """Keys of pw.x and ph.x by namelist, all in lower case, after ASE's lists."""
    from ase.io.espresso_namelist.keys import ALL_KEYS

    known = {**ALL_KEYS["pw"], **ALL_KEYS["ph"]}
    return {name.lower(): {key.lower() for key in keys} for name, keys in known.items()}


def unknown_keys(namelists: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Keys (``section.key``) that neither pw.x nor ph.x knows."""
    lower = known_keys()
    return [
        f"{section}.{key}"
        for section, keys in namelists.items()
        for key in keys
        if key.lower().split("(", maxsplit=1)[0].strip() not in lower.get(section.lower(), set())
        and not (section.lower() == "system" and _UNTIL_7_0.match(key.lower()))
    ]


def mesh(structure: Structure, kpoints: KPoints) -> list[int]:
    """Γ-centred mesh of a cell."""
    if isinstance(kpoints, (int, float)):
        lengths = structure.lattice.reciprocal_lattice.abc
        return [max(1, ceil(length / kpoints - 1e-6)) for length in lengths]
    return [int(number) for number in kpoints]


def pw_namelists(
    structure: Structure, settings: Settings, calculation: str, pseudo_dir: str
) -> dict[str, dict[str, Any]]:
    """Namelists of pw.x for a structure."""
    wfc, rho = settings.cutoffs({element.symbol for element in structure.composition.elements})
    derived: dict[str, dict[str, Any]] = {
        "control": {
            "calculation": calculation,
            "prefix": PREFIX,
            "outdir": OUTDIR,
            "pseudo_dir": pseudo_dir,
            "tprnfor": True,
            "tstress": True,
            "disk_io": "low",
        },
        "system": {"ecutwfc": wfc, "ecutrho": rho},
        "electrons": {},
    }
    if is_polarised(structure, settings.spin):
        derived["system"]["nspin"] = 2
    given = {name: keys for name, keys in settings.input.items() if name != "inputph"}
    if calculation not in ("relax", "vc-relax"):
        given.pop("ions", None)
    if calculation != "vc-relax":
        given.pop("cell", None)
    # where files lie and what is computed is the maker's to say, the rest the user's
    own = {key: derived["control"][key] for key in ("calculation", "prefix", "outdir")}
    merged = merge(merge(derived, given), {"control": {**own, "pseudo_dir": pseudo_dir}})
    return {
        name: {key: value for key, value in keys.items() if value is not None}
        for name, keys in merged.items()
    }


def write_pw(
    path: Path,
    structure: Structure,
    settings: Settings,
    calculation: str,
    pseudo_dir: str,
    gamma_tricks: bool = True,
) -> None:
    """Write the input of pw.x.

    Parameters
    ----------
    path
        File to write.
    structure
        Ordered cell, Å.
    settings
        What to compute it with.
    calculation
        ``scf``, ``nscf``, ``relax`` or ``vc-relax``.
    pseudo_dir
        Folder of pseudopotentials.
    gamma_tricks
        Whether real wave functions may be used where Γ is the only k point; ph.x cannot.

    Raises
    ------
    SSEError
        The structure is disordered or an element has no pseudopotential.
    """
    from ase.io.espresso import write_espresso_in

    atoms = _atoms(structure, settings)
    numbers = mesh(structure, settings.kpoints)
    kpts = None if gamma_tricks and numbers == [1, 1, 1] else numbers
    names = {element: one.file for element, one in settings.pseudopotentials.items()}
    namelists = pw_namelists(structure, settings, calculation, pseudo_dir)
    with path.open("w") as handle:
        write_espresso_in(handle, atoms, namelists, names, kpts=kpts)


def _atoms(structure: Structure, settings: Settings) -> Atoms:
    from ase import Atoms

    symbols = site_symbols(structure, settings.pseudopotentials, "pseudopotential")
    atoms = Atoms(symbols, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True)
    if is_polarised(structure, settings.spin):
        atoms.set_initial_magnetic_moments(_start_magnetization(structure))
    return atoms


def _start_magnetization(structure: Structure) -> np.ndarray:
    """Fraction of polarised valence electrons on each site, with the sign of its moment."""
    if has_moments(structure):
        moments = structure.site_properties["magmom"]
        return _START_MAGNETIZATION * np.sign([moment or 0.0 for moment in moments])
    symbols = [site.specie.symbol for site in structure]
    magnetic = MAGNETIC & set(symbols) or set(symbols)
    return np.array([_START_MAGNETIZATION if symbol in magnetic else 0.0 for symbol in symbols])


def write_ph(path: Path, settings: Settings, recover: bool = False) -> None:
    """Write the input of ph.x for Born charges and the dielectric tensor at Γ.

    With `recover` it goes on where a run before was stopped.
    """
    from ase.io.espresso import write_espresso_ph

    inputph = {
        "prefix": PREFIX,
        "outdir": OUTDIR,
        "epsil": True,
        "zeu": True,
        "trans": False,
        "tr2_ph": 1.0e-14,
        **settings.input.get("inputph", {}),
    }
    if recover:
        inputph["recover"] = True
    with path.open("w") as handle:
        write_espresso_ph(handle, {"inputph": inputph}, qpts=(0, 0, 0))


def read_input(path: Path) -> tuple[Namelist, list[str]]:
    """Namelists and further lines of an input file."""
    from ase.io.espresso import read_fortran_namelist

    with path.open() as handle:
        return read_fortran_namelist(handle)


def edit_input(
    path: Path, changes: Mapping[str, Mapping[str, Any]], cards: list[str] | None = None
) -> None:
    """Set keys of namelists in an input file; None removes a key. `cards` replace the others."""
    namelists, old_cards = read_input(path)
    cards = old_cards if cards is None else cards
    for name, keys in changes.items():
        section = namelists.setdefault(name, {})
        for key, value in keys.items():
            if value is None:
                section.pop(key.lower(), None)
            else:
                section[key] = value
    # whole or not at all: a job killed here must find its input again
    write_whole(path, namelists.to_string() + "\n".join(cards) + "\n")
