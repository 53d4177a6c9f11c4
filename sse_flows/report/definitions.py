"""What each descriptor means, in the words the report uses. Definitions: docs/definitions.md."""

from __future__ import annotations

from sse_flows.descriptors.document import (
    DESCRIPTORS,
    DISORDER_DESCRIPTORS,
    PHONON_DESCRIPTORS,
    STATIC_DESCRIPTORS,
    UNITS,
)

GROUPS: dict[str, tuple[str, ...]] = {
    "Lattice dynamics": tuple(PHONON_DESCRIPTORS),
    "Structure and energy": tuple(STATIC_DESCRIPTORS),
    "Site disorder": tuple(DISORDER_DESCRIPTORS),
}
"""Descriptors by group, in the order of tables."""

LABELS: dict[str, str] = {
    "phonon_band_center_mobile": "band centre, mobile",
    "phonon_band_center_anion": "band centre, anion",
    "phonon_band_center_total": "band centre, total",
    "peak_energy_mobile": "peak energy, mobile",
    "peak_energy_anion": "peak energy, anion",
    "peak_energy_hybrid": "peak energy, hybrid",
    "peak_dos_mobile": "peak DOS, mobile",
    "peak_dos_anion": "peak DOS, anion",
    "peak_dos_hybrid": "peak DOS, hybrid",
    "soft_mode_flag": "soft-mode flag",
    "low_energy_ratio_mobile": "low-energy ratio, mobile",
    "low_energy_ratio_anion": "low-energy ratio, anion",
    "low_energy_ratio_hybrid": "low-energy ratio, hybrid",
    "vibrational_entropy": "entropy, 300 K",
    "band_gap": "band gap",
    "formation_energy": "heat of formation",
    "volume_per_formula": "volume / formula unit",
    "volume_per_mobile": "volume / mobile ion",
    "volume_per_anion": "volume / anion",
    "volume_per_atom": "volume / atom",
    "distance_mobile_anion": "mobile–anion distance",
    "distance_mobile_mobile": "mobile–mobile distance",
    "formula_units": "formula units / cell",
    "density": "density",
    "formula_mass": "formula mass",
    "mobile_per_formula": "mobile ions / formula unit",
    "disorder_mobile": "disorder, mobile",
    "disorder_anion": "disorder, anion",
    "disorder_cation": "disorder, cation",
    "disorder_total": "disorder, total",
}

DEFINITIONS: dict[str, str] = {
    "phonon_band_center_mobile": "∫E g dE / ∫g dE over E > 0, g the DOS of the mobile ion",
    "phonon_band_center_anion": "the same of the anions",
    "phonon_band_center_total": "the same of all atoms",
    "peak_energy_mobile": "energy of the largest projected DOS per mobile ion below 30 meV",
    "peak_energy_anion": "the same of the anions",
    "peak_energy_hybrid": "the same of the hybridisation, min(g mobile, g anion)",
    "peak_dos_mobile": "projected DOS at the peak energy, per mobile ion",
    "peak_dos_anion": "the same of the anions",
    "peak_dos_hybrid": "the same of the hybridisation",
    "soft_mode_flag": "0 no soft mode; 1 the mobile ion leads the softest one; 2 another ion does",
    "low_energy_ratio_mobile": "mobile ions' share of all states below 30 meV",
    "low_energy_ratio_anion": "anions' share of all states below 30 meV",
    "low_energy_ratio_hybrid": "hybridised share of all states below 30 meV",
    "vibrational_entropy": "harmonic vibrational entropy at 300 K per formula unit",
    "band_gap": "electronic band gap",
    "formation_energy": "heat of formation per atom",
    "volume_per_formula": "volume per formula unit",
    "volume_per_mobile": "volume per mobile ion",
    "volume_per_anion": "volume per anion",
    "volume_per_atom": "volume per atom",
    "distance_mobile_anion": "shortest distance of mobile ion and anion",
    "distance_mobile_mobile": "shortest distance of two mobile ions",
    "formula_units": "formula units in the conventional cell",
    "density": "mass density",
    "formula_mass": "mass of the formula unit",
    "mobile_per_formula": "mobile ions per formula unit",
    "disorder_mobile": "site disorder of the mobile ions, weighted by multiplicity; 0 if ordered",
    "disorder_anion": "the same of the anions",
    "disorder_cation": "the same of the other cations",
    "disorder_total": "the same of all sites",
}

__all__ = ["DEFINITIONS", "DESCRIPTORS", "GROUPS", "LABELS", "UNITS", "label", "unit"]


def label(name: str) -> str:
    """Words for a descriptor or any other feature."""
    return LABELS.get(name, name.replace("_", " "))


def unit(name: str) -> str:
    """Unit of a descriptor, typeset; empty where it has none."""
    return UNITS.get(name, "").replace("^3", "³").replace("Å^2", "Å²")
