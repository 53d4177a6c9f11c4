"""Makers of Quantum ESPRESSO jobs, in atomate2's idiom.

Each job writes its input into the present folder, runs pw.x (or ph.x) there under custodian, and
gives a document. ``prev_dir`` is only ever a start to save time: results do not depend on it.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ase.units import Bohr, Rydberg
from atomate2.common.flows.phonons import BasePhononMaker
from jobflow import Maker, job
from pymatgen.core import Structure

from sse_flows.codes.born import METAL_NOTE, check_neutral, is_metal
from sse_flows.codes.espresso.calculation import calculate, write_draft
from sse_flows.codes.espresso.density import clean
from sse_flows.codes.espresso.documents import BornDocument, EspressoDocument, born_document
from sse_flows.codes.espresso.inputs import PH_INPUT, PH_OUTPUT, Settings, write_ph
from sse_flows.codes.espresso.job import Launch, run_ph
from sse_flows.codes.espresso.outputs import read_ph
from sse_flows.codes.espresso.ranks import leave_files_of_others
from sse_flows.codes.espresso.resume import Progress, is_unfinished_ph, take_up
from sse_flows.codes.labels import run_labels
from sse_flows.codes.spin import carry_moments, is_polarised
from sse_flows.errors import SSEError

RY_PER_BOHR = Rydberg / Bohr
"""Ry/bohr in eV/Å."""

_MOMENT = "moment"
_BANDS = "bands"


@dataclass
class ScfMaker(Maker):
    """Energy, forces, stress and band edges of a structure as it is.

    Parameters
    ----------
    settings
        What to compute with; k points and cutoffs included.
    launch
        How pw.x is started; no part of content keys.
    keep_density
        Whether the charge density stays on the disk for calculations that start from it.
    order
        Cell whose magnetic moments (site property ``magmom``) the structures start with, which
        are supercells of it, displaced or not; None for the moments of the structures themselves.
    """

    settings: Settings
    name: str = "scf"
    launch: Launch = field(default_factory=Launch)
    keep_density: bool = False
    order: Structure | None = None

    @job(output_schema=EspressoDocument)
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> EspressoDocument:
        """Run pw.x.

        Parameters
        ----------
        structure
            Ordered cell.
        prev_dir
            Folder of a calculation of a similar crystal, whose density is the start.

        Raises
        ------
        SSEError
            It failed and could not be mended.
        """
        return self.run(structure, prev_dir)

    def run(self, structure: Structure, prev_dir: str | Path | None = None) -> EspressoDocument:
        """What the job does, in the present folder."""
        return calculate(self, "scf", self._ordered(structure), self.settings, prev_dir)

    def _ordered(self, structure: Structure) -> Structure:
        return structure if self.order is None else carry_moments(self.order, structure)


@dataclass
class RelaxMaker(Maker):
    """Relax cell and atoms with the space group kept, to a force that phonons need.

    pw.x keeps the symmetry that it finds at the start. Its plane waves are those of the first
    cell, so the relaxation is repeated from the last cell until the stress of the final,
    self-consistent calculation there is small as well. Run again in the folder of one that was
    stopped or killed, it goes on in the same round from the last geometry.

    Parameters
    ----------
    settings, launch
        See :class:`ScfMaker`.
    relax_cell
        Whether the cell relaxes too; molecules in boxes are computed at Γ alone.
    force_max
        Largest force left, eV/Å.
    steps
        Most ionic steps of a round.
    stress_max
        Largest component of the stress left, GPa.
    rounds
        Most relaxations one after the other.
    """

    settings: Settings
    name: str = "relax"
    launch: Launch = field(default_factory=Launch)
    relax_cell: bool = True
    force_max: float = 0.001
    steps: int = 500
    stress_max: float = 0.1
    rounds: int = 4

    @job(output_schema=EspressoDocument)
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> EspressoDocument:
        """Relax a structure; see the class.

        Raises
        ------
        SSEError
            It did not arrive, or pw.x failed and could not be mended.
        """
        return self.run(structure, prev_dir)

    def run(self, structure: Structure, prev_dir: str | Path | None = None) -> EspressoDocument:
        """What the job does, in the present folder."""
        folder, settings = Path.cwd(), self._settings()
        progress = self._take_up(folder, structure, settings)
        if not self.relax_cell:
            return calculate(self, "relax", progress.structure, settings, prev_dir)
        while True:
            document = calculate(self, "vc-relax", progress.structure, settings, None)
            left = _largest(document.output.stress)
            if left <= self.stress_max:
                return document
            if progress.round >= self.rounds:
                break
            progress = progress.next(document.structure).save(folder)
        raise SSEError(
            f"the stress is still {left:.2f} GPa after {self.rounds} relaxations",
            mend="Raise code.input.system.ecutwfc, or start from a better structure",
        )

    def _take_up(self, folder: Path, structure: Structure, settings: Settings) -> Progress:
        """Where to go on: a folder may hold the same relaxation, stopped or killed."""
        leave_files_of_others(folder, self.launch.words())
        draft = write_draft(self, "vc-relax" if self.relax_cell else "relax", structure, settings)
        progress = take_up(folder, draft, structure)
        draft.unlink()
        return progress

    def _settings(self) -> Settings:
        relaxing = self.settings.with_input(
            control={"forc_conv_thr": self.force_max / RY_PER_BOHR, "nstep": self.steps},
            ions={"ion_dynamics": "bfgs"},
            cell={"cell_dynamics": "bfgs"},
        )
        if self.relax_cell:
            return relaxing
        return Settings(
            relaxing.pseudopotentials, [1, 1, 1], relaxing.cutoff, relaxing.spin, relaxing.input
        )


@dataclass
class BandGapMaker(ScfMaker):
    """Band gap on a denser mesh of k points: a non-self-consistent run after an scf.

    It has a folder of its own, ``bands``: stopped there, the scf is not computed again.

    Parameters
    ----------
    density
        How many times as many k points along each vector.
    """

    name: str = "band gap"
    density: int = 2

    def run(self, structure: Structure, prev_dir: str | Path | None = None) -> EspressoDocument:
        """What the job does, in the present folder; energy and forces are those of the scf."""
        structure = self._ordered(structure)
        first = calculate(self, "scf", structure, self.settings, prev_dir, keep=True)
        given = self.settings
        numbers = [self.density * number for number in first.input.kpoints]
        dense = Settings(given.pseudopotentials, numbers, given.cutoff, given.spin, given.input)
        folder = Path.cwd()
        bands = folder / _BANDS
        bands.mkdir(exist_ok=True)
        with contextlib.chdir(bands):
            second = calculate(self, "nscf", structure, dense, folder)
        clean(folder, self.keep_density)
        shutil.rmtree(bands, ignore_errors=True)
        gap = ("band_gap", "is_gap_direct", "vbm", "cbm", "efermi")
        output = first.output.model_copy(update={k: getattr(second.output, k) for k in gap})
        return first.model_copy(update={"output": output, "input": second.input})


@dataclass
class BornMaker(Maker):
    """Born charges and dielectric tensor by density-functional perturbation theory (ph.x at Γ).

    ph.x wants fixed occupations, and these with spins the total moment. It is found first, with
    the occupations of the settings, in the folder ``moment``.

    Parameters
    ----------
    settings, launch
        See :class:`ScfMaker`.
    """

    gamma_tricks: ClassVar[bool] = False  # ph.x has none

    settings: Settings
    name: str = "born charges"
    launch: Launch = field(default_factory=Launch)

    @job(output_schema=BornDocument)
    def make(
        self,
        structure: Structure,
        prev_dir: str | Path | None = None,
        band_gap: float | None = None,
    ) -> BornDocument:
        """Run pw.x with fixed occupations, then ph.x.

        Parameters
        ----------
        structure
            Primitive cell.
        prev_dir
            See :class:`ScfMaker`.
        band_gap
            eV; a metal has no Born charges, so that nothing is computed where it is 0.

        Raises
        ------
        SSEError
            It failed and could not be mended.
        """
        folder, labels = Path.cwd(), run_labels(Path.cwd())
        metal = born_document(structure, None, note=METAL_NOTE, **labels)
        if is_metal(band_gap):
            return metal
        settings, corrections = self._settings(), []
        if self._needs_moment(structure):
            magnetic = self._magnetic(folder / _MOMENT, structure, prev_dir)
            if is_metal(magnetic.output.band_gap):
                return metal
            settings = self._settings(round(magnetic.output.magnetization or 0.0))
            prev_dir, corrections = folder / _MOMENT, magnetic.corrections
        document = calculate(self, "scf", structure, settings, prev_dir, keep=True)
        if document.input.namelists["system"].get("occupations") != "fixed":
            return metal  # so a handler found
        write_ph(folder / PH_INPUT, self.settings, recover=is_unfinished_ph(folder))
        corrections = [*corrections, *document.corrections, *run_ph(folder, self.launch)]
        result = read_ph(folder / PH_OUTPUT)
        check_neutral(result.born)
        clean(folder, keep_density=False)
        shutil.rmtree(folder / _MOMENT, ignore_errors=True)
        return born_document(structure, result, corrections=corrections, **labels)

    def _needs_moment(self, structure: Structure) -> bool:
        given = self.settings.input.get("system", {}).get("tot_magnetization")
        return given is None and is_polarised(structure, self.settings.spin)

    def _magnetic(
        self, folder: Path, structure: Structure, prev_dir: str | Path | None
    ) -> EspressoDocument:
        """The ground state with the occupations of the settings."""
        folder.mkdir(exist_ok=True)
        with contextlib.chdir(folder):
            return calculate(self, "scf", structure, self.settings, prev_dir, keep=True)

    def _settings(self, moment: int | None = None) -> Settings:
        fixed = {key: dict(value) for key, value in self.settings.input.items()}
        for key in ("smearing", "degauss", "nbnd"):
            fixed.get("system", {}).pop(key, None)
        fixed.setdefault("system", {})["occupations"] = "fixed"
        if moment is not None:
            fixed["system"]["tot_magnetization"] = moment
        fixed.setdefault("electrons", {})["conv_thr"] = 1e-12
        given = self.settings
        return Settings(given.pseudopotentials, given.kpoints, given.cutoff, given.spin, fixed)


@dataclass
class PhononMaker(BasePhononMaker):
    """atomate2's phonon flow with pw.x for the forces, for an already relaxed cell."""

    name: str = "phonon"
    code: str = "ase"  # only names phonopy's units, eV/Å^2, in steps that we replace
    create_thermal_displacements: bool = False

    @property
    def prev_calc_dir_argname(self) -> str:
        """Argument of the makers that takes the folder of the calculation before."""
        return "prev_dir"


def _largest(stress: list[list[float]] | None) -> float:
    return max((abs(value) for row in stress or [] for value in row), default=0.0)
