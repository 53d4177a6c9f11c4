"""Fitted estimators as bytes, without pickle.

skops (https://skops.readthedocs.io) writes a zip of JSON and NumPy arrays. Unlike a pickle it runs
no code of the file's choice: a type that is neither scikit-learn's, NumPy's nor in `TRUSTED` is
refused. It was preferred to a JSON form of our own because the loaded objects are scikit-learn's
own and predict the same to the last bit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from sse_flows.errors import SSEError
from sse_flows.models.domain import ApplicabilityDomain
from sse_flows.models.regressor import ConductivityForest
from sse_flows.models.subsets import BestSubsetLogisticRegression

TRUSTED = [
    f"{kind.__module__}.{kind.__qualname__}"
    for kind in (BestSubsetLogisticRegression, ConductivityForest, ApplicabilityDomain)
]
"""Our own classes that a file of models may hold, beside those that skops trusts by itself."""


@dataclass
class FittedModels:
    """The estimators of one `TrainedModels`, each with the domain of its own descriptors."""

    classifier: BestSubsetLogisticRegression
    regressor: ConductivityForest
    classifier_domain: ApplicabilityDomain
    regressor_domain: ApplicabilityDomain


def to_bytes(fitted: FittedModels) -> bytes:
    """Estimators in the skops format."""
    return skops.io.dumps({name: getattr(fitted, name) for name in FittedModels.__annotations__})


def from_bytes(data: bytes, *, expected_hash: str | None = None) -> FittedModels:
    """Estimators from the skops format.

    Parameters
    ----------
    data
        What `to_bytes` gave.
    expected_hash
        SHA-256 that the bytes must have, if it is known.

    Raises
    ------
    SSEError
        If the bytes are damaged, are of another model or hold a type that is not trusted.
    """
    if expected_hash is not None and fingerprint(data) != expected_hash:
        raise SSEError(
            f"the fitted estimators (SHA-256 {fingerprint(data)[:12]}...) are not those of their "
            f"document ({expected_hash[:12]}...)",
            mend="Keep the files of one model together, or train again",
        )
    try:
        content = skops.io.loads(data, trusted=TRUSTED)
    except UntrustedTypesFoundException as error:
        raise SSEError(
            f"refused to load estimators: {error}",
            mend="Load only models written by this package; train again if in doubt",
        ) from error
    except Exception as error:  # a damaged zip fails in as many ways as it can be damaged
        raise SSEError(
            f"the fitted estimators cannot be read ({type(error).__name__}: {error})",
            mend="The file is damaged or was written by another version: train again",
        ) from error
    return _checked(content)


def fingerprint(data: bytes) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _checked(content: object) -> FittedModels:
    """The content of a file, if it is what `to_bytes` writes."""
    kinds = {
        "classifier": BestSubsetLogisticRegression,
        "regressor": ConductivityForest,
        "classifier_domain": ApplicabilityDomain,
        "regressor_domain": ApplicabilityDomain,
    }
    fits = isinstance(content, dict) and set(content) == set(kinds)
    if not fits or not all(isinstance(content[name], kind) for name, kind in kinds.items()):
        raise SSEError(
            f"the file holds {type(content).__name__}, not a classifier, a regressor and domains",
            mend="Give the folder that save_models wrote",
        )
    return FittedModels(**content)
