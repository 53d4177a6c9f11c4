"""All that a run needs, read from its folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sse_flows.testing.vasp_double.bands import Bands, make_bands
from sse_flows.testing.vasp_double.crystal import Array, Crystal, read_poscar
from sse_flows.testing.vasp_double.incar import Incar, read_incar
from sse_flows.testing.vasp_double.kpoints import KPoints, read_kpoints
from sse_flows.testing.vasp_double.potcar import Potential, read_potcar

_RANKS = ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
_PLANE_WAVE = 3.81  # ħ^2 / 2m, eV Å^2


class InputError(ValueError):
    """Input that VASP would stop at."""


@dataclass(frozen=True)
class Setup:
    """Inputs of a run, and the electrons that follow from them."""

    folder: Path
    incar: Incar
    crystal: Crystal
    potentials: list[Potential]
    kpoints: KPoints
    bands: Bands

    @property
    def masses(self) -> Array:
        """u, shape (atoms,)."""
        return np.array([p.mass for p in self.potentials])[self.crystal.types]

    @property
    def cutoff(self) -> float:
        """ENCUT, eV."""
        return self.incar.real("ENCUT", max(p.cutoff for p in self.potentials))

    @property
    def grid(self) -> tuple[int, ...]:
        """Points of the plane-wave grid along the cell vectors."""
        waves = np.sqrt(self.cutoff / _PLANE_WAVE)
        lengths = np.linalg.norm(self.crystal.lattice, axis=1)
        return tuple(2 * int(np.ceil(1.5 * waves * length / (2 * np.pi))) for length in lengths)

    @property
    def ediff(self) -> float:
        """Where electronic steps end, eV."""
        return abs(self.incar.real("EDIFF", 1e-4))

    @property
    def ediffg(self) -> float:
        """Where ionic steps end: an energy (eV) if positive, a force (eV/Å) if negative."""
        return self.incar.real("EDIFFG", 10 * self.ediff)

    @property
    def most_electronic_steps(self) -> int:
        """NELM."""
        return self.incar.integer("NELM", 60)


def read_setup(folder: Path) -> Setup:
    """Read INCAR, POSCAR, POTCAR and KPOINTS.

    Raises
    ------
    InputError
        A file is missing or says what VASP would not take.
    """
    for name in ("INCAR", "POSCAR", "POTCAR"):
        if not (folder / name).is_file():
            raise InputError(f"{name} is not there")
    try:
        incar = read_incar(folder / "INCAR")
        crystal = read_poscar(folder / "POSCAR")
        potentials = read_potcar(folder / "POTCAR")
        kpoints = read_kpoints(folder / "KPOINTS", crystal, incar)
    except (IndexError, KeyError, ValueError) as error:
        raise InputError(str(error)) from error
    elements = [element for element, _ in crystal.blocks]
    if [p.element for p in potentials] != elements:
        raise InputError(f"POTCAR has {[p.symbol for p in potentials]}, POSCAR has {elements}")
    if incar.integer("ICHARG", 0) >= 10 and not _filled(folder / "CHGCAR"):
        raise InputError("charge density could not be read from file CHGCAR for ICHARG>10")
    bands = make_bands(crystal, potentials, incar, kpoints)
    return Setup(folder, incar, crystal, potentials, kpoints, bands)


def refuse(setup: Setup, program: str) -> None:
    """Stop at what VASP's programs stop at.

    Raises
    ------
    InputError
        In VASP's words, as far as handlers look for them.
    """
    incar, lattice = setup.incar, setup.crystal.lattice
    if np.linalg.det(lattice) < 0:
        raise InputError("the triple product of the basis vectors is negative")
    if program == "vasp_gam" and (len(setup.kpoints.points) > 1 or setup.kpoints.points.any()):
        raise InputError("vasp_gam has the Γ point alone, KPOINTS asks for more")
    if incar.logical("LEPSILON") and program == "vasp_gam":
        raise InputError("vasp_gam has no linear response")
    if incar.logical("LEPSILON") and (incar.integer("NCORE", 1) > 1 or "NPAR" in incar.tags):
        raise InputError("linear response: please remove the tag NPAR from the INCAR file")


def ranks() -> int:
    """Number of MPI processes that the launcher started; only the first of them works."""
    return int(next((os.environ[name] for name in _RANKS if name in os.environ), "1"))


def _filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
