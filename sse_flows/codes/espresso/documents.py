"""Documents of Quantum ESPRESSO calculations, in the shape of atomate2's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emmet.core.structure import StructureMetadata
from pydantic import BaseModel, Field
from pymatgen.core import Structure

from sse_flows.codes.born import BornCharges, Matrix
from sse_flows.codes.espresso.inputs import Settings, mesh
from sse_flows.codes.espresso.outputs import BornResult, PwResult
from sse_flows.codes.spin import is_polarised


class EspressoInput(BaseModel):
    """What a calculation was asked for."""

    calculation: str = Field(description="scf, nscf, relax or vc-relax")
    namelists: dict[str, dict[str, Any]] = Field(
        description="Namelists as they were written, in Quantum ESPRESSO's units (Ry, bohr)"
    )
    kpoints: list[int] = Field(description="Γ-centred mesh")
    pseudopotentials: dict[str, str] = Field(description="Element -> file and hash of its content")
    polarised: bool = Field(description="Whether spins were treated")


class EspressoOutput(BaseModel):
    """What came out."""

    structure: Structure = Field(description="Final structure, Å")
    energy: float = Field(description="Total energy, eV")
    energy_per_atom: float = Field(description="Total energy, eV/atom")
    forces: Matrix | None = Field(None, description="Forces on the atoms, eV/Å")
    stress: Matrix | None = Field(
        None, description="Stress, GPa, positive where the crystal pulls together"
    )
    band_gap: float | None = Field(
        None, description="Band gap on the mesh of k points, eV; 0 for metals, None without bands"
    )
    is_gap_direct: bool | None = Field(None, description="Whether both edges are at one k point")
    vbm: float | None = Field(None, description="Highest occupied state, eV")
    cbm: float | None = Field(None, description="Lowest empty state, eV")
    efermi: float | None = Field(None, description="Fermi energy, eV")
    magnetization: float | None = Field(None, description="Total moment, Bohr magnetons")
    scf_iterations: int = Field(description="Iterations of the last self-consistent cycle")
    ionic_steps: int = Field(description="Geometries of a relaxation; 0 else")


class EspressoDocument(StructureMetadata):
    """One calculation of pw.x."""

    structure: Structure = Field(description="Final structure, Å")
    input: EspressoInput = Field(description="What it was asked for")
    output: EspressoOutput = Field(description="What came out")
    corrections: list[str] = Field(
        default_factory=list, description="What was changed after faults, in turn"
    )
    warnings: list[str] = Field(
        default_factory=list, description="What is doubtful about what it was asked for"
    )
    density_from: str | None = Field(
        None, description="Folder whose charge density it started from"
    )
    version: str = Field(description="Version of Quantum ESPRESSO")
    task_label: str = Field(description="Name of the maker")
    dir_name: str = Field(description="Host and folder of the calculation")
    uuid: str = Field(description="Id of the job")


class BornDocument(BornCharges):
    """Born charges and dielectric tensor by pw.x and ph.x."""


def describe_run(
    structure: Structure,
    settings: Settings,
    result: PwResult,
    namelists: dict[str, dict[str, Any]],
    **labels: Any,
) -> EspressoDocument:
    """Document of a calculation.

    Parameters
    ----------
    structure
        Cell that it started from.
    settings, result, namelists
        What it was computed with, what came out, and the input as written last.
    labels
        Remaining fields of the document.
    """
    # pw.x's own cell is that of its input to 1e-10, but for relaxations
    calculation = str(namelists["control"]["calculation"])
    final = structure
    if "relax" in calculation:
        final = result.structure.copy(site_properties=structure.site_properties)
    asked = EspressoInput(
        calculation=calculation,
        namelists=_portable(namelists),
        kpoints=mesh(structure, settings.kpoints),
        pseudopotentials={
            element: f"{one.file} {one.sha256}"
            for element, one in settings.pseudopotentials.items()
        },
        polarised=is_polarised(structure, settings.spin),
    )
    return EspressoDocument.from_structure(
        meta_structure=final,
        structure=final,
        input=asked,
        output=_output(final, result),
        version=result.version,
        warnings=settings.low_cutoffs({site.specie.symbol for site in structure}),
        **labels,
    )


def _output(structure: Structure, result: PwResult) -> EspressoOutput:
    bands = result.bands
    return EspressoOutput(
        structure=structure,
        energy=result.energy,
        energy_per_atom=result.energy / len(structure),
        forces=None if result.forces is None else result.forces.tolist(),
        stress=None if result.stress is None else result.stress.tolist(),
        band_gap=bands.gap,
        is_gap_direct=bands.direct,
        vbm=bands.vbm,
        cbm=bands.cbm,
        efermi=bands.fermi_energy,
        magnetization=result.magnetization,
        scf_iterations=result.scf_iterations,
        ionic_steps=result.ionic_steps,
    )


def _portable(namelists: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Plain dicts of plain values, as a store takes them."""
    return {
        name: {key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}
        for name, keys in namelists.items()
    }


def born_document(structure: Structure, result: BornResult | None, **labels: Any) -> BornDocument:
    """Document of Born charges, or of their absence where `result` is None."""
    if result is None:
        return BornDocument(structure=structure, **labels)
    return BornDocument(
        structure=structure,
        born=result.born.tolist(),
        dielectric=result.dielectric.tolist(),
        **labels,
    )
