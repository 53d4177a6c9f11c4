"""Screen a pool of any size by the predicted phonon band centre.

R. Jaafreh et al., Int. J. Energy Res. 2024, 2138847: crystals at most 50 meV/atom above the convex
hull whose predicted band centre is below 40 meV are candidates, since soft lattices let ions pass.
Batches are read, predicted and forgotten; only a line of numbers for each crystal is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from sse_flows.errors import SSEError
from sse_flows.screening.center_document import (
    KEPT_COLUMNS,
    CenterCriteria,
    CenterDistribution,
    CenterScreening,
    CenterSummary,
    ElementCenter,
    LeftOut,
)
from sse_flows.screening.centers import BatchResult, CenterModel, no_rows, predict_batch
from sse_flows.screening.parallel import map_batches
from sse_flows.screening.pools import Batch, PoolSource
from sse_flows.structures.formulas import symbol_of

if TYPE_CHECKING:
    import pandas as pd

Watch = Callable[[int, str], None]
"""Called with the number of crystals done and what was done last."""

BIN = 2.0
"""Width of the bins of distributions, meV."""
_LAST_BIN = 120.0
_SAMPLE = 6000
"""Points kept of centre against stability."""


def screen_centers(
    source: PoolSource,
    model: CenterModel,
    criteria: CenterCriteria | None = None,
    *,
    mobile_ion: str = "Li",
    processes: int = 1,
    watch: Watch | None = None,
) -> CenterScreening:
    """Predict the band centre of every crystal of a pool, keep the soft and stable, rank them.

    Parameters
    ----------
    source
        The pool.
    model
        What predicts.
    criteria
        By default those of the paper.
    mobile_ion
        Element that a crystal must hold.
    processes
        Worker processes.
    watch
        Called after every batch.

    Raises
    ------
    SSEError
        The pool cannot be read, is empty, or the model cannot be used. A crystal that cannot be
        predicted is no error but a row of `failed`.
    """
    gathered = Gathered()
    done = 0
    work = map_batches(_predict, source.batches(), (model, mobile_ion), processes)
    for number, batch, result in work:
        if isinstance(result, SSEError):
            gathered.lose(number, f"{batch.name}: {result}")
        else:
            gathered.add(number, result)
        done += len(batch)
        if watch is not None:
            watch(done, batch.name)
    return gathered.screening(source.name, model.digest, criteria or CenterCriteria(), mobile_ion)


def predict_part(
    source: PoolSource, first: int, count: int, model: CenterModel, mobile_ion: str
) -> list[BatchResult]:
    """Predict some of the batches of a pool: `count` from number `first`, from 0, on."""
    part = islice(source.batches(), first, first + count)
    return [predict_batch(batch, model, mobile_ion) for batch in part]


def _predict(batch: Batch, shared: tuple[CenterModel, str]) -> BatchResult:
    model, mobile_ion = shared
    return predict_batch(batch, model, mobile_ion)


class Gathered:
    """The results of batches, in whatever order they come."""

    def __init__(self) -> None:
        self._tables: dict[int, pd.DataFrame] = {}
        self._missing: dict[int, str] = {}
        self._sums = np.zeros(119)
        self._counts = np.zeros(119, np.int64)

    def add(self, number: int, result: BatchResult) -> None:
        """Take in the result of batch `number`."""
        self._tables[number] = result.table
        self._sums += result.element_sums
        self._counts += result.element_counts

    def lose(self, number: int, reason: str) -> None:
        """Batch `number` gave nothing."""
        self._missing[number] = reason

    def screening(
        self, source: str, model: str, criteria: CenterCriteria, mobile_ion: str
    ) -> CenterScreening:
        """Filter and rank what was gathered.

        Raises
        ------
        SSEError
            There was no crystal at all.
        """
        import pandas as pd

        tables = [self._tables.pop(number) for number in sorted(self._tables)]
        if not any(len(table) for table in tables) and not self._missing:
            raise SSEError(f"{source} holds no crystal", mend="See `sse screen --help` for pools")
        table = pd.concat([no_rows(), *tables], ignore_index=True)
        del tables
        good, failed = table[table["problem"].isna()], table[table["problem"].notna()]
        passed, filtered = _filtered(good, criteria)
        kept = _ranked(passed, mobile_ion)
        summary = CenterSummary(
            criteria=criteria,
            source=source,
            mobile_ion=mobile_ion,
            model=model,
            predicted=len(good),
            kept={str(k): int(v) for k, v in kept["anions"].value_counts().items()},
            filtered=filtered,
            failed=[
                LeftOut(id=id_, formula=formula or "", reason=problem)
                for id_, formula, problem in _records(failed, "id", "formula", "problem")
            ],
            missing=[self._missing[number] for number in sorted(self._missing)],
            elements=self._elements(),
            distributions=_distributions(good),
            stability=_stability(good),
        )
        return CenterScreening(summary, kept)

    def _elements(self) -> list[ElementCenter]:
        found = np.flatnonzero(self._counts)
        return [
            ElementCenter(
                element=symbol_of(int(z)),
                center=float(self._sums[z] / self._counts[z]),
                count=int(self._counts[z]),
            )
            for z in found
        ]


def _records(table: pd.DataFrame, *columns: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[column].tolist() for column in columns), strict=True)


def _filtered(table: pd.DataFrame, criteria: CenterCriteria) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows that meet the criteria, and how many fail each of them."""
    hull, gap = table["energy_above_hull"], table["band_gap"]
    limit = criteria.max_energy_above_hull
    fails = {
        f"band centre at or above {criteria.max_center:g} meV": table["center"]
        >= criteria.max_center,
        # stored energies carry the rounding of their database
        f"more than {1000 * limit:g} meV/atom above the hull": hull > limit + 1e-9,
    }
    if criteria.require_hull:
        fails["energy above the hull not known"] = hull.isna()
    if criteria.min_band_gap is not None:
        fails[f"band gap below {criteria.min_band_gap:g} eV"] = gap < criteria.min_band_gap
    if criteria.inside_domain:
        fails["outside the domain of the model"] = table["outside_domain"]
    out = np.zeros(len(table), bool)
    for failing in fails.values():
        out |= failing.to_numpy(bool)
    return table[~out], {name: int(failing.sum()) for name, failing in fails.items()}


def _ranked(table: pd.DataFrame, mobile_ion: str) -> pd.DataFrame:
    """Rows by anions, the lowest centre first; anions with more crystals first."""
    kept = table.drop(columns="problem").copy()
    unknown = kept["anions"].isna()
    named = {text: anions_of(text, mobile_ion) for text in kept.loc[unknown, "formula"].unique()}
    kept.loc[unknown, "anions"] = kept.loc[unknown, "formula"].map(named)
    kept["flags"] = _flags(kept)
    kept["size"] = kept.groupby("anions")["id"].transform("size")
    kept = kept.sort_values(
        ["size", "anions", "center", "id"], ascending=[False, True, True, True], ignore_index=True
    )
    kept["rank"] = kept.groupby("anions").cumcount() + 1
    return kept[list(KEPT_COLUMNS)]


def anions_of(formula: str, mobile_ion: str) -> str:
    """Symbols of a formula's anions in alphabetical order, metals apart; ``none`` for an alloy."""
    from pymatgen.core import Element

    from sse_flows.roles import assign_roles

    try:
        anions = assign_roles(formula, mobile_ion).anions
    except SSEError:
        return "none"
    return "-".join(sorted(name for name in anions if not Element(name).is_metal)) or "none"


def _flags(table: pd.DataFrame) -> list[str]:
    """Remarks on each row, joined by semicolons."""
    remarks = (
        (table["outside_domain"], "outside domain"),
        (table["energy_above_hull"].isna(), "hull energy not known"),
        (table["anions"] == "none", "alloy"),
    )
    masks = [mask.to_numpy(bool) for mask, _ in remarks]
    return [
        "; ".join(text for holds, (_, text) in zip(row, remarks, strict=True) if holds)
        for row in zip(*masks, strict=True)
    ]


def _distributions(table: pd.DataFrame) -> list[CenterDistribution]:
    edges = np.arange(0.0, _LAST_BIN + BIN / 2, BIN)
    found = []
    for pool, values in table.groupby("pool", sort=False)["center"]:
        counts, _ = np.histogram(np.clip(values, 0, _LAST_BIN - BIN / 2), edges)
        found.append(
            CenterDistribution(
                pool=str(pool),
                count=len(values),
                mean=float(values.mean()),
                edges=edges.tolist(),
                counts=counts.tolist(),
            )
        )
    return found


def _stability(table: pd.DataFrame) -> list[tuple[float, float]]:
    """Hull energy and centre of crystals spread evenly over the pool."""
    both = table[["energy_above_hull", "center"]].dropna().to_numpy(float)
    if len(both) > _SAMPLE:
        both = both[np.linspace(0, len(both) - 1, _SAMPLE).astype(int)]
    return [(round(hull, 5), round(center, 3)) for hull, center in both.tolist()]


def failure_kinds(reasons: Sequence[str]) -> dict[str, int]:
    """Reasons without their numbers, the commonest first, with how often each occurs."""
    kinds = Counter(re.sub(r"-?\d+(\.\d+)?", "n", reason.partition(". ")[0]) for reason in reasons)
    return dict(kinds.most_common())
