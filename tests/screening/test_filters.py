"""Filters: what passes, what does not, and what is said of missing values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from sse_flows.errors import SSEError
from sse_flows.screening import Filters
from sse_flows.screening.filters import apply_filters


def _table(**columns: list[object]) -> pd.DataFrame:
    names = [f"c{i}" for i in range(len(next(iter(columns.values()))))]
    return pd.DataFrame(columns, index=names)


def _reasons(table: pd.DataFrame, filters: Filters) -> list[list[str]]:
    return [verdict.reasons for verdict in apply_filters(table, filters).values()]


def test_without_filters_everything_passes() -> None:
    assert _reasons(_table(formula=["LiCl", None]), Filters()) == [[], []]


def test_elements() -> None:
    table = _table(formula=["Li3PS4", "Na3PS4", "LiCoO2"])
    filters = Filters(require_elements=["Li"], exclude_elements=["Co"])
    assert _reasons(table, filters) == [[], ["does not contain Li"], ["contains Co"]]


def test_anions_by_column_and_by_formula() -> None:
    table = _table(formula=["Li2SO4", "Li2SO4", "LiCl", "LiCl"], anions=["O", ["S"], None, "O, S"])
    filters = Filters(anions=["O"])
    none = ["no anion is one of O"]
    assert _reasons(table, filters) == [[], none, none, []]
    assert _reasons(table.drop(columns="anions"), filters) == [[], [], none, none]


def test_limits_are_inclusive() -> None:
    table = _table(band_gap=[1.0, 0.99, 3.0], energy_above_hull=[0.0, 0.0, 0.01])
    filters = Filters(min_band_gap=1.0, max_energy_above_hull=0.0)
    assert _reasons(table, filters) == [
        [],
        ["band gap 0.99 eV is below 1"],
        ["energy above hull 0.01 eV/atom is above 0"],
    ]


def test_every_reason_is_given() -> None:
    table = _table(formula=["NaCl"], band_gap=[0.5], soft_mode_flag=[2.0])
    filters = Filters(require_elements=["Li"], min_band_gap=1, exclude_soft_modes=True)
    assert len(_reasons(table, filters)[0]) == 3


def test_missing_values_pass_with_a_flag_or_are_dropped() -> None:
    table = _table(formula=[None], band_gap=[np.nan], soft_mode_flag=[np.nan])
    asked = {
        "require_elements": ["Li"],
        "anions": ["O"],
        "min_band_gap": 1.0,
        "max_energy_above_hull": 0.0,
        "exclude_soft_modes": True,
    }
    columns = ["formula", "anions", "band_gap", "energy_above_hull", "soft_mode_flag"]
    flagged = apply_filters(table, Filters(**asked))["c0"]
    assert flagged.reasons == []
    assert flagged.flags == [f"{c} is not known: the filter was not applied" for c in columns]
    dropped = apply_filters(table, Filters(**asked, missing="drop"))["c0"]
    assert dropped.reasons == [f"{c} is not known" for c in columns]
    assert dropped.flags == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"anion": ["O"]},
        {"anions": ["Ox"]},
        {"min_band_gap": -1},
        {"missing": "ignore"},
        {"require_elements": ["Li"], "exclude_elements": ["Li"]},
    ],
)
def test_wrong_filters_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Filters.model_validate(wrong)


def test_unreadable_formula_names_its_compound() -> None:
    with pytest.raises(SSEError, match="cannot be read") as caught:
        apply_filters(_table(formula=["LiCl", "Li(2"]), Filters(require_elements=["Li"]))
    assert caught.value.compound == "c1"
