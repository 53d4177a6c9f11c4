"""Models of ionic conductivity: fitted, scored, saved.

Names are imported when first used: documents of models are read where scikit-learn is not needed.
Training is `sse_flows.models.train.train`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sse_flows.models.best_subset import BestSubsetClassifier
    from sse_flows.models.columns import TrainingDataError
    from sse_flows.models.controls import leave_one_group_out, scramble_control
    from sse_flows.models.document import ClassificationScores, RegressionScores, TrainedModels
    from sse_flows.models.domain import ApplicabilityDomain
    from sse_flows.models.elimination import BackwardEliminationForest
    from sse_flows.models.explain import explain_compounds
    from sse_flows.models.explanation import CompoundExplanation, ModelExplanation
    from sse_flows.models.kim2024 import Kim2024
    from sse_flows.models.registry import load_models, save_models
    from sse_flows.models.regressor import ConductivityForest
    from sse_flows.models.serialize import FittedModels, from_bytes, to_bytes
    from sse_flows.models.uncertainty import ConformalModels, JackknifePlus
    from sse_flows.models.validation import LeaveOneOutResult, leave_one_out

_MODULES = {
    "ApplicabilityDomain": "domain",
    "BackwardEliminationForest": "elimination",
    "BestSubsetClassifier": "best_subset",
    "ClassificationScores": "document",
    "CompoundExplanation": "explanation",
    "ConductivityForest": "regressor",
    "ConformalModels": "uncertainty",
    "FittedModels": "serialize",
    "JackknifePlus": "uncertainty",
    "Kim2024": "kim2024",
    "LeaveOneOutResult": "validation",
    "ModelExplanation": "explanation",
    "RegressionScores": "document",
    "TrainedModels": "document",
    "TrainingDataError": "columns",
    "explain_compounds": "explain",
    "from_bytes": "serialize",
    "leave_one_group_out": "controls",
    "leave_one_out": "validation",
    "load_models": "registry",
    "save_models": "registry",
    "scramble_control": "controls",
    "to_bytes": "serialize",
}

__all__ = [
    "ApplicabilityDomain",
    "BackwardEliminationForest",
    "BestSubsetClassifier",
    "ClassificationScores",
    "CompoundExplanation",
    "ConductivityForest",
    "ConformalModels",
    "FittedModels",
    "JackknifePlus",
    "Kim2024",
    "LeaveOneOutResult",
    "ModelExplanation",
    "RegressionScores",
    "TrainedModels",
    "TrainingDataError",
    "explain_compounds",
    "from_bytes",
    "leave_one_group_out",
    "leave_one_out",
    "load_models",
    "save_models",
    "scramble_control",
    "to_bytes",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
