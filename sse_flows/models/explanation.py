"""Documents that say why the models predict what they predict; made in `explain`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Sign = Literal[-1, 0, 1]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Expectation(_Document):
    """What physics or the literature expects of one descriptor."""

    sign: Sign = Field(
        description="1: a larger value goes with a larger conductivity; -1: with a smaller one; "
        "0: no expectation"
    )
    reason: str = Field(description="The physics in one sentence")
    source: str = Field(description="Who says so; empty where nothing is expected")
    published_coefficient: float | None = Field(
        default=None,
        description="Log odds per unit of the descriptor in the equation of Kim 2024; None where "
        "it is not in the equation",
    )


class ClassifierTerm(_Document):
    """One descriptor of the logistic regression."""

    descriptor: str = Field(description="Name of the descriptor")
    unit: str = Field(description="Its unit; empty without one")
    coefficient: float = Field(description="Log odds per standard deviation of the descriptor")
    raw_coefficient: float = Field(description="Log odds per unit of the descriptor")
    sign: Sign = Field(description="Sign of the coefficient")
    expected_sign: Sign = Field(description="Sign that is expected, 0 without an expectation")
    agrees: bool | None = Field(
        description="Whether the two signs agree; None without an expectation"
    )


class RegressorTerm(_Document):
    """One descriptor of the forest."""

    descriptor: str = Field(description="Name of the descriptor")
    unit: str = Field(description="Its unit; empty without one")
    importance: float = Field(description="Gini importance; all sum to 1")
    permutation_importance: float | None = Field(
        description="Rise of the leave-one-out RMSE when the value is another compound's, "
        "log10(S/cm); not above 0 where the descriptor does not help; None in older documents"
    )
    mean_contribution: float = Field(
        description="Mean size of the Shapley value over the training compounds, log10(S/cm)"
    )
    direction: float | None = Field(
        description="Spearman correlation of the Shapley value with the descriptor over the "
        "training compounds: 1 rises, -1 falls; None where either is constant"
    )
    sign: Sign = Field(
        description="Sign of the direction where its size is at least 0.5, else 0: not monotonic"
    )
    expected_sign: Sign = Field(description="Sign that is expected, 0 without an expectation")
    agrees: bool | None = Field(
        description="Whether the two signs agree; None where either of them is 0"
    )


class ModelExplanation(_Document):
    """Which descriptors matter to the models, in which direction, and what was expected."""

    classifier: list[ClassifierTerm] = Field(
        description="Descriptors of the classifier, largest coefficient per standard deviation "
        "first; signs refer to the log odds of being superionic"
    )
    regressor: list[RegressorTerm] = Field(
        description="Descriptors of the forest, largest mean contribution first; signs refer to "
        "log10 of the conductivity"
    )
    expectations: dict[str, Expectation] = Field(
        description="What is expected of each of these descriptors"
    )


class Contribution(_Document):
    """What one descriptor adds to one prediction."""

    descriptor: str = Field(description="Name of the descriptor")
    value: float | None = Field(
        description="Value of the compound, unit in descriptors.UNITS; None where missing: the "
        "training median was used"
    )
    contribution: float = Field(description="Added to the prediction, in the prediction's unit")


class CompoundExplanation(_Document):
    """Two predictions of one compound as sums over its descriptors."""

    compound_id: str = Field(description="Id of the compound")
    formula: str = Field(description="Reduced formula; empty if the table has none")
    probability: float = Field(description="Of being superionic, 1 / (1 + exp(-log_odds))")
    log_odds: float = Field(description="Log odds of being superionic")
    log_odds_base: float = Field(
        description="Log odds of a compound whose descriptors are all at the training mean"
    )
    log_odds_contributions: list[Contribution] = Field(
        description="Coefficient times standardised value, largest first; with the base they sum "
        "to the log odds"
    )
    log10_conductivity: float = Field(description="Predicted conductivity, log10(S/cm)")
    log10_conductivity_base: float = Field(
        description="Mean prediction of the forest over its training samples, log10(S/cm)"
    )
    log10_conductivity_contributions: list[Contribution] = Field(
        description="Shapley values, log10(S/cm), largest first"
    )
    log10_conductivity_rest: float = Field(
        description="Sum of the Shapley values that are not listed, log10(S/cm); with these, the "
        "listed ones sum from the base to the prediction"
    )
