"""The model of the band centre: exact sums, splits, intervals, files, real data."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.data import chemical_symbols
from pymatgen.core import Lattice, Structure
from sklearn.ensemble import HistGradientBoostingRegressor

from sse_flows.errors import SSEError
from sse_flows.models import band_center_file
from sse_flows.models.band_center import BandCenterModel, training_set
from sse_flows.models.band_center_data import TrainingCompound, merge_training, read_training
from sse_flows.models.band_center_elements import ElementBandCenters, split_totals
from sse_flows.models.band_center_file import load_band_center, pretrained, save_band_center
from sse_flows.models.band_center_rows import ROW_LABELS
from sse_flows.models.band_center_train import (
    evaluate_band_center,
    families,
    scores_of,
    train_band_center,
)
from sse_flows.models.serialize import fingerprint
from sse_flows.models.sparse_gp import SparseGaussianProcess

CATIONS = ("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Ag", "Cu", "Tl")
ANIONS = ("O", "S", "Se", "F", "Cl", "Br")
FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
FREQUENCY = ROW_LABELS.index("mean log frequency bond valence")


def small() -> ElementBandCenters:
    """The default, made quick."""
    return ElementBandCenters(
        HistGradientBoostingRegressor(max_iter=30, random_state=0),
        SparseGaussianProcess(100, 80, 10),
    )


def rock_salt(cation: str, anion: str) -> Structure:
    from sse_flows.descriptors.crystal.elements import property_column

    numbers = Structure(Lattice.cubic(4), [cation, anion], [[0] * 3, [0.5] * 3]).atomic_numbers
    radii = property_column("CovalentRadius")[list(numbers)] / 100
    return Structure(
        Lattice.cubic(2 * radii.sum()), [cation] * 4 + [anion] * 4, [*FCC, *(FCC + 0.5)]
    )


@pytest.fixture(scope="module")
def compounds() -> list[TrainingCompound]:
    """Sixty rock salts whose elements vibrate as their springs would; half know their elements."""
    bare = [TrainingCompound(f"{c}{a}", rock_salt(c, a), 1.0) for c in CATIONS for a in ANIONS]
    data, failures = training_set(bare)
    assert not failures
    values = 40 * np.exp(data.rows.features[:, FREQUENCY])
    totals = data.rows.totals(values)
    found = []
    for k, one in enumerate(bare):
        mine = data.rows.owners == k
        pairs = zip(data.rows.numbers[mine], values[mine], strict=True)
        centers = {chemical_symbols[number]: float(value) for number, value in pairs}
        known = centers if k % 2 else None
        found.append(replace(one, center=float(totals[k]), element_centers=known, source="test"))
    return found


@pytest.fixture(scope="module")
def trained(compounds):
    return train_band_center(
        compounds, model=BandCenterModel(small(), n_folds=3), attribution=["a paper"]
    )


def test_learns_what_the_springs_say(compounds, trained):
    scores = trained.document.scores["all"]
    assert scores.n_compounds == 60
    assert scores.r2 > 0.9
    naive = np.std([one.center for one in compounds])
    assert scores.rmse < 0.35 * naive


def test_the_document_says_where_it_comes_from(trained):
    document = trained.document
    assert document.sources == {"test": 60}
    assert document.n_with_elements == 30
    assert document.attribution == ["a paper"]
    assert document.scores["Li"].n_compounds == 6
    assert "scikit-learn" in document.software


def test_split_totals_keep_the_total_and_what_is_known(compounds):
    data, _ = training_set(compounds)
    for known in (data.elements, np.full(len(data.elements), np.nan)):
        split = split_totals(data.rows, data.totals, known, SparseGaussianProcess(60, 60, 5))
        assert data.rows.totals(split) == pytest.approx(data.totals, rel=1e-6)
        there = ~np.isnan(known)
        assert np.array_equal(split[there], known[there])


def test_learns_from_totals_alone(compounds):
    model = BandCenterModel(small(), n_folds=3)
    model.fit([one.crystal for one in compounds], [one.center for one in compounds])
    measured = np.array([one.center for one in compounds])
    assert scores_of(measured, model.out_of_fold_).r2 > 0.85


def test_predictions_do_not_depend_on_the_cell(trained):
    crystal = rock_salt("Li", "Cl")
    doubled = crystal * (2, 1, 1)
    primitive = crystal.get_primitive_structure()
    found = trained.model.predict([crystal, doubled, primitive])
    assert found == pytest.approx(found[0], rel=1e-6)
    assert trained.model.predict([]).shape == (0,)


def test_table_has_intervals_a_domain_and_failures(trained):
    strange = Structure(Lattice.cubic(9), ["H", "U"], [[0] * 3, [0.5] * 3])
    crystals = {"LiCl": rock_salt("Li", "Cl"), "strange": strange, "bad": "nothing"}
    table, failures = trained.model.predict_table(crystals, level=0.9)
    assert list(table.index) == ["LiCl", "strange"]
    assert list(failures) == ["bad"]
    assert np.all((table["lower"] < table["band_center"]) & (table["band_center"] < table["upper"]))
    assert table["inside_domain"].tolist() == [True, False]
    wider, _ = trained.model.predict_table({"LiCl": crystals["LiCl"]}, level=0.95)
    assert wider["upper"].iloc[0] >= table["upper"].iloc[0]


def test_intervals_hold_the_training_compounds_as_often_as_they_say(compounds, trained):
    model = trained.model
    measured = np.array([one.center for one in compounds])
    difficulty = np.abs(np.log(measured / model.out_of_fold_)) / model.scores_
    table = model.table_of_rows(training_set(compounds)[0].rows, level=0.8)
    half = np.log(table["upper"] / table["band_center"]).to_numpy()
    assert np.all(half > 0)
    assert np.all(difficulty >= model.floor_ - 1e-12)
    quantile = np.sort(model.scores_)[int(np.ceil(0.8 * 61)) - 1]
    assert np.mean(model.scores_ <= quantile) == pytest.approx(0.8, abs=0.03)


def test_too_few_or_impossible_values_are_refused(compounds):
    model = BandCenterModel(small())
    with pytest.raises(SSEError, match="too few"):
        model.fit([one.crystal for one in compounds[:5]], [1.0] * 5)
    with pytest.raises(SSEError, match="positive"):
        model.fit([one.crystal for one in compounds], [-1.0] * 60)
    with pytest.raises(SSEError, match="not fitted"):
        model.predict([rock_salt("Li", "Cl")])


def test_evaluation_is_by_family(compounds, trained):
    data, _ = training_set(compounds)
    masks = families(data.rows)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {
        "Li": 6, "Na": 6, "oxides": 10, "sulfides": 10, "halides": 30, "H": 0,
    }  # fmt: skip
    scores = evaluate_band_center(trained.model, data)
    assert scores["all"].n_compounds == 60
    assert "H" not in scores


def test_saved_and_loaded_it_predicts_the_same(trained, tmp_path):
    folder = save_band_center(trained.model, trained.document, trained.data, tmp_path / "m")
    model, document = load_band_center(folder)
    crystals = {"LiCl": rock_salt("Li", "Cl"), "TlF": rock_salt("Tl", "F")}
    expected, _ = trained.model.predict_table(crystals)
    assert model.predict_table(crystals)[0].equals(expected)
    assert document == trained.document


def test_damaged_or_foreign_files_are_refused(trained, tmp_path):
    folder = save_band_center(trained.model, trained.document, trained.data, tmp_path / "m")
    estimators, document = folder / "band_center.skops", folder / "band_center.json"
    estimators.write_bytes(trained.data[:-100])
    with pytest.raises(SSEError, match="not those of their document"):
        load_band_center(folder)
    content = json.loads(document.read_text())
    document.write_text(json.dumps({**content, "columns": ["other"]}))
    with pytest.raises(SSEError, match="other columns"):
        load_band_center(folder)
    document.write_text("{}")
    with pytest.raises(SSEError, match="not the document"):
        load_band_center(folder)
    estimators.unlink()
    with pytest.raises(SSEError, match="holds no"):
        load_band_center(folder)


@pytest.mark.parametrize("field", ["left", "feature_idx", "depth"])
def test_forged_trees_are_refused(trained, field):
    import copy

    forged = copy.deepcopy(trained.model)
    nodes = forged.estimator_.trees_._predictors[0][0].nodes
    inner = int(np.flatnonzero(nodes["is_leaf"] == 0)[-1])
    nodes[field][inner] = 0 if field == "left" else 10_000
    data = band_center_file.estimator_bytes(forged)
    with pytest.raises(SSEError, match="no sound model"):
        band_center_file._from_bytes(data, fingerprint(data))


def test_other_types_are_refused():
    import skops.io

    from sse_flows.models.correlation import CorrelationFilter

    data = skops.io.dumps({"estimator": CorrelationFilter()})
    with pytest.raises(SSEError, match="refused"):
        band_center_file._from_bytes(data, fingerprint(data))


def test_the_model_of_the_package_knows_li2s_from_diamond():
    model, document = pretrained()
    assert any("Togo" in text for text in document.attribution)
    assert document.scores["all"].r2 > 0.98
    positions = [*FCC, *(FCC + 0.25), *(FCC + 0.75)]
    li2s = Structure(Lattice.cubic(5.7), ["S"] * 4 + ["Li"] * 8, positions)
    carbon = Structure(Lattice.cubic(3.57), ["C"] * 8, [*FCC, *(FCC + 0.25)])
    table, _ = model.predict_table({"Li2S": li2s, "C": carbon})
    assert 25 < table.loc["Li2S", "band_center"] < 45
    assert 95 < table.loc["C", "band_center"] < 145  # an element alone: not learned from


def test_the_model_of_the_package_gives_the_real_values(shared_data):
    compounds = read_training(shared_data / "kyoto_band_centers.jsonl.gz")[::40]
    data, _ = training_set(merge_training([compounds]))
    score = evaluate_band_center(pretrained()[0], data)["all"]
    assert score.r2 > 0.98  # these compounds it has seen: that files and features still agree


def test_scores_without_spread_survive_the_file():
    scores = scores_of(np.full(5, 3.0), np.full(5, 3.5))
    assert np.isnan(scores.r2)
    assert scores.mae == pytest.approx(0.5)
    back = type(scores).model_validate_json(scores.model_dump_json())
    assert np.isnan(back.r2)
