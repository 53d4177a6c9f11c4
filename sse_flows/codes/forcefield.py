"""Machine-learned force fields: atomate2's makers, made quick and safe for phonons.

atomate2 loads the model anew for every job. A phonon calculation is many short jobs, so the makers
here share one loaded model per process. They also refuse a relaxation that did not converge, since
phonons at a point that is no minimum mean nothing.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2.ase.schemas import AseResult
from atomate2.forcefields.flows.phonons import PhononMaker
from atomate2.forcefields.jobs import ForceFieldRelaxMaker, ForceFieldStaticMaker
from atomate2.forcefields.utils import MLFF, ase_calculator
from pymatgen.core import Molecule, Structure

from sse_flows.codes.memory import keep_freed_memory
from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

SHIPPED_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "SevenNet-0": ("SevenNet", {"model": "7net-0"}),
    "SevenNet-l3i5": ("SevenNet", {"model": "7net-l3i5"}),
    "CHGNet": ("CHGNet", {}),
}
"""Models whose weights come with their package: name -> (atomate2's name, calculator options)."""

DEFAULT_MODEL = "SevenNet-0"
"""The better of the two that need no download, see docs/force_fields.md."""

_PACKAGES = {"SevenNet": "sevenn", "CHGNet": "chgnet", "MatterSim": "mattersim", "NEP": "calorine"}
_PACKAGES |= dict.fromkeys(("MACE", "MACE-MP-0", "MACE-MPA-0", "MACE-MP-0b3"), "mace-torch")
_PACKAGES |= {"M3GNet": "matgl", "MatPES-PBE": "matgl", "MatPES-r2SCAN": "matgl"}
_PACKAGES |= {"FAIRChem": "fairchem-core", "Nequip": "nequip", "DeepMD": "deepmd-kit"}

_RELAX_SYMPREC = 1e-2
"""Tolerance (Å) of the space group that a relaxation keeps."""


@cache
def _shared_calculator(meta: str, options: str) -> Calculator:
    # single-threaded workers and the allocator's setting are worth 25 % of every force call
    keep_freed_memory()
    with _quick_loading(meta):
        calculator = ase_calculator(meta, **json.loads(options))
    if calculator is None:  # pragma: no cover - atomate2 raises first
        raise SSEError(f"atomate2 made no calculator for {meta}")
    return calculator


@contextmanager
def _quick_loading(meta: str) -> Iterator[None]:
    """Halve the time SevenNet takes to load.

    e3nn searches the best order of every tensor contraction while the model is built; for
    SevenNet-0 on a CPU the search takes as long as all the rest and the forces are no faster.
    """
    if meta != MLFF.SevenNet.value:
        yield
        return
    import e3nn

    before = e3nn.get_optimization_defaults()["optimize_einsums"]
    e3nn.set_optimization_defaults(optimize_einsums=False)
    try:
        yield
    finally:
        e3nn.set_optimization_defaults(optimize_einsums=before)


class _SharedCalculator:
    """Mix-in: one loaded model per process instead of one per job."""

    def _get_calculator(self) -> Calculator:
        meta = self.calculator_meta  # type: ignore[attr-defined]
        name = meta.value if isinstance(meta, MLFF) else str(meta)
        options = json.dumps(self.calculator_kwargs, sort_keys=True)  # type: ignore[attr-defined]
        return _shared_calculator(name, options)


@dataclass
class RelaxMaker(_SharedCalculator, ForceFieldRelaxMaker):
    """Relax cell and atoms with the space group kept, to a force that phonons need.

    BFGS first, since it needs a fifth of FIRE's force calls near a minimum; FIRE where BFGS does
    not arrive.

    Parameters
    ----------
    model_version
        Package and version of the weights; part of the job's content key.
    """

    name: str = "relax"
    fix_symmetry: bool = True
    symprec: float | None = _RELAX_SYMPREC
    steps: int = 500
    relax_kwargs: dict = field(
        default_factory=lambda: {"fmax": 0.001, "final_atoms_object_file": None}
    )
    optimizer_kwargs: dict = field(default_factory=lambda: {"optimizer": "BFGS"})
    ionic_step_data: tuple[str, ...] | None = ("energy",)
    model_version: str = ""

    def run_ase(
        self, mol_or_struct: Structure | Molecule, prev_dir: str | Path | None = None
    ) -> AseResult:
        """Relax, and refuse what did not converge.

        Raises
        ------
        SSEError
            The forces did not fall below ``fmax`` or the crystal fell apart.
        """
        result = super().run_ase(mol_or_struct, prev_dir)
        if not result.converged:
            fallback = {**self.optimizer_kwargs, "optimizer": "FIRE"}
            quick, self.optimizer_kwargs = self.optimizer_kwargs, fallback
            try:
                result = super().run_ase(mol_or_struct, prev_dir)
            finally:
                self.optimizer_kwargs = quick
        _check_relaxed(mol_or_struct, result, self.steps, self.relax_kwargs["fmax"])
        return result


@dataclass
class StaticMaker(_SharedCalculator, ForceFieldStaticMaker):
    """Energy and forces of one structure as it is.

    Parameters
    ----------
    model_version
        Package and version of the weights; part of the job's content key.
    """

    name: str = "static"
    relax_kwargs: dict = field(default_factory=lambda: {"final_atoms_object_file": None})
    ionic_step_data: tuple[str, ...] | None = None
    model_version: str = ""


def _check_relaxed(start: Structure | Molecule, result: AseResult, steps: int, fmax: float) -> None:
    if not result.converged:
        raise SSEError(
            f"the relaxation did not reach {fmax} eV/Å in {steps} steps",
            mend="Start from a better structure, or raise relax.steps or relax.force_max",
        )
    final = result.final_mol_or_struct
    if not isinstance(final, Structure) or not isinstance(start, Structure):
        return
    if not 0.5 < final.volume / start.volume < 2.0:
        raise SSEError(
            f"the volume changed by a factor {final.volume / start.volume:.2f} on relaxing",
            mend="Check the structure for missing atoms or wrong units; the force field does not "
            "hold this crystal",
        )


@dataclass(frozen=True)
class ForceField:
    """A force field by name, by file or by ASE calculator, and the makers that use it.

    Parameters
    ----------
    model
        A name of `SHIPPED_MODELS`, any name that atomate2 knows, or a file with the weights of a
        SevenNet model.
    calculator
        Options passed to the ASE calculator.

    Raises
    ------
    SSEError
        The model is unknown, or its package is not installed.

    Examples
    --------
    >>> ForceField("SevenNet-0").relax_maker(force_max=0.01).relax_kwargs["fmax"]
    0.01
    """

    model: str = DEFAULT_MODEL
    calculator: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an unknown model now rather than in every job."""
        package = _PACKAGES.get(self._resolved[0])
        if package and self._package_version is None:
            raise SSEError(
                f"the force field {self.model!r} needs the Python package {package}",
                mend=f"pip install {package}",
            )

    @property
    def _resolved(self) -> tuple[str, dict[str, Any]]:
        if self.model in SHIPPED_MODELS:
            name, options = SHIPPED_MODELS[self.model]
            return name, {**options, **self.calculator}
        names = {member.value for member in MLFF} | {member.name for member in MLFF}
        if self.model in names - {"Forcefield"}:
            return self.model, dict(self.calculator)
        if Path(self.model).expanduser().is_file():
            path = str(Path(self.model).expanduser().resolve())
            return "SevenNet", {"model": path, **self.calculator}
        known = sorted(SHIPPED_MODELS) + sorted(names - {"Forcefield"} - set(SHIPPED_MODELS))
        near = difflib.get_close_matches(self.model, known, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise SSEError(
            f"unknown force field {self.model!r}",
            mend=f"{meant}Use one of {', '.join(known)}, or the path of a SevenNet checkpoint",
        )

    @property
    def _package_version(self) -> str | None:
        package = _PACKAGES.get(self._resolved[0])
        if package is None:
            return ""
        try:
            return f"{package} {_version(package)}"
        except metadata.PackageNotFoundError:
            return None

    @property
    def method(self) -> str:
        """What gave the forces, for documents: ``SevenNet-0 (sevenn 0.13.0)``."""
        version = self._package_version
        return f"{self.model} ({version})" if version else self.model

    @property
    def keeps_order(self) -> bool:
        """No: a force field knows no spins."""
        return False

    @property
    def gives_band_gap(self) -> bool:
        """No: a force field has no electrons."""
        return False

    @property
    def needs(self) -> list[str]:
        """Nothing for any element."""
        return []

    def of(self, elements: Iterable[str]) -> ForceField:
        """The force field itself, whatever the elements."""
        return self

    @property
    def _common(self) -> dict[str, Any]:
        name, options = self._resolved
        version = self._package_version or ""
        file = Path(str(options.get("model", "")))
        if file.is_file():  # a file may change under the same name: its content is its version
            version = f"{version} sha256 {_digest(file)}"
        return {"force_field_name": name, "calculator_kwargs": options, "model_version": version}

    def with_order(self, cell: Any) -> ForceField:
        """Return the code as it is."""
        return self

    def relax_maker(self, force_max: float = 0.001, steps: int = 500) -> RelaxMaker:
        """Maker of a relaxation to `force_max` (eV/Å) that keeps the space group."""
        relax = {"fmax": force_max, "final_atoms_object_file": None}
        return RelaxMaker(relax_kwargs=relax, steps=steps, **self._common)

    def static_maker(self) -> StaticMaker:
        """Maker of energy and forces."""
        return StaticMaker(**self._common)

    def phonon_maker(self, displacement: float = 0.01) -> PhononMaker:
        """atomate2's phonon maker with this force field, for an already relaxed cell.

        Parameters
        ----------
        displacement
            Length of the displacements, Å.
        """
        return PhononMaker(
            displacement=displacement,
            bulk_relax_maker=None,
            static_energy_maker=None,
            phonon_displacement_maker=self.static_maker(),
        )

    def supercell_maker(self) -> None:
        """None: a force field needs no start."""

    def born_maker(self) -> None:
        """None: a force field has no electrons."""


@cache
def _version(package: str) -> str:
    return metadata.version(package)


def _digest(file: Path) -> str:
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
