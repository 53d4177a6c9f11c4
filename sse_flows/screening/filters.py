"""Which compounds of a pool pass, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pymatgen.core import Composition

from sse_flows.errors import SSEError
from sse_flows.screening.document import Filters


@dataclass
class Verdict:
    """What the filters say of one compound."""

    reasons: list[str] = field(default_factory=list)
    """Filters that it fails; it passes if there are none."""
    flags: list[str] = field(default_factory=list)
    """Filters that could not be applied for want of a value."""


def apply_filters(table: pd.DataFrame, filters: Filters) -> dict[str, Verdict]:
    """Judge every compound of a table by every filter.

    Parameters
    ----------
    table
        Index compound id. Columns as the filters need them: `formula`, `anions` (a list, or symbols
        divided by spaces or commas; without the column an element of the formula counts),
        `band_gap` (eV), `energy_above_hull` (eV/atom), `soft_mode_flag` (0 where no mode is soft).

    Returns
    -------
    Verdict by compound id, in the order of the table.

    Raises
    ------
    SSEError
        If a formula cannot be read.
    """
    records = table.to_dict("records")
    return {
        str(name): _judge(str(name), {str(k): v for k, v in record.items()}, filters)
        for name, record in zip(table.index, records, strict=True)
    }


def _judge(name: str, record: dict[str, Any], filters: Filters) -> Verdict:
    verdict = Verdict()
    _judge_elements(verdict, _elements(name, record), _anions(name, record), filters)
    _judge_gap(verdict, _number(record, "band_gap"), filters)
    _judge_hull(verdict, _number(record, "energy_above_hull"), filters)
    if filters.exclude_soft_modes:
        soft = _number(record, "soft_mode_flag")
        if soft is None:
            _unknown(verdict, "soft_mode_flag", filters)
        elif soft > 0:
            verdict.reasons.append("has a soft phonon mode")
    return verdict


def _judge_elements(
    verdict: Verdict, elements: set[str] | None, anions: set[str] | None, filters: Filters
) -> None:
    if filters.require_elements or filters.exclude_elements:
        if elements is None:
            _unknown(verdict, "formula", filters)
        else:
            absent = [e for e in filters.require_elements if e not in elements]
            present = [e for e in filters.exclude_elements if e in elements]
            verdict.reasons += [f"does not contain {e}" for e in absent]
            verdict.reasons += [f"contains {e}" for e in present]
    if filters.anions is not None:
        if anions is None:
            _unknown(verdict, "anions", filters)
        elif not anions & set(filters.anions):
            verdict.reasons.append(f"no anion is one of {', '.join(filters.anions)}")


def _judge_gap(verdict: Verdict, gap: float | None, filters: Filters) -> None:
    least = filters.min_band_gap
    if least is None:
        return
    if gap is None:
        _unknown(verdict, "band_gap", filters)
    elif gap < least:
        verdict.reasons.append(f"band gap {gap:g} eV is below {least:g}")


def _judge_hull(verdict: Verdict, energy: float | None, filters: Filters) -> None:
    most = filters.max_energy_above_hull
    if most is None:
        return
    if energy is None:
        _unknown(verdict, "energy_above_hull", filters)
    elif energy > most:
        verdict.reasons.append(f"energy above hull {energy:g} eV/atom is above {most:g}")


def _unknown(verdict: Verdict, column: str, filters: Filters) -> None:
    if filters.missing == "drop":
        verdict.reasons.append(f"{column} is not known")
    else:
        verdict.flags.append(f"{column} is not known: the filter was not applied")


def _number(record: dict[str, Any], column: str) -> float | None:
    value = record.get(column)
    return None if value is None or pd.isna(value) else float(value)


def _elements(name: str, record: dict[str, Any]) -> set[str] | None:
    """Elements of the formula; None where the table has none."""
    formula = record.get("formula")
    if formula is None or pd.isna(formula) or not str(formula).strip():
        return None
    try:
        return {element.symbol for element in Composition(str(formula)).elements}
    except ValueError as error:
        raise SSEError(
            f"formula {formula!r} cannot be read",
            compound=name,
            mend="Write it like Li7P3S11, or leave the cell empty",
        ) from error


def _anions(name: str, record: dict[str, Any]) -> set[str] | None:
    """Anions by the column `anions`, or else every element of the formula."""
    anions = record.get("anions")
    if isinstance(anions, str) and anions.strip():
        return set(anions.replace(",", " ").split())
    if isinstance(anions, (list, tuple, set)) and anions:
        return {str(symbol) for symbol in anions}
    return _elements(name, record)
