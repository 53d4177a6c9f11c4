"""LaunchPads in states that are hard to come by: made with FireWorks' own calls, without a cluster.

A part is a small workflow like those of `sse submit`; its fireworks are reserved, started, ended,
failed or left in the lurch one by one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireworks import FiretaskBase, FWAction, explicit_serialize

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore

    from sse_flows.launchers.scene import Finding

CHAIN = {
    "relax": [],
    "phonons-1": ["relax"],
    "phonons-2": ["relax"],
    "phonons": ["phonons-1", "phonons-2"],
    "descriptors": ["phonons"],
}
"""Jobs of a small compound for :meth:`Bench.part`."""

_SLURM = {
    "squeue": '[ -f "$FAKE_SLURM/down" ] && { cat "$FAKE_SLURM/down" >&2; exit 1; }\n'
    'echo "$@" >> "$FAKE_SLURM/calls"; cat "$FAKE_SLURM/queue"\n',
    "scontrol": 'cat "$FAKE_SLURM/config"\n',
    "sacct": 'cat "$FAKE_SLURM/accounts"\n',
}


@explicit_serialize
class NoTask(FiretaskBase):
    """A task that does nothing, with a `job` that names its inputs."""

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Do nothing."""
        return FWAction()


def kinds(findings: Iterable[Finding], done: bool = True) -> list[str]:
    """Kinds of what was put right, or of what was left alone."""
    return [one.kind for one in findings if bool(one.did) == done]


def memory_launchpad() -> LaunchPad:
    """A LaunchPad of this process alone, in memory and empty."""
    import mongomock
    from fireworks.core import launchpad as module

    held = module.MongoClient, module.GRIDFS_FALLBACK_COLLECTION
    module.MongoClient, module.GRIDFS_FALLBACK_COLLECTION = mongomock.MongoClient, None
    try:
        pad = module.LaunchPad(name=f"pad{uuid.uuid4().hex[:8]}", strm_lvl="CRITICAL")
        pad.reset("", require_password=False)
    finally:
        module.MongoClient, module.GRIDFS_FALLBACK_COLLECTION = held
    return pad


def memory_store() -> JobStore:
    """A connected JobStore in memory."""
    from jobflow import JobStore
    from maggma.stores import MemoryStore

    store = JobStore(MemoryStore())
    store.connect()
    return store


class FakeSlurm:
    """Slurm's commands as scripts that print what a test wants them to.

    Parameters
    ----------
    folder
        Where the scripts go; put `folder` first on PATH and set FAKE_SLURM to it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name, body in _SLURM.items():
            path = folder / name
            path.write_text(f"#!/bin/sh\n{body}")
            path.chmod(0o755)
        self.set()
        self.configure()

    @property
    def environment(self) -> dict[str, str]:
        """Variables that put the scripts in the place of Slurm."""
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "FAKE_SLURM": str(self.folder)}

    @property
    def calls(self) -> list[str]:
        """Arguments of the calls of squeue so far."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.is_file() else []

    def set(self, **states: str) -> None:
        """Set the jobs in the queue: number (with a letter before it) -> state."""
        now = int(datetime.now(UTC).timestamp()) - 30
        lines = []
        for name, state in states.items():
            node = "" if state == "PENDING" else "n1"
            reason = "Priority" if state == "PENDING" else "None"
            lines.append(f"{name[1:]}|{state}|debug|{node}|0:30|1:00:00|{now}|{reason}\n")
        (self.folder / "queue").write_text("".join(lines))
        (self.folder / "down").unlink(missing_ok=True)

    def configure(self, accounts: str = "", **settings: str) -> None:
        """Set Slurm's configuration, and what accounting says."""
        given = {"ClusterName": "test", "AccountingStorageType": "(null)", **settings}
        lines = [f"{key:<23} = {value}\n" for key, value in given.items()]
        (self.folder / "config").write_text("".join(lines))
        (self.folder / "accounts").write_text(accounts)

    def stop(self) -> None:
        """Let no controller answer."""
        error = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"
        (self.folder / "down").write_text(error)


@dataclass
class Bench:
    """A campaign on a LaunchPad and in a store, whose jobs a test moves by hand.

    Attributes
    ----------
    pad, store
        The LaunchPad and the JobStore.
    campaign
        Its name.
    """

    pad: LaunchPad
    store: JobStore
    campaign: str = "test"
    clock: int = 0
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    def part(
        self,
        name: str,
        jobs: dict[str, list[str]],
        kind: str = "compound",
        needs: Iterable[str] = (),
        tolerant: Iterable[str] = (),
    ) -> dict[str, int]:
        """Put a workflow on the LaunchPad.

        Parameters
        ----------
        name
            The compound.
        jobs
            Name of a job -> names of those it builds on. What stands before a dash is its stage.
        kind
            Kind of the part.
        needs
            Parts that its first job waits for.
        tolerant
            Jobs that run although what they build on failed.

        Returns
        -------
        dict
            Name of each job -> its firework.
        """
        from fireworks import Workflow

        self.ids[name] = {job: str(uuid.uuid4()) for job in jobs}
        made: dict[str, Any] = {}
        for job, parents in jobs.items():
            made[job] = self._firework(name, job, [made[one] for one in parents], list(needs))
            if job in tolerant:
                made[job].spec["_allow_fizzled_parents"] = True
            needs = ()
        about = {"part": name, "campaign": self.campaign, "kind": kind, "compound": name}
        flow = Workflow(list(made.values()), name=name, metadata={"sse": about})
        self.pad.add_wf(flow)
        found = {job: firework.fw_id for job, firework in made.items()}
        for job, firework in made.items():
            if firework.spec["sse"].get("needs"):
                self.pad.pause_fw(found[job])
        return found

    def _firework(self, name: str, job: str, parents: list[Any], needs: list[str]) -> Any:
        from fireworks import Firework

        stage = job.split("-", maxsplit=1)[0]
        supercell = stage == "phonons" and "-" in job
        inputs = [one for part in needs for one in self.ids.get(part, {}).values()]
        sse: dict[str, Any] = {
            "campaign": self.campaign,
            "part": name,
            "compound": name,
            "stage": stage,
            "uuid": self.ids[name][job],
            "index": 1,
            "continued": 0,
        }
        if needs:
            sse["needs"] = needs
        spec = {
            "sse": sse,
            "_category": "supercell" if supercell else "postprocess",
        }
        return Firework([NoTask(job=" ".join(inputs))], spec, f"{name} {job}", parents=parents)

    def reserve(self, fw_id: int, job_id: int | None) -> int:
        """Reserve a firework for a job of Slurm; None: qlaunch died before it was known."""
        from fireworks import FWorker

        _, launch_id = self.pad.reserve_fw(FWorker(), os.sep, fw_id=fw_id)
        if job_id is not None:
            self.pad.set_reservation_id(launch_id, job_id)
        return launch_id

    def start(self, fw_id: int, job_id: int | None = None, **place: Any) -> int:
        """Start a firework in a job of Slurm, or on a host with a process number."""
        from fireworks import FWorker

        env = {**place} if job_id is None else {"slurm_job_id": str(job_id), **place}
        if env:
            env = {"host": "n1", "pid": 1, **env}
        _, launch_id = self.pad.checkout_fw(FWorker(env=env), os.sep, fw_id=fw_id)
        return launch_id

    def finish(self, fw_id: int, launch_id: int | None = None, stored: bool = True) -> None:
        """End a firework well, by default with its result in the store."""
        launch_id = self.start(fw_id, 1) if launch_id is None else launch_id
        if stored:
            self.save(fw_id)
        self.pad.complete_launch(launch_id, FWAction())

    def save(self, fw_id: int, output: Any = 1) -> None:
        """Store the result of a firework, later than all before it."""
        self.clock += 1
        sse = self.pad.fireworks.find_one({"fw_id": fw_id})["spec"]["sse"]
        when = (datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.clock)).isoformat()
        document = {"uuid": sse["uuid"], "index": 1, "output": output, "completed_at": when}
        self.store.update([document], key=["uuid", "index"])

    def fail(self, fw_id: int, reason: str, mend: str | None = None, trace: str = "") -> None:
        """Let a firework fail with a reason, or with a traceback alone."""
        launch_id = self.start(fw_id, 1)
        details = {"reason": reason, "mend": mend} if reason else None
        exception = {"_stacktrace": trace, "_details": details}
        stored = {"_message": "runtime error during task", "_exception": exception}
        self.pad.complete_launch(launch_id, FWAction(stored_data=stored, exit=True), "FIZZLED")

    def state(self, fw_id: int) -> str:
        """State of a firework."""
        return self.pad.fireworks.find_one({"fw_id": fw_id}, {"state": 1})["state"]

    def remembered(self, fw_id: int) -> str:
        """State of a firework that its workflow remembers."""
        workflow = self.pad.workflows.find_one({"nodes": fw_id}, {"fw_states": 1})
        return workflow["fw_states"][str(fw_id)]

    def age(self, fw_id: int, hours: float) -> None:
        """Make a firework and its launches older."""
        back = timedelta(hours=hours)
        doc = self.pad.fireworks.find_one({"fw_id": fw_id})
        earlier = (datetime.now(UTC) - back).isoformat()
        times = {"updated_on": earlier, "created_on": earlier}
        self.pad.fireworks.update_one({"fw_id": fw_id}, {"$set": times})
        for launch in self.pad.launches.find({"launch_id": {"$in": doc["launches"]}}):
            history = [_older(one, back) for one in launch["state_history"]]
            change = {"$set": {"state_history": history}}
            self.pad.launches.update_one({"launch_id": launch["launch_id"]}, change)


def _older(entry: dict[str, Any], back: timedelta) -> dict[str, Any]:
    """An entry of a launch's history, with its times moved into the past."""
    moved = dict(entry)
    for name in ("created_on", "updated_on"):
        if isinstance(entry.get(name), str):
            moved[name] = (datetime.fromisoformat(entry[name]) - back).isoformat()
    return moved
