"""The smaller files: OSZICAR, CONTCAR, XDATCAR, EIGENVAL, DOSCAR, IBZKPT, CHGCAR and so on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sse_flows.testing.vasp_double.crystal import Crystal, poscar_text, vectors
from sse_flows.testing.vasp_double.mark import MARK
from sse_flows.testing.vasp_double.setup import Setup

_COARSE = (2, 2, 2)
_PLACEHOLDERS = ("PCDAT", "PROCAR", "REPORT")


class Log:
    """OSZICAR and standard output, which show the same progress."""

    def __init__(self, path: Path):
        self.file = path.open("w")
        self.before: float | None = None

    def write(self, line: str) -> None:
        """One line to both."""
        print(line, file=self.file, flush=True)
        say(line)

    def ionic_loop(self) -> None:
        """Heading of the electronic steps of a geometry."""
        self.write("       N       E                     dE             d eps       ncg     rms")

    def electronic_step(self, number: int, energy: float, change: float) -> None:
        """One iteration."""
        self.write(
            f"DAV: {number:3d} {energy:20.12E} {change:14.5E} {change:14.5E} {100:5d} {0:10.3E}"
        )

    def ionic_step(self, number: int, energy: float, moment: float | None) -> None:
        """Result of a geometry; `energy` in eV, `moment` in Bohr magnetons."""
        change = energy if self.before is None else energy - self.before
        self.before = energy
        magnetic = "" if moment is None else f"  mag= {moment:10.4f}"
        self.write(
            f"{number:4d} F= {energy:.8E} E0= {energy:.8E}  d E ={change:.6E}{magnetic}  ({MARK})"
        )

    def close(self) -> None:
        """No more to come."""
        self.file.close()


def say(line: str) -> None:
    """One line to standard output, which custodian keeps as vasp.out."""
    print(line, flush=True)  # noqa: T201 - the output of a program


def write_geometry(folder: Path, crystal: Crystal, number: int) -> None:
    """CONTCAR, and one more frame of the XDATCAR."""
    comment = crystal.comment if MARK in crystal.comment else f"{crystal.comment} ({MARK})"
    (folder / "CONTCAR").write_text(poscar_text(crystal, comment, velocities=True))
    head = poscar_text(crystal, comment).split("Direct")[0]
    frame = "\n".join(vectors(crystal.fractional % 1.0, 12, 8))
    with (folder / "XDATCAR").open("w" if number == 1 else "a") as file:
        file.write(f"{head}Direct configuration= {number:5d}\n{frame}\n")


def write_electrons(setup: Setup) -> None:
    """EIGENVAL, DOSCAR and IBZKPT."""
    folder, bands, kpoints = setup.folder, setup.bands, setup.kpoints
    atoms, (points, total) = len(setup.crystal.species), bands.energies.shape
    head = f"{atoms:5d}{atoms:5d}{1:5d}{bands.spins:5d}\n"
    head += f"  0.0 0.0 0.0 0.0 0.0\n  0.0\n  CAR\n {MARK}\n"
    rows = [f"{round(bands.electrons):6d}{points:6d}{total:6d}"]
    for k, weight, energies, occupied in zip(
        kpoints.points, kpoints.weights, bands.energies, bands.occupations, strict=True
    ):
        rows += ["", "".join(f"{x:15.7E}" for x in (*k, weight))]
        for number, (energy, filled) in enumerate(zip(energies, occupied, strict=True), 1):
            values = [energy] * bands.spins + [filled] * bands.spins
            rows.append(f"{number:5d}" + "".join(f"{x:14.6f}" for x in values))
    (folder / "EIGENVAL").write_text(head + "\n".join(rows) + "\n")
    _write_density(setup, head)
    listed = [f"{MARK}\n{points:8d}\nReciprocal lattice"]
    for k, weight in zip(kpoints.points, kpoints.weights, strict=True):
        listed.append("".join(f"{x:20.14f}" for x in k) + f"{weight:14.6f}")
    (folder / "IBZKPT").write_text("\n".join(listed) + "\n")


def write_densities(setup: Setup) -> None:
    """Files of densities and wavefunctions that the INCAR asks for: placeholders that parse."""
    folder, incar = setup.folder, setup.incar
    density = _volumetric(setup)
    (folder / "CHGCAR").write_text(density if incar.logical("LCHARG", True) else "")
    (folder / "CHG").write_text(density if incar.logical("LCHARG", True) else "")
    (folder / "WAVECAR").write_text(f"{MARK}\n" if incar.logical("LWAVE", True) else "")
    if incar.logical("LAECHG"):
        for number in range(3):
            (folder / f"AECCAR{number}").write_text(density)
    if incar.logical("LVTOT") or incar.logical("LVHAR"):
        (folder / "LOCPOT").write_text(density)
    if incar.logical("LELF"):
        (folder / "ELFCAR").write_text(density)
    for name in _PLACEHOLDERS:
        (folder / name).write_text(f"{MARK}\n")


def _write_density(setup: Setup, head: str) -> None:
    table = setup.bands.density(setup.kpoints.weights)
    low, high = table[0, 0], table[-1, 0]
    rows = [f"{high:16.8f}{low:16.8f}{len(table):5d}{setup.bands.fermi:16.8f}{1:16.8f}"]
    for energy, states, total in table:
        columns = [energy] + [states] * setup.bands.spins + [total] * setup.bands.spins
        rows.append("".join(f"{x:12.4f}" for x in columns))
    (setup.folder / "DOSCAR").write_text(head + "\n".join(rows) + "\n")


def _volumetric(setup: Setup) -> str:
    """A uniform density on the coarsest of grids."""
    crystal = setup.crystal
    grid = "".join(f"{n:5d}" for n in _COARSE)
    block = f"{grid}\n" + " ".join([f"{setup.bands.electrons:.11E}"] * int(np.prod(_COARSE))) + "\n"
    text = poscar_text(crystal, f"{crystal.comment} ({MARK})") + "\n" + block
    return text + block.replace(f"{setup.bands.electrons:.11E}", f"{0:.11E}") * (
        setup.bands.spins - 1
    )


def total_moment(setup: Setup) -> float | None:
    """Sum of the moments, Bohr magnetons; None without spin polarisation."""
    moments = setup.bands.moments
    return None if moments is None else float(moments.sum())
