"""Parts that are settled, and gates that open once, whoever ends last."""

from __future__ import annotations

import multiprocessing

import pytest
from fireworks import LaunchPad

from sse_flows.launchers import gates
from sse_flows.launchers.firetask import Launch
from sse_flows.testing.launchpad_states import memory_launchpad

WORKFLOW = 100
TASK = {
    "_fw_name": "{{fireworks.user_objects.firetasks.script_task.PyTask}}",
    "func": "time.sleep",
    "args": [0],
}


def put(launchpad, part, states, links=None, needs=None, tolerant=(), first=1):
    """A workflow of fireworks `first`, ... in these states; `links` and `needs` by position."""
    ids = [first + number for number in range(len(states))]
    children = {str(one): [] for one in ids}
    parents: dict[str, list[int]] = {}
    for parent, child in links or []:
        children[str(ids[parent])].append(ids[child])
        parents.setdefault(str(ids[child]), []).append(ids[parent])
    launchpad.workflows.insert_one(
        {
            "nodes": ids,
            "links": children,
            "parent_links": parents,
            "fw_states": {str(i): s for i, s in zip(ids, states, strict=True)},
            "metadata": {"sse": {"part": part}},
            "state": "RUNNING",
            "name": part,
            "created_on": None,
            "updated_on": None,
        }
    )
    for number, (fw_id, state) in enumerate(zip(ids, states, strict=True)):
        sse = {"part": part} | ({"needs": needs[number]} if number in (needs or {}) else {})
        spec = {"sse": sse, "_allow_fizzled_parents": number in tolerant, "_tasks": [TASK]}
        launches = [WORKFLOW * fw_id] if state == "RUNNING" else []
        launchpad.fireworks.insert_one(
            {"fw_id": fw_id, "state": state, "spec": spec, "name": str(fw_id)}
            | {"launches": launches, "archived_launches": []}
        )
        if launches:
            launchpad.launches.insert_one({"launch_id": launches[0], "state": "RUNNING"})


CHAIN = [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    ("states", "links", "tolerant", "settled"),
    [
        (["COMPLETED"], [], (), True),
        (["READY"], [], (), False),
        (["RESERVED"], [], (), False),
        (["RUNNING"], [], (), False),
        (["FIZZLED"], [], (), True),
        (["DEFUSED"], [], (), True),
        (["PAUSED"], [], (), False),
        (["COMPLETED", "COMPLETED", "COMPLETED"], CHAIN, (), True),
        (["COMPLETED", "WAITING", "WAITING"], CHAIN, (), False),  # just about to be READY
        (["FIZZLED", "WAITING", "WAITING"], CHAIN, (), True),
        (["COMPLETED", "FIZZLED", "WAITING"], CHAIN, (), True),
        (["COMPLETED", "DEFUSED", "WAITING"], CHAIN, (2,), True),
        (["COMPLETED", "FIZZLED", "WAITING"], CHAIN, (2,), False),  # tolerates what failed
        (["FIZZLED", "WAITING", "WAITING"], CHAIN, (2,), True),  # but not what never runs
        (["FIZZLED", "RUNNING", "WAITING"], [(0, 2), (1, 2)], (), False),
        (["FIZZLED", "COMPLETED", "WAITING"], [(0, 2), (1, 2)], (), True),
        (["FIZZLED", "PAUSED", "WAITING"], [(0, 2), (1, 2)], (), True),
        (["COMPLETED", "PAUSED", "WAITING"], [(0, 2), (1, 2)], (), False),
        (["COMPLETED", "FIZZLED"], [], (), True),
        (["COMPLETED", "WAITING"], [], (), False),
    ],
)
def test_when_a_part_is_settled(states, links, tolerant, settled):
    launchpad = memory_launchpad()
    put(launchpad, "p", states, links, tolerant=tolerant)
    assert gates.settled_parts(launchpad, ["p"]) == ({"p"} if settled else set())


def test_a_part_that_is_not_there_is_settled():
    assert gates.settled_parts(memory_launchpad(), ["gone"]) == {"gone"}


def test_an_archived_workflow_of_a_part_does_not_count():
    launchpad = memory_launchpad()
    put(launchpad, "p", ["ARCHIVED", "ARCHIVED"], [(0, 1)])
    put(launchpad, "p", ["READY"], first=10)
    assert not gates.settled_parts(launchpad, ["p"])


@pytest.mark.parametrize("state", ["COMPLETED", "FIZZLED"])
def test_a_marked_launch_counts_as_ended(state):
    launchpad = memory_launchpad()
    put(launchpad, "p", ["RUNNING"])
    gates.mark_ended(launchpad, WORKFLOW, state)
    assert gates.settled_parts(launchpad, ["p"]) == {"p"}


def test_a_mark_of_a_former_launch_does_not_count():
    launchpad = memory_launchpad()
    put(launchpad, "p", ["RUNNING"])
    gates.mark_ended(launchpad, WORKFLOW, "FIZZLED")
    launchpad.launches.insert_one({"launch_id": 7, "state": "RUNNING"})
    launchpad.fireworks.update_one({"fw_id": 1}, {"$set": {"launches": [7]}})
    assert not gates.settled_parts(launchpad, ["p"])


def states(launchpad) -> dict[int, str]:
    return {doc["fw_id"]: doc["state"] for doc in launchpad.fireworks.find()}


def test_a_gate_opens_when_all_that_it_needs_is_settled():
    launchpad = memory_launchpad()
    put(launchpad, "a", ["COMPLETED"])
    put(launchpad, "b", ["READY"], first=2)
    put(launchpad, "t", ["PAUSED"], needs={0: ["a", "b"]}, first=3)
    assert gates.release(launchpad) == []
    launchpad.fireworks.update_one({"fw_id": 2}, {"$set": {"state": "FIZZLED"}})
    assert gates.release(launchpad, "other") == []
    assert gates.release(launchpad, "b") == [3]
    assert states(launchpad)[3] == "READY"
    assert launchpad.workflows.find_one({"nodes": 3})["fw_states"] == {"3": "READY"}
    assert gates.release(launchpad) == []


def test_a_gate_of_many_parts_opens_too():
    launchpad = memory_launchpad()
    parts = [f"p{number}" for number in range(60)]
    for number, part in enumerate(parts):
        put(launchpad, part, ["COMPLETED", "RUNNING"], [(0, 1)], first=10 * number + 10)
    put(launchpad, "t", ["PAUSED"], needs={0: parts}, first=1)
    for number in range(60):
        assert gates.release(launchpad) == []
        gates.mark_ended(launchpad, WORKFLOW * (10 * number + 11), "COMPLETED")
    assert gates.release(launchpad) == [1]


def test_a_gate_within_its_workflow_waits_for_its_parents_too():
    launchpad = memory_launchpad()
    put(launchpad, "t", ["RUNNING", "PAUSED"], [(0, 1)], needs={1: ["gone"]})
    assert gates.release(launchpad) == [2]
    assert states(launchpad)[2] == "WAITING"


def test_nobody_can_take_a_gate_that_is_half_open(monkeypatch):
    """FireWorks would call it READY again in the midst of its checkout."""
    launchpad = memory_launchpad()
    put(launchpad, "t", ["PAUSED"], needs={0: ["gone"]})
    refresh, taken = gates.refresh_unchanged, []

    def late(*args):
        taken.append(launchpad._get_a_fw_to_run())  # the first step of a checkout
        return refresh(*args)

    monkeypatch.setattr(gates, "refresh_unchanged", late)
    assert gates.release(launchpad) == [1]
    assert taken == [None]
    assert states(launchpad) == {1: "READY"}


@pytest.mark.parametrize("locked", [True, False])
def test_a_part_is_not_settled_while_its_last_job_adds_others(locked):
    """FireWorks writes the new ones, then calls their maker completed, and then they are linked."""
    launchpad = memory_launchpad()
    put(launchpad, "p", ["COMPLETED"])
    task = {"sse": {"part": "p"}, "_tasks": [TASK]}
    launchpad.fireworks.insert_one({"fw_id": 2, "state": "READY", "spec": task, "launches": []})
    if locked:
        launchpad.workflows.update_one({"nodes": 1}, {"$set": {"locked": True}})
    # without the lock their maker died over them
    assert gates.settled_parts(launchpad, ["p"]) == (set() if locked else {"p"})


def test_what_a_user_paused_stays_paused():
    launchpad = memory_launchpad()
    put(launchpad, "p", ["PAUSED"])
    assert gates.release(launchpad) == []
    assert states(launchpad) == {1: "PAUSED"}


def end(host, port, name, fw_id, part, state, barrier) -> None:
    launchpad = LaunchPad(host=host, port=port, name=name, strm_lvl="CRITICAL")
    launch = Launch(launchpad, fw_id)
    barrier.wait(240)
    launch.ended(state, part)
    launchpad.connection.close()


def test_of_two_that_end_at_the_same_moment_one_opens_the_gate(launchpad):
    context = multiprocessing.get_context("fork")
    where = launchpad.host, launchpad.port, launchpad.db.name
    for number in range(30):
        first = 10 * number + 1
        parts = [f"a{number}", f"b{number}"]
        for place, part in enumerate(parts):
            put(launchpad, part, ["RUNNING"], first=first + place)
        put(launchpad, f"t{number}", ["PAUSED"], needs={0: parts}, first=first + 2)
        barrier = context.Barrier(2)
        ends = [
            context.Process(target=end, args=(*where, first + place, part, state, barrier))
            for place, (part, state) in enumerate(zip(parts, ("COMPLETED", "FIZZLED"), strict=True))
        ]
        for process in ends:
            process.start()
        for process in ends:
            process.join(300)
        assert [process.exitcode for process in ends] == [0, 0]
        assert states(launchpad)[first + 2] == "READY", f"attempt {number}"
        assert launchpad.workflows.find_one({"nodes": first + 2})["state"] == "READY"
