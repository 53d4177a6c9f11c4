"""Trained models as a folder: a document to read and a file of estimators, no pickle.

``models.json`` holds the document, ``estimators.skops`` the fitted objects; the document knows the
hash of the file, so that parts of two models are never mixed.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from pydantic import ValidationError

from sse_flows.errors import SSEError
from sse_flows.models.document import TrainedModels
from sse_flows.models.serialize import FittedModels, from_bytes, to_bytes

DOCUMENT = "models.json"
ESTIMATORS = "estimators.skops"

__all__ = ["FittedModels", "from_bytes", "load_models", "save_models", "to_bytes"]


def save_models(models: TrainedModels, folder: str | Path) -> Path:
    """Write the models into a folder, which is made if need be; returns the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ESTIMATORS).write_bytes(base64.b64decode(models.estimators))
    text = models.model_dump_json(indent=1, exclude={"estimators"})
    (folder / DOCUMENT).write_text(text, encoding="utf-8")
    return folder


def load_models(folder: str | Path) -> TrainedModels:
    """Read the models that `save_models` wrote; they predict the same to the last bit.

    Raises
    ------
    SSEError
        If a file is absent, damaged, of another model, or holds a type that is not trusted.
    """
    folder = Path(folder)
    absent = [name for name in (DOCUMENT, ESTIMATORS) if not (folder / name).is_file()]
    if absent:
        raise SSEError(
            f"{folder} holds no {' and no '.join(absent)}",
            mend="Give the folder that `sse train -o` or save_models wrote",
        )
    data = (folder / ESTIMATORS).read_bytes()
    try:
        content = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        models = TrainedModels(**content, estimators=base64.b64encode(data).decode())
    except (ValueError, TypeError, ValidationError) as error:
        raise SSEError(
            f"{folder / DOCUMENT} is not a document of models: {error}",
            mend="The file is damaged or was written by another version: train again",
        ) from error
    models.fitted()  # refuse now what could not be used later
    return models
