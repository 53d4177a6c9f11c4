"""Explanations add up, and tell the direction that is in the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.models import CompoundExplanation, Kim2024, TrainedModels
from sse_flows.models.expectations import EXPECTATIONS
from sse_flows.models.explain import explain_compounds, shapley_values
from sse_flows.models.regressor import ConductivityForest
from sse_flows.models.train import train


@pytest.fixture(scope="module")
def explained(table: pd.DataFrame, models: TrainedModels) -> list[CompoundExplanation]:
    return explain_compounds(models, table)


def test_every_descriptor_has_an_expectation_and_the_published_signs() -> None:
    assert set(EXPECTATIONS) == set(DESCRIPTORS)
    for name, expected in EXPECTATIONS.items():
        assert expected.reason.endswith(".")
        assert bool(expected.sign) == bool(expected.source)
        published = Kim2024.coefficients.get(name)
        assert expected.published_coefficient == published
        if published is not None:
            assert expected.sign == np.sign(published)


def test_contributions_sum_to_the_predictions(
    explained: list[CompoundExplanation], models: TrainedModels, table: pd.DataFrame
) -> None:
    fitted, X = models.fitted(), table[list(DESCRIPTORS)]
    probabilities = fitted.classifier.predict_proba(X)[:, 1]
    predictions = fitted.regressor.predict(X)
    for one, probability, predicted in zip(explained, probabilities, predictions, strict=True):
        odds = sum(part.contribution for part in one.log_odds_contributions)
        assert one.log_odds_base + odds == pytest.approx(one.log_odds, abs=1e-12)
        assert one.probability == pytest.approx(probability, abs=1e-12)
        shapley = sum(part.contribution for part in one.log10_conductivity_contributions)
        total = one.log10_conductivity_base + shapley + one.log10_conductivity_rest
        assert total == pytest.approx(predicted, abs=1e-9)
        assert one.log10_conductivity == pytest.approx(predicted, abs=1e-9)


def test_shapley_values_are_those_of_the_definition() -> None:
    """Two columns: the mean over both orders of the trees' own conditional expectations."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(12, 2)), columns=["a", "b"])
    forest = ConductivityForest(5, random_state=1).fit(X, 2 * X["a"] + X["a"] * X["b"])
    found, mean = shapley_values(forest, X)
    trees = [one.tree_ for one in forest.pipeline_[-1].estimators_]

    def value(tree, node: int, row: np.ndarray, known: set[int]) -> float:
        left, right = tree.children_left[node], tree.children_right[node]
        if left < 0:
            return float(tree.value[node, 0, 0])
        if tree.feature[node] in known:
            low = np.float32(row[tree.feature[node]]) <= tree.threshold[node]
            return value(tree, left if low else right, row, known)
        weights = tree.weighted_n_node_samples
        sides = [weights[side] * value(tree, side, row, known) for side in (left, right)]
        return sum(sides) / weights[node]

    for row, said in zip(X.to_numpy(), found, strict=True):
        v = {
            key: np.mean([value(tree, 0, row, set(key)) for tree in trees])
            for key in ((), (0,), (1,), (0, 1))
        }
        first = 0.5 * (v[0,] - v[()] + v[0, 1] - v[1,])
        assert mean == pytest.approx(v[()])
        assert said == pytest.approx([first, v[0, 1] - v[()] - first], abs=1e-9)


def test_model_explanation_finds_the_signal(models: TrainedModels) -> None:
    explanation = models.explanation
    assert explanation is not None
    terms = {term.descriptor: term for term in explanation.classifier}
    # the table was made with the opposite of what is expected of the band centre
    assert terms["phonon_band_center_mobile"].sign == 1
    assert terms["phonon_band_center_mobile"].agrees is False
    assert terms["band_gap"].sign == -1
    assert terms["band_gap"].agrees is None
    sizes = [abs(term.coefficient) for term in explanation.classifier]
    assert sizes == sorted(sizes, reverse=True)
    forest = {term.descriptor: term for term in explanation.regressor}
    assert {term.descriptor for term in explanation.regressor[:2]} == set(terms)
    assert forest["phonon_band_center_mobile"].sign == 1
    assert forest["band_gap"].sign == -1
    assert forest["band_gap"].permutation_importance > 0.2
    assert set(explanation.expectations) == set(terms) | set(forest)


def test_only_the_largest_are_listed(table: pd.DataFrame, models: TrainedModels) -> None:
    (one,) = explain_compounds(models, table.iloc[:1], top=3)
    assert len(one.log10_conductivity_contributions) == 3
    listed = [abs(part.contribution) for part in one.log10_conductivity_contributions]
    assert listed == sorted(listed, reverse=True)
    total = sum(part.contribution for part in one.log10_conductivity_contributions)
    total += one.log10_conductivity_base + one.log10_conductivity_rest
    assert total == pytest.approx(one.log10_conductivity)


def test_an_elimination_is_explained_by_what_it_left(table: pd.DataFrame) -> None:
    part = table[[*DESCRIPTORS[:3], "band_gap", "conductivity"]].reindex(
        columns=[*DESCRIPTORS, "conductivity"]
    )
    models = train(part, max_features=1, n_estimators=5, elimination=True)
    assert {t.descriptor for t in models.explanation.regressor} == set(models.regressor.features)
    found = explain_compounds(models, part)
    predicted = models.fitted().regressor.predict(part[list(DESCRIPTORS)])
    assert [one.log10_conductivity for one in found] == pytest.approx(predicted.tolist())
