"""The task that runs one job of a campaign on a cluster.

Imported whenever a worker looks at a firework, so what is heavy is imported when a job runs.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fireworks import FiretaskBase, FWAction, explicit_serialize

from sse_flows.errors import OutOfTimeError, SSEError, one_line
from sse_flows.launchers import gates
from sse_flows.launchers.fence import ASKED_FOR, FencedStore, Launch, Superseded
from sse_flows.launchers.stop import being_killed
from sse_flows.launchers.work_folder import take_over, working_folder
from sse_flows.processes import THREAD_VARIABLES

if TYPE_CHECKING:
    from jobflow import Job, JobStore, Response

MAX_CONTINUED = 20
"""A job that ran out of time this often is no longer continued."""

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
            if being_killed():  # it stays RUNNING, for `sse recover`, and has not ended
                launch.note_left()
            else:
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
            spec["sse"]["work"] = take_over(launch, spec["sse"]["work"])
            with launch.watched(), working_folder(spec["sse"]["work"]):
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
