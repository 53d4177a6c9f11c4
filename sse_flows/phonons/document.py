"""The phonon document that every descriptor reads, whatever computed the forces."""

from __future__ import annotations

import numpy as np
from emmet.core.math import Matrix3D
from pydantic import BaseModel, ConfigDict, Field
from pymatgen.core import Structure

from sse_flows.phonons.dos import dos_band_center


class SoftModes(BaseModel):
    """Imaginary modes beyond the numerical noise, and the ions that move in the softest one."""

    count: int = Field(
        description="Modes on the commensurate points and the mesh below `threshold`"
    )
    commensurate_count: int = Field(
        0,
        description="Those of `count` at wave vectors that fit the supercell: not interpolated",
    )
    threshold: float = Field(description="Modes below this energy count as soft, meV (negative)")
    lowest_energy: float = Field(
        description="Lowest energy, acoustic modes at and close to Γ left out, meV; < 0: imaginary"
    )
    lowest_qpoint: list[float] = Field(description="Its reduced wave vector")
    species_weights: dict[str, float] = Field(
        description="Share of each element in the softest mode's eigenvector, sums to 1"
    )
    leading_species: str = Field(description="Element of the atom with the largest weight")


class BandStructure(BaseModel):
    """Phonon energies along a path of high symmetry."""

    distances: list[list[float]] = Field(description="Path coordinate per segment, 1/Å")
    energies: list[list[list[float]]] = Field(
        description="Energies, meV (negative: imaginary): [segment][point][band]"
    )
    labels: list[list[str]] = Field(description="Names of the two ends of each segment")


class LatticeDynamics(BaseModel):
    """Harmonic lattice dynamics of one crystal, made from its force constants.

    Large arrays (`force_constants`, `projected_dos`) belong in the additional store.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    compound_id: str = Field(description="Id of the compound")
    formula: str = Field(description="Reduced formula")
    primitive: Structure = Field(description="Primitive cell of the dynamics, Å")
    unitcell: Structure = Field(description="Cell from which the supercell was made, Å")
    supercell_matrix: Matrix3D = Field(description="Supercell in terms of `unitcell`")
    primitive_matrix: Matrix3D = Field(description="`primitive` in terms of `unitcell`")
    force_constants: list | None = Field(
        None, description="Compact force constants (n_primitive, n_supercell, 3, 3), eV/Å^2"
    )
    born: list | None = Field(None, description="Born charges (n_primitive, 3, 3), e")
    dielectric: Matrix3D | None = Field(None, description="High-frequency dielectric tensor")
    mesh: list[int] = Field(description="q mesh of the DOS")
    energies: list[float] = Field(description="Centres of the DOS bins, meV; negative: imaginary")
    projected_dos: list[list[float]] = Field(
        description="DOS of each atom of `primitive`, (n_primitive, n_energies), 1/meV; "
        "integrates to 3 per atom"
    )
    band_center: dict[str, float] = Field(
        description="∫E g dE / ∫g dE over E > 0 from the modes themselves, meV; "
        "per element and 'total'"
    )
    soft_modes: SoftModes = Field(description="Imaginary modes")
    entropy: float = Field(description="Vibrational entropy at 300 K, J/(K mol formula unit)")
    temperature: float = Field(300.0, description="Temperature of the entropy, K")
    band_structure: BandStructure | None = Field(None, description="Bands along a path")
    energy_per_atom: float | None = Field(None, description="Total energy of the crystal, eV/atom")
    method: str = Field(description="What gave the forces, e.g. 'SevenNet-0 (sevenn 0.13.0)'")
    provenance: dict[str, str] = Field(
        default_factory=dict, description="Job ids, versions and files this was made from"
    )


class PhononDOS(BaseModel):
    """Phonon density of states that others published, of a crystal without force constants."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    compound_id: str = Field(description="Id of the compound")
    formula: str = Field(description="Reduced formula")
    structure: Structure = Field(description="Cell of the calculation, Å")
    energies: list[float] = Field(description="Ascending grid, meV; negative: imaginary modes")
    densities: list[float] = Field(
        description="Total DOS (n_energies), 1/meV, as published: where it is normalised it "
        "integrates to 3 per atom of `structure`"
    )
    projected_densities: list[list[float]] | None = Field(
        None, description="DOS of each site of `structure`, (n_sites, n_energies), 1/meV"
    )
    negative_share: float = Field(description="∫g dE over E < 0 / ∫g dE: share of imaginary modes")
    method: str = Field(description="What gave it, e.g. 'DFPT, abinit (Materials Project)'")
    source_id: str = Field(description="Id of the calculation in its source")
    provenance: dict[str, str] = Field(
        default_factory=dict, description="Where and when it was read, and what it lacks"
    )

    def band_center(self, element: str | None = None) -> float | None:
        """Phonon band centre ∫E g dE / ∫g dE over E > 0, meV.

        Parameters
        ----------
        element
            Of the sites of this element; of all atoms (the total DOS) if None.

        Returns
        -------
        float or None
            None where the DOS is not projected, or holds no such modes.

        Raises
        ------
        KeyError
            The crystal does not hold the element.
        """
        if element is None:
            return dos_band_center(self.energies, self.densities)
        sites = [i for i, site in enumerate(self.structure) if site.specie.symbol == element]
        if not sites:
            raise KeyError(f"{self.compound_id} ({self.formula}) holds no {element}")
        if self.projected_densities is None:
            return None
        return dos_band_center(
            self.energies, np.sum([self.projected_densities[i] for i in sites], axis=0)
        )
