"""The document of trained models: what was fitted, to what, and how well it does."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from sse_flows.models.explanation import ModelExplanation

if TYPE_CHECKING:
    from sse_flows.models.serialize import FittedModels

Selection = Literal["outside the folds", "inside the folds"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClassificationScores(_Document):
    """How well leave-one-out probabilities tell the two classes apart."""

    n_rows: int = Field(description="Compounds scored")
    accuracy: float = Field(description="Share of compounds put into the right class")
    f1: float = Field(description="F1 score of the superionic class")
    log_loss: float = Field(description="Mean negative log likelihood, nats")
    confusion: list[list[int]] = Field(
        description="Counts [[true negative, false positive], [false negative, true positive]]"
    )
    selection: Selection = Field(
        description="Whether features were chosen outside the folds (all rows seen: optimistic) "
        "or inside (nested: what a new compound may expect)"
    )


class RegressionScores(_Document):
    """How well leave-one-out predictions follow the measured values."""

    n_rows: int = Field(description="Compounds scored")
    rmse: float = Field(description="Root mean square error, log10(S/cm)")
    mae: float = Field(description="Mean absolute error, log10(S/cm)")
    r2: float = Field(description="1 - sum of squared errors / sum of squares about the mean")
    selection: Selection = Field(description="Where features were chosen, as for the classifier")


class SizeResult(_Document):
    """Best subset of one size."""

    n_features: int = Field(description="Number of descriptors")
    features: list[str] = Field(description="Descriptors of the best subset of this size")
    accuracy: float = Field(description="Leave-one-out accuracy, selection outside the folds")
    f1: float = Field(description="Leave-one-out F1 of the superionic class")
    log_loss: float = Field(description="Leave-one-out log loss, nats")
    n_tied: int = Field(description="Subsets of this size with the same accuracy")
    n_subsets: int = Field(description="Subsets of this size")
    train_accuracy: float = Field(description="Accuracy on the rows it was fitted to")
    chosen: bool = Field(description="Whether this is the model in use")


class ClassifierDocument(_Document):
    """The best-subset logistic regression."""

    features: list[str] = Field(description="Chosen descriptors")
    coefficients: dict[str, float] = Field(
        description="Log odds per standard deviation of the descriptor"
    )
    intercept: float = Field(description="Log odds at the mean of every descriptor")
    raw_coefficients: dict[str, float] = Field(
        description="Log odds per unit of the descriptor (units in descriptors.UNITS)"
    )
    raw_intercept: float = Field(description="Log odds with every descriptor zero")
    sizes: list[SizeResult] = Field(description="Best subset of every size")
    scores: ClassificationScores = Field(description="Leave-one-out, selection outside the folds")
    nested_scores: ClassificationScores | None = Field(
        default=None,
        description="Leave-one-out, selection inside the folds; None where not asked for",
    )
    nested_features: dict[str, list[str]] = Field(
        default_factory=dict, description="Descriptors chosen without each compound, by its id"
    )
    baseline: ClassificationScores = Field(
        description="Majority class of the other rows. Of two equal classes the row left out is "
        "always in the minority, so its accuracy is then 0: see majority_share"
    )
    majority_share: float = Field(description="Share of the larger class among all compounds")


class EliminationRound(_Document):
    """One round of the backward elimination."""

    n_features: int = Field(description="Descriptors left after this round")
    dropped: str = Field(description="Descriptor that went in this round; empty in the first")
    features: list[str] = Field(description="Descriptors left")
    rmse: float = Field(description="Leave-one-out RMSE, log10(S/cm), selection outside the folds")
    r2: float = Field(description="Leave-one-out R2, selection outside the folds")
    chosen: bool = Field(description="Whether this is the model in use")


class NestedSettings(_Document):
    """How the whole elimination was cross-validated; cheaper than the elimination in use."""

    n_splits: int = Field(description="Folds, shuffled; each eliminates anew without its rows")
    n_estimators: int = Field(description="Trees of each forest scored by leave-one-out")
    ranking_trees: int = Field(description="Trees of each forest that ranks a candidate")
    n_confirm: int = Field(description="Candidates of each round scored by leave-one-out")
    tolerance: float = Field(description="Rise of the RMSE at which the elimination stops")
    random_state: int = Field(description="Seed of the folds and the forests")


class RegressorDocument(_Document):
    """The random forest of log10 conductivity."""

    kind: Literal["forest", "elimination"] = Field(
        default="forest",
        description="A forest of all usable descriptors, or of those that the backward "
        "elimination left",
    )
    features: list[str] = Field(description="Descriptors used")
    importances: dict[str, float] = Field(
        description="Mean decrease of variance (Gini importance), summing to 1; largest first"
    )
    permutation_importances: dict[str, float] = Field(
        default_factory=dict,
        description="Rise of the leave-one-out RMSE when a held-out compound's value is replaced "
        "by those of the others, log10(S/cm); largest first; not above 0 where it does not help",
    )
    path: list[EliminationRound] = Field(
        default_factory=list,
        description="Rounds of the elimination, the last perhaps the one that was refused; empty "
        "for a forest of all descriptors",
    )
    scores: RegressionScores = Field(
        description="Leave-one-out; of an elimination with descriptors chosen outside the folds"
    )
    nested_scores: RegressionScores | None = Field(
        default=None,
        description="Of an elimination: k-fold with the elimination inside the folds; None where "
        "not asked for, and for the forest of all descriptors, which chooses nothing",
    )
    nested_settings: NestedSettings | None = Field(
        default=None, description="How `nested_scores` were made"
    )
    nested_features: dict[str, int] = Field(
        default_factory=dict,
        description="In how many of the folds each descriptor was left, most often first",
    )
    baseline: RegressionScores = Field(description="Mean of the other rows")


class Correlations(_Document):
    """Pearson correlations over the training compounds, pairwise complete."""

    descriptors: list[str] = Field(description="Names of the rows and columns")
    matrix: list[list[float | None]] = Field(
        description="Of descriptors with each other; None where one of the two is constant or "
        "fewer than three compounds have both"
    )
    log10_conductivity: list[float | None] = Field(
        description="Of each descriptor with log10 of the measured conductivity"
    )


class TrainingRow(_Document):
    """One training compound and what the models say of it when it is left out."""

    compound_id: str = Field(description="Id of the compound")
    formula: str = Field(description="Reduced formula; empty if the table has none")
    log10_measured: float = Field(description="Measured conductivity, log10(S/cm)")
    superionic: bool = Field(description="Whether the measured conductivity exceeds the threshold")
    log10_predicted: float = Field(description="Leave-one-out prediction, log10(S/cm)")
    nested_log10_predicted: float | None = Field(
        default=None,
        description="Prediction with the elimination inside the folds, log10(S/cm); None where "
        "not asked for and without an elimination",
    )
    probability: float = Field(
        description="Leave-one-out probability of superionic, selection outside the folds"
    )
    predicted_superionic: bool = Field(description="Whether that probability exceeds one half")
    nested_probability: float | None = Field(
        default=None, description="The same with the selection inside the folds"
    )


class TrainedModels(_Document):
    """A classifier and a regressor of conductivity, with all that is needed to judge and use them.

    `estimators` carries the fitted scikit-learn objects, so that the document alone, from a
    JobStore or a file, is enough to screen with: see `fitted`.
    """

    threshold: float = Field(description="Conductivity above which a compound is superionic, S/cm")
    max_features: int = Field(description="Largest subset of descriptors that was tried")
    penalty: float = Field(description="C of the logistic regression on standardised descriptors")
    n_estimators: int = Field(description="Trees of the forest")
    elimination: bool = Field(
        default=False, description="Whether descriptors of the forest were eliminated"
    )
    random_state: int = Field(description="Seed of the forest")
    classifier: ClassifierDocument = Field(description="Best-subset logistic regression")
    regressor: RegressorDocument = Field(description="Random forest")
    correlations: Correlations | None = Field(
        default=None, description="Of the descriptors; None in documents of older versions"
    )
    explanation: ModelExplanation | None = Field(
        default=None,
        description="Which descriptors matter and in which direction; None in older documents",
    )
    training: list[TrainingRow] = Field(description="Training compounds, by id")
    dropped: dict[str, str] = Field(description="Descriptors left out, with the reason")
    ignored: dict[str, str] = Field(description="Compounds left out, with the reason")
    notes: list[str] = Field(description="What a reader of the scores should know")
    data_hash: str = Field(description="SHA-256 of the training table, independent of row order")
    software: dict[str, str] = Field(description="Versions of the packages that made the models")
    estimators: str = Field(description="Fitted estimators, skops format, base64", repr=False)
    estimators_hash: str = Field(description="SHA-256 of the decoded estimators")

    @property
    def training_ids(self) -> list[str]:
        """Ids of the training compounds, sorted."""
        return [row.compound_id for row in self.training]

    def fitted(self) -> FittedModels:
        """The fitted estimators.

        Raises
        ------
        SSEError
            If they are damaged or hold a type that is not trusted.
        """
        from sse_flows.models.serialize import from_bytes

        return from_bytes(base64.b64decode(self.estimators), expected_hash=self.estimators_hash)
