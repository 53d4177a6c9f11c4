"""Makers of VASP jobs: atomate2's, which write input, run custodian and read the output.

Results do not depend on ``prev_dir``, which nothing is read from: the k points of a displaced
supercell are others than those of the perfect one, so that its wave functions are of no use.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from atomate2.vasp.jobs.base import BaseVaspMaker
from jobflow import job
from monty.os.path import zpath
from monty.serialization import dumpfn
from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints, Outcar

from sse_flows.codes.born import METAL_NOTE, check_neutral, is_metal
from sse_flows.codes.labels import run_labels
from sse_flows.codes.spin import carry_moments, has_order
from sse_flows.codes.vasp.documents import VaspBornDocument, VaspDocument
from sse_flows.codes.vasp.inputs import Inputs, mesh
from sse_flows.codes.vasp.launch import Launch
from sse_flows.codes.vasp.magnetism import changed_moments
from sse_flows.codes.vasp.run import Calculation
from sse_flows.codes.vasp.symmetry import check_symmetry, right_handed, symmetrised
from sse_flows.errors import SSEError

STRAIN_MAX = 1e-3
"""A relaxation that strains the cell by more is repeated with the plane waves of the new cell."""

STRESS_MAX = 5.0
"""kbar; what `STRAIN_MAX` leaves of a hard crystal's stress, a few times over."""

_SLACK = 2.0  # VASP may print forces somewhat above EDIFFG where it says to have arrived


@dataclass
class VaspMaker(BaseVaspMaker):
    """atomate2's maker with our inputs, which goes on where a calculation was stopped.

    Of atomate2's fields ``input_set_generator``, ``run_vasp_kwargs``, ``task_document_kwargs`` and
    ``write_additional_data`` have an effect.

    Parameters
    ----------
    input_set_generator
        What to compute with.
    launch
        How VASP is started; no part of content keys.
    """

    input_set_generator: Inputs = field(default_factory=Inputs)
    launch: Launch = field(default_factory=Launch)

    @job(output_schema=VaspDocument)
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> VaspDocument:
        """Run VASP in the present folder.

        Parameters
        ----------
        structure
            Ordered cell, sites grouped by element.
        prev_dir
            Not used.

        Raises
        ------
        OutOfTimeError
            The batch job is about to end; run again, the calculation goes on.
        SSEError
            It failed and could not be mended.
        """
        return self.run(structure)

    def run(self, structure: Structure) -> VaspDocument:
        """What the job does, in the present folder."""
        for name, data in self.write_additional_data.items():
            dumpfn(data, name.replace(":", "."))
        return self.compute(Path.cwd(), structure, self.input_set_generator)

    def compute(
        self, folder: Path, structure: Structure, inputs: Inputs, name: str = ""
    ) -> VaspDocument:
        """One calculation in a folder."""
        calculation = Calculation(
            name or self.name, inputs, self.launch, self.run_vasp_kwargs, self.task_document_kwargs
        )
        document = calculation.compute(folder, structure)
        found: Any = document.structure
        if has_order(structure) and "magmom" not in found.site_properties:
            found.add_site_property("magmom", list(structure.site_properties["magmom"]))
        return document


@dataclass
class ForcesMaker(VaspMaker):
    """Energy, forces and band edges of a structure as it is, with the k points asked for.

    The supercells of a crystal are computed alike, or their forces do not belong together.

    Parameters
    ----------
    order
        Cell whose magnetic moments (site property ``magmom``) the structures start with, which
        are supercells of it, displaced or not; None for the moments of the structures themselves.
    """

    name: str = "forces"
    order: Structure | None = None

    def run(self, structure: Structure) -> VaspDocument:
        """What the job does, in the present folder.

        Raises
        ------
        SSEError
            It failed, needed other k points, or lost its magnetic order.
        """
        if self.order is not None:
            structure = carry_moments(self.order, structure)
        document = super().run(structure)
        self._check_kpoints(structure, document)
        changed = _changed_order(structure, document)
        if changed:
            raise SSEError(
                f"the magnetic order changed ({changed}), so that the forces do not belong to "
                f"those of other supercells; output in {Path.cwd()}",
                mend="Set code.incar (MAGMOM, ALGO, AMIX, LDAUU), or code.spin: none",
            )
        return document

    def _check_kpoints(self, structure: Structure, document: VaspDocument) -> None:
        points = Kpoints.from_file(zpath("KPOINTS"))
        wanted = mesh(structure, self.input_set_generator.rule)
        if points.style != Kpoints.supported_modes.Gamma or list(points.kpts[0]) != wanted:
            raise SSEError(
                f"custodian went over to other k points ({' | '.join(document.corrections)}), so "
                f"that the forces do not belong to those of other supercells; output in "
                f"{Path.cwd()}",
                mend="Set code.incar (ALGO, AMIX, BMIX), or code.supercell_kpoints",
            )


@dataclass
class RelaxMaker(VaspMaker):
    """Relax cell and atoms with the space group kept, then compute energy and gap of the result.

    VASP's plane waves are those of the cell that it starts from, so the relaxation is repeated
    until the cell hardly changes. Each step has a folder of its own: ``relax-1``, ``relax-2``, ...,
    ``static``.

    Parameters
    ----------
    static
        Input of the last calculation.
    relax_cell
        Whether the cell relaxes too; molecules in boxes are computed at Γ alone.
    force_max
        Largest force left, eV/Å.
    rounds
        Most relaxations one after the other.
    """

    name: str = "relax"
    static: Inputs = field(default_factory=Inputs)
    relax_cell: bool = True
    force_max: float = 0.001
    rounds: int = 4

    def run(self, structure: Structure) -> VaspDocument:
        """What the job does, in the present folder.

        Raises
        ------
        SSEError
            It did not arrive, or lost its space group.
        """
        folder = Path.cwd()
        start = right_handed(structure.get_sorted_structure())
        if self.relax_cell:
            start = symmetrised(start)
        relaxing, static = self._inputs(start)
        relaxed, notes = self._relax(folder, start, relaxing)
        gained = check_symmetry(start, relaxed) if self.relax_cell else None
        document = self.compute(folder / "static", relaxed, static, f"{self.name} static")
        if self.relax_cell:
            check_stress(document)
        notes += [*([gained] if gained else []), *document.corrections]
        changed = _changed_order(start, document)
        if changed:  # a state of the crystal all the same, and its supercells start with it
            notes.append(f"the magnetic order changed on relaxing ({changed})")
        return document.model_copy(update={"corrections": notes, "task_label": self.name})

    def _inputs(self, structure: Structure) -> tuple[Inputs, Inputs]:
        """Inputs of relaxations and of the static calculation, all with one mesh of k points."""
        inputs: Inputs = self.input_set_generator
        rule = mesh(structure, inputs.rule) if self.relax_cell else [1, 1, 1]
        incar = {**inputs.config_dict["INCAR"], "ISIF": 3 if self.relax_cell else 2}
        config = {**inputs.config_dict, "INCAR": incar}
        return replace(inputs, rule=rule, config_dict=config), replace(self.static, rule=rule)

    def _relax(
        self, folder: Path, structure: Structure, inputs: Inputs
    ) -> tuple[Structure, list[str]]:
        """Relaxed structure, and what was corrected on the way."""
        notes: list[str] = []
        for number in range(1, self.rounds + 1):
            label = f"{self.name} {number}"
            document = self.compute(folder / f"relax-{number}", structure, inputs, label)
            notes += document.corrections
            self._check_forces(document)
            relaxed = _with_order(structure, document)
            strain = _strain(structure, relaxed)
            structure = relaxed
            if not self.relax_cell or strain <= STRAIN_MAX:
                return structure, notes
        raise SSEError(
            f"the cell still changes by {100 * strain:.1f} % after {self.rounds} relaxations",
            mend="Raise code.incar.ENCUT, or start from a better structure",
        )

    def _check_forces(self, document: VaspDocument) -> None:
        output = document.output
        forces = np.array(output.forces if output and output.forces else [[0.0] * 3])
        largest = float(np.linalg.norm(forces, axis=1).max())
        if largest > _SLACK * self.force_max:
            raise SSEError(
                f"the relaxation left forces of {largest:.4f} eV/Å (allowed: {self.force_max})",
                mend="Start from a better structure, or raise relax.steps or relax.force_max",
            )


@dataclass
class BornMaker(VaspMaker):
    """Born charges and dielectric tensor by density-functional perturbation theory."""

    name: str = "born charges"

    @job(output_schema=VaspBornDocument)
    def make(
        self,
        structure: Structure,
        prev_dir: str | Path | None = None,
        band_gap: float | None = None,
    ) -> VaspBornDocument:
        """Run VASP with LEPSILON.

        Parameters
        ----------
        structure
            Primitive cell.
        prev_dir
            Not used.
        band_gap
            eV; a metal has no Born charges, so that nothing is computed where it is 0.

        Raises
        ------
        SSEError
            It failed and could not be mended.
        """
        labels: dict[str, Any] = {"structure": structure, **run_labels(Path.cwd())}
        if is_metal(band_gap):
            return VaspBornDocument(note=METAL_NOTE, **labels)
        document = self.run(structure)
        born, dielectric = read_born(Path.cwd(), len(structure))
        return VaspBornDocument(
            born=born.tolist(),
            dielectric=dielectric.tolist(),
            corrections=document.corrections,
            **labels,
        )


def _with_order(asked: Structure, document: VaspDocument) -> Structure:
    """What came out, in the order that went in: calculations of a crystal start alike."""
    found: Any = document.structure
    if not has_order(asked):
        return found
    return found.copy(site_properties={**found.site_properties, **asked.site_properties})


def _changed_order(asked: Structure, document: VaspDocument) -> str:
    found: Any = document.structure
    return changed_moments(asked, found) if has_order(asked) else ""


def check_stress(document: VaspDocument) -> None:
    """Refuse a relaxed cell under stress.

    Where symmetry holds every atom, forces say nothing of whether the cell is relaxed.

    Raises
    ------
    SSEError
        A component of the stress is above `STRESS_MAX`.
    """
    output = document.output
    stress = np.array(output.stress if output and output.stress is not None else [[0.0]])
    largest = float(np.abs(stress).max())
    if largest > STRESS_MAX:
        raise SSEError(
            f"the relaxed cell is under a stress of {largest:.0f} kbar",
            mend="Raise code.incar.ENCUT or relax.steps, or start from a better structure",
        )


def read_born(folder: Path, atoms: int) -> tuple[np.ndarray, np.ndarray]:
    """Born charges (atoms, 3, 3), e, and dielectric tensor (3, 3) of a folder.

    Raises
    ------
    SSEError
        They are not there, or the crystal would move in a field as a whole.
    """
    outcar = Outcar(zpath(str(folder / "OUTCAR")))
    try:
        outcar.read_lepsilon()
    except Exception as error:  # whatever the text made pymatgen stumble over
        raise _no_charges(folder) from error
    born = np.array(getattr(outcar, "born", []), dtype=float)
    dielectric = np.array(getattr(outcar, "dielectric_tensor", []), dtype=float)
    if born.shape != (atoms, 3, 3) or dielectric.shape != (3, 3):
        raise _no_charges(folder)
    check_neutral(born)
    return born, dielectric


def _no_charges(folder: Path) -> SSEError:
    return SSEError(
        f"no Born charges in the OUTCAR of {folder}",
        mend="Look at vasp.out there, or leave the charges out with phonons.born_charges: false",
    )


def _strain(before: Structure, after: Structure) -> float:
    """Largest component of the strain from one cell to another."""
    deformation = np.linalg.solve(before.lattice.matrix, after.lattice.matrix)
    return float(np.abs(deformation - np.eye(3)).max())
