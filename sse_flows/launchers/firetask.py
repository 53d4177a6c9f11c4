"""The task that runs one job of a campaign on a cluster.

Imported whenever a worker looks at a firework, so what is heavy is imported when a job runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireworks import FiretaskBase, FWAction, explicit_serialize

from sse_flows.errors import OutOfTimeError, SSEError, one_line
from sse_flows.launchers import gates
from sse_flows.launchers.stop import being_killed
from sse_flows.processes import THREAD_VARIABLES

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import Job, JobStore, Response

MAX_CONTINUED = 20
"""A job that ran out of time this often is no longer continued."""

ASKED_FOR = "asked_for"
"""Key in a document's metadata: ids of further jobs that the job asked for."""

_TRACEBACK_TAIL = 4000
_connected: tuple[Any, int, Any] | None = None


class JobError(Exception):
    """Why a job failed, in a form that FireWorks stores with the launch.

    Parameters
    ----------
    reason
        What went wrong, in one line.
    mend
        How to mend it, if that is known.
    details
        End of the traceback, where the failure was not one a user can mend.
    """

    def __init__(self, reason: str, mend: str | None = None, details: str | None = None):
        super().__init__(reason if mend is None else f"{reason}. {mend}")
        self.reason, self.mend, self.details = reason, mend, details

    def to_dict(self) -> dict[str, str | None]:
        """What FireWorks stores as ``_exception._details`` of the launch."""
        return {"reason": self.reason, "mend": self.mend, "details": self.details}


class Superseded(SSEError):
    """Somebody else has taken over the job meanwhile."""


class Launch:
    """The launch of a firework that this process runs.

    Parameters
    ----------
    launchpad
        The LaunchPad.
    fw_id
        The firework, just checked out.
    """

    def __init__(self, launchpad: LaunchPad, fw_id: int):
        self.launchpad, self.fw_id = launchpad, fw_id
        self.launch_id = self._current()

    def _current(self) -> int | None:
        fields = {"launches": {"$slice": -1}, "fw_id": 1}
        doc = self.launchpad.fireworks.find_one({"fw_id": self.fw_id}, fields)
        return doc["launches"][-1] if doc and doc["launches"] else None

    def check(self) -> None:
        """Look whether this is still the launch that counts.

        Raises
        ------
        Superseded
            The job was given to somebody else since this process seemed to be lost.
        """
        if self.launch_id is None or self._current() != self.launch_id:
            raise Superseded("the job was given to another worker; its result is not stored")

    def note_place(self) -> None:
        """Write into the launch where it runs, unless the launcher did."""
        from sse_flows.launchers.worker import this_process

        self.launchpad.launches.update_one(
            {"launch_id": self.launch_id, "fworker.env.pid": {"$exists": False}},
            {"$set": {f"fworker.env.{name}": value for name, value in this_process().items()}},
        )

    def ended(self, state: str, part: str) -> None:
        """Say that the job has ended and release what waited for it; a zombie does nothing."""
        if self.launch_id is None or self._current() != self.launch_id:
            return
        gates.mark_ended(self.launchpad, self.launch_id, state)
        gates.part_may_have_ended(self.launchpad, part)


class FencedStore:
    """A store that keeps what a job stores until it is written; else as the store itself.

    Documents are taken only from the launch that counts: first one looks what is there, then
    whether the launch counts, and then only what was there is replaced. So one that stops short of
    the last step, for however long, finds the result of its successor and leaves it. A document
    whose job asks for further jobs says for which: its worker may be killed before FireWorks has
    heard of them.

    Nor does it take what somebody else has stored meanwhile: two compounds may ask for the same
    job, and a document written again would look newer than what was made of it.

    Parameters
    ----------
    store
        A connected JobStore.
    launch
        The launch of this process.
    is_there
        Tells whether the result is in the store.
    """

    def __init__(
        self, store: JobStore, launch: Launch, is_there: Callable[[], bool] = lambda: False
    ):
        self._store, self._launch, self._is_there = store, launch, is_there
        self._kept: list[tuple[Any, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def update(self, docs: Any, **options: Any) -> None:
        """Keep a document; arguments as of :meth:`jobflow.JobStore.update`."""
        self._kept.append((docs, options))

    def write(self, asked_for: list[str], nothing: bool = False) -> None:
        """Store what was kept.

        Parameters
        ----------
        asked_for
            Ids of further jobs that the job asks for.
        nothing
            Whether the job is done with a result of None.

        Raises
        ------
        Superseded
            Another launch counts by now.
        """
        from sse_flows.campaign.finished import NOTHING

        marks = ({ASKED_FOR: asked_for} if asked_for else {}) | ({NOTHING: True} if nothing else {})
        for docs, options in self._kept:
            mark = {"metadata": {**(docs.metadata or {}), **marks}} if marks else None
            seen = self._seen(docs)
            self._launch.check()
            if self._is_there():
                continue
            document = docs.model_copy(update=mark) if mark else docs
            if not self._write(document, seen, options):
                self._launch.check()
                if not self._is_there():
                    raise Superseded("another worker has stored a result of this job meanwhile")

    def _seen(self, docs: Any) -> dict[str, Any] | None:
        job = {name: dict(docs)[name] for name in ("uuid", "index")}
        return self._store.query_one(job, properties=["completed_at"])

    def _write(self, document: Any, seen: dict[str, Any] | None, options: dict[str, Any]) -> bool:
        from sse_flows.store.durable import DurableJobStore

        if isinstance(self._store, DurableJobStore):
            return self._store.exchange(document, seen, options.get("save"))
        self._store.update(document, **options)
        return True


@explicit_serialize
class CampaignFiretask(FiretaskBase):
    """Runs one job, or finds its result in the store; its one parameter is the job as JSON."""

    required_params = ("job",)

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Run the job of a firework.

        Parameters
        ----------
        fw_spec
            Its spec; ``sse`` says to which campaign, part and stage it belongs.

        Raises
        ------
        JobError
            The job failed.
        """
        launch = Launch(self.launchpad, self.fw_id)
        launch.note_place()
        for variable in THREAD_VARIABLES:  # of one core, unless the launcher has said otherwise
            os.environ.setdefault(variable, "1")
        try:
            action = self._action(fw_spec, launch)
        except Superseded as error:
            raise JobError(error.message) from None
        except Exception as error:
            if not being_killed():  # then it stays RUNNING, for `sse recover`, and has not ended
                launch.ended(gates.FIZZLED, fw_spec["sse"]["part"])
            raise _explained(error) from error
        if not (action.detours or action.additions):
            launch.ended(gates.COMPLETED, fw_spec["sse"]["part"])
        return action

    def _action(self, spec: dict[str, Any], launch: Launch) -> FWAction:
        from sse_flows.campaign.finished import returned_nothing

        store = open_store()
        job = _decoded(self["job"])
        inputs = set(job.input_uuids) - {job.uuid}  # before they are resolved
        part = spec["sse"]["part"]
        if _is_finished(store, job.uuid, inputs) and _is_whole(store, job, launch, part):
            return FWAction()
        fenced: Any = FencedStore(store, launch, lambda: _is_finished(store, job.uuid, inputs))
        try:
            with working_folder(spec["sse"]["work"]):
                response = job.run(fenced)
        except OutOfTimeError as error:
            return _continued(spec, job, error)
        action = _follow_up(response, job, spec)
        fenced.write(_asked_for(action), returned_nothing(response))
        return action


def open_store() -> JobStore:
    """The configured store, connected once in a process.

    Raises
    ------
    SSEError
        None is configured that several machines can share.
    """
    from jobflow import SETTINGS

    from sse_flows.launchers.settings import shared_store

    global _connected  # noqa: PLW0603 - one connection a process
    configured, process = SETTINGS.JOB_STORE, os.getpid()
    if _connected is None or _connected[0] is not configured or _connected[1] != process:
        store = shared_store()
        store.connect()
        _connected = (configured, process, store)
    return _connected[2]


@contextlib.contextmanager
def working_folder(name: str) -> Iterator[None]:
    """Work in a job's folder, removed if nothing is left in it; here where it cannot be made."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        yield
        return
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # which refuses where there is something in it


def _decoded(text: str) -> Job:
    from monty.json import MontyDecoder

    return json.loads(text, cls=MontyDecoder)


def _is_finished(store: JobStore, uuid: str, inputs: set[str]) -> bool:
    from sse_flows.campaign.finished import FinishedJobs

    finished = FinishedJobs(store)
    finished.look_up([uuid, *inputs])
    return finished.is_current(uuid, inputs)


def _is_whole(store: JobStore, job: Job, launch: Launch, part: str) -> bool:
    """Whether the further jobs that a finished job asked for are finished or on the LaunchPad."""
    mark = f"metadata.{ASKED_FOR}"
    doc = store.query_one({"uuid": job.uuid, "index": job.index}, properties=[mark])
    asked = ((doc or {}).get("metadata") or {}).get(ASKED_FOR)
    if not asked:
        return True
    query = {"spec.sse.uuid": {"$in": asked}, "spec.sse.part": part, "state": {"$ne": "ARCHIVED"}}
    there = launch.launchpad.fireworks.distinct("fw_id", query)
    workflow = launch.launchpad.workflows.find_one({"nodes": launch.fw_id}, {"nodes": 1})
    return not set(there).isdisjoint((workflow or {}).get("nodes", []))


def _asked_for(action: FWAction) -> list[str]:
    flows = [*action.detours, *action.additions]
    return sorted({one.spec["sse"]["uuid"] for flow in flows for one in flow.fws})


def _continued(spec: dict[str, Any], job: Job, error: OutOfTimeError) -> FWAction:
    from sse_flows.launchers.specs import continued_workflow

    if spec["sse"].get("continued", 0) >= MAX_CONTINUED:
        raise SSEError(
            f"ran out of time {MAX_CONTINUED + 1} times: {error.message}",
            mend="Give jobs of this category more time or cores in profiles.yaml",
        ) from error
    name = f"{spec['sse'].get('compound') or spec['sse']['campaign']} {job.name}"
    return FWAction(detours=[continued_workflow(spec, name)])


def _follow_up(response: Response, job: Job, spec: dict[str, Any]) -> FWAction:
    """What jobflow's response asks of the workflow."""
    grown = {
        kind: [_grown(flow, job, spec)]
        for kind in ("replace", "detour", "addition")
        if (flow := getattr(response, kind)) is not None
    }
    return FWAction(
        stored_data=response.stored_data,
        detours=[*grown.get("replace", []), *grown.get("detour", [])],
        additions=grown.get("addition", []),
        defuse_children=response.stop_children,
        defuse_workflow=response.stop_jobflow,
    )


def _grown(flow: Any, job: Job, spec: dict[str, Any]) -> Any:
    from sse_flows.campaign.keys import keyed
    from sse_flows.launchers.parts import jobs_of
    from sse_flows.launchers.specs import Setting, grown_workflow

    setting = Setting.of_spec(spec, _profiles())
    return grown_workflow(jobs_of(keyed(flow, keep={job.uuid})), setting)


def _profiles() -> Mapping[str, Mapping[str, Any]]:
    """Resources by category; none where this machine's file of them is unusable."""
    from sse_flows.launchers.profiles import load_profiles

    try:
        return load_profiles()
    except SSEError:  # no reason to lose what the job has computed
        return {}


def _explained(error: Exception) -> JobError:
    if isinstance(error, SSEError):
        return JobError(error.message, error.mend)
    return JobError(one_line(error), details=traceback.format_exc()[-_TRACEBACK_TAIL:])
