"""Models of ionic conductivity: fitted, scored, saved."""

from sse_flows.models.columns import TrainingDataError
from sse_flows.models.document import ClassificationScores, RegressionScores, TrainedModels
from sse_flows.models.domain import ApplicabilityDomain
from sse_flows.models.kim2024 import Kim2024
from sse_flows.models.registry import load_models, save_models
from sse_flows.models.regressor import ConductivityForest
from sse_flows.models.serialize import FittedModels, from_bytes, to_bytes
from sse_flows.models.subsets import BestSubsetLogisticRegression
from sse_flows.models.train import train
from sse_flows.models.validation import LeaveOneOutResult, leave_one_out

__all__ = [
    "ApplicabilityDomain",
    "BestSubsetLogisticRegression",
    "ClassificationScores",
    "ConductivityForest",
    "FittedModels",
    "Kim2024",
    "LeaveOneOutResult",
    "RegressionScores",
    "TrainedModels",
    "TrainingDataError",
    "from_bytes",
    "leave_one_out",
    "load_models",
    "save_models",
    "to_bytes",
    "train",
]
