"""Content keys: the same calculation has the same id, whoever asks for it and when.

jobflow draws random ids, so a flow that is made again knows nothing of what was computed before.
Here every job of a flow gets the id that follows from what it computes: the function or maker, its
settings, the structure, the version of the code, and the keys of the jobs it builds on. Looking a
result up is then asking the store for that id, which makes a campaign resumable and lets campaigns
share results.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobflow import Flow, JobOrder
from monty.json import MontyDecoder, MontyEncoder

from sse_flows.garbage import collection_paused

KEY_VERSION = 1
"""Raise this when the making of keys changes: every stored result is then computed anew."""

JOB_VERSIONS = {"describe_compound": 1, "train_models": 2}
"""Raise a job's number (0 where it is not listed) when its code gives other results for the same
inputs: its stored results, and those that build on them, are then computed anew, no others."""

_PLACES = {"train_models": ("table", 1)}
"""Arguments, by name and number, that say where a file is; another one holds its SHA-256."""

# from its first dash on: what begins with one letter is found ten times as quickly
_UUID_END = re.compile(r"-(?<=[0-9a-f]{8}-)[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UUID_START = 8
_UUID_LENGTH = 36
_SORTED = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_NOT_CONTENT = {"@version", "hosts", "prev_dir"}  # prev_dir: a start to save time, no input
_LABELS = {"name", "launch"}  # of an object: what it is called, and how its programs are started


def content_key(work: Any) -> str:
    """SHA-256 of a JSON-like object, blind to names, key order and library versions.

    Parameters
    ----------
    work
        Function, arguments and settings of a job as plain dicts, lists and scalars.
    """
    return _key(work, {})


@dataclass(frozen=True)
class KeyedFlow:
    """A flow with content keys as plain data, which a launcher can send on without decoding it.

    Attributes
    ----------
    node
        The flow as monty writes it: ``jobs`` holds jobs and further flows.
    parents
        Id of every job, in an order in which they can run -> ids of the jobs it builds on.
    """

    node: dict[str, Any]
    parents: dict[str, list[str]]

    def jobs(self) -> Iterator[dict[str, Any]]:
        """All jobs, those of nested flows included; one that several flows hold comes again."""
        yield from _jobs(self.node)

    def decoded(self) -> Flow:
        """As jobflow's object."""
        return MontyDecoder().process_decoded(self.node)


def with_content_keys(flow: Flow, keep: frozenset[str] | set[str] = frozenset()) -> Flow:
    """Return the flow with every job's id made from its content.

    Parameters
    ----------
    flow
        A flow whose references to jobs outside it are already content keys.
    keep
        Ids to leave as they are: of jobs that stand in for one that was replaced.

    Returns
    -------
    Flow
        An equal flow; `flow` itself is left unchanged.
    """
    return keyed(flow, keep).decoded()


def keyed(flow: Flow, keep: frozenset[str] | set[str] = frozenset()) -> KeyedFlow:
    """Key a flow as :func:`with_content_keys` does; the result is plain data."""
    with collection_paused():
        return _keyed(flow, keep)


def _keyed(flow: Flow, keep: frozenset[str] | set[str]) -> KeyedFlow:
    text = json.dumps(flow, cls=MontyEncoder)
    node = json.loads(text)
    jobs = {job["uuid"]: job for job in _jobs(node)}
    works = {name: _work(job) for name, job in jobs.items()}
    before = _parents(flow, node, works)
    renamed: dict[str, str] = {}
    parents: dict[str, list[str]] = {}
    for old in _in_order(before):
        if old not in keep:
            renamed[old] = _as_uuid(_key(works[old], renamed))
        name = renamed.get(old, old)
        known = [*parents.get(name, []), *(renamed.get(one, one) for one in before[old])]
        parents[name] = list(dict.fromkeys(one for one in known if one != name))
    return KeyedFlow(_without_repeats(json.loads(_rename(text, renamed))), parents)


def _key(work: Any, renamed: dict[str, str]) -> str:
    """Key of an object in which ids have other names."""
    text = _SORTED.encode([KEY_VERSION, _content(work, renamed)])
    return hashlib.sha256(_rename(text, renamed).encode()).hexdigest()


def _as_uuid(key: str) -> str:
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:32]}"


def _rename(text: str, renamed: dict[str, str]) -> str:
    """A text in which every id that has another name is called by that."""
    pieces, done, seen = [], 0, 0
    for match in _UUID_END.finditer(text):
        start = match.start() - _UUID_START
        if start < seen:
            continue
        seen = match.end()
        new = renamed.get(text[start:seen])
        if new is not None:
            pieces += [text[done:start], new]
            done = seen
    return "".join([*pieces, text[done:]]) if pieces else text


def _parents(flow: Flow, node: dict, works: dict[str, dict]) -> dict[str, list[str]]:
    """Jobs of a flow that each of its jobs builds on.

    jobflow's own graph makes plain data of every job once more, so it is asked only where a flow
    prescribes an order that does not follow from its references.
    """
    if _is_linear(node):
        return {job.uuid: list(parents) for job, parents in flow.iterflow()}
    return {
        name: [one for one in dict.fromkeys(_references(work)) if one in works and one != name]
        for name, work in works.items()
    }


def _is_linear(node: dict) -> bool:
    order = node.get("order", {})
    linear = (order.get("value") if isinstance(order, dict) else order) == JobOrder.LINEAR.value
    return linear or any(_is_linear(child) for child in node["jobs"] if "jobs" in child)


def _references(node: Any) -> Iterator[str]:
    """Ids of the jobs whose outputs an object refers to."""
    if isinstance(node, dict):
        if node.get("@class") == "OutputReference":
            yield node["uuid"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _in_order(parents: dict[str, list[str]]) -> list[str]:
    """Jobs in their order in the flow, but each after those it builds on.

    Raises
    ------
    ValueError
        Jobs build on each other in a circle.
    """
    done: dict[str, None] = {}
    begun: set[str] = set()
    stack = list(reversed(parents))
    while stack:
        one = stack[-1]
        waiting = [parent for parent in parents[one] if parent not in done]
        if one in done or not waiting:
            done.setdefault(stack.pop())
        elif one in begun:
            raise ValueError("jobs build on each other in a circle")
        else:
            begun.add(one)
            stack.extend(reversed(waiting))
    return list(done)


def _without_repeats(node: dict) -> dict:
    """A flow in which no job stands twice at one level, which jobflow refuses."""
    if "jobs" not in node:
        return node
    once = {(child["uuid"], child.get("index")): child for child in reversed(node["jobs"])}
    return {**node, "jobs": [_without_repeats(child) for child in reversed(once.values())]}


def _jobs(node: dict) -> list[dict]:
    """All jobs in the dict of a flow, nested flows included."""
    found: list[dict] = []
    for child in node["jobs"]:
        found.extend(_jobs(child) if "jobs" in child else [child])
    return found


def _work(job: dict) -> dict:
    work = {name: job[name] for name in ("function", "function_args", "function_kwargs")}
    _forget_place(work)
    version = JOB_VERSIONS.get(job["function"].get("@callable", ""), 0)
    return {**work, "job_version": version} if version else work


def _forget_place(work: dict) -> None:
    """Take out where a file is, so that a campaign that moved keeps its results."""
    name, number = _PLACES.get(work["function"].get("@callable", ""), ("", -1))
    named, listed = dict(work["function_kwargs"]), list(work["function_args"])
    if "/" in str(named.get(name)):  # builtin, or none, is no place
        named[name] = "file"
    elif 0 <= number < len(listed) and "/" in str(listed[number]):
        listed[number] = "file"
    work.update(function_kwargs=named, function_args=listed)


def _content(node: Any, renamed: dict[str, str]) -> Any:
    if isinstance(node, dict):
        # the name of an object, a maker for instance, is a label; elsewhere it may be a setting
        ignored = _NOT_CONTENT | _LABELS if "@class" in node else _NOT_CONTENT
        return {
            # keys are sorted: those that hold an id by its new name, which values need not have yet
            key if len(key) < _UUID_LENGTH else _rename(key, renamed): _content(value, renamed)
            for key, value in node.items()
            if key not in ignored and value is not None
        }
    if isinstance(node, list):
        return [_content(value, renamed) for value in node]
    return node
