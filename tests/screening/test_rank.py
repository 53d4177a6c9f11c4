"""Ranking a pool."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models import Kim2024, TrainedModels
from sse_flows.screening import Filters, ScreeningResult, screen


def test_rows_are_ranked_and_complete(pool: pd.DataFrame, models: TrainedModels) -> None:
    result = screen(pool, models, Filters(require_elements=["Li"], max_energy_above_hull=0.0))
    frame = result.to_frame()
    assert frame["rank"].tolist() == list(range(1, len(frame) + 1))
    assert frame["probability"].is_monotonic_decreasing
    assert set(frame.index) | {row.compound_id for row in result.filtered_out} == set(pool.index)
    assert not set(frame.index) & {row.compound_id for row in result.filtered_out}
    assert all(row.reasons for row in result.filtered_out)
    assert result.models_hash == models.data_hash
    assert ScreeningResult.model_validate_json(result.model_dump_json()) == result


def test_contributions_sum_to_the_log_odds(pool: pd.DataFrame, models: TrainedModels) -> None:
    for row in screen(pool, models).rows:
        assert list(row.contributions) != []
        assert set(row.contributions) == set(models.classifier.features)
        log_odds = models.classifier.intercept + sum(row.contributions.values())
        assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(row.probability)
    assert screen(pool, Kim2024()).rows[0].contributions == {}


def test_predictions_are_those_of_the_models(pool: pd.DataFrame, models: TrainedModels) -> None:
    frame = screen(pool, models).to_frame().loc[pool.index]
    X = pool[list(DESCRIPTORS)]
    fitted = models.fitted()
    np.testing.assert_array_equal(frame["probability"], fitted.classifier.predict_proba(X)[:, 1])
    np.testing.assert_array_equal(frame["log10_conductivity"], fitted.regressor.predict(X))
    np.testing.assert_array_equal(frame["probability_kim2024"], Kim2024().predict_proba(X)[:, 1])
    assert (frame["superionic"] == (frame["probability"] > 0.5)).all()
    assert frame["in_training"].tolist() == [True] * 20 + [False] * 20
    assert (frame["soft_modes"] == (pool["soft_mode_flag"] > 0)).all()


def test_order_does_not_depend_on_that_of_the_table(
    pool: pd.DataFrame, models: TrainedModels
) -> None:
    tied = pd.concat([pool, pool.rename(index=lambda name: f"a{name}")])
    result = screen(tied, models)
    assert screen(tied.sample(frac=1, random_state=0), models) == result
    order = [row.compound_id for row in result.rows]
    assert order[0].startswith("ap")
    assert order[1] == order[0][1:]


def test_imputed_and_distant_compounds_are_flagged(
    pool: pd.DataFrame, models: TrainedModels
) -> None:
    odd = pool.iloc[30:33].copy()
    odd.loc["p30", "density"] = np.nan
    odd.loc["p31", list(DESCRIPTORS)] = 60.0
    rows = {row.compound_id: row for row in screen(odd, models).rows}
    assert rows["p30"].imputed == ["density"]
    assert "imputed: density" in rows["p30"].flags
    assert rows["p31"].outside_domain == ["classifier", "regressor"]
    assert rows["p31"].domain_distance["regressor"] > 5
    assert "outside the applicability domain of the regressor" in " ".join(rows["p31"].flags)
    assert rows["p32"].imputed == []


def test_soft_modes_and_unknown_filters_are_flagged(
    pool: pd.DataFrame, models: TrainedModels
) -> None:
    soft = pool.iloc[[36]].assign(energy_above_hull=np.nan)
    row = screen(soft, models, Filters(max_energy_above_hull=0.0)).rows[0]
    assert row.soft_modes
    assert any(flag.startswith("soft modes") for flag in row.flags)
    assert "energy_above_hull is not known: the filter was not applied" in row.flags
    gone = screen(soft, models, Filters(exclude_soft_modes=True))
    assert gone.rows == []
    assert gone.filtered_out[0].reasons == ["has a soft phonon mode"]
    unknown = screen(soft.assign(soft_mode_flag=np.nan), models).rows[0]
    assert unknown.soft_modes is None


def test_published_equation_alone(pool: pd.DataFrame) -> None:
    part = pool.copy()
    part.loc["p39", "vibrational_entropy"] = np.nan
    result = screen(part[[*Kim2024.coefficients, "formula"]], Kim2024())
    assert result.ranked_by == "probability_kim2024"
    assert result.models_hash is None
    frame = result.to_frame()
    assert frame["probability"].isna().all()
    assert frame["probability_kim2024"].iloc[:-1].is_monotonic_decreasing
    assert frame.index[-1] == "p39"
    assert result.rows[-1].probability_kim2024 is None
    assert not result.rows[-1].superionic


def test_compounds_without_descriptors_are_left_out(
    pool: pd.DataFrame, models: TrainedModels
) -> None:
    part = pool.copy()
    part.loc["p25", list(DESCRIPTORS)] = np.nan
    result = screen(part, models)
    assert [row.compound_id for row in result.filtered_out] == ["p25"]
    assert result.filtered_out[0].reasons == ["no descriptor is known"]


def test_an_empty_pool_gives_an_empty_result(pool: pd.DataFrame, models: TrainedModels) -> None:
    result = screen(pool, models, Filters(require_elements=["La"]))
    assert result.rows == []
    assert result.ranked_by == "probability"
    assert len(result.filtered_out) == len(pool)
    assert result.to_frame().empty


def test_unusable_tables_are_refused(pool: pd.DataFrame, models: TrainedModels) -> None:
    with pytest.raises(SSEError, match="no column density"):
        screen(pool.drop(columns="density"), models)
    with pytest.raises(SSEError, match="more than once"):
        screen(pd.concat([pool, pool.iloc[:1]]), models)


def test_rows_carry_intervals_and_sets(pool: pd.DataFrame, models: TrainedModels) -> None:
    result = screen(pool, models, level=0.8)
    assert result.level == 0.8
    errors = sorted(abs(row.log10_measured - row.log10_predicted) for row in models.training)
    half = errors[int(np.ceil(21 * 0.8)) - 1]
    for row in result.rows:
        assert row.log10_conductivity_high == pytest.approx(row.log10_conductivity + half)
        assert row.log10_conductivity_low == pytest.approx(row.log10_conductivity - half)
        assert set(row.prediction_set) <= {"superionic", "not superionic"}
    tight = {row.compound_id: set(row.prediction_set) for row in result.rows}
    wide = {row.compound_id: set(row.prediction_set) for row in screen(pool, models).rows}
    assert all(tight[name] <= wide[name] for name in pool.index)
    assert any(tight[name] < wide[name] for name in pool.index)


def test_too_few_training_rows_for_a_level_give_no_interval(
    pool: pd.DataFrame, models: TrainedModels
) -> None:
    row = screen(pool, models, level=0.99).rows[0]
    assert row.log10_conductivity is not None
    assert row.log10_conductivity_low is None
    assert row.prediction_set == ["not superionic", "superionic"]
    published = screen(pool, Kim2024())
    assert published.level is None
    assert published.rows[0].prediction_set is None
    with pytest.raises(SSEError, match="level=90 is not between 0 and 1"):
        screen(pool, models, level=90)
