"""Train the classifier and the regressor on a table of descriptors."""

from __future__ import annotations

import base64
import platform
from importlib.metadata import version

import numpy as np
import pandas as pd

from sse_flows import __version__
from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models.columns import encode_classes
from sse_flows.models.document import (
    ClassifierDocument,
    RegressorDocument,
    SizeResult,
    TrainedModels,
    TrainingRow,
)
from sse_flows.models.domain import ApplicabilityDomain
from sse_flows.models.newton import Floats
from sse_flows.models.regressor import ConductivityForest
from sse_flows.models.serialize import FittedModels, fingerprint, to_bytes
from sse_flows.models.subsets import BestSubsetLogisticRegression
from sse_flows.models.table import data_hash, training_rows
from sse_flows.models.validation import (
    classification_scores,
    leave_one_out,
    majority_baseline,
    mean_baseline,
    regression_scores,
)

THRESHOLD = 1e-4
"""S/cm; J. Kim et al. (2024) call a compound superionic above it."""
FEW_ROWS = 20


def train(
    table: pd.DataFrame,
    *,
    threshold: float = THRESHOLD,
    max_features: int = 4,
    penalty: float = 1.0,
    n_estimators: int = 200,
    random_state: int = 0,
    nested: bool = False,
) -> TrainedModels:
    """Fit both models to the compounds with a measured conductivity and score them.

    Parameters
    ----------
    table
        One compound a row: index compound id, the 30 descriptors (empty where missing),
        `conductivity` in S/cm (empty where not measured) and perhaps `formula`.
    threshold
        Conductivity above which a compound is superionic, S/cm.
    max_features
        Largest subset of descriptors for the classifier.
    penalty
        C of the logistic regression, on standardised descriptors.
    n_estimators
        Trees of the random forest.
    random_state
        Seed of the forest; the same table and seed give the same models.
    nested
        Also score the classifier with the subset chosen inside the folds: for 50 compounds and 4
        features two minutes instead of ten seconds.

    Raises
    ------
    SSEError
        If a value of the table is not usable.
    TrainingDataError
        If there are too few compounds or only one class.
    """
    if not threshold > 0:
        raise SSEError(f"{threshold=} is not positive", mend="Give a conductivity in S/cm")
    rows, ignored = training_rows(table)
    measured = np.log10(rows["conductivity"].to_numpy())
    superionic = rows["conductivity"].to_numpy() > threshold
    encode_classes(superionic)  # refuse a single class before the long search
    X = rows[list(DESCRIPTORS)]
    notes = _notes(superionic, threshold, nested)
    classifier = BestSubsetLogisticRegression(max_features, penalty).fit(X, superionic)
    nested = nested and min(superionic.sum(), (~superionic).sum()) >= 3
    nested_result = classifier.nested_leave_one_out(X, superionic) if nested else None
    regressor = ConductivityForest(n_estimators, random_state=random_state).fit(X, measured)
    held_out = leave_one_out(regressor, X, measured).predictions
    data = to_bytes(_fitted(classifier, regressor, X))
    return TrainedModels(
        threshold=threshold,
        max_features=max_features,
        penalty=penalty,
        n_estimators=n_estimators,
        random_state=random_state,
        classifier=_classifier_document(classifier, X, superionic, nested_result),
        regressor=_regressor_document(regressor, measured, held_out),
        training=_training_rows(rows, superionic, classifier, held_out, nested_result),
        dropped=dict(classifier.dropped_),
        ignored=ignored,
        notes=notes,
        data_hash=data_hash(rows),
        software=software_versions(),
        estimators=base64.b64encode(data).decode(),
        estimators_hash=fingerprint(data),
    )


def software_versions() -> dict[str, str]:
    """Versions of what decides the numbers of a model."""
    packages = ("scikit-learn", "numpy", "scipy", "pandas", "skops")
    versions = {name: version(name) for name in packages}
    return {"sse-flows": __version__, "python": platform.python_version(), **versions}


def _notes(superionic: np.ndarray, threshold: float, nested: bool) -> list[str]:
    positive, total = int(superionic.sum()), len(superionic)
    rarer = min(positive, total - positive)
    notes = [f"{positive} of {total} compounds conduct better than {threshold:g} S/cm"]
    if total < FEW_ROWS:
        notes.append(f"{total} compounds are few: every score has a wide uncertainty")
    if not nested:
        notes.append(
            "the classifier's accuracy is that of the best of many subsets, chosen on all rows: "
            "optimistic; train with nested=True for what a new compound may expect"
        )
    elif rarer < 3:
        notes.append(f"no nested scores: they need three rows of each class, one has {rarer}")
    return notes


def _fitted(
    classifier: BestSubsetLogisticRegression, regressor: ConductivityForest, X: pd.DataFrame
) -> FittedModels:
    used = [name for name in X.columns if name not in regressor.dropped_]
    return FittedModels(
        classifier=classifier,
        regressor=regressor,
        classifier_domain=ApplicabilityDomain().fit(X[list(classifier.features_)]),
        regressor_domain=ApplicabilityDomain().fit(X[used]),
    )


def _classifier_document(
    model: BestSubsetLogisticRegression,
    X: pd.DataFrame,
    superionic: np.ndarray,
    nested: tuple[Floats, list[tuple[str, ...]]] | None,
) -> ClassifierDocument:
    target = superionic.astype(float)
    names = list(model.features_)
    positive = float(target.mean())
    return ClassifierDocument(
        features=names,
        coefficients=dict(zip(names, model.coef_[0].tolist(), strict=True)),
        intercept=float(model.intercept_[0]),
        raw_coefficients=dict(zip(names, model.raw_coef_[0].tolist(), strict=True)),
        raw_intercept=float(model.raw_intercept_[0]),
        sizes=[SizeResult.model_validate(row) for row in model.cv_results_.to_dict("records")],
        scores=classification_scores(target, model.loo_probabilities_, "outside the folds"),
        nested_scores=(
            classification_scores(target, nested[0], "inside the folds") if nested else None
        ),
        nested_features=(
            {str(i): list(chosen) for i, chosen in zip(X.index, nested[1], strict=True)}
            if nested
            else {}
        ),
        baseline=majority_baseline(target),
        majority_share=max(positive, 1.0 - positive),
    )


def _regressor_document(
    model: ConductivityForest, measured: Floats, held_out: Floats
) -> RegressorDocument:
    importances = dict(zip(DESCRIPTORS, model.feature_importances_.tolist(), strict=True))
    used = {name: value for name, value in importances.items() if name not in model.dropped_}
    return RegressorDocument(
        features=list(used),
        importances=dict(sorted(used.items(), key=lambda item: (-item[1], item[0]))),
        scores=regression_scores(measured, held_out),
        baseline=mean_baseline(measured),
    )


def _training_rows(
    rows: pd.DataFrame,
    superionic: np.ndarray,
    classifier: BestSubsetLogisticRegression,
    held_out: Floats,
    nested: tuple[Floats, list[tuple[str, ...]]] | None,
) -> list[TrainingRow]:
    probabilities = classifier.loo_probabilities_
    return [
        TrainingRow(
            compound_id=str(rows.index[i]),
            formula=rows["formula"].iloc[i],
            log10_measured=float(np.log10(rows["conductivity"].iloc[i])),
            superionic=bool(superionic[i]),
            log10_predicted=float(held_out[i]),
            probability=float(probabilities[i]),
            predicted_superionic=bool(probabilities[i] > 0.5),
            nested_probability=float(nested[0][i]) if nested else None,
        )
        for i in range(len(rows))
    ]
