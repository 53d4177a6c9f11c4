"""Versions of trained models: what each was made of, and what changed since the one before."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sse_flows.models.document import (
    ClassificationScores,
    RegressionScores,
    Selection,
    TrainedModels,
)
from sse_flows.screening.document import ScreeningResult, ScreeningRow

MOST_MOVES = 10


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VersionScore(_Document):
    """One score of one model."""

    model: str = Field(description="classifier or regressor")
    score: str = Field(
        description="accuracy, f1, log_loss (nats), rmse, mae (log10(S/cm)) or r2; by leave-one-out"
    )
    selection: Selection = Field(description="Where descriptors were chosen")
    value: float = Field(description="The score")


class ScoreChange(_Document):
    """One score before and after."""

    model: str = Field(description="classifier or regressor")
    score: str = Field(description="As in VersionScore")
    selection: Selection = Field(description="Where descriptors were chosen")
    before: float | None = Field(description="Of the previous version; None where it had none")
    after: float | None = Field(description="Of this version; None where it has none")


class RankMove(_Document):
    """A compound that both versions ranked."""

    compound_id: str = Field(description="Id of the compound")
    formula: str = Field(description="Reduced formula; empty if the table has none")
    before: int = Field(description="Rank in the previous version")
    after: int = Field(description="Rank in this version")
    probability_before: float | None = Field(description="Of being superionic, previous version")
    probability_after: float | None = Field(description="Of being superionic, this version")


class ModelChanges(_Document):
    """What one version has that the version before had not."""

    previous: int = Field(description="Number of the version compared with")
    added: list[str] = Field(description="Training compounds that are new")
    removed: list[str] = Field(description="Training compounds that are gone")
    changed: dict[str, str] = Field(description="Training compounds of other values: what changed")
    pool_added: list[str] = Field(description="Compounds of the pool that are new")
    pool_removed: list[str] = Field(description="Compounds of the pool that are gone")
    descriptors_in: dict[str, list[str]] = Field(
        description="Descriptors that came in, by model; empty where none did"
    )
    descriptors_out: dict[str, list[str]] = Field(description="Descriptors that went, by model")
    scores: list[ScoreChange] = Field(description="Scores before and after")
    entered: dict[str, str] = Field(
        description="Compounds newly predicted superionic, id to formula"
    )
    left: dict[str, str] = Field(
        description="Compounds no longer predicted superionic, or no longer ranked; id to formula"
    )
    moves: list[RankMove] = Field(description="Largest changes of rank, largest first; at most 10")
    settings: dict[str, list[Any]] = Field(
        description="Settings of training and screening that changed, [before, after]"
    )
    software: dict[str, list[str | None]] = Field(
        description="Packages of another version, [before, after]"
    )


class ModelVersion(_Document):
    """One version of the models of a store: numbers, not the models themselves."""

    name: str = Field(description="Name of the series of versions")
    version: int = Field(description="1, 2, ... within the name")
    models_job: str = Field(description="Job whose output are the TrainedModels")
    screening_job: str = Field(description="Job whose output is the ScreeningResult")
    previous_job: str | None = Field(description="Job of the version before; None of the first")
    data_hash: str = Field(description="SHA-256 of the training table")
    training: dict[str, str] = Field(
        description="Training compounds and a SHA-256 of the descriptors of each"
    )
    settings: dict[str, Any] = Field(description="Settings of training and screening")
    n_superionic: int = Field(description="Training compounds above the threshold")
    classifier_features: list[str] = Field(description="Descriptors of the classifier")
    regressor_features: list[str] = Field(description="Descriptors of the regressor")
    scores: list[VersionScore] = Field(description="Plain and, where there are any, nested scores")
    n_ranked: int = Field(description="Compounds of the pool that passed the filters")
    n_pool: int = Field(description="Compounds of the pool")
    superionic: dict[str, str] = Field(
        description="Compounds predicted superionic, id to formula, by rank"
    )
    software: dict[str, str] = Field(description="Versions of the packages that made the models")
    changes: ModelChanges | None = Field(
        default=None, description="Against the version before; None of the first"
    )

    @property
    def n_training(self) -> int:
        """Training compounds."""
        return len(self.training)


def describe_version(
    name: str,
    made: tuple[TrainedModels, ScreeningResult],
    jobs: tuple[str, str],
    fingerprints: dict[str, str],
    settings: dict[str, Any],
) -> ModelVersion:
    """The first version of some models; arguments as of the job `version_models`."""
    models, screening = made
    rows = screening.rows
    return ModelVersion(
        name=name,
        version=1,
        models_job=jobs[0],
        screening_job=jobs[1],
        previous_job=None,
        data_hash=models.data_hash,
        training={one: fingerprints.get(one, "") for one in models.training_ids},
        settings=settings,
        n_superionic=sum(row.superionic for row in models.training),
        classifier_features=models.classifier.features,
        regressor_features=models.regressor.features,
        scores=model_scores(models),
        n_ranked=len(rows),
        n_pool=len(rows) + len(screening.filtered_out),
        superionic={row.compound_id: row.formula for row in rows if row.superionic},
        software=models.software,
    )


def model_scores(models: TrainedModels) -> list[VersionScore]:
    """Plain and nested scores of both models."""
    classifier, regressor = models.classifier, models.regressor
    found: list[VersionScore] = []
    for model, scores in (
        ("classifier", classifier.scores),
        ("classifier", classifier.nested_scores),
        ("regressor", regressor.scores),
        ("regressor", regressor.nested_scores),
    ):
        found += _scores(model, scores)
    return found


def _scores(
    model: str, scores: ClassificationScores | RegressionScores | None
) -> list[VersionScore]:
    if scores is None:
        return []
    names = ("accuracy", "f1", "log_loss")
    if isinstance(scores, RegressionScores):
        names = ("rmse", "mae", "r2")
    return [
        VersionScore(
            model=model, score=name, selection=scores.selection, value=getattr(scores, name)
        )
        for name in names
    ]


def compare_versions(
    before: tuple[ModelVersion, TrainedModels, ScreeningResult],
    after: tuple[ModelVersion, TrainedModels, ScreeningResult],
) -> ModelChanges:
    """What changed from one version to the next; each is given with its models and screening."""
    (old, old_models, old_screening), (new, new_models, new_screening) = before, after
    old_features, new_features = _features(old), _features(new)
    old_pool, new_pool = _pool(old_screening), _pool(new_screening)
    formulas = {row.compound_id: row.formula for row in (*old_screening.rows, *new_screening.rows)}
    return ModelChanges(
        previous=old.version,
        added=sorted(set(new.training) - set(old.training)),
        removed=sorted(set(old.training) - set(new.training)),
        changed=_changed((old, old_models), (new, new_models)),
        pool_added=sorted(new_pool - old_pool),
        pool_removed=sorted(old_pool - new_pool),
        descriptors_in={
            model: _without(new_features[model], old_features[model]) for model in new_features
        },
        descriptors_out={
            model: _without(old_features[model], new_features[model]) for model in new_features
        },
        scores=_score_changes(old.scores, new.scores),
        entered={name: formulas[name] for name in new.superionic if name not in old.superionic},
        left={name: formulas[name] for name in old.superionic if name not in new.superionic},
        moves=_moves(old_screening, new_screening),
        settings=_differences(old.settings, new.settings),
        software=_differences(old.software, new.software),
    )


def _features(version: ModelVersion) -> dict[str, list[str]]:
    return {"classifier": version.classifier_features, "regressor": version.regressor_features}


def _without(names: list[str], others: list[str]) -> list[str]:
    return [name for name in names if name not in others]


def _pool(screening: ScreeningResult) -> set[str]:
    ranked = {row.compound_id for row in screening.rows}
    return ranked | {one.compound_id for one in screening.filtered_out}


def _changed(
    before: tuple[ModelVersion, TrainedModels], after: tuple[ModelVersion, TrainedModels]
) -> dict[str, str]:
    """Training compounds of both versions whose conductivity or descriptors differ."""
    old = {row.compound_id: row.log10_measured for row in before[1].training}
    found = {}
    for row in after[1].training:
        name = row.compound_id
        if name not in old:
            continue
        parts = []
        if abs(row.log10_measured - old[name]) > 1e-9:
            parts.append(f"conductivity {10 ** old[name]:.3g} to {10**row.log10_measured:.3g} S/cm")
        if before[0].training.get(name) != after[0].training.get(name):
            parts.append("descriptors")
        if parts:
            found[name] = "; ".join(parts)
    return found


def _score_changes(before: list[VersionScore], after: list[VersionScore]) -> list[ScoreChange]:
    def keyed(scores: list[VersionScore]) -> dict[tuple[str, str, Selection], float]:
        return {(one.model, one.score, one.selection): one.value for one in scores}

    old, new = keyed(before), keyed(after)
    return [
        ScoreChange(
            model=key[0], score=key[1], selection=key[2], before=old.get(key), after=new.get(key)
        )
        for key in dict.fromkeys([*old, *new])
    ]


def _moves(before: ScreeningResult, after: ScreeningResult) -> list[RankMove]:
    old: dict[str, ScreeningRow] = {row.compound_id: row for row in before.rows}
    moved = [
        RankMove(
            compound_id=row.compound_id,
            formula=row.formula,
            before=old[row.compound_id].rank,
            after=row.rank,
            probability_before=old[row.compound_id].probability,
            probability_after=row.probability,
        )
        for row in after.rows
        if row.compound_id in old and old[row.compound_id].rank != row.rank
    ]
    return sorted(moved, key=lambda one: (-abs(one.after - one.before), one.after))[:MOST_MOVES]


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    return {
        name: [before.get(name), after.get(name)]
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    }
