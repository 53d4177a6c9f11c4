"""`sse recover`: put back what a killed job, a lost node or a lost connection left behind.

Three witnesses are asked: the LaunchPad (what should run), Slurm (what does run) and the store
(what is done). Nothing is rerun whose job may be alive, and every firework is looked at again
just before it is put back. A job that is put back goes on in its old work folder, and returns at
once if its result is stored after all; so recovering once too often costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sse_flows.campaign.finished import FinishedJobs
from sse_flows.launchers import repair, stale
from sse_flows.launchers.liveness import LOST, UNKNOWN
from sse_flows.launchers.scene import Finding, Scene, in_order, rerun
from sse_flows.launchers.snapshot import CHUNK, FireworkView, read_fireworks, take_snapshot
from sse_flows.launchers.snapshot import chunks as pieces
from sse_flows.launchers.watch import judge_all

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore

MAX_RETRIES = 3
"""A job that failed by passing trouble is run again so often by itself."""

FEW = 5
"""With so many finished jobs and no result of any, it is the store that is the wrong one."""

LOST_RUN, LOST_RESERVATION, NOT_SURE, NO_RESULT, FAILED_RUN = (
    "lost run",
    "lost reservation",
    "not known to be alive",
    "result not in the store",
    "failed",
)


@dataclass(frozen=True)
class Options:
    """What to put back.

    Attributes
    ----------
    dry_run
        Find only.
    failed
        Rerun everything that failed, whatever the reason and however often it was tried.
    retries
        How often passing trouble is tried again without being asked.
    """

    dry_run: bool = False
    failed: bool = False
    retries: int = MAX_RETRIES


def recover(
    launchpad: LaunchPad,
    store: JobStore,
    keys: list[str] | None,
    options: Options | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Finding]:
    """Find what is lost, stuck or failed by passing trouble, and put it back.

    Parameters
    ----------
    launchpad, store
        Both connected.
    keys
        Keys of the parts of the campaign; None for those of all campaigns.
    options
        What to put back.
    sleep
        For tests.

    Returns
    -------
    list of Finding
        What was found and done, in order; empty where everything was as it should be.
    """
    options = options or Options()
    scene = Scene(launchpad, store, keys, options.dry_run)
    repair.break_locks(scene, sleep=sleep)
    scene.snapshot = take_snapshot(launchpad, keys)
    repair.mend_states(scene, sleep)
    scene.snapshot = take_snapshot(launchpad, keys)
    repair.take_up_ends(scene)
    repair.archive_orphans(scene)
    _look(scene)
    _rerun_lost(scene)
    _rerun_without_result(scene, options)
    _rerun_failed(scene, options)
    repair.wake_stuck(scene)
    stale.close_gates(scene)
    stale.open_gates(scene)
    return scene.findings


def _look(scene: Scene) -> None:
    scene.snapshot = take_snapshot(scene.launchpad, scene.keys)
    _, scene.verdicts = judge_all(scene.launchpad, scene.snapshot)


def _finished(scene: Scene, fireworks: list[FireworkView]) -> FinishedJobs:
    """Which of these have a result in the store."""
    found = FinishedJobs(scene.store, ids_a_query=CHUNK)
    found.look_up([one.sse["uuid"] for one in fireworks if one.sse.get("uuid")])
    return found


def _rerun_lost(scene: Scene) -> None:
    """Running or reserved, but its job or process is gone."""
    active = [scene.snapshot.fireworks[fw_id] for fw_id in scene.verdicts]
    lost = [one for one in active if scene.verdicts[one.fw_id].state == LOST]
    there = _finished(scene, lost)
    for part, one in in_order(scene, active):
        verdict = scene.verdicts[one.fw_id]
        if verdict.state == LOST:
            stored = "; its result is stored" if one.sse.get("uuid", "") in there else ""
            kind = LOST_RUN if one.state == "RUNNING" else LOST_RESERVATION
            rerun(scene, part, one, kind, verdict.why + stored)
        elif verdict.state == UNKNOWN and one.fw_id not in scene.touched:
            scene.found(NOT_SURE, one.who, verdict.why, mend="recover again when this is known")


def _rerun_without_result(scene: Scene, options: Options) -> None:
    """Completed on the LaunchPad, but the store holds no result."""
    complete = {k: part for k, part in scene.snapshot.parts.items() if part.complete}
    ends = _read(scene, [one for part in complete.values() for one in part.ends()])
    there = _finished(scene, ends)
    part_of = scene.snapshot.part_of()
    # where the last results of a part are there, nobody needs those before them
    sound = complete.keys() - {part_of[one.fw_id] for one in ends if _is_missing(one, there)}
    ids = [
        fw_id
        for key, part in scene.snapshot.parts.items()
        for fw_id, state in part.states.items()
        if key not in sound and state == "COMPLETED"
    ]
    finished = _read(scene, ids)
    there.look_up([one.sse["uuid"] for one in finished])
    missing = [one for one in _last_of_each(scene, finished) if _is_missing(one, there)]
    if len(finished) >= FEW and not sound and all(_is_missing(one, there) for one in finished):
        why = f"none of {len(finished)} finished jobs has a result there"
        mend = "check JOBFLOW_CONFIG_FILE: is it the right store?"
        scene.found(NO_RESULT, "the store", why, mend=mend)
        return
    for part, one in in_order(scene, missing):
        _retry(scene, part, one, NO_RESULT, "finished without one", options)


def _read(scene: Scene, ids: list[int]) -> list[FireworkView]:
    """Fireworks of the campaign's jobs, without their launches."""
    found: list[FireworkView] = []
    for chunk in pieces(sorted(ids)):
        query = {"fw_id": {"$in": chunk}, "spec.sse.uuid": {"$exists": True}}
        found.extend(read_fireworks(scene.launchpad, query, launches=False))
    return found


def _is_missing(one: FireworkView, there: FinishedJobs) -> bool:
    return one.sse["uuid"] not in there


def _last_of_each(scene: Scene, finished: list[FireworkView]) -> list[FireworkView]:
    """Of the fireworks of one job (replaced, or continued in another allocation), the last.

    Only where no other firework of the same job is still to come.
    """
    part_of = scene.snapshot.part_of()
    last: dict[tuple[str, str], FireworkView] = {}
    for one in sorted(finished, key=lambda one: (one.sse.get("index", 1), one.fw_id)):
        last[part_of[one.fw_id], one.sse["uuid"]] = one
    uuids = sorted({uuid for _, uuid in last})
    open_jobs: set[tuple[str, str]] = set()
    for chunk in pieces(uuids):
        query = {"spec.sse.uuid": {"$in": chunk}, "state": {"$nin": ["COMPLETED", "ARCHIVED"]}}
        fields = {"_id": 0, "fw_id": 1, "spec.sse.uuid": 1}
        for doc in scene.launchpad.fireworks.find(query, fields):
            open_jobs.add((part_of.get(doc["fw_id"], ""), doc["spec"]["sse"]["uuid"]))
    return [one for key, one in last.items() if key not in open_jobs]


def _rerun_failed(scene: Scene, options: Options) -> None:
    """Failed by passing trouble, or although its result is stored, or everything if asked for."""
    failed = [one for one in scene.snapshot.fireworks.values() if one.state == "FIZZLED"]
    there = _finished(scene, failed)
    for part, one in in_order(scene, failed):
        failure = one.launch.failure if one.launch is not None else None
        kind = failure.kind if failure is not None else None
        reason = failure.reason if failure is not None else "no reason was stored"
        if one.sse.get("uuid", "") in there:
            rerun(scene, part, one, FAILED_RUN, "its result is stored all the same")
        elif options.failed:
            _reset_retries(scene, one)
            rerun(scene, part, one, FAILED_RUN, reason)
        elif failure is None and one.launch is not None:
            # FireWorks calls a firework failed whose workflow it could not read just then
            why = f"its launch is {one.launch.state.lower()}, only the workflow was not updated"
            _retry(scene, part, one, FAILED_RUN, why, options)
        elif kind is not None:
            _retry(scene, part, one, FAILED_RUN, f"{kind}: {reason}", options)


def _retry(
    scene: Scene, part: str, one: FireworkView, kind: str, why: str, options: Options
) -> None:
    """Rerun so often and no more: the count is in the firework's spec."""
    tried = int(one.sse.get("retries", 0))
    if one.fw_id in scene.touched:
        return
    if tried >= options.retries:
        mend = f"tried {tried} times; mend the cause, then sse recover --failed"
        scene.found(kind, one.who, why, mend=mend)
        return
    if rerun(scene, part, one, kind, f"{why} (retry {tried + 1} of {options.retries})"):
        _count_retry(scene, one.fw_id, tried + 1)


def _count_retry(scene: Scene, fw_id: int, tried: int) -> None:
    if not scene.dry_run:
        change = {"$set": {"spec.sse.retries": tried}}
        scene.launchpad.fireworks.update_one({"fw_id": fw_id}, change)


def _reset_retries(scene: Scene, one: FireworkView) -> None:
    if not scene.dry_run and one.sse.get("retries"):
        _count_retry(scene, one.fw_id, 0)
