"""A trivial campaign on a real LaunchPad, store and Slurm, and what must come of it.

The same flow runs once in this process without any fault, which gives the documents that are
expected. On the cluster some of its jobs wait for a file, so that a fault finds them computing.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from jobflow import Flow, JobStore

from sse_flows.testing.campaign_flow import campaign_flow
from sse_flows.testing.inline import InlinePool
from sse_flows.testing.jobs import executions
from sse_flows.testing.slurm import wait_until

if TYPE_CHECKING:
    from fireworks import LaunchPad

Relaxation = Callable[[Any, str | None], Any]
Job = tuple[str, int]

_MANIFEST = """\
name: trivial
mobile_ion: Li
train:
  conductors: [lii]
results:
  folder: results
"""


class FaultRun:
    """One campaign: submitted, hurt, recovered, and compared with what it should have given.

    Parameters
    ----------
    launchpad, store
        Both connected, both also configured for the processes of the cluster.
    folder
        Where the campaign file, its results and the gates of its jobs are.
    relaxations
        Compound -> its relaxation; the job is given the file to wait for as `gate`.
    """

    def __init__(
        self,
        launchpad: LaunchPad,
        store: JobStore,
        folder: Path,
        relaxations: Mapping[str, Callable[..., Any]],
    ):
        self.launchpad, self.store, self.folder = launchpad, store, folder
        self.log = folder / "executions.log"
        self.gates = folder / "gates"
        self.results = folder / "results"
        self.file = folder / "campaign.yaml"
        self.recovered: list[str] = []
        for one in (self.gates, self.results):
            one.mkdir(parents=True)
        self.file.write_text(_MANIFEST)
        self._makers = {
            name: _with_gate(maker, str(self.gates / name)) for name, maker in relaxations.items()
        }
        self.expected, self.once = self._without_faults()

    def flow(self) -> Flow:
        """The campaign, as new."""
        numbers = {name: float(number) for number, name in enumerate(self._makers)}
        return campaign_flow(numbers, str(self.log), relaxations=self._makers)

    def _without_faults(self) -> tuple[dict[Job, Any], Counter[Job]]:
        """Documents, and how often each job runs, of a run in this process."""
        from maggma.stores import MemoryStore

        from sse_flows.campaign.keys import with_content_keys
        from sse_flows.campaign.run import LocalRunner

        store = JobStore(MemoryStore())
        store.connect()
        self.open_gates()
        with mock.patch("sse_flows.campaign.run.worker_pool", InlinePool):
            LocalRunner(store, self.folder / "local", 1).run(with_content_keys(self.flow()))
        for gate in self.gates.iterdir():
            gate.unlink()
        once = executions(self.log)
        self.log.unlink()
        return {key: doc["output"] for key, doc in _documents(store)}, once

    def submit(self) -> None:
        """Submit as `sse submit` does."""
        from sse_flows.campaign.flow import Plan
        from sse_flows.campaign.keys import keyed
        from sse_flows.launchers.profiles import load_profiles
        from sse_flows.launchers.submit import Submitter

        flow = keyed(self.flow())
        jobs: dict[str, dict[str, str]] = {}
        for job in flow.jobs():
            about = job["metadata"]
            if about["stage"] != "references":
                jobs.setdefault(about["compound"] or "", {})[about["stage"]] = job["uuid"]
        tail = jobs.pop("")
        roles = {name: ["train"] for name in jobs}
        plan = Plan(name="trivial", roles=roles, jobs=jobs, failures={}, **tail)
        submitter = Submitter(self.launchpad, self.store, self.results, None, load_profiles())
        submitter.submit(flow, "trivial")
        plan.write(self.results)
        submitter.submission.write(self.results)

    def command(self, *words: str) -> str:
        """Output of ``sse WORDS campaign.yaml``.

        Raises
        ------
        RuntimeError
            It did not end well.
        """
        from typer.testing import CliRunner

        from sse_flows.cli.main import app

        done = CliRunner().invoke(app, [words[0], str(self.file), *words[1:]])
        if done.exit_code:
            raise RuntimeError(f"sse {' '.join(words)}: {done.output}") from done.exception
        return done.stdout

    def recover(self, *options: str) -> list[str]:
        """What ``sse recover`` found, a line each; also kept in `recovered`."""
        lines = [line for line in self.command("recover", *options).splitlines() if "->" in line]
        self.recovered += lines
        return lines

    def did(self, compound: str) -> str:
        """What recovering said of a compound's relaxation, in short."""
        mark = f": {compound} "
        found = [line for line in self.recovered if mark in line]
        short = [f"{line.split(':')[0]}: {line.rpartition('-> ')[2]}" for line in found]
        return "; ".join(dict.fromkeys(short)) or "nothing to do"

    def firework(self, compound: str, stage: str = "relax") -> dict[str, Any]:
        """Document of the firework of a compound's stage."""
        query = {"spec.sse.compound": compound, "spec.sse.stage": stage}
        found = self.launchpad.fireworks.find_one(query, sort=[("fw_id", 1)])
        if found is None:
            raise LookupError(f"no {stage} of {compound}")
        return found

    def state(self, compound: str, stage: str = "relax") -> str:
        """FireWorks' state of a compound's relaxation, or of another stage's first job."""
        return str(self.firework(compound, stage)["state"])

    def launch(self, compound: str, stage: str = "relax") -> dict[str, Any]:
        """Document of its present launch."""
        last = self.firework(compound, stage)["launches"][-1]
        return dict(self.launchpad.launches.find_one({"launch_id": last}) or {})

    def waiting_in_slurm(self) -> int:
        """Number of fireworks whose job waits in Slurm; one may be reserved a moment before."""
        reserved = self.launchpad.launches.find({"state": "RESERVED"}, {"state_history": 1})
        return sum("reservation_id" in str(one["state_history"]) for one in reserved)

    def slurm_job(self, compound: str) -> str:
        """Slurm's number of the job in which a relaxation runs."""
        return str(self.launch(compound)["fworker"]["env"]["slurm_job_id"])

    def begun(self, compound: str) -> int:
        """How often the calculation of a relaxation has begun."""
        sse = self.firework(compound)["spec"]["sse"]
        return executions(self.log)[sse["uuid"], sse["index"]]

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = 300) -> None:
        """Wait for a condition; an error says how far the campaign has come.

        Nothing but a failure takes so long: a machine may be slow, and others busy on it.
        """
        try:
            wait_until(condition, timeout, what)
        except TimeoutError as error:
            said = "\n".join(self.recovered[-20:])
            raise TimeoutError(
                f"{error}: {self.counts()}\n{self.command('status')}\n{said}"
            ) from error

    def wait_until_begun(self, *compounds: str, times: int = 1) -> None:
        """Wait until these relaxations compute, for the first time or once more."""
        self.wait(
            lambda: all(self.begun(one) >= times for one in compounds),
            f"{', '.join(compounds)} to begin",
        )

    def wait_until_at_rest(self) -> None:
        """Wait until nothing goes on by itself, see :meth:`is_at_rest`."""
        self.wait(self.is_at_rest, "rest")

    def open_gates(self, *compounds: str) -> None:
        """Let relaxations come to their end; all by default."""
        for name in compounds or self._makers:
            (self.gates / name).touch()

    def counts(self) -> dict[str, int]:
        """State -> number of fireworks."""
        found = self.launchpad.fireworks.find({}, {"state": 1})
        return dict(Counter(one["state"] for one in found))

    def is_complete(self) -> bool:
        """Whether every firework is completed."""
        return set(self.counts()) <= {"COMPLETED", "ARCHIVED"}

    def is_at_rest(self) -> bool:
        """Whether nothing can go on without being recovered: no READY job, none in Slurm."""
        from sse_flows.launchers.liveness import LOST
        from sse_flows.launchers.snapshot import take_snapshot
        from sse_flows.launchers.watch import judge_all

        if self.launchpad.fireworks.find_one({"state": "READY"}, {"fw_id": 1}):
            return False
        verdicts = judge_all(self.launchpad, take_snapshot(self.launchpad, None))[1]
        return all(one.state == LOST for one in verdicts.values())

    def kinds(self) -> str:
        """What recovering found, each kind once."""
        return ", ".join(sorted({line.split(":")[0] for line in self.recovered})) or "nothing"

    def wait_until_complete(self) -> None:
        """Wait until every firework is completed, with no help but that of qlaunch."""
        self.wait(self.is_complete, "the campaign")

    def stored(self) -> dict[Job, dict[str, Any]]:
        """Documents of the store by id and index.

        Raises
        ------
        AssertionError
            One is there twice.
        """
        found = _documents(self.store)
        assert len({key for key, _ in found}) == len(found), "a document is stored twice"
        return dict(found)

    def differences(self) -> dict[Job, tuple[Any, Any]]:
        """Documents that are not those of the run without a fault: output there, and here."""
        found = {key: doc["output"] for key, doc in self.stored().items()}
        lack = "no document"
        return {
            key: (self.expected.get(key, lack), found.get(key, lack))
            for key in self.expected.keys() | found.keys()
            if self.expected.get(key, lack) != found.get(key, lack)
        }

    def computed_more(self) -> Counter[Job]:
        """Jobs that were computed more often than without a fault, and how much more."""
        ran = executions(self.log)
        missing = self.once - ran
        assert not missing, f"never computed: {missing}"
        return ran - self.once

    def relaxation_of(self, compound: str) -> Job:
        """Id and index of a compound's relaxation."""
        sse = self.firework(compound)["spec"]["sse"]
        return sse["uuid"], sse["index"]


def settle(run: FaultRun) -> None:
    """Wait for the end; then recovering again finds nothing."""
    run.wait_until_complete()
    assert run.recover() == []
    assert run.differences() == {}


@contextlib.contextmanager
def qlaunch_running(*options: str, folder: Path | None = None) -> Iterator[subprocess.Popen]:
    """FireWorks' own ``qlaunch -r rapidfire`` beside the block; it must not fail.

    Parameters
    ----------
    *options
        By default it goes on for ever, looking every second.
    folder
        Of the launches; the present one by default. The log is in that.

    Raises
    ------
    AssertionError
        It ended with an error meanwhile, unless the block has looked at that.
    """
    program = shutil.which("qlaunch")
    assert program is not None, "qlaunch is not installed"
    options = options or ("--nlaunches", "infinite", "--sleep", "1")
    command = [program, "-r", "--launch_dir", str(folder or Path()), "rapidfire", *options]
    path = Path("qlaunch.log").resolve()
    with path.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
        assert process.returncode is not None or not process.poll(), "qlaunch ended with an error"
    except BaseException as error:
        error.add_note(f"end of qlaunch.log:\n{path.read_text(errors='replace')[-3000:]}")
        raise
    finally:
        end_process(process)


def end_process(process: subprocess.Popen) -> None:
    """End a process with SIGTERM, or with SIGKILL if it does not."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def is_alive(process: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def job_node(cluster: Any, job: str) -> int:
    """Number of the virtual node that a job runs on."""
    return int(cluster.run("squeue", "-h", "-j", job, "-o", "%N").removeprefix("n"))


def _documents(store: JobStore) -> list[tuple[Job, dict[str, Any]]]:
    return [((doc["uuid"], doc["index"]), doc) for doc in store.query()]


def _with_gate(maker: Callable[..., Any], gate: str) -> Relaxation:
    return lambda number, log: maker(number, gate, log)
