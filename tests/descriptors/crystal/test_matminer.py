"""The same names and values as matminer, live and from a file made with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Element, Lattice, Structure

from sse_flows.descriptors.crystal.composition import composition_features, pack_compositions
from sse_flows.descriptors.crystal.elements import (
    PROPERTIES,
    oxidation_states,
    pauling_electronegativity,
    property_table,
)
from sse_flows.descriptors.crystal.featurizer import WardFeaturizer
from sse_flows.descriptors.crystal.labels import WARD_LABELS
from sse_flows.testing.matminer_ward import matminer_ward

REFERENCE = Path(__file__).parents[2] / "data" / "ward_matminer.json"


@pytest.fixture(scope="module")
def matminer():
    return matminer_ward()


def check(crystal, expected):
    found = np.array(WardFeaturizer().featurize(crystal))
    np.testing.assert_allclose(found, np.array(expected, float), rtol=1e-8, atol=1e-10)


def test_names(matminer):
    assert matminer.feature_labels() == list(WARD_LABELS)


def test_elements():
    from matminer.utils.data import MagpieData, PymatgenData

    magpie, pymatgen = MagpieData(impute_nan=True), PymatgenData(impute_nan=True)
    for z in range(1, 119):
        element = Element.from_Z(z)
        expected = [magpie.get_elemental_property(element, name) for name in PROPERTIES]
        np.testing.assert_allclose(property_table()[z], expected, rtol=1e-14)
        assert pauling_electronegativity()[z] == pytest.approx(
            pymatgen.get_elemental_property(element, "X"), rel=1e-14
        )
        assert oxidation_states()[z] == tuple(sorted(pymatgen.get_oxidation_states(element)))


def test_symmetric_crystals(symmetric, matminer):
    for name in ("fcc", "diamond", "rock salt", "antifluorite", "perovskite", "wurtzite", "layers"):
        check(symmetric[name], matminer.featurize(symmetric[name]))


def test_crystals_without_symmetry(low_symmetry, matminer):
    for seed, sites in ((1, 2), (2, 4), (3, 5), (4, 7), (5, 8)):
        crystal = low_symmetry(seed, sites)
        structure = Structure(*(crystal[k] for k in (0, 1, 2)), to_unit_cell=True)
        check(crystal, matminer.featurize(structure))


@pytest.mark.parametrize("name", list(json.loads(REFERENCE.read_text())["crystals"]))
def test_built_in_conductors(name):
    data = json.loads(REFERENCE.read_text())
    assert data["labels"] == list(WARD_LABELS)
    crystal = data["crystals"][name]
    check((crystal["lattice"], crystal["species"], crystal["positions"]), crystal["values"])


def test_mixed_valence():
    from matminer.featurizers.composition import IonProperty

    formulas = (
        "Fe3O4",
        "Mn3O4",
        "NaCl",
        "Na2Cl",
        "LiCoO2",
        "V4O9",
        "CuFeS2",
        "Fe7S8",
        "He2O",
        "KO2",
    )
    compositions = [Composition(formula) for formula in formulas]
    found = composition_features(*pack_compositions(compositions), mixed_valence=True)[:, 142]
    expected = [IonProperty(fast=False).featurize(one)[0] for one in compositions]
    assert found.tolist() == expected


def test_it_takes_its_place_among_matminers_featurizers(symmetric):
    from matminer.featurizers.base import MultipleFeaturizer
    from matminer.featurizers.structure import DensityFeatures

    both = MultipleFeaturizer([DensityFeatures(), WardFeaturizer()])
    both.set_n_jobs(1)
    table = pd.DataFrame({"structure": [symmetric["fcc"], "none"]})
    found = both.featurize_dataframe(
        table, "structure", ignore_errors=True, return_errors=True, pbar=False
    )
    ours = WardFeaturizer().featurize(symmetric["fcc"])
    np.testing.assert_array_equal(found.loc[0, list(WARD_LABELS)].astype(float), ours)
    assert "not a crystal" in found.loc[1, "WardFeaturizer Exceptions"]


def test_sites_outside_the_cell_where_matminer_is_wrong(symmetric, matminer):
    inside = symmetric["layers"]
    outside = Structure(
        inside.lattice, inside.species, inside.frac_coords + np.array([0.6, 0.7, 0.8])
    )
    check(outside, WardFeaturizer().featurize(inside))
    try:
        theirs = np.array(matminer.featurize(outside), float)
    except Exception:
        return
    assert not np.allclose(theirs, WardFeaturizer().featurize(inside), rtol=1e-3)


def test_sparse_cells_where_matminer_raises(matminer):
    sparse = Structure(Lattice.cubic(16.0), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    dense = Structure(Lattice.cubic(4.0), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises((ValueError, RuntimeError)):
        matminer.featurize(sparse)
    check(sparse, WardFeaturizer().featurize(dense))  # no feature depends on the scale
