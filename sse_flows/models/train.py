"""Train the classifier and the regressor on a table of descriptors."""

from __future__ import annotations

import base64
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sse_flows import __version__
from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models.best_subset import BestSubsetClassifier
from sse_flows.models.columns import Floats, encode_classes
from sse_flows.models.correlations import correlations
from sse_flows.models.defaults import MAX_FEATURES
from sse_flows.models.document import (
    ClassifierDocument,
    EliminationRound,
    RegressorDocument,
    Selection,
    SizeResult,
    TrainedModels,
    TrainingRow,
)
from sse_flows.models.domain import ApplicabilityDomain
from sse_flows.models.elimination import BackwardEliminationForest
from sse_flows.models.explain import Forest, explain_models, forest_columns
from sse_flows.models.importance import held_out_importance
from sse_flows.models.nested import NestedElimination, nested_elimination
from sse_flows.models.progress import Note, PacedNotes, silent
from sse_flows.models.regressor import ConductivityForest
from sse_flows.models.serialize import FittedModels, fingerprint, to_bytes
from sse_flows.models.table import data_hash, training_rows
from sse_flows.models.validation import (
    classification_scores,
    majority_baseline,
    mean_baseline,
    regression_scores,
)

THRESHOLD = 1e-4
"""S/cm; J. Kim et al. (2024) call a compound superionic above it."""
FEW_ROWS = 20
NESTED_ROWS = 3
"""Rows of each class that a nested leave-one-out needs."""
NESTED_HOW = (
    "a training with the choice inside the folds (--nested on the command line, nested: true in a "
    "campaign file, nested=True in Python)"
)


def train(
    table: pd.DataFrame,
    *,
    threshold: float = THRESHOLD,
    max_features: int = MAX_FEATURES,
    penalty: float = 1.0,
    n_estimators: int = 200,
    random_state: int = 0,
    nested: bool = False,
    elimination: bool = False,
    note: Note = silent,
) -> TrainedModels:
    """Fit both models to the compounds with a measured conductivity and score them.

    Parameters
    ----------
    table
        One compound a row: index compound id, the 30 descriptors (empty where missing),
        `conductivity` in S/cm (empty where not measured) and perhaps `formula`.
    threshold
        Conductivity above which a compound is superionic, S/cm.
    max_features, penalty
        Largest subset of descriptors and C of the logistic regression (standardised descriptors).
    n_estimators, random_state
        Trees and seed of the random forest; the same table and seed give the same models.
    nested
        Also score the classifier with the subset chosen inside the folds: a search a compound, for
        50 compounds and 4 features 20 CPU seconds more. With an elimination also score that with
        the elimination inside the folds, which takes some minutes more.
    elimination
        Keep only the descriptors that a backward elimination of the forest leaves: a minute or two
        for 50 compounds. Intervals rest on the nested predictions where there are any.
    note
        Called with a line of text now and then where the searches take long.

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
    superionic = rows["conductivity"].to_numpy() > threshold
    encode_classes(superionic)  # refuse a single class before the long search
    classifier = BestSubsetClassifier(max_features, penalty, missing="median", rescore=False)
    regressor = _regressor(n_estimators, random_state, elimination)
    run = _Run.of(rows, superionic, classifier, regressor, nested, note)
    return _document(
        run,
        threshold=threshold,
        max_features=max_features,
        penalty=penalty,
        n_estimators=n_estimators,
        elimination=elimination,
        random_state=random_state,
        dropped=dict(classifier.dropped_),
        ignored=ignored,
        notes=_notes(superionic, threshold, nested, elimination) + _no_better(run),
    )


def _document(run: _Run, **more: Any) -> TrainedModels:
    data = to_bytes(_fitted(run))
    return TrainedModels(
        **more,
        classifier=_classifier_document(run),
        regressor=_regressor_document(run),
        correlations=correlations(run.X, run.measured),
        explanation=explain_models(run.classifier, run.regressor, run.X, run.permutation),
        training=_training_rows(run),
        data_hash=data_hash(run.rows),
        software=software_versions(),
        estimators=base64.b64encode(data).decode(),
        estimators_hash=fingerprint(data),
    )


def _regressor(n_estimators: int, random_state: int, elimination: bool) -> Forest:
    if not elimination:
        return ConductivityForest(n_estimators, random_state=random_state)
    return BackwardEliminationForest(
        n_estimators, ranking_trees=3 * n_estimators, random_state=random_state
    )


@dataclass
class _Run:
    """Both models fitted, and what they say of each row without it."""

    rows: pd.DataFrame
    superionic: NDArray[np.bool_]
    measured: Floats
    classifier: BestSubsetClassifier
    regressor: Forest
    predicted: Floats
    permutation: dict[str, float]
    nested: tuple[Floats, list[tuple[str, ...]]] | None
    nested_elimination: NestedElimination | None

    @property
    def X(self) -> pd.DataFrame:
        """The descriptors."""
        return self.rows[list(DESCRIPTORS)]

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        superionic: NDArray[np.bool_],
        classifier: BestSubsetClassifier,
        regressor: Forest,
        nested: bool,
        note: Note,
    ) -> _Run:
        X, measured = rows[list(DESCRIPTORS)], np.log10(rows["conductivity"].to_numpy())
        said = PacedNotes(note, "classifier")
        classifier.set_params(progress=said.search).fit(X, superionic)
        classifier.set_params(progress=None)  # no part of the saved model
        regressor.fit(X, measured)
        predicted, permutation = _left_out(regressor, X, measured)
        enough = nested and _rarer(superionic) >= NESTED_ROWS
        inside = PacedNotes(note, "classifier, choice inside the folds")
        whole = nested and isinstance(regressor, BackwardEliminationForest)
        return cls(
            rows,
            superionic,
            measured,
            classifier,
            regressor,
            predicted,
            permutation,
            classifier.nested_leave_one_out(X, superionic, inside.count) if enough else None,
            nested_elimination(regressor, X, measured) if whole else None,
        )


def _left_out(regressor: Forest, X: pd.DataFrame, y: Floats) -> tuple[Floats, dict[str, float]]:
    """Leave-one-out predictions of a fitted forest and its permutation importances."""
    if not isinstance(regressor, BackwardEliminationForest):
        used = [name for name in X.columns if name not in regressor.dropped_]
        return held_out_importance(regressor, X[used], y)
    plain = ConductivityForest(
        regressor.n_estimators,
        regressor.max_features,
        regressor.min_samples_leaf,
        regressor.random_state if isinstance(regressor.random_state, int) else 0,
    )
    _, importances = held_out_importance(plain, X[list(regressor.features_)], y)
    return regressor.loo_predictions_, importances


def software_versions() -> dict[str, str]:
    """Versions of what decides the numbers of a model."""
    packages = ("scikit-learn", "numpy", "scipy", "pandas", "skops")
    versions = {name: version(name) for name in packages}
    return {"sse-flows": __version__, "python": platform.python_version(), **versions}


def _rarer(superionic: NDArray[np.bool_]) -> int:
    """Rows of the smaller class."""
    return int(min(superionic.sum(), (~superionic).sum()))


def _notes(
    superionic: NDArray[np.bool_], threshold: float, nested: bool, elimination: bool
) -> list[str]:
    positive, total = int(superionic.sum()), len(superionic)
    notes = [f"{positive} of {total} compounds conduct better than {threshold:g} S/cm"]
    if total < FEW_ROWS:
        notes.append(f"{total} compounds are few: every score has a wide uncertainty")
    if not nested:
        notes.append(
            "the classifier's accuracy is that of the best of many subsets, chosen on all rows: "
            f"optimistic. What a new compound may expect says {NESTED_HOW}"
        )
    elif _rarer(superionic) < NESTED_ROWS:
        notes.append(
            f"no nested scores: they need {NESTED_ROWS} rows of each class, "
            f"one has {_rarer(superionic)}"
        )
    if elimination and not nested:
        notes.append(
            "the forest's scores are those of descriptors eliminated with all rows in sight: "
            f"optimistic, and so are its intervals. Honest ones come of {NESTED_HOW}"
        )
    return notes


def _no_better(run: _Run) -> list[str]:
    """A warning where the choice inside the folds leaves nothing of the classifier."""
    if run.nested is None:
        return []
    hits = np.mean((run.nested[0] > 0.5) == run.superionic)
    majority = max(run.superionic.mean(), 1.0 - run.superionic.mean())
    if hits > majority:
        return []
    return [
        f"with its descriptors chosen inside the folds the classifier is right for {hits:.0%}, no "
        f"more than always naming the larger class ({majority:.0%}): use it to rank, not to decide"
    ]


def _fitted(run: _Run) -> FittedModels:
    used = forest_columns(run.regressor, run.X)
    return FittedModels(
        classifier=run.classifier,
        regressor=run.regressor,
        classifier_domain=ApplicabilityDomain().fit(run.rows[list(run.classifier.features_)]),
        regressor_domain=ApplicabilityDomain().fit(run.rows[used]),
    )


def _classifier_document(run: _Run) -> ClassifierDocument:
    model, nested = run.classifier, run.nested
    target = run.superionic.astype(float)
    names = list(model.features_)
    positive = float(target.mean())
    return ClassifierDocument(
        features=names,
        coefficients=dict(zip(names, model.coef_[0].tolist(), strict=True)),
        intercept=float(model.intercept_[0]),
        raw_coefficients=dict(zip(names, model.raw_coef_[0].tolist(), strict=True)),
        raw_intercept=float(model.raw_intercept_[0]),
        sizes=size_results(model),
        scores=classification_scores(target, model.loo_probabilities_, "outside the folds"),
        nested_scores=(
            classification_scores(target, nested[0], "inside the folds") if nested else None
        ),
        nested_features=(
            dict(zip(run.rows.index, map(list, nested[1]), strict=True)) if nested else {}
        ),
        baseline=majority_baseline(target),
        majority_share=max(positive, 1.0 - positive),
    )


def size_results(model: BestSubsetClassifier) -> list[SizeResult]:
    """Best subset of every size of a fitted classifier that scores by accuracy."""
    table = model.cv_results_.rename(columns={"train_score": "train_accuracy"})
    records = table[list(SizeResult.model_fields)].to_dict("records")
    return [SizeResult.model_validate(record) for record in records]


def _regressor_document(run: _Run) -> RegressorDocument:
    model, inside = run.regressor, run.nested_elimination
    eliminated = isinstance(model, BackwardEliminationForest)
    gini = dict(zip(DESCRIPTORS, model.feature_importances_.tolist(), strict=True))
    used = {name: gini[name] for name in forest_columns(model, run.X)}
    selection: Selection = "outside the folds" if eliminated else "inside the folds"
    return RegressorDocument(
        kind="elimination" if eliminated else "forest",
        features=list(used),
        importances=dict(sorted(used.items(), key=lambda item: (-item[1], item[0]))),
        permutation_importances=run.permutation,
        path=_rounds(model),
        scores=regression_scores(run.measured, run.predicted, selection),
        nested_scores=inside and regression_scores(run.measured, inside.predictions),
        nested_settings=inside and inside.settings,
        nested_features=inside.chosen if inside else {},
        baseline=mean_baseline(run.measured),
    )


def _rounds(model: Forest) -> list[EliminationRound]:
    if not isinstance(model, BackwardEliminationForest):
        return []
    records = model.cv_results_.to_dict("records")
    return [EliminationRound.model_validate(record) for record in records]


def _training_rows(run: _Run) -> list[TrainingRow]:
    probabilities, inside = run.classifier.loo_probabilities_, run.nested_elimination
    return [
        TrainingRow(
            compound_id=name,
            formula=run.rows["formula"].iloc[i],
            log10_measured=float(run.measured[i]),
            superionic=bool(run.superionic[i]),
            log10_predicted=float(run.predicted[i]),
            nested_log10_predicted=float(inside.predictions[i]) if inside else None,
            probability=float(probabilities[i]),
            predicted_superionic=bool(probabilities[i] > 0.5),
            nested_probability=float(run.nested[0][i]) if run.nested else None,
        )
        for i, name in enumerate(run.rows.index)
    ]
