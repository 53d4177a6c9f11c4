"""`sse recover`: put back what a killed job, a lost node or a lost connection left behind.

Three witnesses are asked: the LaunchPad (what should run), Slurm (what does run) and the store
(what is done). Nothing is rerun whose job may be alive, and every firework is looked at again
just before it is put back. A job that is put back goes on in its old work folder, and returns at
once if its result is stored after all; so recovering once too often costs nothing. What is read
grows with the workflows and with what is not done yet; what is written, with what is put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sse_flows.campaign.finished import FinishedJobs
from sse_flows.launchers import repair, stale
from sse_flows.launchers.listing import Listed, list_fireworks
from sse_flows.launchers.liveness import LOST, UNKNOWN
from sse_flows.launchers.put_back import Request, put_back
from sse_flows.launchers.scene import Finding, Scene
from sse_flows.launchers.snapshot import CHUNK, FireworkView, read_fireworks, take_snapshot
from sse_flows.launchers.watch import judge_all
from sse_flows.store.chunks import chunks

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
    _read(scene)
    repair.mend_states(scene, sleep)
    _read_again(scene)
    repair.take_up_ends(scene)
    repair.archive_orphans(scene)
    _read_again(scene)
    scene.queue, scene.verdicts = judge_all(launchpad, scene.snapshot)
    _rerun_lost(scene)
    _rerun_without_result(scene, options)
    _rerun_failed(scene, options)
    repair.wake_stuck(scene)
    stale.close_gates(scene)
    stale.open_gates(scene)
    return scene.findings


def _read(scene: Scene) -> None:
    scene.snapshot = take_snapshot(scene.launchpad, scene.keys)
    scene.listing = None
    scene.seen = len(scene.findings)


def _read_again(scene: Scene) -> None:
    """Read the LaunchPad once more if something was repaired since."""
    if len(scene.findings) > scene.seen and not scene.dry_run:
        _read(scene)


def _finished(scene: Scene, fireworks: list[FireworkView]) -> FinishedJobs:
    """Which of these have a result in the store."""
    found = FinishedJobs(scene.store, ids_a_query=CHUNK)
    found.look_up([one.sse["uuid"] for one in fireworks if one.sse.get("uuid")])
    return found


def _rerun_lost(scene: Scene) -> None:
    """Running or reserved, but its job or process is gone."""
    active = [scene.snapshot.fireworks[fw_id] for fw_id in scene.verdicts]
    there = _finished(scene, [one for one in active if scene.verdicts[one.fw_id].state == LOST])
    part_of, requests = scene.snapshot.part_of(), []
    for one in active:
        verdict = scene.verdicts[one.fw_id]
        if verdict.state == LOST:
            stored = "; its result is stored" if one.sse.get("uuid", "") in there else ""
            kind = LOST_RUN if one.state == "RUNNING" else LOST_RESERVATION
            requests.append(Request(part_of[one.fw_id], one, kind, verdict.why + stored))
    put_back(scene, requests)
    for one in active:
        verdict = scene.verdicts[one.fw_id]
        if verdict.state == UNKNOWN and one.fw_id not in scene.touched:
            scene.found(NOT_SURE, one.who, verdict.why, mend="recover again when this is known")


def _rerun_without_result(scene: Scene, options: Options) -> None:
    """Completed on the LaunchPad, but the store holds no result."""
    complete = {k: part for k, part in scene.snapshot.parts.items() if part.complete}
    ends = list_fireworks(
        scene.launchpad, [one for part in complete.values() for one in part.ends()]
    )
    there = FinishedJobs(scene.store, ids_a_query=CHUNK)
    there.look_up([one.uuid for one in ends])
    # where the last results of a part are there, nobody needs those before them
    unsound = {one.part for one in ends if one.uuid not in there}
    listed = list(scene.listed().values())
    again = [one for key in unsound for one in complete[key].states]
    listed += list_fireworks(scene.launchpad, set(again) - scene.listed().keys())
    finished = [one for one in listed if _is_finished(scene, one, complete.keys() - unsound)]
    there.look_up([one.uuid for one in finished])
    missing = [one for one in _last_of_each(finished, listed) if one.uuid not in there]
    sound = len(unsound) < len(complete)
    if len(finished) >= FEW and not sound and all(one.uuid not in there for one in finished):
        why = f"none of {len(finished)} finished jobs has a result there"
        mend = "check JOBFLOW_CONFIG_FILE: is it the right store?"
        scene.found(NO_RESULT, "the store", why, mend=mend)
        return
    wanted = {one.fw_id: one.part for one in missing}
    requests = []
    for chunk in chunks(sorted(wanted), CHUNK):
        query = {"fw_id": {"$in": chunk}, "state": "COMPLETED"}
        for one in read_fireworks(scene.launchpad, query, launches=False):
            why = "finished without one"
            requests += _retry(scene, wanted[one.fw_id], one, NO_RESULT, why, options)
    put_back(scene, requests)


def _is_finished(scene: Scene, one: Listed, sound: Set[str]) -> bool:
    """Whether a firework should have a result that may be needed."""
    part = scene.snapshot.parts.get(one.part)
    remembered = part.states.get(one.fw_id) if part is not None else None
    return bool(one.uuid) and one.part not in sound and one.state == remembered == "COMPLETED"


def _last_of_each(finished: list[Listed], listed: list[Listed]) -> list[Listed]:
    """Of the fireworks of one job (replaced, or continued in another allocation), the last.

    Only where no other firework of the same job is still to come.
    """
    last: dict[tuple[str, str], Listed] = {}
    for one in sorted(finished, key=lambda one: (one.job_index, one.fw_id)):
        last[one.part, one.uuid] = one
    done = ("COMPLETED", "ARCHIVED")
    open_jobs = {(one.part, one.uuid) for one in listed if one.state not in done}
    return [one for key, one in last.items() if key not in open_jobs]


def _rerun_failed(scene: Scene, options: Options) -> None:
    """Failed by passing trouble, or although its result is stored, or everything if asked for."""
    failed = [one for one in scene.snapshot.fireworks.values() if one.state == "FIZZLED"]
    there = _finished(scene, failed)
    part_of, requests = scene.snapshot.part_of(), []
    for one in failed:
        part = part_of[one.fw_id]
        failure = one.launch.failure if one.launch is not None else None
        kind = failure.kind if failure is not None else None
        reason = failure.reason if failure is not None else "no reason was stored"
        if one.sse.get("uuid", "") in there:
            why = "its result is stored all the same"
            requests.append(Request(part, one, FAILED_RUN, why))
        elif options.failed:
            retries = 0 if one.sse.get("retries") else None
            requests.append(Request(part, one, FAILED_RUN, reason, retries))
        elif failure is None and one.launch is not None:
            # FireWorks calls a firework failed whose workflow it could not read just then
            why = f"its launch is {one.launch.state.lower()}, only the workflow was not updated"
            requests += _retry(scene, part, one, FAILED_RUN, why, options)
        elif kind is not None:
            requests += _retry(scene, part, one, FAILED_RUN, f"{kind}: {reason}", options)
    put_back(scene, requests)


def _retry(
    scene: Scene, part: str, one: FireworkView, kind: str, why: str, options: Options
) -> list[Request]:
    """Rerun so often and no more: the count is in the firework's spec."""
    tried = int(one.sse.get("retries", 0))
    if one.fw_id in scene.touched:
        return []
    if tried >= options.retries:
        mend = f"tried {tried} times; mend the cause, then sse recover --failed"
        scene.found(kind, one.who, why, mend=mend)
        return []
    why = f"{why} (retry {tried + 1} of {options.retries})"
    return [Request(part, one, kind, why, tried + 1)]
