"""The screen by band centre: nothing lost, bad crystals named, the same on any number of cores."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Element

from sse_flows.errors import SSEError
from sse_flows.screening.center_document import KEPT_COLUMNS, CenterCriteria
from sse_flows.screening.center_screen import anions_of, failure_kinds, screen_centers
from sse_flows.screening.centers import UNTABULATED
from sse_flows.screening.pools import LineFiles, PrototypeChildren, open_pool
from sse_flows.structures.library import Library
from sse_flows.structures.prototypes import load_prototypes
from sse_flows.testing.centers import MassModel

SECOND = ["F", "Cl", "Br", "I", "O", "S", "Se", "Te", "N", "P", "Au", "H"]


def binary(number, symbol, **more):
    return {
        "id": f"b-{number}",
        "cell": [4.0, 4.1, 4.2, 90, 90, 90],
        "sp": ["Li", symbol],
        "xyz": [[0, 0, 0], [0.5] * 3],
        "ehull": 0.01 * number if number < 8 else None,
        **more,
    }


@pytest.fixture
def pool(tmp_path):
    """Twelve good crystals and five bad ones."""
    records = [binary(number, symbol) for number, symbol in enumerate(SECOND)]
    records += [
        binary(20, "Ne"),
        binary(21, "Xx"),
        binary(22, "Cl", sp=["Na", "Cl"]),
        binary(23, "Cl", xyz=[[0, 0, 0], [0.01, 0, 0]]),
        binary(24, "Cl", cell=[0, 1, 1, 90, 90, 90]),
    ]
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def expected(symbol):
    return 200 / np.sqrt((Element("Li").atomic_mass + Element(symbol).atomic_mass) / 2)


def test_soft_and_stable_crystals_are_kept_and_ranked(pool):
    result = screen_centers(open_pool(pool), MassModel())
    kept = result.table.set_index("id")
    for number, symbol in enumerate(SECOND):
        stable = number >= 8 or number <= 5
        assert (f"b-{number}" in kept.index) == (expected(symbol) < 40 and stable)
    assert kept.loc["b-2", "center"] == pytest.approx(expected("Br"), abs=1e-4)
    assert list(result.table.columns) == list(KEPT_COLUMNS)
    for _, group in result.table.groupby("anions"):
        assert group["rank"].tolist() == list(range(1, len(group) + 1))
        assert group["center"].is_monotonic_increasing
    assert "not known" in kept.loc["b-10", "flags"]
    assert kept.loc["b-2", "flags"] == ""
    assert sum(result.summary.kept.values()) == len(kept)
    hull = next(v for k, v in result.summary.filtered.items() if "hull" in k)
    assert hull == 2


def test_bad_crystals_are_named_counted_and_left_out(pool):
    result = screen_centers(open_pool(pool), MassModel())
    assert result.summary.predicted == 12
    reasons = {one.id: one.reason for one in result.summary.failed}
    assert reasons.keys() == {f"b-{n}" for n in range(20, 25)}
    assert "no tabulated properties of Ne" in reasons["b-20"]
    assert "unknown elements: Xx" in reasons["b-21"]
    assert "holds no Li" in reasons["b-22"]
    assert "0.04 Å apart" in reasons["b-23"]
    assert "no cell" in reasons["b-24"]
    table = result.to_frame()
    assert table.loc["b-23", "status"] == "failed"
    assert "apart" in table.loc["b-23", "flags"]
    assert (table["status"] == "kept").sum() == len(result.table)
    assert sum(failure_kinds(list(reasons.values())).values()) == 5


def test_the_sizes_of_batches_and_the_cores_change_nothing(pool):
    whole = screen_centers(LineFiles((pool,)), MassModel())
    small = screen_centers(LineFiles((pool,), size=3), MassModel())
    parallel = screen_centers(LineFiles((pool,), size=2), MassModel(), processes=2)
    for other in (small, parallel):
        pd.testing.assert_frame_equal(other.table, whole.table)
        mine, others = whole.summary.model_dump(), other.summary.model_dump()
        for one, same in zip(mine.pop("elements"), others.pop("elements"), strict=True):
            assert one == {**same, "center": pytest.approx(same["center"])}
        assert mine == others


def test_a_crystal_that_kills_its_process_takes_only_its_batch(pool):
    mass = (Element("Li").atomic_mass + Element("H").atomic_mass) / 2
    deadly = MassModel(kill_below=mass + 0.1)
    done = []
    result = screen_centers(
        LineFiles((pool,), size=1), deadly, processes=2, watch=lambda n, name: done.append(n)
    )
    assert result.summary.predicted == 11
    (lost,) = result.summary.missing
    assert lost.startswith("pool.jsonl, lines 12 to 12: a worker process died")
    assert max(done) == 17


def test_means_by_element_are_those_of_its_crystals(pool):
    result = screen_centers(open_pool(pool), MassModel())
    by_symbol = {one.element: one for one in result.summary.elements}
    assert by_symbol["Li"].count == 12
    assert by_symbol["Li"].center == pytest.approx(np.mean([expected(s) for s in SECOND]), abs=1e-3)
    assert by_symbol["Au"].center == pytest.approx(expected("Au"), abs=1e-3)
    (distribution,) = result.summary.distributions
    assert sum(distribution.counts) == distribution.count == 12
    assert len(result.summary.stability) == 8


def test_criteria_narrow_the_choice(pool):
    def kept(**criteria):
        result = screen_centers(open_pool(pool), MassModel(), CenterCriteria(**criteria))
        return set(result.table["id"])

    usual = kept()
    assert kept(max_center=30) < usual
    assert kept(require_hull=True) < usual
    assert kept(max_energy_above_hull=0.2) > usual
    assert kept(min_band_gap=1.0) == usual  # not known anywhere
    assert kept(inside_domain=True) <= usual


def test_children_of_prototypes_are_screened_like_their_structures(tmp_path):
    library = Library.of(load_prototypes(["li3ps4", "li10gep2s12"]), cations=["P", "As", "Ge"])
    pool = PrototypeChildren(library, size=50)
    result = screen_centers(pool, MassModel(), CenterCriteria(max_center=500))
    assert result.summary.predicted == len(result.table) > 20
    assert {one.pool for one in result.summary.distributions} == {"li3ps4", "li10gep2s12"}
    records = [
        {"id": one.id, "structure": one.structure.as_dict()}
        for one in pool.find(result.table["id"])
    ]
    path = tmp_path / "same.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    again = screen_centers(open_pool(path), MassModel(), CenterCriteria(max_center=500))
    mine = result.table.set_index("id")["center"].sort_index()
    others = again.table.set_index("id")["center"].sort_index()
    pd.testing.assert_series_equal(mine, others)
    counts = {one.element: one.count for one in result.summary.elements}
    assert counts == {one.element: one.count for one in again.summary.elements}


def test_a_pool_without_a_crystal_is_an_error(tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_text('{"description": "nothing"}\n')
    with pytest.raises(SSEError, match="holds no crystal"):
        screen_centers(open_pool(path), MassModel())


def test_anions_follow_the_roles():
    assert anions_of("Li6PS5Cl", "Li") == "Cl-S"
    assert anions_of("Li3PO4", "Li") == "O"
    assert anions_of("LiAg", "Li") == anions_of("LiMg", "Li") == "none"


def test_elements_without_properties_are_those_of_the_tables():
    from importlib.resources import files

    from sse_flows.descriptors.crystal.elements import PROPERTIES

    folder = files("matminer") / "utils" / "data_files" / "magpie_elementdata"
    gaps = set()
    for name in PROPERTIES:
        lines = (folder / f"{name}.table").read_text().splitlines()
        for number in range(1, 119):
            text = lines[number - 1] if number <= len(lines) else ""
            try:
                float(text)
            except ValueError:
                gaps.add(number)
    assert gaps == UNTABULATED
