"""The featurizers as users of matminer know them, and tables of many crystals."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Structure

from sse_flows.descriptors.crystal.featurizer import BondStiffnessFeaturizer, WardFeaturizer
from sse_flows.descriptors.crystal.labels import COMPOSITION_LABELS, PAPER_LABELS, WARD_LABELS
from sse_flows.descriptors.crystal.rows import BATCH
from sse_flows.descriptors.crystal.table import composition_table, crystal_features
from sse_flows.errors import SSEError

DISORDERED = Structure(4 * np.eye(3), [{"Li": 0.5}], [[0, 0, 0]])
BOTH = pytest.mark.parametrize("kind", [WardFeaturizer, BondStiffnessFeaturizer])


@BOTH
def test_interface(symmetric, kind):
    featurizer = kind()
    values = featurizer.featurize(symmetric["spinel"])
    assert len(values) == len(featurizer.feature_labels())
    assert all(isinstance(value, float) and np.isfinite(value) for value in values)
    assert all(one.startswith("@article{") for one in featurizer.citations())
    assert featurizer.implementors()


def test_chosen_features(symmetric):
    assert len(PAPER_LABELS) == 271
    every = dict(zip(WARD_LABELS, WardFeaturizer().featurize(symmetric["layers"]), strict=True))
    some = WardFeaturizer(features=PAPER_LABELS[::-7])
    found = dict(zip(some.feature_labels(), some.featurize(symmetric["layers"]), strict=True))
    assert found == {name: every[name] for name in PAPER_LABELS[::-7]}
    with pytest.raises(SSEError, match="unknown features: colour"):
        WardFeaturizer(features=["colour"])


def test_the_ordering_changes_only_the_ordering_parameters(symmetric):
    one, other = (
        np.array(WardFeaturizer(ordering=name).featurize(symmetric["spinel"]))
        for name in ("matminer", "magpie")
    )
    differ = {WARD_LABELS[k] for k in np.flatnonzero(~np.isclose(one, other, rtol=1e-9))}
    assert differ == {f"mean ordering parameter shell {k}" for k in (2, 3)}
    with pytest.raises(SSEError, match="random"):
        WardFeaturizer(ordering="random")


def test_a_table_with_a_column_of_structures(symmetric):
    table = pd.DataFrame({"structure": list(symmetric.values())}, index=list(symmetric))
    found = WardFeaturizer().featurize_dataframe(table, "structure")
    assert found.columns.tolist() == ["structure", *WARD_LABELS]
    assert table.columns.tolist() == ["structure"]
    np.testing.assert_array_equal(
        found.loc["spinel", list(WARD_LABELS)].astype(float),
        WardFeaturizer().featurize(symmetric["spinel"]),
    )
    with pytest.raises(SSEError, match="already"):
        WardFeaturizer().featurize_dataframe(found, "structure")


def test_a_crystal_that_fails(symmetric):
    crystals, featurizer = [symmetric["fcc"], DISORDERED], BondStiffnessFeaturizer()
    with pytest.raises(SSEError, match=r"crystal 2: .*partially occupied"):
        featurizer.featurize_many(crystals)
    good, bad = featurizer.featurize_many(crystals, ignore_errors=True, return_errors=True)
    assert np.isnan(good[-1])
    assert "partially occupied" in bad[-1]
    assert np.isnan(bad[:-1]).all()
    assert len(good) == len(bad) == len(featurizer.feature_labels()) + 1
    with pytest.raises(SSEError, match="ignore_errors"):
        featurizer.featurize_many(crystals, return_errors=True)
    table = featurizer.featurize_dataframe(
        pd.DataFrame({"s": crystals}), "s", ignore_errors=True, return_errors=True
    )
    assert "partially" in table["BondStiffnessFeaturizer Exceptions"][1]


def test_failures_are_named_and_the_others_go_on(symmetric):
    crystals = {"bad": DISORDERED, "good": symmetric["fcc"], "odd": "no crystal"}
    table, failures = crystal_features(crystals, [WardFeaturizer(), BondStiffnessFeaturizer()])
    assert table.index.tolist() == ["good"]
    assert table.index.name == "id"
    assert table.shape[1] == len(WARD_LABELS) + len(BondStiffnessFeaturizer().feature_labels())
    assert failures.keys() == {"bad", "odd"}
    assert str(failures["bad"]).startswith("bad: ")
    none, _ = crystal_features({"bad": DISORDERED})
    assert none.shape == (0, 273)


def test_processes_give_the_same(low_symmetry):
    crystals = {f"c{k}": low_symmetry(k % 5, 3) for k in range(2 * BATCH + 3)}
    crystals["bad"] = DISORDERED
    done = []
    alone, _ = crystal_features(crystals)
    table, failures = crystal_features(
        crystals, n_jobs=2, progress=lambda *counts: done.append(counts)
    )
    pd.testing.assert_frame_equal(table, alone)
    assert list(failures) == ["bad"]
    assert done[-1] == (len(crystals), len(crystals))
    assert len(done) == 3


def test_compositions():
    table = composition_table({"a": Composition("Li2O"), "b": {"Na": 1, "Cl": 1}})
    assert table.shape == (2, 145)
    assert table.columns.tolist() == list(COMPOSITION_LABELS)
    assert table.loc["b", "MagpieData mean Number"] == 14


def test_a_bar_is_shown(symmetric, capsys):
    WardFeaturizer().featurize_many([symmetric["fcc"]] * 2, pbar=True)
    assert "2/2" in capsys.readouterr().err


def test_matminer_is_not_imported():
    code = (
        "import sys\n"
        "from sse_flows.descriptors.crystal.featurizer import WardFeaturizer\n"
        "WardFeaturizer().featurize(([[3, 0, 0], [0, 3, 0], [0, 0, 3]], ['Li'], [[0, 0, 0]]))\n"
        "print([name for name in sys.modules if name.startswith('matminer.')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name.startswith("matminer.utils.data") for name in eval(found.stdout))
    assert "matminer.featurizers" not in found.stdout
