"""The phonon flow: atomate2's, ending in a LatticeDynamics document.

atomate2's own last step draws figures, writes files and computes a dense DOS without projections;
it costs more than the forces of a small cell. Here the same displaced supercells end in
:func:`collect_lattice_dynamics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from atomate2.common.flows.phonons import BasePhononMaker
from jobflow import Flow, Job, JobConfig, Maker, OnMissing, OutputReference, Response, job
from pymatgen.core import Structure

from sse_flows.errors import SSEError
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.supercell import smallest_supercell

if TYPE_CHECKING:
    from phonopy import Phonopy

Preset = Literal["min_length", "primitive_2x2x2"]
"""How the supercell is chosen: by the distance of images, or 2x2x2 of the primitive cell."""

BIG_ARRAYS = ["force_constants", "projected_dos", "band_structure"]
"""Fields of LatticeDynamics that go to the additional store."""


WORTH_A_START = 4
"""Fewest displaced supercells for which the undisplaced one is computed: a density to start from
saves a third of each, and costs one, see docs/espresso.md."""


@dataclass
class LatticeDynamicsMaker(Maker):
    """Displaced supercells by atomate2's phonon maker of any code, then LatticeDynamics.

    Parameters
    ----------
    phonon_maker
        An atomate2 phonon maker. Its relaxation and static calculation are skipped unless set:
        campaigns relax in a stage of their own.
    method
        What gives the forces, for the document.
    supercell
        ``"min_length"``, or ``"primitive_2x2x2"`` as Jaafreh et al. (2024).
    min_length
        Distance of periodic images, Å (for ``"min_length"``).
    max_atoms
        Largest supercell accepted.
    supercell_maker
        Computes the undisplaced supercell first, whose folder is then the displaced ones'
        ``prev_dir`` (where there are at least `WORTH_A_START`); None for codes that need no start.
    born_maker
        Born charges and dielectric tensor (outputs ``born`` and ``dielectric``) of the cell; None
        for none. If it fails, the phonons go without.
    """

    phonon_maker: BasePhononMaker
    method: str
    name: str = "lattice dynamics"
    supercell: Preset = "min_length"
    min_length: float = 10.0
    max_atoms: int = 1000
    supercell_maker: Maker | None = None
    born_maker: Maker | None = None

    def make(
        self,
        structure: Structure | OutputReference,
        compound_id: str = "",
        energy: float | OutputReference | None = None,
        prev_dir: str | OutputReference | None = None,
        band_gap: float | OutputReference | None = None,
    ) -> Flow:
        """Flow whose output is a LatticeDynamics document.

        Parameters
        ----------
        structure
            Relaxed primitive cell, or a reference to one.
        compound_id
            Id for the document and for messages.
        energy
            Total energy of the cell, eV.
        prev_dir
            Folder of the calculation before, for codes that read its wave functions.
        band_gap
            eV, for `born_maker`: metals have no Born charges.
        """
        cell = choose_supercell(structure, self.supercell, self.min_length, self.max_atoms)
        start = self._start(structure, cell.output)
        if start:
            prev_dir = start[0].output.dir_name
        charges = self._charges(structure, band_gap)
        maker: Any = self.phonon_maker  # takes references where it is annotated with values
        flow = maker.make(structure, prev_dir=prev_dir, supercell_matrix=cell.output)
        collect = flow.jobs[-1].function_kwargs
        flow.output = None
        flow.remove_jobs(len(flow.jobs) - 1)
        document = collect_lattice_dynamics(
            structure=collect["structure"],
            supercell_matrix=collect["supercell_matrix"],
            displacement_data=collect["displacement_data"],
            displacement=self.phonon_maker.displacement,
            symprec=self.phonon_maker.symprec,
            method=self.method,
            compound_id=compound_id,
            energy=energy if collect["total_dft_energy"] is None else collect["total_dft_energy"],
            born=charges[-1].output["born"] if charges else collect["born"],
            dielectric=charges[-1].output["dielectric"] if charges else collect["epsilon_static"],
        )
        parts = [cell, *start, *charges, flow, document]
        return Flow(parts, output=document.output, name=self.name)

    def _start(self, structure: Any, matrix: Any) -> list[Job]:
        """The job of the undisplaced supercell, if the code has a use for it."""
        if self.supercell_maker is None:
            return []
        maker = self.phonon_maker
        return [
            start_of_supercells(
                structure, matrix, maker.displacement, maker.symprec, self.supercell_maker
            )
        ]

    def _charges(self, structure: Any, band_gap: Any) -> list[Job]:
        """Jobs of the Born charges; the last gives None for both where there are none."""
        if self.born_maker is None:
            return []
        maker: Any = self.born_maker
        born = maker.make(structure, band_gap=band_gap)
        gather = born_charges(born.output.born, born.output.dielectric)
        gather.config = JobConfig(on_missing_references=OnMissing.NONE)
        return [born, gather]


@job
def choose_supercell(
    structure: Structure, preset: Preset, min_length: float, max_atoms: int
) -> list[list[int]]:
    """Supercell matrix of a relaxed primitive cell, see :func:`smallest_supercell`."""
    if preset == "primitive_2x2x2":
        return (2 * np.eye(3, dtype=int)).tolist()
    return smallest_supercell(structure, min_length, max_atoms)


@job
def start_of_supercells(
    structure: Structure,
    supercell_matrix: list[list[int]],
    displacement: float,
    symprec: float,
    maker: Maker,
) -> Response | dict[str, None]:
    """Compute the undisplaced supercell, if enough displaced ones are to start from it.

    The output's ``dir_name`` is its folder, or None where it would cost more than it saves.
    """
    from pymatgen.io.phonopy import get_pmg_structure

    phonon = _displaced(structure, supercell_matrix, displacement, symprec)
    if len(phonon.displacements) < WORTH_A_START:
        return {"dir_name": None}
    run: Any = maker
    return Response(replace=run.make(get_pmg_structure(phonon.supercell)))


@job
def born_charges(born: list | None, dielectric: list | None) -> dict[str, list | None]:
    """Gather Born charges and dielectric tensor; both None where their calculation failed."""
    return {"born": born, "dielectric": dielectric}


@job(data=BIG_ARRAYS, output_schema=LatticeDynamics)
def collect_lattice_dynamics(
    structure: Structure,
    supercell_matrix: list[list[int]],
    displacement_data: dict[str, list],
    displacement: float,
    symprec: float,
    method: str,
    compound_id: str = "",
    energy: float | None = None,
    born: list | None = None,
    dielectric: list | None = None,
) -> LatticeDynamics:
    """Force constants from the forces of displaced supercells, and all that follows from them.

    Parameters
    ----------
    structure
        Cell from which the supercell was made.
    supercell_matrix
        Columns: the supercell's vectors in terms of the cell's.
    displacement_data
        As atomate2's ``run_phonon_displacements`` gives it: ``forces`` (n, n_supercell, 3), eV/Å,
        and ``uuids`` of their jobs.
    displacement
        Length of the displacements, Å.
    symprec
        Tolerance with which they were generated, Å.
    method, compound_id, energy, born, dielectric
        See :func:`sse_flows.phonons.modes.lattice_dynamics`; `energy` is of the cell, eV.
    """
    from sse_flows.phonons.modes import lattice_dynamics

    phonon = _displaced(structure, supercell_matrix, displacement, symprec)
    forces = np.array(displacement_data["forces"], dtype=float)
    _check_forces(forces, phonon, compound_id)
    phonon.produce_force_constants(forces=forces, calculate_full_force_constants=False)
    return lattice_dynamics(
        structure,
        supercell_matrix,
        np.asarray(phonon.force_constants),
        primitive_matrix=phonon.primitive_matrix,
        born=born,
        dielectric=dielectric,
        compound_id=compound_id,
        method=method,
        energy_per_atom=None if energy is None else energy / len(structure),
        provenance=_provenance(displacement_data, displacement),
    )


def _displaced(
    structure: Structure, supercell_matrix: Any, displacement: float, symprec: float
) -> Phonopy:
    """Phonopy with the very displacements that atomate2's job generated."""
    from phonopy import Phonopy

    from sse_flows.phonons.phonopy_adapter import phonopy_atoms

    phonon = Phonopy(
        phonopy_atoms(structure), supercell_matrix, primitive_matrix="auto", symprec=symprec
    )
    phonon.generate_displacements(distance=displacement)
    return phonon


def _check_forces(forces: np.ndarray, phonon: Phonopy, compound_id: str) -> None:
    wanted = (len(phonon.displacements), len(phonon.supercell), 3)
    if forces.shape != wanted or not np.isfinite(forces).all():
        raise SSEError(
            f"the forces of the displaced supercells have shape {forces.shape} (needed: {wanted}) "
            "or hold NaN",
            compound=compound_id or None,
            mend="Look at the calculations of the displaced supercells and run them again",
        )


def _provenance(displacement_data: dict[str, list], displacement: float) -> dict[str, str]:
    import phonopy

    return {
        "displacement": f"{displacement} Å",
        "displaced supercells": str(len(displacement_data["forces"])),
        "first force job": str(displacement_data["uuids"][0]),
        "phonopy": phonopy.__version__,
    }
