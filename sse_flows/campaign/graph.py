"""Which jobs of a flow may run now: the dependencies, as jobs finish, fail or grow new ones."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from jobflow import Flow, Job, OnMissing

WAITING, RUNNING, DONE, FAILED, BLOCKED = "waiting", "running", "done", "failed", "blocked"
STATES = (WAITING, RUNNING, DONE, FAILED, BLOCKED)
"""States of a job; a blocked one waits for ever on one that failed."""


@dataclass
class Node:
    """One job of the graph.

    A job that replaces itself leaves a second node of the same uuid and a higher index; what
    depends on the uuid waits for the last of them.
    """

    job: Job
    parents: set[str]
    rank: int = 0
    state: str = WAITING
    reason: str = ""
    after: set[tuple[str, int]] = field(default_factory=set)

    @property
    def key(self) -> tuple[str, int]:
        """Uuid and index."""
        return self.job.uuid, self.job.index

    @property
    def tolerant(self) -> bool:
        """Whether it runs although jobs it builds on failed."""
        return self.job.config.on_missing_references == OnMissing.NONE


class Graph:
    """The jobs of a flow and what they wait for.

    Parameters
    ----------
    flow
        The flow. References to jobs outside it count as satisfied.
    """

    def __init__(self, flow: Flow):
        self.nodes: dict[tuple[str, int], Node] = {}
        self._by_uuid: dict[str, list[Node]] = defaultdict(list)
        self.add(flow)

    def add(self, flow: Flow, rank: int | None = None) -> list[Node]:
        """Add the jobs of a flow; `rank` is their place in the queue, by default the end."""
        added = []
        for job, parents in flow.iterflow():
            place = len(self.nodes) if rank is None else rank
            node = Node(job, set(parents) - {job.uuid}, place)
            if node.key in self.nodes:
                continue  # the same calculation, asked for twice
            self.nodes[node.key] = node
            self._by_uuid[job.uuid].append(node)
            added.append(node)
        return added

    def ready(self) -> list[Node]:
        """Jobs that may run now, by rank; marks those that never will as blocked."""
        found = []
        for node in list(self.nodes.values()):
            if node.state != WAITING:
                continue
            states = [self.state(parent) for parent in node.parents]
            states += [self.nodes[key].state for key in node.after]
            lost = [s for s in states if s in (FAILED, BLOCKED)]
            if lost and not node.tolerant:
                node.state, node.reason = BLOCKED, self._cause(node)
            elif all(s in (DONE, FAILED, BLOCKED) for s in states):
                found.append(node)
        return sorted(found, key=lambda node: node.rank)

    def knows(self, uuid: str) -> bool:
        """Whether some job of the graph writes this output."""
        return uuid in self._by_uuid

    def state(self, uuid: str) -> str:
        """State of an output: done once the last job that writes it is."""
        states = {node.state for node in self._by_uuid.get(uuid, [])}
        for state in (FAILED, BLOCKED, RUNNING, WAITING):
            if state in states:
                return state
        return DONE

    def _cause(self, node: Node) -> str:
        for parent in node.parents:
            for other in self._by_uuid.get(parent, []):
                if other.state in (FAILED, BLOCKED):
                    return other.reason
        return next((self.nodes[k].reason for k in node.after if self.nodes[k].reason), "")

    def counts(self) -> dict[str, int]:
        """Number of jobs in each state."""
        found: dict[str, int] = dict.fromkeys(STATES, 0)
        for node in self.nodes.values():
            found[node.state] += 1
        return found

    def finish(self, node: Node, flows: dict[str, Any]) -> list[Node]:
        """Mark a job done and add the flows that it asked for (replace, detour, addition)."""
        node.state = DONE
        added: list[Node] = []
        for kind, flow in flows.items():
            new = self.add(flow, node.rank)  # a compound that was begun is finished first
            added.extend(new)
            if kind == "detour":
                for other in self.nodes.values():
                    if node.job.uuid in other.parents:
                        other.after.update(one.key for one in new)
        return added
