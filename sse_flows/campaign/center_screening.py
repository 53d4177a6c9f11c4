"""The screen by band centre as a flow: a job for each part of the pool, one that ranks them all.

A part that fails is named and stops no other; the ranking takes what came through. Run again, the
flow computes only the parts that are missing and ranks anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import Flow, JobConfig, Maker, OnMissing, job

from sse_flows.campaign.keys import with_content_keys
from sse_flows.errors import SSEError
from sse_flows.models.uncertainty import LEVEL
from sse_flows.screening.center_document import (
    CenterCriteria,
    CenterScreening,
    CenterSummary,
)
from sse_flows.screening.center_screen import Gathered, predict_part
from sse_flows.screening.centers import BatchResult, CenterModel
from sse_flows.screening.pools import PoolSource, pool_from_plain

if TYPE_CHECKING:
    from sse_flows.campaign.run import Watcher

PART, RANKING = "screen", "ranking"
"""Stages of the jobs."""


@lru_cache(maxsize=2)
def _saved_model(folder: str | None, level: float) -> CenterModel:
    """The model of a folder, kept in the worker process: parts come one after the other."""
    from sse_flows.screening.band_center import load_centers

    return load_centers(folder, level)


@job(data=["batches"])
def screen_part(
    pool: dict[str, Any],
    pool_digest: str,
    first: int,
    count: int,
    model: str | None,
    model_digest: str,
    mobile_ion: str,
    level: float,
) -> dict[str, Any]:
    """Predicted centres of some of the batches of a pool.

    Parameters
    ----------
    pool
        As `sse_flows.screening.pools.pool_from_plain` reads it.
    pool_digest, model_digest
        So that another pool or model is another job.
    first, count
        Which batches, from 0.
    model
        Folder of the saved model; None for that of the package.
    mobile_ion
        Element that a crystal must hold.
    level
        Of the intervals.
    """
    centers = _saved_model(model, level)
    if centers.digest != model_digest:
        raise SSEError("the model was changed since the screen began", mend="Start it again")
    results = predict_part(pool_from_plain(pool), first, count, centers, mobile_ion)
    return {"batches": [one.as_plain() for one in results]}


@job(data=["table"])
def rank_parts(
    parts: list[dict[str, Any] | None],
    names: list[str],
    source: str,
    model_digest: str,
    criteria: dict[str, Any],
    mobile_ion: str,
) -> dict[str, Any]:
    """Filter and rank what the parts gave; those that failed are named as missing."""
    gathered = Gathered()
    number = 0
    for name, part in zip(names, parts, strict=True):
        if part is None:
            gathered.lose(number, name)
            number += 1
            continue
        for batch in part["batches"]:
            gathered.add(number, BatchResult.from_plain(batch))
            number += 1
    found = gathered.screening(source, model_digest, CenterCriteria(**criteria), mobile_ion)
    table = found.table.astype(object).where(found.table.notna(), None)
    return {"summary": found.summary.model_dump(), "table": table.to_dict("list")}


@dataclass
class CenterScreenMaker(Maker):
    """Make the flow of a screen by the predicted band centre.

    Attributes
    ----------
    name
        Of the flow.
    batches_per_job
        Batches of the pool that one job predicts.
    criteria
        Which crystals are kept.
    mobile_ion
        Element that a crystal must hold.
    level
        Share of new crystals that an interval should hold.
    """

    name: str = "screen by band centre"
    batches_per_job: int = 8
    criteria: CenterCriteria = field(default_factory=CenterCriteria)
    mobile_ion: str = "Li"
    level: float = LEVEL

    def make(self, source: PoolSource, model: str | Path | None = None) -> Flow:
        """The flow for a pool.

        Parameters
        ----------
        source
            The pool; jobs that run elsewhere must find its files there.
        model
            Folder of a saved model; None for that of the package.

        Raises
        ------
        SSEError
            The pool or the model cannot be read.
        """
        folder = None if model is None else str(Path(model).resolve())
        digest = _saved_model(folder, self.level).digest
        plain, pool_digest = source.as_plain(), source.digest
        jobs, names = [], []
        for first, name in self._parts(source):
            part = screen_part(
                plain,
                pool_digest,
                first,
                self.batches_per_job,
                folder,
                digest,
                self.mobile_ion,
                self.level,
            )
            part.update_metadata({"stage": PART, "compound": name})
            jobs.append(part)
            names.append(name)
        if not jobs:
            raise SSEError(f"{source.name} holds no crystal", mend="Name another pool")
        ranking = rank_parts(
            [one.output for one in jobs],
            names,
            source.name,
            digest,
            self.criteria.model_dump(),
            self.mobile_ion,
        )
        ranking.update_metadata({"stage": RANKING, "compound": None})
        ranking.config = JobConfig(on_missing_references=OnMissing.NONE)
        return Flow([*jobs, ranking], output=ranking.output, name=self.name)

    def _parts(self, source: PoolSource) -> list[tuple[int, str]]:
        """First batch and name of every part."""
        parts, batches, first = [], iter(source.batches()), 0
        while names := [batch.name for batch in islice(batches, self.batches_per_job)]:
            text = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
            parts.append((first, text))
            first += len(names)
        return parts


@dataclass(frozen=True)
class Screened:
    """How a run of the flow ended.

    Attributes
    ----------
    screening
        The ranking of what came through.
    failed
        Parts that failed, by name, and why.
    """

    screening: CenterScreening
    failed: dict[str, str]


def run_screen(
    source: PoolSource,
    model: str | Path | None,
    criteria: CenterCriteria,
    results: str | Path,
    mobile_ion: str = "Li",
    level: float = LEVEL,
    processes: int | None = None,
    watch: Watcher | None = None,
    maker: Callable[..., CenterScreenMaker] = CenterScreenMaker,
) -> Screened:
    """Run the flow on this machine, or finish one that was broken off.

    Parameters
    ----------
    source, model, criteria, mobile_ion, level
        As those of `CenterScreenMaker`.
    results
        Folder of the store and the log.
    processes
        Worker processes; by default one a core.
    watch
        Called with the graph of jobs whenever one changes its state.
    maker
        Makes the maker of the flow.

    Raises
    ------
    SSEError
        The pool, the model or the folder cannot be used, or the ranking failed.
    """
    from sse_flows.campaign.run import LocalRunner
    from sse_flows.store.jobstore import open_store

    made = maker(criteria=criteria, mobile_ion=mobile_ion, level=level)
    flow = with_content_keys(made.make(source, model))
    store = open_store(Path(results))
    graph = LocalRunner(store, Path(results), processes, watch).run(flow)
    nodes = list(graph.nodes.values())
    failed = {
        str(node.job.metadata["compound"]): node.reason
        for node in nodes
        if node.job.metadata["stage"] == PART and node.state != "done"
    }
    (ranking,) = (node for node in nodes if node.job.metadata["stage"] == RANKING)
    if ranking.state != "done":
        raise SSEError(f"the ranking failed: {ranking.reason}", mend="Run the same command again")
    document = store.query_one({"uuid": ranking.job.uuid}, ["output"], load=True)
    assert document is not None
    return Screened(_screening(document["output"], failed), failed)


def _screening(output: dict[str, Any], failed: dict[str, str]) -> CenterScreening:
    """The ranking as it was stored, its missing parts with their reasons."""
    import pandas as pd

    summary = CenterSummary.model_validate(output["summary"])
    summary.missing = [f"{name}: {failed.get(name, 'not known')}" for name in summary.missing]
    table = pd.DataFrame(output["table"])
    for name in ("center", "center_low", "center_high", "energy_above_hull", "band_gap"):
        table[name] = table[name].astype(float)
    return CenterScreening(summary, table)
