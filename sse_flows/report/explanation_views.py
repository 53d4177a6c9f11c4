"""Why the models say what they say: signs held against physics, contributions of compounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from sse_flows.models.document import TrainedModels
from sse_flows.models.explanation import (
    ClassifierTerm,
    CompoundExplanation,
    Contribution,
    Expectation,
    RegressorTerm,
    Sign,
)
from sse_flows.report import definitions, text
from sse_flows.report.bar_figures import contribution_figure, spark_bars
from sse_flows.report.views import Chip, FigureView
from sse_flows.screening.document import ScreeningRow

MOST = 6
"""Contributions that a compound's figure shows; the rest is one bar."""
SMALL = 3
"""Contributions in a cell of the ranking."""

_RAISES = {1: "↑ raises", -1: "↓ lowers", 0: "not monotonic"}
_EXPECTED = {1: "↑ raises", -1: "↓ lowers", 0: "either way"}
_VERDICTS = {True: ("agrees", "good"), False: ("disagrees", "bad")}


@dataclass(frozen=True)
class TermRow:
    """One descriptor of a model: how it counts, what was expected of it, and why."""

    name: str
    unit: str
    numbers: list[str]
    direction: float | None
    direction_text: str
    sign: str
    expected: str
    verdict: Chip
    physics: str
    source: str


@dataclass(frozen=True)
class ExplanationView:
    """Tables of the terms of both models; an empty one is left out."""

    classifier: list[TermRow] = field(default_factory=list)
    regressor: list[TermRow] = field(default_factory=list)
    summary: str = ""


def explanation_view(models: TrainedModels) -> ExplanationView | None:
    """Signs of both models beside the expected ones; None where they were not explained."""
    found = models.explanation
    if found is None or not (found.classifier or found.regressor):
        return None
    return ExplanationView(
        [_classifier_row(term, found.expectations) for term in found.classifier],
        [_regressor_row(term, found.expectations) for term in found.regressor],
        _summary([*found.classifier, *found.regressor]),
    )


def _summary(terms: Sequence[ClassifierTerm | RegressorTerm]) -> str:
    """How often the models agree with what was expected."""
    agree = sum(term.agrees is True for term in terms)
    against = sum(term.agrees is False for term in terms)
    none = len(terms) - agree - against
    return (
        f"Of {len(terms)} signs {agree} agree with what physics or the literature expects, "
        f"{against} disagree, {none} cannot be compared: nothing is expected or the forest does "
        "not follow the descriptor one way. A model of few compounds may disagree for good "
        "reasons and bad; of two correlated descriptors the chosen one speaks for both."
    )


def _classifier_row(term: ClassifierTerm, known: Mapping[str, Expectation]) -> TermRow:
    expected = known.get(term.descriptor)
    published = expected.published_coefficient if expected else None
    numbers = [
        text.fixed(term.coefficient, 3),
        text.plain(term.raw_coefficient),
        text.plain(published),
    ]
    return _row(term, numbers, None, expected)


def _regressor_row(term: RegressorTerm, known: Mapping[str, Expectation]) -> TermRow:
    numbers = [
        text.fixed(term.mean_contribution),
        text.fixed(term.importance),
        text.fixed(term.permutation_importance),
    ]
    return _row(term, numbers, term.direction, known.get(term.descriptor))


def _row(
    term: ClassifierTerm | RegressorTerm,
    numbers: list[str],
    direction: float | None,
    expected: Expectation | None,
) -> TermRow:
    return TermRow(
        definitions.label(term.descriptor),
        definitions.unit(term.descriptor),
        numbers,
        direction,
        text.fixed(direction),
        _RAISES[term.sign],
        _EXPECTED[term.expected_sign],
        _verdict(term.agrees, term.expected_sign),
        expected.reason if expected else "",
        expected.source if expected else "",
    )


def _verdict(agrees: bool | None, expected: Sign) -> Chip:
    if agrees is not None:
        return Chip(*_VERDICTS[agrees])
    if expected == 0:
        return Chip("no expectation", "quiet", "physics pulls both ways, or says nothing")
    return Chip("no direction", "quiet", "the model does not follow it one way")


def compound_figures(found: CompoundExplanation) -> list[FigureView]:
    """What adds up to the two predictions of one compound."""
    rest = found.log10_conductivity_rest
    odds = _summed(found.log_odds_contributions)
    sigma = _summed(found.log10_conductivity_contributions, rest)
    name = found.formula or found.compound_id
    return [
        FigureView(
            contribution_figure(
                odds,
                found.log_odds_base,
                found.log_odds,
                f"Contributions to the log odds of {name}",
            ),
            "Log odds of superionic",
            f"a sum of {text.fixed(found.log_odds)} is a probability of "
            f"{text.fixed(found.probability)}",
        ),
        FigureView(
            contribution_figure(
                sigma,
                found.log10_conductivity_base,
                found.log10_conductivity,
                f"Contributions to log10 of the conductivity of {name}",
            ),
            "log₁₀ σ (S/cm)",
            "Shapley values of the forest, decades",
        ),
    ]


def screened_figures(row: ScreeningRow, models: TrainedModels | None) -> list[FigureView]:
    """The same of the classifier alone, as the ranking holds it."""
    if not row.contributions:
        return []
    base = models.classifier.intercept if models else None
    total = None if base is None else base + sum(row.contributions.values())
    parts = [(definitions.label(n), value) for n, value in row.contributions.items()]
    drawn = contribution_figure(parts, base, total, "Contributions to the log odds")
    caption = f"probability {text.fixed(row.probability)}"
    return [FigureView(drawn, "Log odds of superionic", caption)]


def _summed(found: Sequence[Contribution], rest: float = 0.0) -> list[tuple[str, float]]:
    """The largest contributions by name, and one of all the others; imputed ones are marked."""
    shown, others = found[:MOST], found[MOST:]
    parts = [
        (definitions.label(one.descriptor) + (" *" if one.value is None else ""), one.contribution)
        for one in shown
    ]
    rest += sum(one.contribution for one in others)
    return [*parts, ("all others", rest)] if others or rest else parts


def small_figure(contributions: Mapping[str, float]) -> Markup | None:
    """The largest contributions to the log odds, for a cell of a table."""
    if not contributions:
        return None
    largest = sorted(contributions.items(), key=lambda item: -abs(item[1]))[:SMALL]
    words = ", ".join(f"{definitions.label(n)} {v:+.2f}".replace("-", "−") for n, v in largest)
    return spark_bars([(definitions.label(n), v) for n, v in largest], f"Log odds: {words}")
