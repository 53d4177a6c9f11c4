"""The OUTCAR: what pymatgen, emmet, custodian and ASE look for, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sse_flows.testing.vasp_double.crystal import Array, Crystal
from sse_flows.testing.vasp_double.lines import LineFile
from sse_flows.testing.vasp_double.mark import MARK, VERSION
from sse_flows.testing.vasp_double.model import Evaluated
from sse_flows.testing.vasp_double.response import Response
from sse_flows.testing.vasp_double.setup import Setup

KILOBAR = 1602.1766208
"""1 eV/Å^3 in kB."""

_RULE = " " + "-" * 84
_VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))


class Outcar(LineFile):
    """Writes line by line, so that a monitor sees how far the run is."""

    def header(self, ranks: int) -> None:
        """Inputs and sizes."""
        self.write(f" vasp.{VERSION}", f" running {ranks:4d} mpi-ranks", *_inputs(self.setup))
        self.write(*_sizes(self.setup))

    def electronic_step(
        self, ionic: int, number: int, energy: float, entropy: float, seconds: float
    ) -> None:
        """One iteration to self-consistency."""
        self.write(
            f"----------- Iteration {ionic:6d}({number:4d})  -----------",
            f"      LOOP:  cpu time {seconds:10.4f}: real time {seconds:10.4f}",
            _electrons(self.setup),
            f"  entropy T*S    EENTRO = {entropy:18.8f}",
            f"  free energy    TOTEN  = {energy:18.8f} eV",
        )

    def converged(self, reached: bool) -> None:
        """Why the electronic steps ended."""
        why = "EDIFF is reached" if reached else "NELM is reached"
        self.write(f"------------ aborting loop because {why} ------------")

    def ionic_step(self, crystal: Crystal, result: Evaluated, seconds: float) -> None:
        """Level, charges, energy, stress and forces of a geometry."""
        fermi = self.setup.bands.fermi
        self.write(f" E-fermi : {fermi:9.4f}     XC(G=0): {0:9.4f}     alpha+bet : {0:9.4f}")
        self.write(*_site_tables(self.setup))
        self.write(*_stress(crystal, result), *_forces(crystal, result))
        self.write(
            "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)",
            _RULE,
            f"  free  energy   TOTEN  = {result.energy:18.8f} eV",
            "",
            f"  energy  without entropy={result.energy:18.8f}"
            f"  energy(sigma->0) ={result.energy:18.8f}",
            f"     LOOP+:  cpu time {seconds:10.4f}: real time {seconds:10.4f}",
        )

    def response(self, response: Response) -> None:
        """Tensors of a run with LEPSILON."""
        self.write(*_dielectric("(including local field effects in DFT)", response.dielectric))
        self.write(*_piezoelectric("PIEZOELECTRIC TENSOR  for field in x, y, z        (C/m^2)"))
        self.write(*_born(response.born))
        if response.ionic is not None:
            self.write(*_dielectric("IONIC CONTRIBUTION", response.ionic))
            self.write(*_piezoelectric("PIEZOELECTRIC TENSOR IONIC CONTR  for field in x, y, z"))

    def footer(self, seconds: float) -> None:
        """Timing, by which readers see that a run came to its end."""
        self.write(
            " General timing and accounting informations for this job:",
            f"                  Total CPU time used (sec): {seconds:12.3f}",
            f"                            User time (sec): {seconds:12.3f}",
            f"                          System time (sec): {0:12.3f}",
            f"                         Elapsed time (sec): {seconds:12.3f}",
            f"                   Maximum memory used (kb): {50000:12d}",
            f"                   Average memory used (kb): {'N/A':>12s}",
            f" {MARK}",
        )
        self.close()


def _inputs(setup: Setup) -> Iterator[str]:
    for potential in setup.potentials * 2:  # VASP lists them twice, and ASE halves the list
        yield f" POTCAR:    {potential.title}"
    for p in setup.potentials:
        yield f"   VRHFIN ={p.element}: made up for tests"
        yield f"   TITEL  = {p.title}"
        yield f"   POMASS = {p.mass:8.3f}; ZVAL   = {p.valence:8.3f}"
        yield f"   ENMAX  = {p.cutoff:8.3f}; ENMIN  = {0.75 * p.cutoff:8.3f} eV"
    incar = setup.incar
    yield f"   SYSTEM = {MARK}: {incar.text('SYSTEM')}"
    yield f"   ENCUT  = {setup.cutoff:8.2f} eV"
    yield f"   NELM   = {setup.most_electronic_steps:6d}"
    yield f"   EDIFF  = {setup.ediff:.1E}   stopping-criterion for ELM"
    yield f"   ISPIN  = {setup.bands.spins:6d}"
    yield f"   EDIFFG = {setup.ediffg:.1E}   stopping-criterion for IOM"
    yield f"   NSW    = {incar.nsw:6d}"
    yield f"   IBRION = {incar.ibrion:6d}"
    yield f"   ISIF   = {incar.integer('ISIF', 2):6d}"
    yield f"   LEPSILON= {'T' if incar.logical('LEPSILON') else 'F':>6s}"
    yield f"   NELECT = {setup.bands.electrons:12.4f}    total number of electrons"
    yield "   ions per type = " + "".join(f"{n:6d}" for n in setup.crystal.counts)


def _electrons(setup: Setup) -> str:
    moments = setup.bands.moments
    moment = "" if moments is None else f"{moments.sum():15.7f}"
    return f" number of electron {setup.bands.electrons:15.7f} magnetization {moment}"


def _sizes(setup: Setup) -> Iterator[str]:
    points, bands = setup.bands.energies.shape
    x, y, z = setup.grid
    yield f"   k-points           NKPTS = {points:6d}   number of bands    NBANDS= {bands:6d}"
    yield " k-points in reciprocal lattice and weights: reduced by symmetry"
    for k, weight in zip(setup.kpoints.points, setup.kpoints.weights, strict=True):
        yield "".join(f"{x:12.8f}" for x in k) + f"{weight:14.6f}"
    yield f"   number of dos      NEDOS = {301:6d}   number of ions     NIONS = " + (
        f"{len(setup.crystal.species):6d}"
    )
    yield f"   dimension x,y,z NGX = {x:5d} NGY ={y:5d} NGZ ={z:5d}"
    yield f"   total plane-waves  NPLWV ={x * y * z:7d}"
    waves = max(1, x * y * z // 20)
    yield "\n\n" + "-" * 104 + "\n\n"
    for number, k in enumerate(setup.kpoints.points, 1):
        place = "".join(f"{component:7.4f}" for component in k)
        yield f" k-point {number:4d} : {place}  plane waves: {waves:7d}"
    yield ""
    yield f" maximum and minimum number of plane-waves per node : {waves:8d} {waves:8d}"


def _site_tables(setup: Setup) -> Iterator[str]:
    """Charges and moments of the atoms, with LORBIT of 10 and more."""
    if setup.incar.integer("LORBIT", 0) < 10:
        return
    atoms = len(setup.crystal.species)
    tables = [
        ("total charge", np.array([p.valence for p in setup.potentials])[setup.crystal.types])
    ]
    if setup.bands.moments is not None:
        tables.append(("magnetization (x)", setup.bands.moments))
    for title, values in tables:
        yield f"\n {title}\n\n# of ion       s       p       d       tot\n" + "-" * 42
        for number, value in zip(range(1, atoms + 1), values, strict=True):
            yield f"{number:5d}     {value:8.3f}{0:8.3f}{0:8.3f}{value:8.3f}"
        yield "-" * 42
        yield f"tot       {values.sum():8.3f}{0:8.3f}{0:8.3f}{values.sum():8.3f}\n"


def _stress(crystal: Crystal, result: Evaluated) -> Iterator[str]:
    pressure = -result.stress
    rows = [[tensor[i, j] for i, j in _VOIGT] for tensor in (pressure, pressure)]
    yield "  FORCE on cell =-STRESS in cart. coord.  units (eV):"
    yield "  Direction    XX          YY          ZZ          XY          YZ          ZX"
    yield "  Total  " + "".join(f"{x * crystal.volume:12.5f}" for x in rows[0])
    yield "  in kB  " + "".join(f"{x * KILOBAR:12.5f}" for x in rows[1])
    yield f"  external pressure = {np.trace(pressure) / 3 * KILOBAR:12.2f} kB  Pullay stress = " + (
        f"{0:12.2f} kB"
    )
    yield f"  volume of cell : {crystal.volume:12.4f}"
    yield "      direct lattice vectors                 reciprocal lattice vectors"
    for direct, reciprocal in zip(crystal.lattice, np.linalg.inv(crystal.lattice).T, strict=True):
        yield "  " + "".join(f"{x:14.9f}" for x in (*direct, *reciprocal))


def _forces(crystal: Crystal, result: Evaluated) -> Iterator[str]:
    yield " POSITION                                       TOTAL-FORCE (eV/Angst)"
    yield _RULE
    for place, force in zip(crystal.positions, result.forces, strict=True):
        yield "".join(f"{x:13.5f}" for x in place) + "    " + "".join(f"{x:14.6f}" for x in force)
    yield _RULE
    drift = result.forces.sum(axis=0) + 0.0
    yield "    total drift:                  " + "".join(f" {x:13.6f}" for x in drift)


def _dielectric(title: str, tensor: Array) -> Iterator[str]:
    yield f" MACROSCOPIC STATIC DIELECTRIC TENSOR {title}"
    yield _RULE
    for row in tensor:
        yield "".join(f" {x:13.6f}" for x in row)
    yield _RULE


def _piezoelectric(title: str) -> Iterator[str]:
    """Zero: the double has no piezoelectricity."""
    yield f" {title}"
    yield "        XX          YY          ZZ          XY          YZ          ZX"
    yield _RULE
    for axis in "xyz":
        yield f"  {axis} " + "".join(f" {0:11.5f}" for _ in range(6))
    yield _RULE


def _born(born: Array) -> Iterator[str]:
    yield " BORN EFFECTIVE CHARGES (including local field effects) (in |e|, cummulative output)"
    yield _RULE
    for number, tensor in enumerate(born, 1):
        yield f" ion {number:4d}"
        for axis, row in enumerate(tensor, 1):
            yield f"{axis:5d}" + "".join(f" {x:12.5f}" for x in row)
    yield _RULE
