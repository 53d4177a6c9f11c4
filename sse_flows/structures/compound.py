"""The document that enters a campaign: one compound and what is known of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from pymatgen.core import Structure


class Disorder(BaseModel):
    """Site disorder of the experimental structure, measured before it is ordered (0 = ordered)."""

    mobile: float = Field(0.0, description="Site disorder of the mobile ion's sites, dimensionless")
    anion: float = Field(0.0, description="Site disorder of the anions' sites, dimensionless")
    cation: float = Field(
        0.0, description="Site disorder of the other cations' sites, dimensionless"
    )
    total: float = Field(0.0, description="Site disorder of all sites, dimensionless")


class Compound(BaseModel):
    """A crystal, where it came from, and the properties its source knows.

    ``structure`` is the crystal as measured and may hold partial occupancies. Calculations use
    ``approximant`` where the source names one, else what ordering makes of ``structure``.
    ``disorder`` is always that of the former.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    compound_id: str = Field(description="Unique id within the campaign, used in every message")
    formula: str = Field(description="Reduced chemical formula")
    mobile_ion: str = Field(description="Element symbol of the mobile ion")
    structure: Structure = Field(description="Crystal as given, possibly disordered (Å)")
    approximant: Structure | None = Field(
        None, description="Simpler crystal that calculations use in place of `structure` (Å)"
    )
    disorder: Disorder = Field(default_factory=Disorder, description="Site disorder of `structure`")
    source: str = Field(description="Where the structure came from: a file, a database id, a DOI")
    family: str | None = Field(None, description="Structural family, e.g. argyrodite")
    moments: list[float] | None = Field(
        None, description="Magnetic moments of the sites, where they stand in an order, μB"
    )
    conductivity: float | None = Field(
        None, gt=0, description="Ionic conductivity near 298 K, S/cm"
    )
    conductivity_source: str | None = Field(None, description="DOI or file of the conductivity")
    band_gap: float | None = Field(None, ge=0, description="Electronic band gap, eV")
    formation_energy: float | None = Field(None, description="Heat of formation, eV/atom")
    energy_above_hull: float | None = Field(
        None, description="Energy above the convex hull, eV/atom"
    )
    property_source: str | None = Field(
        None, description="Where band gap, formation energy and hull energy came from"
    )
    aliases: list[str] = Field(
        default_factory=list, description="Ids of duplicates that were merged into this compound"
    )
    warnings: list[str] = Field(default_factory=list, description="What a reader should know")
