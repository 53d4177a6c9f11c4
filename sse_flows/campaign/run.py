"""Run a flow on this machine: in parallel over its jobs, resumable at any moment.

jobflow's ``run_locally`` takes one job after the other and starts from scratch each time. Here
every job whose result the store already holds is skipped, the others run in worker processes, and
a job that fails stops nothing but what builds on it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from jobflow import Flow, JobStore
from monty.json import MontyDecoder, MontyEncoder

from sse_flows.campaign.events import EventLog
from sse_flows.campaign.finished import FinishedJobs
from sse_flows.campaign.graph import DONE, FAILED, RUNNING, WAITING, Graph, Node
from sse_flows.campaign.keys import with_content_keys
from sse_flows.campaign.worker import Outcome, run_job, worker_pool
from sse_flows.errors import SSEError

LOCK_FILE = "run.lock"
MAX_CRASHES = 2
"""A job during which a worker died this often (memory, a crash in a library) has failed."""

Watcher = Callable[[Graph, Node | None], None]


class LocalRunner:
    """Runs flows against a store with a number of worker processes.

    Parameters
    ----------
    store
        A connected JobStore that other processes can open too.
    folder
        Results folder: working folders of jobs, the log of events, the lock.
    processes
        Worker processes; by default one a core.
    watch
        Called with the graph whenever a job changes its state.
    """

    def __init__(
        self,
        store: JobStore,
        folder: Path,
        processes: int | None = None,
        watch: Watcher | None = None,
    ):
        self.store = store
        self.folder = Path(folder)
        self.processes = processes or available_cores()
        self.watch = watch or (lambda graph, node: None)
        self.events = EventLog(self.folder)
        self._finished = FinishedJobs(store)
        self._crashes: dict[tuple[str, int], int] = {}

    def run(self, flow: Flow) -> Graph:
        """Run what is not done yet; returns the graph with the state of every job.

        Raises
        ------
        SSEError
            The campaign runs already, or the folder cannot be written.
        """
        graph = Graph(flow)
        with lock(self.folder):
            self.events.start()
            self._finished.look_up(node.job.uuid for node in graph.nodes.values())
            running: dict[Future, Node] = {}
            pool: ProcessPoolExecutor | None = None
            try:
                while True:
                    pool = self._submit(graph, running, pool)
                    if not running:
                        break
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    if not self._collect(graph, running, done):
                        pool = None  # it broke; a new one is made for what is left
            finally:
                if pool is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
        return graph

    def _submit(
        self, graph: Graph, running: dict[Future, Node], pool: ProcessPoolExecutor | None
    ) -> ProcessPoolExecutor | None:
        """Skip what is done and hand what is ready to free workers."""
        while True:
            skipped = False
            for node in graph.ready():
                may_start = self._may_start(node, running)
                if may_start:  # others may have computed it in a store that machines share
                    self._finished.look_up([node.job.uuid])
                if self._is_done(graph, node):
                    node.state, skipped = DONE, True
                    self.events.write(node, "found")
                    self.watch(graph, node)
                elif may_start:
                    pool = pool or worker_pool(self.store, self.processes)
                    running[self._start(pool, node)] = node
                    self.watch(graph, node)
            if not skipped:
                return pool

    def _may_start(self, node: Node, running: dict[Future, Node]) -> bool:
        """Whether a worker is free; what ran when one died runs alone, to tell which job did it."""
        suspects = [other for other in (node, *running.values()) if other.key in self._crashes]
        return not running if suspects else len(running) < self.processes

    def _start(self, pool: ProcessPoolExecutor, node: Node) -> Future:
        node.state = RUNNING
        self.events.write(node, RUNNING)
        text = json.dumps(node.job, cls=MontyEncoder)
        work = self.folder / "work" / f"{node.job.uuid}-{node.job.index}"
        return pool.submit(run_job, text, str(work))

    def _collect(self, graph: Graph, running: dict[Future, Node], done: set[Future]) -> bool:
        """Take in what finished; False if the pool of workers broke."""
        lost = self._take_in(graph, running, done)
        if lost:  # a pool that broke ends all that it runs, some of it well
            lost += self._take_in(graph, running, set(running))
        for node in lost:
            self._crashed(node)
            self.watch(graph, node)
        return not lost

    def _take_in(self, graph: Graph, running: dict[Future, Node], done: set[Future]) -> list[Node]:
        """Take in the results; returns the jobs that have none since a worker died."""
        lost = []
        for future in done:
            node = running.pop(future)
            try:
                self._finish(graph, node, future.result())
            except BrokenProcessPool:
                lost.append(node)
            else:
                self.watch(graph, node)
        return lost

    def _crashed(self, node: Node) -> None:
        self._crashes[node.key] = self._crashes.get(node.key, 0) + 1
        if self._crashes[node.key] < MAX_CRASHES:
            node.state = WAITING
            return
        node.state, node.reason = FAILED, "a worker process died, perhaps for want of memory"
        self.events.write(node, FAILED, mend="Lower phonons.max_atoms or use fewer processes")

    def _finish(self, graph: Graph, node: Node, outcome: Outcome) -> None:
        if outcome.error is not None:
            node.state, node.reason = FAILED, outcome.error
            self.events.write(node, FAILED, outcome.seconds, outcome.mend, outcome.details)
            return
        self._finished.forget(node.job.uuid)
        flows = {
            kind: with_content_keys(json.loads(text, cls=MontyDecoder), keep={node.job.uuid})
            for kind, text in outcome.more.items()
        }
        self._finished.look_up(new.job.uuid for new in graph.finish(node, flows))
        self.events.write(node, DONE, outcome.seconds)

    def _is_done(self, graph: Graph, node: Node) -> bool:
        """Whether the store holds its result, and none of what it builds on is newer."""
        done_just_now = (
            parent not in self._finished and graph.knows(parent) and graph.state(parent) == DONE
            for parent in node.parents
        )
        return self._finished.is_current(node.job.uuid, node.parents) and not any(done_just_now)


def available_cores() -> int:
    """Cores this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a results folder; the system drops it when the process ends.

    Raises
    ------
    SSEError
        Another process holds it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK_FILE).open("a")
    except OSError as error:
        raise SSEError(
            f"cannot write to {folder}: {error.strerror}",
            mend="Choose another results.folder in the campaign file",
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SSEError(
                f"the campaign in {folder} is running already",
                mend="Wait for it, or look at it with `sse status`",
            ) from error
        yield


def is_running(folder: Path) -> bool:
    """Whether a process holds the lock of a results folder."""
    try:
        with (folder / LOCK_FILE).open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:  # no such folder, or one that belongs to someone else
        return False
