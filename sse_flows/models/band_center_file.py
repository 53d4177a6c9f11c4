"""A fitted model of the band centre as a folder: a document to read and its estimators.

``band_center.json`` says what it was trained on and how well it does, ``band_center.skops`` holds
the estimators in the format of skops, which runs no code of the file's choice. The document knows
the hash of the other file. A model trained on public data comes with the package, see `pretrained`.
"""

from __future__ import annotations

import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

from sse_flows.errors import SSEError, one_line
from sse_flows.models.band_center import BandCenterModel
from sse_flows.models.band_center_elements import ElementBandCenters
from sse_flows.models.band_center_rows import ROW_LABELS
from sse_flows.models.domain import ApplicabilityDomain
from sse_flows.models.serialize import trusted_content
from sse_flows.models.sparse_gp import SparseGaussianProcess

DOCUMENT = "band_center.json"
ESTIMATORS = "band_center.skops"

TRUSTED = [
    f"{kind.__module__}.{kind.__qualname__}"
    for kind in (ElementBandCenters, SparseGaussianProcess, ApplicabilityDomain, TreePredictor)
] + ["numpy.dtype"]


class BandCenterScores(BaseModel):
    """Out-of-fold scores, folds by composition."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    n_compounds: int = Field(description="Compounds scored")
    r2: float = Field(description="Coefficient of determination")
    mae: float = Field(description="Mean absolute error, meV")
    rmse: float = Field(description="Root mean square error, meV")


class BandCenterDocument(BaseModel):
    """What a model of the band centre was trained on and how well it does."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    sources: dict[str, int] = Field(description="Compounds of each training set")
    n_with_elements: int = Field(description="Compounds with band centres of their elements")
    attribution: list[str] = Field(description="Whom to cite for the training data")
    columns: list[str] = Field(description="Columns of the rows that the estimators take")
    scores: dict[str, BandCenterScores] = Field(
        description="By family of compounds: predictions by models without the composition"
    )
    software: dict[str, str] = Field(description="Versions of what decides the numbers")
    estimators_hash: str = Field(description="SHA-256 of the file of estimators")


def estimator_bytes(model: BandCenterModel) -> bytes:
    """The fitted parts of a model in the skops format."""
    content = {
        "estimator": model.estimator_,
        "domain": model.domain_,
        "scores": model.scores_,
        "floor": model.floor_,
    }
    return skops.io.dumps(content, compression=zipfile.ZIP_DEFLATED, compresslevel=9)


def save_band_center(
    model: BandCenterModel, document: BandCenterDocument, data: bytes, folder: str | Path
) -> Path:
    """Write a model into a folder, which is made if need be; returns the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ESTIMATORS).write_bytes(data)
    (folder / DOCUMENT).write_text(document.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return folder


def load_band_center(folder: str | Path) -> tuple[BandCenterModel, BandCenterDocument]:
    """Read what `save_band_center` wrote; it predicts the same to the last bit.

    Raises
    ------
    SSEError
        If a file is absent, damaged, of another model or version, or holds a type not trusted.
    """
    return _load(Path(folder))


def pretrained() -> tuple[BandCenterModel, BandCenterDocument]:
    """The model that comes with the package; its document names the data to cite.

    Raises
    ------
    SSEError
        If it does not fit the installed versions.
    """
    return _load(files("sse_flows") / "data" / "band_center")


def _load(folder: Any) -> tuple[BandCenterModel, BandCenterDocument]:
    absent = [name for name in (DOCUMENT, ESTIMATORS) if not (folder / name).is_file()]
    if absent:
        raise SSEError(
            f"{folder} holds no {' and no '.join(absent)}",
            mend="Give the folder that `sse band-center train` wrote",
        )
    try:
        text = (folder / DOCUMENT).read_text(encoding="utf-8")
        document = BandCenterDocument.model_validate_json(text)
    except (ValueError, ValidationError) as error:
        raise SSEError(
            f"{folder / DOCUMENT} is not the document of a model: {one_line(error)}",
            mend="The file is damaged or was written by another version: train again",
        ) from error
    if tuple(document.columns) != ROW_LABELS:
        raise SSEError(
            f"{folder} was trained on other columns than this version computes",
            mend="Train again",
        )
    model = _from_bytes((folder / ESTIMATORS).read_bytes(), document.estimators_hash)
    return model, document


def _from_bytes(data: bytes, expected_hash: str) -> BandCenterModel:
    content: Any = trusted_content(data, TRUSTED, expected_hash)
    if not _is_sound(content):
        raise SSEError(
            "the file holds no sound model of the band centre",
            mend="The file is damaged or forged: train again",
        )
    model = BandCenterModel()
    model.estimator_, model.domain_ = content["estimator"], content["domain"]
    model.scores_, model.floor_ = content["scores"], content["floor"]
    return model


def _is_sound(content: Any) -> bool:
    """Whether a file's content is what `estimator_bytes` writes, down to the nodes of the trees."""
    kinds = {
        "estimator": ElementBandCenters,
        "domain": ApplicabilityDomain,
        "scores": np.ndarray,
        "floor": float,
    }
    if not isinstance(content, dict) or set(content) != set(kinds):
        return False
    if not all(isinstance(content[name], kind) for name, kind in kinds.items()):
        return False
    trees = getattr(content["estimator"], "trees_", None)
    process = getattr(content["estimator"], "process_", None)
    if not isinstance(trees, HistGradientBoostingRegressor):
        return False
    return isinstance(process, SparseGaussianProcess) and all(
        isinstance(tree, TreePredictor) and _is_tree(tree, trees.n_features_in_)
        for stage in trees._predictors
        for tree in stage
    )


def _is_tree(tree: TreePredictor, n_features: int) -> bool:
    """Children come after their parent and within the array, features within the columns.

    Depths, by which a walk down the tree knows when to end, are one more than the parent's.
    """
    nodes = tree.nodes
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    if len(nodes) == 0 or np.any(nodes["is_categorical"][inner]):
        return False
    children = np.stack([nodes["left"][inner], nodes["right"][inner]]).astype(np.int64)
    feature = nodes["feature_idx"][inner]
    return bool(
        np.all(children > inner)
        and np.all(children < len(nodes))
        and nodes["depth"][0] == 0
        and np.all(nodes["depth"][children] == nodes["depth"][inner] + 1)
        and np.all((feature >= 0) & (feature < n_features))
    )
