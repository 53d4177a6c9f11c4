"""What pw.x and ph.x wrote, in eV, Å and GPa.

Numbers come from the XML file of pw.x, which has all digits; how a run ended from its text, since
the XML of a run that stopped early looks finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase.units import Bohr, GPa, Hartree
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from sse_flows.codes.born import is_metal
from sse_flows.codes.espresso.inputs import OUTDIR, PREFIX
from sse_flows.errors import SSEError

_PARTIAL = 1e-2  # occupations between this and its complement are partial


def xml_path(directory: Path) -> Path:
    """Where pw.x leaves its XML file."""
    return directory / OUTDIR / f"{PREFIX}.save" / "data-file-schema.xml"


@dataclass(frozen=True)
class Bands:
    """Edges of the bands on the k points of a calculation, eV.

    Attributes
    ----------
    gap
        Band gap; 0 for a metal, None where no empty band was computed.
    vbm, cbm
        Highest occupied and lowest empty state; None for a metal.
    fermi_energy
        As pw.x gives it, None for fixed occupations.
    direct
        Whether both edges are at the same k point.
    """

    gap: float | None
    vbm: float | None = None
    cbm: float | None = None
    fermi_energy: float | None = None
    direct: bool | None = None


@dataclass(frozen=True)
class PwResult:
    """One calculation of pw.x.

    Attributes
    ----------
    structure
        Final structure.
    energy
        Total energy, eV (the free energy where occupations are smeared).
    forces
        (n, 3), eV/Å, or None.
    stress
        (3, 3), GPa, positive where the crystal pulls together: dE/dε / V; or None.
    bands, magnetization
        Edges of the bands; total moment, Bohr magnetons, None without spin.
    scf_iterations, ionic_steps
        Of the last self-consistent cycle; how many geometries.
    version
        Of pw.x.
    """

    structure: Structure
    energy: float
    forces: NDArray[np.float64] | None
    stress: NDArray[np.float64] | None
    bands: Bands
    magnetization: float | None
    scf_iterations: int
    ionic_steps: int
    version: str


def read_pw(path: Path) -> PwResult:
    """Read the XML file of pw.x.

    Raises
    ------
    SSEError
        The file is missing, truncated, or not of a finished calculation.
    """
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314 - written by the run just ended
        return _result(root)
    except (OSError, ElementTree.ParseError, _Missing, ValueError) as error:
        raise SSEError(
            f"{path} is missing or truncated ({error})",
            mend="Look for a full disk, and run the calculation again",
        ) from error


class _Missing(Exception):
    pass


def _text(node: ElementTree.Element, tag: str) -> str:
    found = node.find(tag)
    if found is None or not (found.text or "").strip():
        raise _Missing(f"no {tag}")
    return str(found.text)


def _array(node: ElementTree.Element, tag: str) -> NDArray[np.float64]:
    return np.array(_text(node, tag).split(), dtype=float)


def _matrix(node: ElementTree.Element, tag: str) -> NDArray[np.float64] | None:
    """Rows of three, or None where the run did not compute it."""
    return None if node.find(tag) is None else _array(node, tag).reshape(-1, 3)


def _result(root: ElementTree.Element) -> PwResult:
    output, creator = root.find("output"), root.find("general_info/creator")
    if output is None or creator is None:
        raise _Missing("no output")
    forces, stress = _matrix(output, "forces"), _matrix(output, "stress")
    moment = output.find("magnetization/total")
    polarised = output.findtext("magnetization/lsda", "false").strip() == "true"
    return PwResult(
        structure=_structure(output),
        energy=float(_text(output, "total_energy/etot")) * Hartree,
        forces=None if forces is None else forces * Hartree / Bohr,
        stress=None if stress is None else -stress * Hartree / Bohr**3 / GPa,
        bands=_bands(output),
        magnetization=float(str(moment.text)) if polarised and moment is not None else None,
        scf_iterations=int(_text(output, "convergence_info/scf_conv/n_scf_steps")),
        ionic_steps=len(root.findall("step")),
        version=creator.get("VERSION", ""),
    )


def _structure(output: ElementTree.Element) -> Structure:
    vectors = [_array(output, f"atomic_structure/cell/a{i}") for i in (1, 2, 3)]
    atoms = output.findall("atomic_structure/atomic_positions/atom")
    # species of different moments are told apart by a number after the symbol
    symbols = [str(atom.get("name")).rstrip("0123456789 ") for atom in atoms]
    coords = np.array([str(atom.text).split() for atom in atoms], dtype=float)
    return Structure(
        Lattice(np.array(vectors) * Bohr), symbols, coords * Bohr, coords_are_cartesian=True
    )


def _bands(output: ElementTree.Element) -> Bands:
    structure = output.find("band_structure")
    if structure is None:
        raise _Missing("no band_structure")
    points = structure.findall("ks_energies")
    energies = np.array([_array(point, "eigenvalues") for point in points]) * Hartree
    occupied = np.array([_array(point, "occupations") for point in points])
    spins = 2 if structure.findtext("lsda", "false").strip() == "true" else 1
    # the XML file has the bands of both spins in one row, up before down
    shape = (len(points), spins, -1)
    energies, occupied = (a.reshape(shape).swapaxes(0, 1) for a in (energies, occupied))
    fermi = structure.findtext("fermi_energy")
    level = float(fermi) * Hartree if fermi else None
    return band_edges(energies, occupied, level)


def band_edges(
    energies: NDArray[np.float64], occupations: NDArray[np.float64], fermi: float | None = None
) -> Bands:
    """Band gap from eigenvalues.

    An insulator has as many occupied bands at every k point. Where their number changes, a band
    crosses the Fermi energy between two points, however far apart the eigenvalues at the points.

    Parameters
    ----------
    energies
        (n_spins, n_k, n_bands), eV.
    occupations
        (n_spins, n_k, n_bands), 0 to 1.
    fermi
        Fermi energy, eV.
    """
    full = occupations > 0.5
    partial = (occupations > _PARTIAL) & (occupations < 1 - _PARTIAL)
    if partial.any() or np.ptp(full.sum(axis=2), axis=1).any():
        return Bands(0.0, fermi_energy=fermi)
    if full.all():
        return Bands(None, vbm=float(energies.max()), fermi_energy=fermi)
    top = np.where(full, energies, -np.inf).max(axis=(0, 2))
    bottom = np.where(full, np.inf, energies).min(axis=(0, 2))
    gap = float(bottom.min() - top.max())
    if is_metal(gap):
        return Bands(0.0, fermi_energy=fermi)
    direct = bool(top.argmax() == bottom.argmin())
    return Bands(gap, float(top.max()), float(bottom.min()), fermi, direct)


@dataclass(frozen=True)
class BornResult:
    """Response to an electric field.

    Attributes
    ----------
    born
        Born charges (n, 3, 3), e; ``born[atom][i][j]``: polarisation along i, displacement along j.
    dielectric
        High-frequency dielectric tensor (3, 3).
    """

    born: NDArray[np.float64]
    dielectric: NDArray[np.float64]


def read_ph(path: Path) -> BornResult:
    """Read Born charges and dielectric tensor from the output of ph.x.

    Raises
    ------
    SSEError
        They are not there.
    """
    from ase.io.espresso import read_espresso_ph

    try:
        with path.open() as handle:
            points: dict[Any, dict[str, Any]] = read_espresso_ph(handle)
        gamma = points[min(points)]
        dielectric = np.array(gamma["dieltensor"], dtype=float).reshape(3, 3)
        # ph.x prints a row over the displacements for each direction of the field
        born = np.array(gamma["borneffcharge"], dtype=float).reshape(-1, 3, 3)
    except (OSError, KeyError, ValueError, IndexError, TypeError) as error:
        raise SSEError(
            f"{path} has no Born charges or dielectric tensor",
            mend="Look at the output of ph.x; metals have none",
        ) from error
    return BornResult(born, dielectric)
