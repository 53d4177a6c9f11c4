"""Documents of a screening: what was asked, what passed, what did not and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    import pandas as pd


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Filters(_Document):
    """Which compounds of a pool are ranked; unset filters let everything pass.

    J. Kim et al. (2024) use ``Filters(require_elements=["Li"], anions=["O", "S"],
    min_band_gap=1.0, max_energy_above_hull=0.0)``.
    """

    anions: list[str] | None = Field(default=None, description="Any of these elements is an anion")
    min_band_gap: float | None = Field(default=None, ge=0, description="Smallest band gap, eV")
    max_energy_above_hull: float | None = Field(
        default=None, ge=0, description="Largest energy above the convex hull, eV/atom"
    )
    require_elements: list[str] = Field(
        default_factory=list, description="Elements that must all be present"
    )
    exclude_elements: list[str] = Field(
        default_factory=list, description="Elements none of which may be present"
    )
    exclude_soft_modes: bool = Field(
        default=False, description="Leave out compounds with a soft (imaginary) phonon mode"
    )
    missing: Literal["flag", "drop"] = Field(
        default="flag",
        description="A compound of which the value is not known: passes with a flag, or not",
    )

    @field_validator("anions", "require_elements", "exclude_elements")
    @classmethod
    def _are_elements(cls, symbols: list[str] | None) -> list[str] | None:
        from pymatgen.core import Element

        wrong = [symbol for symbol in symbols or [] if not Element.is_valid_symbol(symbol)]
        if wrong:
            raise ValueError(f"{wrong} are not symbols of elements")
        return symbols

    @model_validator(mode="after")
    def _can_be_met(self) -> Filters:
        both = set(self.require_elements) & set(self.exclude_elements)
        if both:
            raise ValueError(f"{sorted(both)} are both required and excluded")
        return self


class ScreeningRow(_Document):
    """One compound that passed the filters."""

    rank: int = Field(description="1 for the most promising compound")
    compound_id: str = Field(description="Id of the compound")
    formula: str = Field(description="Reduced formula; empty if the table has none")
    probability: float | None = Field(
        description="Probability of superionic by the trained classifier; None without one"
    )
    superionic: bool = Field(description="Whether the probability ranked by exceeds one half")
    log10_conductivity: float | None = Field(
        description="Predicted conductivity, log10(S/cm); None without a trained regressor"
    )
    probability_kim2024: float | None = Field(
        default=None,
        description="Probability by the published equation; None where it lacks a descriptor",
    )
    log10_conductivity_low: float | None = Field(
        default=None,
        description="Lower end of the conformal interval, log10(S/cm); None without a trained "
        "regressor or with too few training compounds for the level",
    )
    log10_conductivity_high: float | None = Field(default=None, description="Its upper end")
    prediction_set: list[str] | None = Field(
        default=None,
        description="Classes that cannot be excluded at the level: superionic, not superionic, "
        "both (undecided) or none (unlike either); None without a trained classifier",
    )
    contributions: dict[str, float] = Field(
        default_factory=dict,
        description="What each descriptor of the trained classifier adds to the log odds of being "
        "superionic, largest first; with the intercept they sum to the log odds. Empty without a "
        "trained classifier. Those of the forest: models.explain.explain_compounds",
    )
    imputed: list[str] = Field(
        description="Descriptors of the trained models filled with the training median"
    )
    outside_domain: list[str] = Field(
        description="Models of which this compound is outside the applicability domain"
    )
    domain_distance: dict[str, float] = Field(
        description="Distance to the nearest training compound over the largest distance inside "
        "the domain, by model; above 1 is outside"
    )
    soft_modes: bool | None = Field(description="Whether it has a soft mode; None where not known")
    in_training: bool = Field(
        description="Whether the models were trained on it: then see the leave-one-out predictions"
    )
    flags: list[str] = Field(description="All that a reader should know before trusting the row")


class FilteredOut(_Document):
    """One compound that did not pass."""

    compound_id: str = Field(description="Id of the compound")
    formula: str = Field(description="Reduced formula; empty if the table has none")
    reasons: list[str] = Field(description="Every filter that it fails, with its value")


class ScreeningResult(_Document):
    """A ranked table with everything that was left out of it."""

    filters: Filters = Field(description="The filters that were applied")
    ranked_by: Literal["probability", "probability_kim2024"] = Field(
        description="Column by which rows are ranked, largest first"
    )
    rows: list[ScreeningRow] = Field(description="Compounds that passed, by rank")
    filtered_out: list[FilteredOut] = Field(description="Compounds that did not, by id")
    models_hash: str | None = Field(
        description="SHA-256 of the training table of the models; None for the published equation"
    )

    level: float | None = Field(
        default=None, description="Share of new compounds that intervals and sets should hold"
    )

    def to_frame(self) -> pd.DataFrame:
        """The ranked rows as a table indexed by compound id."""
        import pandas as pd

        columns = list(ScreeningRow.model_fields)
        records = [row.model_dump() for row in self.rows]
        return pd.DataFrame(records, columns=columns).set_index("compound_id")
