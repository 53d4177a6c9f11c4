"""Why the models predict what they predict: signs, importances, additive contributions.

The log odds of a logistic regression are a sum over descriptors as they stand. The prediction of a
forest is made one by Shapley values, computed exactly along the trees (S. M. Lundberg et al., Nat.
Mach. Intell. 2, 56 (2020)) by the shap package, which is imported only when they are asked for.
Both tell what the model does with a compound, not what nature does: of two correlated descriptors
the one that was chosen speaks for both.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from sse_flows.descriptors.document import UNITS
from sse_flows.models.columns import Floats
from sse_flows.models.document import TrainedModels
from sse_flows.models.elimination import BackwardEliminationForest
from sse_flows.models.expectations import EXPECTATIONS
from sse_flows.models.explanation import (
    ClassifierTerm,
    CompoundExplanation,
    Contribution,
    Expectation,
    ModelExplanation,
    RegressorTerm,
    Sign,
)
from sse_flows.models.regressor import ConductivityForest
from sse_flows.models.serialize import FittedModels
from sse_flows.models.table import descriptor_values

Forest = ConductivityForest | BackwardEliminationForest

MONOTONIC = 0.5
"""Size of the rank correlation from which a descriptor is said to raise or to lower."""

_UNKNOWN = Expectation(sign=0, reason="Not one of the 30 descriptors.", source="")


def explain_models(
    classifier: Any,
    regressor: Forest,
    X: pd.DataFrame,
    permutation: Mapping[str, float],
) -> ModelExplanation:
    """Compare what the models learned with what is expected.

    Parameters
    ----------
    classifier
        Fitted, with `features_`, `coef_` and `raw_coef_`.
    regressor
        Fitted forest.
    X
        Training rows, shape (n_rows, n_columns), NaN where missing.
    permutation
        Permutation importances of the regressor, log10(S/cm), by name.
    """
    terms = _classifier_terms(classifier)
    forest_terms = _regressor_terms(regressor, X, permutation)
    names = dict.fromkeys(
        [one.descriptor for one in terms] + [one.descriptor for one in forest_terms]
    )
    return ModelExplanation(
        classifier=terms,
        regressor=forest_terms,
        expectations={name: EXPECTATIONS.get(name, _UNKNOWN) for name in names},
    )


def explain_compounds(
    models: TrainedModels, table: pd.DataFrame, *, top: int | None = None
) -> list[CompoundExplanation]:
    """Break both predictions of every compound down into what its descriptors add.

    Parameters
    ----------
    models
        What `train` or `load_models` gave.
    table
        Index compound id; the 30 descriptors, empty where missing; perhaps `formula`.
    top
        Shapley values listed for each compound, the largest; all by default.

    Returns
    -------
    One a row, in the order of the table.

    Raises
    ------
    SSEError
        If a column is absent, an id occurs twice or a value is not a finite number.
    """
    values = descriptor_values(table)
    if values.empty:
        return []
    fitted = models.fitted()
    base = float(np.ravel(fitted.classifier.intercept_)[0])
    parts = log_odds_contributions(fitted, values)
    shapley, mean = shapley_values(fitted.regressor, values)
    names = list(fitted.classifier.features_), forest_columns(fitted.regressor, values)
    formulas = table["formula"] if "formula" in table.columns else [""] * len(table)
    return [
        _compound(
            row, "" if pd.isna(formula) else str(formula), names, (odds, forest), (base, mean), top
        )
        for (_, row), formula, odds, forest in zip(
            values.iterrows(), formulas, parts, shapley, strict=True
        )
    ]


def _compound(
    row: pd.Series,
    formula: str,
    names: tuple[list[str], list[str]],
    parts: tuple[Floats, Floats],
    bases: tuple[float, float],
    top: int | None,
) -> CompoundExplanation:
    """One compound; names, parts and bases are of the classifier and of the forest."""
    log_odds = bases[0] + float(parts[0].sum())
    shapley = _contributions(names[1], row, parts[1])
    listed = shapley[:top]
    return CompoundExplanation(
        compound_id=str(row.name),
        formula=formula,
        probability=1.0 / (1.0 + float(np.exp(-log_odds))),
        log_odds=log_odds,
        log_odds_base=bases[0],
        log_odds_contributions=_contributions(names[0], row, parts[0]),
        log10_conductivity=bases[1] + float(parts[1].sum()),
        log10_conductivity_base=bases[1],
        log10_conductivity_contributions=listed,
        log10_conductivity_rest=sum(one.contribution for one in shapley[len(listed) :]),
    )


def log_odds_contributions(fitted: FittedModels, values: pd.DataFrame) -> Floats:
    """Coefficient times standardised value of the classifier's descriptors.

    Parameters
    ----------
    values
        All columns that the classifier was fitted to, by name; NaN where missing.

    Returns
    -------
    Shape (n_rows, n_chosen), in the order of ``features_``; with the intercept a row sums to the
    log odds. A missing value adds what the training median would.
    """
    chosen = values[list(fitted.classifier.features_)].to_numpy(dtype=float)
    # the domain of the classifier standardises the same columns of the same rows
    return fitted.classifier_domain.scaling_.transform(chosen) * fitted.classifier.coef_[0]


def forest_columns(regressor: Forest, values: pd.DataFrame) -> list[str]:
    """Columns of a table that a fitted forest reads, in its own order."""
    if isinstance(regressor, BackwardEliminationForest):
        return list(regressor.features_)
    return [str(name) for name in values.columns if name not in regressor.dropped_]


def shapley_values(regressor: Forest, values: pd.DataFrame) -> tuple[Floats, float]:
    """Shapley values of a forest's predictions and the mean that they start from.

    Parameters
    ----------
    values
        The columns that the forest was fitted to, shape (n_rows, n_columns).

    Returns
    -------
    Shape (n_rows, n_used) in the order of `forest_columns`, and the mean prediction over the
    bootstrap samples; both log10(S/cm). A row sums with the mean to the prediction.
    """
    with warnings.catch_warnings():  # its progress bars, which are not used, ask for ipywidgets
        warnings.simplefilter("ignore")
        import shap

    imputer, forest = (step for _, step in regressor.pipeline_.steps)
    filled = imputer.transform(values[forest_columns(regressor, values)].to_numpy(dtype=float))
    explainer = shap.TreeExplainer(forest)
    found = np.asarray(explainer.shap_values(filled, check_additivity=True), dtype=float)
    return found, float(np.ravel(explainer.expected_value)[0])


def _classifier_terms(classifier: Any) -> list[ClassifierTerm]:
    names = list(classifier.features_)
    scaled, raw = np.ravel(classifier.coef_), np.ravel(classifier.raw_coef_)
    terms = []
    for name, coefficient, raw_coefficient in zip(names, scaled, raw, strict=True):
        sign, expected = _sign(float(coefficient)), EXPECTATIONS.get(name, _UNKNOWN).sign
        terms.append(
            ClassifierTerm(
                descriptor=name,
                unit=UNITS.get(name, ""),
                coefficient=float(coefficient),
                raw_coefficient=float(raw_coefficient),
                sign=sign,
                expected_sign=expected,
                agrees=_agreement(sign, expected),
            )
        )
    return sorted(terms, key=lambda term: -abs(term.coefficient))


def _regressor_terms(
    regressor: Forest, X: pd.DataFrame, permutation: Mapping[str, float]
) -> list[RegressorTerm]:
    shapley, _ = shapley_values(regressor, X)
    importances = dict(zip(X.columns, regressor.feature_importances_, strict=True))
    terms = []
    for name, contributions in zip(forest_columns(regressor, X), shapley.T, strict=True):
        direction = _direction(X[name].to_numpy(dtype=float), contributions)
        sign = _sign(direction or 0.0, MONOTONIC)
        expected = EXPECTATIONS.get(name, _UNKNOWN).sign
        terms.append(
            RegressorTerm(
                descriptor=name,
                unit=UNITS.get(name, ""),
                importance=float(importances[name]),
                permutation_importance=permutation.get(name),
                mean_contribution=float(np.mean(np.abs(contributions))),
                direction=direction,
                sign=sign,
                expected_sign=expected,
                agrees=_agreement(sign, expected),
            )
        )
    return sorted(terms, key=lambda term: -term.mean_contribution)


def _direction(values: Floats, contributions: Floats) -> float | None:
    """Rank correlation over the rows of which the value is known."""
    known = ~np.isnan(values)
    values, contributions = values[known], contributions[known]
    if len(np.unique(values)) < 2 or len(np.unique(contributions)) < 2:
        return None
    return float(spearmanr(values, contributions).statistic)


def _sign(value: float, least: float = 0.0) -> Sign:
    if value == 0 or abs(value) < least:
        return 0
    return 1 if value > 0 else -1


def _agreement(sign: Sign, expected: Sign) -> bool | None:
    return None if sign == 0 or expected == 0 else sign == expected


def _contributions(names: list[str], row: pd.Series, parts: Floats) -> list[Contribution]:
    """Contributions of one compound, largest first."""
    found = [
        Contribution(
            descriptor=name,
            value=None if np.isnan(row[name]) else float(row[name]),
            contribution=float(part),
        )
        for name, part in zip(names, parts, strict=True)
    ]
    return sorted(found, key=lambda one: -abs(one.contribution))
