"""Documents of a screen by the phonon band centre: what was asked, kept, left out and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import pandas as pd


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CenterCriteria(_Document):
    """Which crystals are kept; the defaults are those of Jaafreh et al. (2024)."""

    max_center: float = Field(40.0, gt=0, description="Predicted band centre below this, meV")
    max_energy_above_hull: float = Field(
        0.05, ge=0, description="Largest energy above the convex hull where it is known, eV/atom"
    )
    min_band_gap: float | None = Field(
        None, ge=0, description="Smallest band gap where it is known, eV; None for no limit"
    )
    require_hull: bool = Field(
        False, description="Leave out crystals whose energy above the hull is not known"
    )
    inside_domain: bool = Field(
        False, description="Leave out crystals outside the applicability domain of the model"
    )


KEPT_COLUMNS: dict[str, str] = {
    "id": "Id in its pool",
    "anions": "Its anions; 'none' for an alloy",
    "rank": "1 for the lowest predicted centre among those of its anions",
    "formula": "Reduced formula",
    "pool": "Prototype it is a child of; 'pool' for a crystal as it was read",
    "center": "Predicted phonon band centre of all atoms, meV",
    "center_low": "Lower end of its interval, meV",
    "center_high": "Upper end of its interval, meV",
    "outside_domain": "Whether it is unlike what the model was trained on",
    "energy_above_hull": "eV/atom; empty where not known",
    "band_gap": "eV; empty where not known",
    "flags": "outside domain (unlike what the model was trained on: an extrapolation), hull energy "
    "not known, alloy (it conducts electrons)",
}
"""Columns of the ranked table of a screen."""


class LeftOut(_Document):
    """One crystal that could not be predicted."""

    id: str = Field(description="Id in its pool, or where it stands")
    formula: str = Field(description="Reduced formula; empty where it could not be read")
    reason: str = Field(description="Why, and how to mend it")


class ElementCenter(_Document):
    """Mean predicted centre of the crystals that hold an element."""

    element: str = Field(description="Symbol")
    center: float = Field(description="Mean predicted band centre, meV")
    count: int = Field(description="Crystals that hold it")


class CenterDistribution(_Document):
    """How the predicted centres of a pool are distributed."""

    pool: str = Field(description="Prototype, or 'pool'")
    count: int = Field(description="Crystals predicted")
    mean: float = Field(description="Mean predicted centre, meV")
    edges: list[float] = Field(description="Edges of the bins, meV")
    counts: list[int] = Field(description="Crystals in each bin; those beyond stand at the ends")


class CenterSummary(_Document):
    """All of a screen but its ranked table."""

    criteria: CenterCriteria = Field(description="What was asked")
    source: str = Field(description="The pool")
    mobile_ion: str = Field(description="Element that every crystal had to hold")
    model: str = Field(description="Digest of the model")
    predicted: int = Field(description="Crystals predicted")
    kept: dict[str, int] = Field(description="Anions: crystals kept")
    filtered: dict[str, int] = Field(description="Criterion: crystals predicted that failed it")
    failed: list[LeftOut] = Field(description="Crystals that could not be predicted")
    missing: list[str] = Field(
        default_factory=list, description="Parts of the pool that were lost, and why"
    )
    elements: list[ElementCenter] = Field(description="Mean centre by element")
    distributions: list[CenterDistribution] = Field(description="Distribution by pool")
    stability: list[tuple[float, float]] = Field(
        description="Energy above hull (eV/atom) and centre (meV) where both are known; a sample"
    )


@dataclass(frozen=True)
class CenterScreening:
    """The outcome of a screen.

    Attributes
    ----------
    summary
        What was asked, counted, left out.
    table
        Crystals kept, with `KEPT_COLUMNS`, by anions (the largest group first) and rank.
    """

    summary: CenterSummary
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Kept rows, then those that failed with the reason among the flags, indexed by id."""
        import pandas as pd

        failed = pd.DataFrame(
            [
                {"id": one.id, "status": "failed", "formula": one.formula, "flags": one.reason}
                for one in self.summary.failed
            ]
        )
        both = self.table.assign(status="kept")
        if len(failed):
            both = pd.concat([both, failed], ignore_index=True)
        both["rank"] = both["rank"].astype("Int64")
        names = ["id", "status", *(name for name in KEPT_COLUMNS if name != "id")]
        return both[names].set_index("id")
