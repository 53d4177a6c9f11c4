"""Put fireworks back: all of one workflow at once, under its lock, and only what has not changed.

Two `sse recover` at the same moment, a worker that was given up too early and a user with `lpad`
may all have their hands on the same firework. So state and launches are compared once more under
the lock of the workflow, which all of them but a worker's checkout respect. What a worker could
check out meanwhile, since it is READY, is held first by a conditional update.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sse_flows.errors import one_line
from sse_flows.launchers.fence import LEFT
from sse_flows.launchers.liveness import LOST, void_claim
from sse_flows.launchers.refresh import LOCK_WAIT, UNDER_WAY, Seen, states_now
from sse_flows.launchers.reservation import claim, give_up_claim
from sse_flows.launchers.scene import Scene
from sse_flows.launchers.snapshot import CHUNK, FireworkView
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from fireworks import LaunchPad

CHANGED = "it has changed just now"
TAKEN = "another worker has just taken it over"
BEGUN = "what builds on it has just begun; recover again later"
LOCKED = "its workflow is locked; recover again later"


@dataclass(frozen=True)
class Request:
    """A firework to put back.

    Attributes
    ----------
    part, firework
        Key of its part, and the firework as it was read before Slurm and the store were asked.
    kind, why
        For the finding.
    retries
        How often it was tried again, with this time, to be written into its spec; None to leave
        what is there.
    pause
        Whether it is a gate that is to wait.
    """

    part: str
    firework: FireworkView
    kind: str
    why: str
    retries: int | None = None
    pause: bool = False

    @property
    def fw_id(self) -> int:
        """Number of the firework."""
        return self.firework.fw_id


def put_back(scene: Scene, requests: Iterable[Request]) -> None:
    """Put fireworks back with all that builds on them; those that may not be are left, and why.

    Parameters
    ----------
    scene
        What was found; takes the findings.
    requests
        The fireworks. What goes back with another one is passed over.
    """
    of_part: dict[str, list[Request]] = {}
    for one in sorted(requests, key=lambda one: -len(_followers(scene, one))):
        of_part.setdefault(one.part, []).append(one)
    if scene.dry_run:
        _only_say(scene, of_part)
        return
    for part, some in of_part.items():
        _put_back(scene, part, some)


def _followers(scene: Scene, request: Request) -> set[int]:
    return scene.snapshot.parts[request.part].followers(request.fw_id)


def _with_followers(scene: Scene, requests: Iterable[Request]) -> set[int]:
    return {fw_id for one in requests for fw_id in (*_followers(scene, one), one.fw_id)}


def _only_say(scene: Scene, of_part: dict[str, list[Request]]) -> None:
    every = [one for some in of_part.values() for one in some]
    now = states_now(scene.launchpad, _with_followers(scene, every))
    for some in of_part.values():
        for one in _chosen(scene, some, now):
            _tell(scene, one)


def _put_back(scene: Scene, part: str, requests: list[Request]) -> None:
    from fireworks.core.launchpad import LockedWorkflowError, WFLock
    from pymongo.errors import PyMongoError

    node = next(iter(scene.snapshot.parts[part].states))
    chosen: list[Request] = []
    try:
        with WFLock(scene.launchpad, node, expire_secs=LOCK_WAIT):
            now = states_now(scene.launchpad, _with_followers(scene, requests))
            chosen = _chosen(scene, requests, now)
            launches = [launch for one in _with_followers(scene, chosen) for launch in now[one][1]]
            held = _hold_followers(scene, chosen, now)
            if held is None:
                _give_up(scene, chosen, BEGUN)
                return
            if chosen:
                _note_dead(scene, chosen, now)
                _rewrite(scene.launchpad, node, chosen, held)
    except LockedWorkflowError:
        _leave(scene, requests, LOCKED)
        return
    except PyMongoError:
        raise
    except Exception as error:  # FireWorks could not read one of them: the others go on
        _give_up(scene, chosen, f"FireWorks cannot put it back: {one_line(error)}")
        return
    end_launches(scene.launchpad, launches)
    for one in chosen:
        _tell(scene, one)


def _chosen(scene: Scene, requests: list[Request], now: dict[int, Seen]) -> list[Request]:
    """Those that may be put back, of which none goes back with another."""
    chosen = []
    for one in requests:
        if one.fw_id in scene.touched:
            continue
        hindrance = _hindrance(scene, one, now)
        reserved = one.firework.state == "RESERVED" and not scene.dry_run
        if not hindrance and reserved:
            void = void_claim(one.firework, scene.queue)
            mine = claim(scene.launchpad, one.fw_id, one.firework.launches, void)
            hindrance = "" if mine else TAKEN
        if hindrance:
            _leave(scene, [one], hindrance)
            continue
        scene.touched |= _with_followers(scene, [one])
        chosen.append(one)
    return chosen


def _hindrance(scene: Scene, request: Request, now: dict[int, Seen]) -> str:
    """Why a firework must not be put back now; empty where it may."""
    before = request.firework
    if now.get(before.fw_id) != (before.state, before.launches):
        return CHANGED
    for fw_id in _followers(scene, request):
        state = now[fw_id][0] if fw_id in now else ""
        verdict = scene.verdicts.get(fw_id)
        if state in UNDER_WAY and (verdict is None or verdict.state != LOST):
            return f"firework {fw_id}, which builds on it, may be alive; recover again later"
    return ""


def _hold_followers(scene: Scene, chosen: list[Request], now: dict[int, Seen]) -> set[int] | None:
    """Let no worker begin what goes back too; None if one has just done so."""
    free = {one for one in _with_followers(scene, chosen) if one in now and now[one][0] == "READY"}
    if not free:
        return free
    fireworks, some = scene.launchpad.fireworks, {"fw_id": {"$in": sorted(free)}}
    held = fireworks.update_many({**some, "state": "READY"}, {"$set": {"state": "WAITING"}})
    if held.modified_count == len(free):
        return free
    fireworks.update_many({**some, "state": "WAITING"}, {"$set": {"state": "READY"}})
    return None


def _rewrite(launchpad: LaunchPad, node: int, chosen: list[Request], held: set[int]) -> None:
    """Rerun by FireWorks' own means within its lock, so that `lpad` sees the same."""
    workflow = launchpad.get_wf_by_fw_id_lzyfw(node)
    workflow.fw_states.update(dict.fromkeys(held, "WAITING"))
    changed: set[int] = set()
    for one in chosen:
        changed |= workflow.rerun_fw(one.fw_id)
        firework = workflow.id_fw[one.fw_id]
        firework.spec.pop("_recovery", None)
        if one.retries is not None:
            firework.spec["sse"]["retries"] = one.retries
        if one.pause:
            firework.state = workflow.fw_states[one.fw_id] = "PAUSED"
    launchpad._update_wf(workflow, changed)


def _note_dead(scene: Scene, chosen: list[Request], now: dict[int, Seen]) -> None:
    """Mark the launches of processes known to have ended: their folders need no copy."""
    fw_ids = _with_followers(scene, chosen) & scene.verdicts.keys()
    dead = [now[one][1][-1] for one in fw_ids if scene.verdicts[one].dead and now[one][1]]
    for chunk in chunks(dead, CHUNK):
        query = {"launch_id": {"$in": chunk}, "state": "RUNNING"}
        scene.launchpad.launches.update_many(query, {"$set": {f"sse.{LEFT}": True}})


def end_launches(launchpad: LaunchPad, launches: list[int]) -> None:
    """Mark launches as ended that do not count any more: `lpad detect_lostruns` finds none."""
    when = datetime.now(UTC).isoformat()
    for chunk in chunks(launches, CHUNK):
        for before, after in (("RUNNING", "FIZZLED"), ("RESERVED", "READY")):
            entry: dict[str, Any] = {"state": after, "created_on": when}
            change: dict[str, Any] = {"$set": {"state": after}, "$push": {"state_history": entry}}
            if after == "FIZZLED":
                change["$set"]["time_end"] = when
            launchpad.launches.update_many({"launch_id": {"$in": chunk}, "state": before}, change)


def _tell(scene: Scene, request: Request) -> None:
    did = "reservation cancelled" if request.firework.state == "RESERVED" else "put back"
    scene.found(request.kind, request.firework.who, request.why, did)


def _leave(scene: Scene, requests: list[Request], mend: str) -> None:
    for one in requests:
        scene.found(one.kind, one.firework.who, one.why, mend=mend)


def _give_up(scene: Scene, chosen: list[Request], mend: str) -> None:
    """Leave what was chosen, and so is claimed where it is reserved."""
    for one in chosen:
        give_up_claim(scene.launchpad, one.fw_id)
    _leave(scene, chosen, mend)
