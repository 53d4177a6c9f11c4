"""Why the models say what they say: signs held against physics, contributions of compounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from sse_flows.report.bar_figures import contribution_figure, span_of, spark_bars
from sse_flows.report.views import Chip, FigureView
from sse_flows.screening.document import ScreeningRow

MOST = 6
"""Contributions that a compound's figure shows; the rest is one bar."""
SMALL = 3
"""Contributions in a cell of the ranking."""

Parts = Sequence[tuple[str, float]]
Limits = tuple[float, float]

_ODDS = "Log odds of superionic"
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


def explained_figures(found: Sequence[CompoundExplanation]) -> dict[str, list[FigureView]]:
    """What adds up to the two predictions of each compound, by its id; on common scales."""
    odds = [_summed(one.log_odds_contributions) for one in found]
    sigma = [
        _summed(one.log10_conductivity_contributions, one.log10_conductivity_rest) for one in found
    ]
    limits = _limits(odds), _limits(sigma)
    return {
        one.compound_id: [_odds_figure(one, odds[i], limits[0]), _sigma(one, sigma[i], limits[1])]
        for i, one in enumerate(found)
    }


def _limits(parts: Iterable[Parts]) -> Limits:
    return span_of(value for compound in parts for _, value in compound)


def _odds_figure(one: CompoundExplanation, parts: Parts, limits: Limits) -> FigureView:
    label = f"Contributions to the log odds of {one.formula or one.compound_id}"
    drawn = contribution_figure(parts, one.log_odds_base, one.log_odds, label, limits=limits)
    return FigureView(drawn, _ODDS, _chance(one.log_odds, one.probability))


def _chance(log_odds: float, probability: float | None) -> str:
    return f"a sum of {text.fixed(log_odds)} is a probability of {text.fixed(probability)}"


def _sigma(one: CompoundExplanation, parts: Parts, limits: Limits) -> FigureView:
    label = f"Contributions to log10 of the conductivity of {one.formula or one.compound_id}"
    base, total = one.log10_conductivity_base, one.log10_conductivity
    drawn = contribution_figure(parts, base, total, label, limits=limits)
    return FigureView(drawn, "log₁₀ σ (S/cm)", "Shapley values of the forest, decades")


def screened_figures(
    rows: Sequence[ScreeningRow], models: TrainedModels | None
) -> dict[str, list[FigureView]]:
    """The same of the classifier alone, as the ranking holds it."""
    limits = span_of(value for row in rows for value in row.contributions.values())
    base = models.classifier.intercept if models else None
    return {row.compound_id: [_screened(row, base, limits)] for row in rows if row.contributions}


def _screened(row: ScreeningRow, base: float | None, limits: Limits) -> FigureView:
    parts = [(definitions.label(n), value) for n, value in row.contributions.items()]
    total = None if base is None else base + sum(row.contributions.values())
    label = f"Contributions to the log odds of {row.formula or row.compound_id}"
    drawn = contribution_figure(parts, base, total, label, limits=limits)
    return FigureView(drawn, _ODDS, "" if total is None else _chance(total, row.probability))


def _summed(found: Sequence[Contribution], rest: float = 0.0) -> Parts:
    """The largest contributions by name, and one of all the others; imputed ones are marked."""
    shown, others = found[:MOST], found[MOST:]
    parts = [
        (definitions.label(one.descriptor) + (" *" if one.value is None else ""), one.contribution)
        for one in shown
    ]
    rest += sum(one.contribution for one in others)
    return [*parts, ("all others", rest)] if others or rest else parts


def small_figures(rows: Sequence[ScreeningRow]) -> dict[str, Markup]:
    """The largest contributions to the log odds for a cell of a table; on one scale."""
    limits = span_of(value for row in rows for value in row.contributions.values())
    return {row.compound_id: _small(row.contributions, limits) for row in rows if row.contributions}


def _small(contributions: Mapping[str, float], limits: Limits) -> Markup:
    largest = sorted(contributions.items(), key=lambda item: -abs(item[1]))[:SMALL]
    parts = [(definitions.label(name), value) for name, value in largest]
    words = "; ".join(f"{name} {text.fixed(value)}" for name, value in parts)
    return spark_bars(parts, f"Log odds: {words}", limits)
