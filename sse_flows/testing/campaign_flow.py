"""A flow with the shape of a campaign, of jobs that only add numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from jobflow import Flow, Job

from sse_flows.testing import jobs


def campaign_flow(
    compounds: Mapping[str, float],
    log: str | None = None,
    failing: Iterable[str] = (),
    references: Mapping[str, float] | None = None,
    until: str | None = None,
    relaxations: Mapping[str, Callable[[Any, str | None], Job]] | None = None,
) -> Flow:
    """References, one chain a compound that grows while it runs, and what comes last.

    Parameters
    ----------
    compounds
        Name and number of each.
    log
        File in which the jobs note that they ran.
    failing
        Compounds whose relaxation, and references whose only job, fails.
    references
        Name and number of each reference, ``{"Li": 1}`` unless given; every compound needs all.
    until
        A file: what fails does so only until it is there.
    relaxations
        Compound -> what makes its relaxation of a number and the log, where it is another job.
    """
    failing = set(failing)
    relaxations = relaxations or {}
    known = {
        name: _label(_job(number, log, name in failing, until), "references", name)
        for name, number in ({"Li": 1.0} if references is None else references).items()
    }
    chains, last = [], []
    for name, number in compounds.items():
        relax = relaxations.get(name, partial(_job, failing=name in failing, until=until))
        chain = _chain(number, [job.output for job in known.values()], log, relax)
        stages = zip(("order", "relax", "phonons", "descriptors"), chain, strict=True)
        chains.append(Flow([_label(part, stage, name) for stage, part in stages], name=name))
        last.append(chain[-1].jobs[-1].output)
    models = _label(_tolerant(jobs.total([one["sum"] for one in last], log)), "models", None)
    screen = jobs.total([models.output["sum"], *(one["sum"] for one in last)], log)
    screening = _label(_tolerant(screen), "screening", None)
    return Flow([*known.values(), *chains, models, screening], name="trivial")


def _chain(
    number: float,
    references: list[Any],
    log: str | None,
    relaxation: Callable[[Any, str | None], Job],
) -> list[Any]:
    order = jobs.add(number, 0.5, log)
    relax = relaxation(order.output, log)
    fan = jobs.fan_out([1, 2, number], log)
    turn = jobs.detour(relax.output, log)
    energies = _tolerant(jobs.total(references, log))
    parts = [turn.output, fan.output["sum"], energies.output["sum"]]
    return [order, relax, Flow([fan, turn]), Flow([energies, jobs.total(parts, log)])]


def _job(number: Any, log: str | None, failing: bool, until: str | None) -> Job:
    if not failing:
        return jobs.add(number, 1, log)
    return jobs.refuse(number, log) if until is None else jobs.need_file(number, until, log)


def _label(part: Flow | Job, stage: str, compound: str | None) -> Any:
    part.update_metadata({"stage": stage, "compound": compound}, dynamic=True)
    return part


def _tolerant(job: Job) -> Job:
    job.config = jobs.TOLERANT
    return job
