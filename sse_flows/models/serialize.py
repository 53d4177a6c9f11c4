"""Fitted estimators as bytes, without pickle.

skops (https://skops.readthedocs.io) writes a zip of JSON and NumPy arrays. Unlike a pickle it runs
no code of the file's choice: a type that neither skops trusts by itself nor is in `TRUSTED` is
refused. It was preferred to a JSON form of our own because the loaded objects are scikit-learn's
own and predict the same to the last bit. scikit-learn walks a tree without checking its indices,
so trees from a file are checked here before anything is predicted.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import skops.io
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from sklearn.tree._tree import Tree
from skops.io.exceptions import UntrustedTypesFoundException

from sse_flows.errors import SSEError, one_line
from sse_flows.models.best_subset import BestSubsetClassifier
from sse_flows.models.domain import ApplicabilityDomain
from sse_flows.models.elimination import BackwardEliminationForest
from sse_flows.models.regressor import ConductivityForest

TRUSTED = [
    f"{kind.__module__}.{kind.__qualname__}"
    for kind in (
        BestSubsetClassifier,
        ConductivityForest,
        BackwardEliminationForest,
        ApplicabilityDomain,
        Tree,
    )
] + ["numpy.dtype"]
"""Types that a file of models may hold, beside those that skops trusts by itself."""


@dataclass
class FittedModels:
    """The estimators of one `TrainedModels`, each with the domain of its own descriptors."""

    classifier: BestSubsetClassifier
    regressor: ConductivityForest | BackwardEliminationForest
    classifier_domain: ApplicabilityDomain
    regressor_domain: ApplicabilityDomain


def to_bytes(fitted: FittedModels) -> bytes:
    """Estimators in the skops format; compressed, or 200 trees would take 6 MB instead of 0.6."""
    content = {name: getattr(fitted, name) for name in FittedModels.__annotations__}
    return skops.io.dumps(content, compression=zipfile.ZIP_DEFLATED)


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
    fitted = _checked(trusted_content(data, TRUSTED, expected_hash))
    _check_coefficients(fitted.classifier)
    _check_steps(fitted)
    _check_trees(fitted.regressor)
    return fitted


def trusted_content(data: bytes, trusted: list[str], expected_hash: str | None = None) -> object:
    """What a file of skops holds, if it is whole and of trusted types only.

    Parameters
    ----------
    data
        The file.
    trusted
        Names of types beside those that skops trusts by itself.
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
        return skops.io.loads(data, trusted=trusted)
    except UntrustedTypesFoundException as error:
        raise SSEError(
            f"refused to load estimators: {error}",
            mend="Load only models written by this package; train again if in doubt",
        ) from error
    except Exception as error:  # a damaged zip fails in as many ways as it can be damaged
        raise SSEError(
            f"the fitted estimators cannot be read ({one_line(error)})",
            mend="The file is damaged or was written by another version: train again",
        ) from error


def fingerprint(data: bytes) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _checked(content: object) -> FittedModels:
    """The content of a file, if it is what `to_bytes` writes."""
    kinds: dict[str, Any] = {
        "classifier": BestSubsetClassifier,
        "regressor": (ConductivityForest, BackwardEliminationForest),
        "classifier_domain": ApplicabilityDomain,
        "regressor_domain": ApplicabilityDomain,
    }
    parts = content if isinstance(content, dict) else {}
    if set(parts) == set(kinds) and all(isinstance(parts[name], kinds[name]) for name in kinds):
        return FittedModels(**parts)
    raise SSEError(
        f"the file holds {type(content).__name__}, not a classifier, a regressor and their domains",
        mend="Give the folder that `sse train -o` or save_models wrote",
    )


def _check_coefficients(classifier: BestSubsetClassifier) -> None:
    """Refuse anything but one finite coefficient a chosen column."""
    parts = (classifier.raw_coef_, classifier.raw_intercept_, classifier.support_)
    chosen = len(classifier.features_)
    shapes = [(1, chosen), (1,), (classifier.n_features_in_,)]
    arrays = all(isinstance(part, np.ndarray) for part in parts)
    if (
        not arrays
        or [part.shape for part in parts] != shapes
        or [part.dtype.kind for part in parts] != ["f", "f", "b"]
        or classifier.support_.sum() != chosen
        or not all(np.isfinite(part).all() for part in parts)
    ):
        raise SSEError(
            "the classifier's coefficients do not fit its columns",
            mend="The file is damaged or forged: train again",
        )


def _check_steps(fitted: FittedModels) -> None:
    """Refuse steps of other types, whose trees `_check_trees` would not see."""
    scaling = (SimpleImputer, StandardScaler)
    for pipeline, kinds in (
        (fitted.regressor.pipeline_, (SimpleImputer, RandomForestRegressor)),
        (fitted.classifier_domain.scaling_, scaling),
        (fitted.regressor_domain.scaling_, scaling),
    ):
        found = tuple(type(step) for _, step in pipeline.steps)
        if found != kinds:
            raise SSEError(
                f"a model's steps are {[kind.__name__ for kind in found]}, "
                f"not {[kind.__name__ for kind in kinds]}",
                mend="The file is damaged or forged: train again",
            )


def _check_trees(regressor: ConductivityForest | BackwardEliminationForest) -> None:
    """Refuse trees whose indices point outside their arrays or back towards the root."""
    forest = regressor.pipeline_[-1]
    for number, estimator in enumerate(forest.estimators_):
        if not _is_sound(estimator.tree_, forest.n_features_in_):
            raise SSEError(
                f"tree {number} of the forest has nodes that point outside of it",
                mend="The file is damaged or forged: train again",
            )


def _is_sound(tree: Tree, n_features: int) -> bool:
    shape = (tree.n_features, tree.n_outputs, tree.max_n_classes)
    # the count first: the arrays are views of so many nodes, whether they exist or not
    if shape != (n_features, 1, 1) or not 0 < tree.node_count <= tree.capacity:
        return False
    nodes = np.arange(tree.node_count)
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != -1  # children come after their parent, so that no walk is endless
    children = np.stack([left[inner], right[inner]])
    return bool(
        np.all(children > nodes[inner])
        and np.all(children < tree.node_count)
        and np.all((feature[inner] >= 0) & (feature[inner] < n_features))
    )
