"""Rank a pool of compounds by what the models say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.models.columns import Floats
from sse_flows.models.document import TrainedModels
from sse_flows.models.explain import log_odds_contributions
from sse_flows.models.kim2024 import Kim2024
from sse_flows.models.table import descriptor_values
from sse_flows.models.uncertainty import LEVEL, ConformalModels, set_labels
from sse_flows.screening.document import FilteredOut, Filters, ScreeningResult, ScreeningRow
from sse_flows.screening.filters import Verdict, apply_filters


@dataclass
class _Predictions:
    """What the models say of the compounds that passed, one entry a compound."""

    probability: Floats | None
    log10_conductivity: Floats | None
    kim2024: Floats
    imputed: list[list[str]]
    distance: dict[str, Floats]
    in_training: list[bool]
    interval: tuple[Floats, Floats] | None = None
    allowed: NDArray[np.bool_] | None = None
    contributions: list[dict[str, float]] | None = None


def screen(
    table: pd.DataFrame,
    models: TrainedModels | Kim2024,
    filters: Filters | None = None,
    *,
    level: float = LEVEL,
) -> ScreeningResult:
    """Filter and rank a pool of compounds.

    Rows are ranked by the probability of being superionic, then the predicted conductivity, then
    the id; without trained models by the published equation. Compounds without a probability come
    last.

    Parameters
    ----------
    table
        Index compound id; the descriptors of the models, empty where missing; for the filters also
        `formula`, `energy_above_hull` (eV/atom) and perhaps `anions`.
    models
        What `train` or `load_models` gave, or `Kim2024()`.
    filters
        By default none.
    level
        Share of new compounds that the conformal intervals and sets of trained models should hold.

    Raises
    ------
    SSEError
        If a column that the models need is absent, an id occurs twice, a value is not a finite
        number, a formula cannot be read or the level is not between 0 and 1.
    """
    filters = filters or Filters()
    values = descriptor_values(table, _needed(models))
    values.index = values.index.map(str)
    verdicts = apply_filters(table, filters)
    for name in values.index[values.isna().all(axis=1)]:
        verdicts[name].reasons.append("no descriptor is known")
    formulas = _formulas(table)
    passed = values.loc[[name for name, verdict in verdicts.items() if not verdict.reasons]]
    says = _predict(passed, models, level)
    soft = _soft_modes(table)
    rows = [_row(i, passed, says, verdicts, formulas, soft) for i in range(len(passed))]
    trained = isinstance(models, TrainedModels)
    return ScreeningResult(
        filters=filters,
        ranked_by="probability" if trained else "probability_kim2024",
        rows=_ranked(rows),
        filtered_out=[
            FilteredOut(compound_id=name, formula=formulas[name], reasons=verdict.reasons)
            for name, verdict in sorted(verdicts.items())
            if verdict.reasons
        ],
        models_hash=models.data_hash if trained else None,
        level=level if trained else None,
    )


def _needed(models: TrainedModels | Kim2024) -> list[str]:
    """Descriptors that the table must have columns for."""
    if isinstance(models, Kim2024):
        return list(Kim2024.coefficients)
    return list(DESCRIPTORS)


def _predict(values: pd.DataFrame, models: TrainedModels | Kim2024, level: float) -> _Predictions:
    names = list(values.index)
    if isinstance(models, Kim2024) or values.empty:
        kim = Kim2024().predict_proba(values)[:, 1]
        return _Predictions(None, None, kim, [[] for _ in names], {}, [False for _ in names])
    fitted = models.fitted()
    used = models.regressor.features
    unknown = values[used].isna().to_numpy()
    trained_on = set(models.training_ids)
    chosen = models.classifier.features
    domains = {
        "classifier": (fitted.classifier_domain, chosen),
        "regressor": (fitted.regressor_domain, used),
    }
    conformal = ConformalModels.of(models, level)
    probability = fitted.classifier.predict_proba(values)[:, 1]
    log10_conductivity = fitted.regressor.predict(values)
    return _Predictions(
        probability=probability,
        log10_conductivity=log10_conductivity,
        kim2024=Kim2024().predict_proba(values)[:, 1],
        imputed=[[used[j] for j in np.flatnonzero(row)] for row in unknown],
        distance={
            model: domain.distance(values[columns]) / domain.threshold_
            for model, (domain, columns) in domains.items()
        },
        in_training=[name in trained_on for name in names],
        interval=conformal.intervals(log10_conductivity),
        allowed=conformal.sets(probability),
        contributions=[
            dict(sorted(zip(chosen, parts.tolist(), strict=True), key=lambda part: -abs(part[1])))
            for parts in log_odds_contributions(fitted, values)
        ],
    )


def _row(
    i: int,
    passed: pd.DataFrame,
    says: _Predictions,
    verdicts: dict[str, Verdict],
    formulas: dict[str, str],
    soft: dict[str, bool | None],
) -> ScreeningRow:
    name = passed.index[i]
    probability = None if says.probability is None else float(says.probability[i])
    kim = None if np.isnan(says.kim2024[i]) else float(says.kim2024[i])
    ranked_by = kim if probability is None else probability
    distance = {model: float(values[i]) for model, values in says.distance.items()}
    row = ScreeningRow(
        rank=0,
        compound_id=name,
        formula=formulas[name],
        probability=probability,
        superionic=ranked_by is not None and ranked_by > 0.5,
        log10_conductivity=(
            None if says.log10_conductivity is None else float(says.log10_conductivity[i])
        ),
        probability_kim2024=kim,
        contributions=says.contributions[i] if says.contributions else {},
        imputed=says.imputed[i],
        outside_domain=[model for model, ratio in distance.items() if ratio > 1.0],
        domain_distance=distance,
        soft_modes=soft[name],
        in_training=says.in_training[i],
        **_uncertainty(i, says),
        flags=list(verdicts[name].flags),
    )
    row.flags += _flags(row)
    return row


def _uncertainty(i: int, says: _Predictions) -> dict[str, Any]:
    """Conformal fields of one row; an infinite interval says nothing and is left out."""
    fields: dict[str, Any] = {}
    if says.interval is not None and np.isfinite(says.interval[0][i]):
        fields["log10_conductivity_low"] = float(says.interval[0][i])
        fields["log10_conductivity_high"] = float(says.interval[1][i])
    if says.allowed is not None:
        fields["prediction_set"] = set_labels(says.allowed[i])
    return fields


def _flags(row: ScreeningRow) -> list[str]:
    """The columns of a row in words, for a reader of the table."""
    flags = []
    if row.imputed:
        flags.append(f"imputed: {', '.join(row.imputed)}")
    flags += [
        f"outside the applicability domain of the {model} ({row.domain_distance[model]:.1f} times "
        "its largest distance)"
        for model in row.outside_domain
    ]
    if row.soft_modes:
        flags.append("soft modes: the structure is not stable at 0 K or not converged")
    if row.in_training:
        flags.append("in the training set: its leave-one-out prediction is the honest one")
    return flags


def _ranked(rows: list[ScreeningRow]) -> list[ScreeningRow]:
    """Rows in order and numbered."""

    def key(row: ScreeningRow) -> tuple[bool, float, float, str]:
        probability = row.probability if row.probability is not None else row.probability_kim2024
        conductivity = row.log10_conductivity if row.log10_conductivity is not None else 0.0
        return probability is None, -(probability or 0.0), -conductivity, row.compound_id

    ordered = sorted(rows, key=key)
    return [row.model_copy(update={"rank": i}) for i, row in enumerate(ordered, start=1)]


def _formulas(table: pd.DataFrame) -> dict[str, str]:
    given = table["formula"] if "formula" in table.columns else [""] * len(table)
    return {
        str(name): "" if pd.isna(formula) else str(formula)
        for name, formula in zip(table.index, given, strict=True)
    }


def _soft_modes(table: pd.DataFrame) -> dict[str, bool | None]:
    """Whether each compound has a soft mode, None where not known."""
    given = table["soft_mode_flag"] if "soft_mode_flag" in table.columns else [np.nan] * len(table)
    flags = pd.to_numeric(pd.Series(list(given)), errors="coerce")
    return {
        str(name): None if np.isnan(flag) else bool(flag > 0)
        for name, flag in zip(table.index, flags, strict=True)
    }
