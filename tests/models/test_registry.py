"""Models survive the way to disk and back, and foreign files are refused."""

from __future__ import annotations

import base64
import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models import TrainedModels, from_bytes, load_models, save_models, to_bytes
from sse_flows.models.serialize import fingerprint
from sse_flows.models.train import train


class Malicious:
    """Neither scikit-learn's nor ours."""

    def __init__(self) -> None:
        self.x = 1


def _check_same(one: TrainedModels, two: TrainedModels, table: pd.DataFrame) -> None:
    X = table[list(DESCRIPTORS)] * 1.1
    a, b = one.fitted(), two.fitted()
    np.testing.assert_array_equal(a.classifier.predict_proba(X), b.classifier.predict_proba(X))
    np.testing.assert_array_equal(a.regressor.predict(X), b.regressor.predict(X))
    columns = one.classifier.features
    np.testing.assert_array_equal(
        a.classifier_domain.distance(X[columns]), b.classifier_domain.distance(X[columns])
    )
    pd.testing.assert_frame_equal(a.classifier.cv_results_, b.classifier.cv_results_)


def test_folder_round_trip(models: TrainedModels, table: pd.DataFrame, tmp_path: Path) -> None:
    folder = save_models(models, tmp_path / "a" / "b")
    again = load_models(folder)
    assert again == models
    _check_same(models, again, table)
    assert "estimators" not in json.loads((folder / "models.json").read_text())


def test_document_round_trip(models: TrainedModels, table: pd.DataFrame) -> None:
    document = json.loads(models.model_dump_json())
    _check_same(models, TrainedModels.model_validate(document), table)
    assert len(models.estimators) < 1_000_000


def test_refitted_estimators_are_the_stored_ones(models: TrainedModels) -> None:
    data = to_bytes(models.fitted())
    again = from_bytes(data, expected_hash=fingerprint(data))
    np.testing.assert_array_equal(again.classifier.coef_, models.fitted().classifier.coef_)


def test_untrusted_types_are_refused(models: TrainedModels, tmp_path: Path) -> None:
    parts = vars(models.fitted()) | {"classifier": Malicious()}
    data = skops.io.dumps(parts)
    with pytest.raises(SSEError, match=r"refused to load.*Malicious"):
        from_bytes(data)
    forged = models.model_copy(
        update={"estimators": base64.b64encode(data).decode(), "estimators_hash": fingerprint(data)}
    )
    with pytest.raises(SSEError, match="refused to load"):
        load_models(save_models(forged, tmp_path))


def test_functions_named_in_a_file_are_refused(models: TrainedModels) -> None:
    """A file whose schema names os.system loads nothing."""
    stream = BytesIO(to_bytes(models.fitted()))
    with zipfile.ZipFile(stream) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    schema["content"]["classifier"] |= {"__module__": "os", "__class__": "system"}
    members["schema.json"] = json.dumps(schema).encode()
    forged = BytesIO()
    with zipfile.ZipFile(forged, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(SSEError, match=r"refused to load.*os\.system"):
        from_bytes(forged.getvalue())


@pytest.mark.parametrize("value", [10_000, -7])
@pytest.mark.parametrize("field", ["left_child", "right_child", "feature"])
def test_trees_that_point_outside_are_refused(
    models: TrainedModels, field: str, value: int
) -> None:
    fitted = models.fitted()
    tree = fitted.regressor.pipeline_[-1].estimators_[2].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    with pytest.raises(SSEError, match="tree 2 of the forest"):
        from_bytes(to_bytes(fitted))


def test_other_steps_are_refused(models: TrainedModels) -> None:
    fitted = models.fitted()
    forest = fitted.regressor.pipeline_[-1]
    fitted.classifier_domain.scaling_.steps[-1] = ("forest", forest)
    with pytest.raises(SSEError, match="a model's steps are"):
        from_bytes(to_bytes(fitted))


@pytest.mark.parametrize("value", [np.zeros((1, 9)), np.array([[np.nan]]), "1.0"])
def test_coefficients_that_do_not_fit_are_refused(models: TrainedModels, value: object) -> None:
    fitted = models.fitted()
    fitted.classifier.raw_coef_ = value
    with pytest.raises(SSEError, match="coefficients do not fit"):
        from_bytes(to_bytes(fitted))


def test_other_content_is_refused() -> None:
    with pytest.raises(SSEError, match="not a classifier"):
        from_bytes(skops.io.dumps(LinearRegression()))
    with pytest.raises(SSEError, match="cannot be read"):
        from_bytes(b"not a zip")


def test_incomplete_folders_are_refused(models: TrainedModels, tmp_path: Path) -> None:
    with pytest.raises(SSEError, match=r"no models\.json"):
        load_models(tmp_path)
    folder = save_models(models, tmp_path / "m")
    data = (folder / "estimators.skops").read_bytes()
    (folder / "estimators.skops").write_bytes(data[:-10])
    with pytest.raises(SSEError, match="are not those of their document"):
        load_models(folder)
    (folder / "estimators.skops").write_bytes(data)
    (folder / "models.json").write_text("{}")
    with pytest.raises(SSEError, match="not a document of models"):
        load_models(folder)


def test_an_elimination_survives_the_way_to_disk(table: pd.DataFrame, tmp_path: Path) -> None:
    some = table[[*DESCRIPTORS[:3], "band_gap", "conductivity"]].reindex(
        columns=[*DESCRIPTORS, "conductivity"]
    )
    models = train(some, max_features=1, n_estimators=4, elimination=True, nested=True)
    regressor = models.regressor
    assert (regressor.kind, regressor.scores.selection) == ("elimination", "outside the folds")
    assert regressor.nested_scores.selection == "inside the folds"
    assert [one.features for one in regressor.path if one.chosen] == [regressor.features]
    assert set(regressor.permutation_importances) == set(regressor.features)
    assert all(row.nested_log10_predicted is not None for row in models.training)
    again = load_models(save_models(models, tmp_path / "m"))
    assert again == models
    _check_same(models, again, some)
    fitted = models.fitted()
    fitted.regressor.pipeline_[-1].estimators_[0].tree_.children_left[0] = 10**6
    with pytest.raises(SSEError, match="point outside"):
        from_bytes(to_bytes(fitted))
