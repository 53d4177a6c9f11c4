"""The 30 descriptors of a compound: their names, units, and the document that carries them.

Definitions: J. Kim et al. (2024), with the choices written down in docs/definitions.md.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

PHONON_DESCRIPTORS: dict[str, str] = {
    "phonon_band_center_mobile": "meV",
    "phonon_band_center_anion": "meV",
    "phonon_band_center_total": "meV",
    "peak_energy_mobile": "meV",
    "peak_energy_anion": "meV",
    "peak_energy_hybrid": "meV",
    "peak_dos_mobile": "1/(meV atom)",
    "peak_dos_anion": "1/(meV atom)",
    "peak_dos_hybrid": "1/(meV atom)",
    "soft_mode_flag": "",
    "low_energy_ratio_mobile": "",
    "low_energy_ratio_anion": "",
    "low_energy_ratio_hybrid": "",
    "vibrational_entropy": "J/(K mol)",
}
STATIC_DESCRIPTORS: dict[str, str] = {
    "band_gap": "eV",
    "formation_energy": "eV/atom",
    "volume_per_formula": "Å^3",
    "volume_per_mobile": "Å^3",
    "volume_per_anion": "Å^3",
    "volume_per_atom": "Å^3",
    "distance_mobile_anion": "Å",
    "distance_mobile_mobile": "Å",
    "formula_units": "",
    "density": "g/cm^3",
    "formula_mass": "u",
    "mobile_per_formula": "",
}
DISORDER_DESCRIPTORS: dict[str, str] = {
    "disorder_mobile": "",
    "disorder_anion": "",
    "disorder_cation": "",
    "disorder_total": "",
}
UNITS: dict[str, str] = {**PHONON_DESCRIPTORS, **STATIC_DESCRIPTORS, **DISORDER_DESCRIPTORS}
"""Unit of every descriptor, in the order in which tables hold them."""

DESCRIPTORS: tuple[str, ...] = tuple(UNITS)
"""Names of the 30 descriptors."""


class DescriptorSet(BaseModel):
    """The descriptors of one compound, with what is missing and where each came from."""

    model_config = ConfigDict(extra="forbid")

    compound_id: str = Field(description="Id of the compound")
    formula: str = Field(description="Reduced formula")
    mobile_ion: str = Field(description="Element symbol of the mobile ion")
    anions: list[str] = Field(
        default_factory=list, description="Elements with a negative oxidation state"
    )
    values: dict[str, float | None] = Field(
        description="All 30 descriptors by name, units in `UNITS`; None where missing"
    )
    missing: dict[str, str] = Field(
        default_factory=dict, description="Why a descriptor is missing, by name"
    )
    conductivity: float | None = Field(None, description="Measured conductivity near 298 K, S/cm")
    conductivity_source: str | None = Field(None, description="DOI or file of the conductivity")
    energy_above_hull: float | None = Field(None, description="Energy above hull, eV/atom")
    family: str | None = Field(None, description="Structural family")
    method: str = Field(description="What gave the forces")
    flags: list[str] = Field(default_factory=list, description="Warnings a reader should see")
    provenance: dict[str, str] = Field(
        default_factory=dict, description="Where the values came from: jobs, databases, files"
    )
