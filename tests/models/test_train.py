"""Training both models on a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models import TrainedModels, TrainingDataError, leave_one_out
from sse_flows.models.train import train


def test_document_tells_the_whole_story(table: pd.DataFrame, models: TrainedModels) -> None:
    assert models.dropped == {
        "vibrational_entropy": "missing in every row",
        "disorder_total": "constant (0)",
    }
    assert set(models.classifier.features) == {"phonon_band_center_mobile", "band_gap"}
    assert models.classifier.coefficients["phonon_band_center_mobile"] > 0
    assert models.classifier.coefficients["band_gap"] < 0
    assert models.training_ids == sorted(table.index)
    assert models.classifier.nested_scores.selection == "inside the folds"
    assert models.classifier.scores.selection == "outside the folds"
    assert set(models.classifier.nested_features) == set(table.index)
    assert set(models.software) >= {"sse-flows", "scikit-learn", "numpy"}
    assert next(iter(models.regressor.importances)) in models.classifier.features
    measured = np.log10(table["conductivity"])
    for row in models.training:
        assert row.log10_measured == pytest.approx(measured[row.compound_id])
        assert row.superionic == (measured[row.compound_id] > -4)
        assert row.predicted_superionic == (row.probability > 0.5)
    errors = np.array([row.log10_predicted - row.log10_measured for row in models.training])
    assert models.regressor.scores.rmse == pytest.approx(np.sqrt(np.mean(errors**2)))


def test_scores_are_those_of_leave_one_out(table: pd.DataFrame, models: TrainedModels) -> None:
    X, y = table[list(DESCRIPTORS)], table["conductivity"] > 1e-4
    again = leave_one_out(models.fitted().classifier, X, y)
    assert again.scores == models.classifier.scores
    again = leave_one_out(models.fitted().regressor, X, np.log10(table["conductivity"]))
    assert again.scores == models.regressor.scores


def test_order_of_rows_and_other_columns_do_not_matter(
    table: pd.DataFrame, models: TrainedModels
) -> None:
    shuffled = table.sample(frac=1, random_state=1)[table.columns[::-1]].assign(remark="x")
    again = train(shuffled, max_features=2, n_estimators=10)
    assert again.data_hash == models.data_hash
    assert again.regressor == models.regressor
    assert again.classifier.scores == models.classifier.scores
    changed = table.copy()
    changed.loc["c03", "density"] = 9.9
    assert train(changed, max_features=1, n_estimators=5).data_hash != models.data_hash


def test_compounds_without_conductivity_are_noted(table: pd.DataFrame) -> None:
    part = table.copy()
    part.loc["c05", "conductivity"] = np.nan
    part.loc["c07", list(DESCRIPTORS)] = np.nan
    models = train(part, max_features=1, n_estimators=5)
    assert models.ignored == {
        "c05": "no measured conductivity",
        "c07": "no descriptor is known",
    }
    assert models.classifier.nested_scores is None
    assert any("optimistic" in note and "--nested" in note for note in models.notes)


def test_a_classifier_no_better_than_the_larger_class_is_said_to_be_so(
    table: pd.DataFrame, models: TrainedModels
) -> None:
    order = np.random.default_rng(3).permutation(len(table))
    noise = table.assign(conductivity=table["conductivity"].to_numpy()[order])
    said = []
    for one in (models, train(noise, max_features=1, n_estimators=3, nested=True)):
        poor = one.classifier.nested_scores.accuracy <= one.classifier.majority_share
        assert any("the larger class" in note for note in one.notes) == poor
        said.append(poor)
    assert said == [False, True]


def test_nested_scores_need_three_of_each_class(table: pd.DataFrame) -> None:
    threshold = float(table["conductivity"].sort_values().iloc[-3])
    models = train(table, threshold=threshold, max_features=1, n_estimators=5, nested=True)
    assert models.classifier.nested_scores is None
    assert any("no nested scores" in note for note in models.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:5], "only 5 compounds"),
        (lambda t: t.assign(conductivity=1e-2), "only one class"),
        (lambda t: t.assign(conductivity=np.nan), "only 0 compounds"),
    ],
)
def test_too_little_to_learn_from_is_refused(table: pd.DataFrame, change, message) -> None:
    with pytest.raises(TrainingDataError, match=message) as caught:
        train(change(table))
    assert caught.value.mend


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("conductivity", 0.0, "not positive"),
        ("conductivity", -1e-3, "not positive"),
        ("conductivity", "1 mS/cm", "not a finite number"),
        ("density", np.inf, "not a finite number"),
    ],
)
def test_wrong_values_are_refused_by_compound(
    table: pd.DataFrame, column: str, value: object, message: str
) -> None:
    wrong = table.astype({column: object})
    wrong.loc["c04", column] = value
    with pytest.raises(SSEError, match=message) as caught:
        train(wrong)
    assert caught.value.compound == "c04"


def test_absent_columns_and_repeated_ids_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(SSEError, match="no column band_gap, density"):
        train(table.drop(columns=["band_gap", "density"]))
    with pytest.raises(SSEError, match="more than once"):
        train(pd.concat([table, table.iloc[:1]]))


def test_real_conductors(shared_data: Path) -> None:
    """Band centres of 56 Li compounds with a measured conductivity (G. Krenzer)."""
    data = pd.read_csv(shared_data / "krenzer_li_phonon_descriptors.csv", index_col="mp_id")
    table = pd.DataFrame(index=data.index, columns=list(DESCRIPTORS), dtype=float)
    table["phonon_band_center_mobile"] = data["li_center_meV"]
    table["phonon_band_center_total"] = data["tot_center_meV"]
    table["conductivity"] = data["sigma_RT_S_cm"]
    models = train(table[~table.index.duplicated()], n_estimators=10, nested=True)
    assert len(models.training) + len(models.ignored) == table.index.nunique()
    assert len(models.training) >= 50
    assert len(models.dropped) == 28
    scores = models.classifier
    assert scores.nested_scores.accuracy <= scores.scores.accuracy
    assert scores.majority_share <= scores.scores.accuracy + 0.1
    assert scores.sizes[-1].n_features == 2
