"""Which jobs may run: dependencies, failures, and flows that grow."""

from __future__ import annotations

import pytest
from jobflow import Flow

from sse_flows.campaign.graph import BLOCKED, DONE, FAILED, RUNNING, WAITING, Graph
from sse_flows.testing.jobs import TOLERANT, add, total


def names(nodes) -> list[str]:
    return [node.job.name for node in nodes]


def named(job, name: str):
    job.name = name
    return job


@pytest.fixture
def diamond():
    """a -> b, c -> d"""
    a = named(add(1, 2), "a")
    b, c = named(add(a.output, 1), "b"), named(add(a.output, 2), "c")
    d = named(total([b.output, c.output]), "d")
    return Graph(Flow([d, c, b, a])), {job.name: (job.uuid, 1) for job in (a, b, c, d)}


def test_only_jobs_whose_parents_are_done_are_ready(diamond):
    graph, keys = diamond
    assert names(graph.ready()) == ["a"]
    graph.finish(graph.nodes[keys["a"]], {})
    assert sorted(names(graph.ready())) == ["b", "c"]
    graph.finish(graph.nodes[keys["b"]], {})
    graph.nodes[keys["c"]].state = RUNNING
    assert graph.ready() == []
    graph.finish(graph.nodes[keys["c"]], {})
    assert names(graph.ready()) == ["d"]


def test_what_builds_on_a_failed_job_is_blocked_with_its_reason(diamond):
    graph, keys = diamond
    graph.nodes[keys["a"]].state, graph.nodes[keys["a"]].reason = FAILED, "no forces"
    for _ in range(3):  # passed on step by step
        assert graph.ready() == []
    blocked = [graph.nodes[keys[name]] for name in "bcd"]
    assert [node.state for node in blocked] == [BLOCKED] * 3
    assert [node.reason for node in blocked] == ["no forces"] * 3
    assert graph.counts() == {WAITING: 0, RUNNING: 0, DONE: 0, FAILED: 1, BLOCKED: 3}


def test_a_tolerant_job_runs_once_all_its_parents_have_ended(diamond):
    graph, keys = diamond
    last = graph.nodes[keys["d"]]
    last.job.config = TOLERANT
    graph.finish(graph.nodes[keys["a"]], {})
    graph.nodes[keys["b"]].state = FAILED
    assert names(graph.ready()) == ["c"]
    graph.finish(graph.nodes[keys["c"]], {})
    assert names(graph.ready()) == ["d"]


def test_references_to_jobs_outside_the_flow_count_as_done():
    outside = add(1, 2)
    graph = Graph(Flow([add(outside.output, 1)]))
    assert len(graph.ready()) == 1
    assert not graph.knows(outside.uuid)


def test_a_replacement_holds_back_what_waits_for_the_replaced(diamond):
    graph, keys = diamond
    uuid = keys["a"][0]
    part, last = named(add(5, 5), "part"), named(add(6, 6), "last")
    last.set_uuid(uuid)
    last.index = 2
    added = graph.finish(graph.nodes[keys["a"]], {"replace": Flow([part, last])})
    assert sorted(names(added)) == ["last", "part"]
    assert graph.state(uuid) == WAITING
    assert sorted(names(graph.ready())) == ["last", "part"]
    graph.finish(graph.nodes[part.uuid, 1], {})
    assert names(graph.ready()) == ["last"]
    graph.finish(graph.nodes[uuid, 2], {})
    assert graph.state(uuid) == DONE
    assert sorted(names(graph.ready())) == ["b", "c"]


def test_a_detour_runs_before_what_waits_for_its_maker(diamond):
    graph, keys = diamond
    detour = named(add(5, 5), "detour")
    graph.finish(graph.nodes[keys["a"]], {"detour": Flow([detour])})
    assert names(graph.ready()) == ["detour"]
    graph.finish(graph.nodes[detour.uuid, 1], {})
    assert sorted(names(graph.ready())) == ["b", "c"]


def test_a_failed_detour_blocks_what_waits_for_it(diamond):
    graph, keys = diamond
    detour = named(add(5, 5), "detour")
    graph.finish(graph.nodes[keys["a"]], {"detour": Flow([detour])})
    node = graph.nodes[detour.uuid, 1]
    node.state, node.reason = FAILED, "lost"
    assert graph.ready() == []
    assert graph.nodes[keys["b"]].state == BLOCKED
    assert graph.nodes[keys["b"]].reason == "lost"


def test_an_addition_holds_nothing_back(diamond):
    graph, keys = diamond
    graph.finish(graph.nodes[keys["a"]], {"addition": Flow([named(add(5, 5), "more")])})
    assert sorted(names(graph.ready())) == ["b", "c", "more"]


def test_new_jobs_take_the_place_of_their_maker_in_the_queue():
    first, second = named(add(1, 1), "first"), named(add(2, 2), "second")
    graph = Graph(Flow([first, second]))
    assert names(graph.ready()) == ["first", "second"]
    graph.finish(graph.ready()[0], {"replace": Flow([named(add(3, 3), "part of first")])})
    assert names(graph.ready()) == ["part of first", "second"]


def test_a_job_asked_for_twice_stands_in_the_graph_once(diamond):
    graph, keys = diamond
    again = named(add(9, 9), "again")
    again.set_uuid(keys["b"][0])
    assert graph.add(Flow([again])) == []
    assert len(graph.nodes) == 4
