"""Putting back under the lock: nothing twice, whoever else recovers or works at the same moment."""

from __future__ import annotations

import multiprocessing
import time

import pytest
from fireworks import FWorker, LaunchPad
from jobflow import JobStore
from maggma.stores import MongoStore

from sse_flows.launchers import put_back as module
from sse_flows.launchers import repair
from sse_flows.launchers.recover import FAILED_RUN, LOST_RUN, NO_RESULT, recover
from sse_flows.launchers.scene import Scene
from sse_flows.launchers.snapshot import take_snapshot
from sse_flows.testing.launchpad_states import CHAIN, Bench, kinds

PARTS = 6
LIVING = 900


def connected(where: tuple) -> tuple[LaunchPad, JobStore]:
    """The LaunchPad and the store once more, for a process of its own."""
    host, port, name = where
    store = JobStore(MongoStore(name, "outputs", host=host, port=port))
    store.connect()
    return LaunchPad(host=host, port=port, name=name, strm_lvl="CRITICAL"), store


def put_right(where, barrier, found) -> None:
    launchpad, store = connected(where)
    barrier.wait(60)
    done = recover(launchpad, store, None, sleep=lambda seconds: time.sleep(0.05))
    found.put([(one.kind, one.who) for one in done if one.did])


def work(where, barrier, stop) -> None:
    """Check out whatever is READY, in a Slurm job that lives."""
    launchpad, _ = connected(where)
    place = {"slurm_job_id": str(LIVING), "host": "n1", "pid": 1}
    barrier.wait(60)
    while not stop.is_set():
        launchpad.checkout_fw(FWorker(env=place), "/tmp")


def in_trouble(bench: Bench) -> dict[str, int]:
    """Parts with every fault at once; firework of each fault by compound."""
    troubled = {}
    for number in range(PARTS):
        name = f"c{number}"
        part = bench.part(name, CHAIN)
        bench.finish(part["relax"])
        troubled[f"{name} lost"] = part["phonons-1"]
        bench.start(part["phonons-1"], 10 + number)
        bench.fail(part["phonons-2"], "MemoryError")
        other = bench.part(f"d{number}", CHAIN)
        bench.finish(other["relax"], stored=number % 2 == 0)
        if number % 2 == 0:
            bench.reserve(other["phonons-1"], 30 + number)
    return troubled


def test_of_two_that_recover_beside_a_worker_none_puts_back_what_the_worker_has(
    launchpad, job_store, slurm
):
    bench = Bench(launchpad, job_store)
    troubled = in_trouble(bench)
    slurm.set(**{f"j{LIVING}": "RUNNING"})
    where = launchpad.host, launchpad.port, launchpad.db.name
    context = multiprocessing.get_context("fork")
    barrier, stop, found = context.Barrier(3), context.Event(), context.Queue()
    pair = [context.Process(target=put_right, args=(where, barrier, found)) for _ in range(2)]
    worker = context.Process(target=work, args=(where, barrier, stop))
    for process in (*pair, worker):
        process.start()
    did = [one for _ in pair for one in found.get(timeout=120)]
    time.sleep(0.5)
    stop.set()
    for process in (*pair, worker):
        process.join(60)
    assert [process.exitcode for process in (*pair, worker)] == [0, 0, 0]
    assert len(did) == len(set(did))
    assert [kind for kind, _ in did].count(LOST_RUN) == len(troubled)
    living = {"fworker.env.slurm_job_id": str(LIVING)}
    begun = [doc["fw_id"] for doc in launchpad.launches.find(living)]
    assert len(begun) == len(set(begun)), "a job was put back while it ran"
    assert set(troubled.values()) <= set(begun)
    for fw_id in begun:
        assert bench.state(fw_id) == bench.remembered(fw_id) == "RUNNING"


def test_one_that_looked_before_another_put_back_leaves_it(bench, slurm, monkeypatch):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5)
    slurm.set(j9="RUNNING")
    real = module._put_back

    def meanwhile(scene, key, requests):
        monkeypatch.setattr(module, "_put_back", real)
        assert kinds(recover(bench.pad, bench.store, None)) == [LOST_RUN]
        bench.start(part["relax"], 9)
        real(scene, key, requests)

    monkeypatch.setattr(module, "_put_back", meanwhile)
    (left,) = recover(bench.pad, bench.store, None)
    assert (left.did, left.mend) == ("", module.CHANGED)
    assert bench.state(part["relax"]) == "RUNNING"


def test_what_a_worker_begins_at_that_moment_is_left_to_it(bench, monkeypatch):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"], stored=False)
    real = module.states_now

    def then_begin(launchpad, ids):
        now = real(launchpad, ids)
        took = {"fw_id": part["phonons-1"], "state": "READY"}  # the first step of a checkout
        launchpad.fireworks.update_one(took, {"$set": {"state": "RESERVED"}})
        return now

    with monkeypatch.context() as patch:
        patch.setattr(module, "states_now", then_begin)
        (left,) = recover(bench.pad, bench.store, None)
    assert (left.kind, left.did, left.mend) == (NO_RESULT, "", module.BEGUN)
    assert bench.state(part["relax"]) == "COMPLETED"
    assert bench.state(part["phonons-1"]) == "RESERVED"
    assert bench.state(part["phonons-2"]) == bench.remembered(part["phonons-2"]) == "READY"


def test_several_of_a_workflow_go_back_at_once(bench, mend):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"])
    bench.start(part["phonons-1"], 5)
    bench.fail(part["phonons-2"], "MemoryError")
    assert sorted(kinds(mend())) == [FAILED_RUN, LOST_RUN]
    for job in ("phonons-1", "phonons-2"):
        assert bench.state(part[job]) == bench.remembered(part[job]) == "READY"
        doc = bench.pad.fireworks.find_one({"fw_id": part[job]})
        assert (doc["launches"], len(doc["archived_launches"])) == ([], 1)
    assert not bench.pad.launches.find_one({"state": "RUNNING"})


def test_a_locked_workflow_is_left_for_later(bench, slurm, monkeypatch):
    from fireworks.core import launchpad as theirs

    monkeypatch.setattr(module, "LOCK_WAIT", 0)
    monkeypatch.setattr(theirs.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(repair, "_locked", lambda scene: {})
    part, other = bench.part("a", CHAIN), bench.part("b", CHAIN)
    bench.start(part["relax"], 5)
    bench.start(other["relax"], 6)
    bench.pad.workflows.update_one({"nodes": part["relax"]}, {"$set": {"locked": True}})
    found = recover(bench.pad, bench.store, None)
    assert [(one.who, one.mend) for one in found if not one.did] == [("a relax", module.LOCKED)]
    assert bench.state(other["relax"]) == "READY"


@pytest.mark.parametrize("change", [{"$set": {"state": "COMPLETED"}}, {"$push": {"launches": 7}}])
def test_only_what_is_as_it_was_is_put_back(bench, slurm, monkeypatch, change):
    part = bench.part("a", CHAIN)
    bench.start(part["relax"], 5)
    real = module.put_back

    def late(scene, requests):
        requests = list(requests)
        if requests:
            bench.pad.fireworks.update_one({"fw_id": part["relax"]}, change)
        real(scene, requests)

    monkeypatch.setattr("sse_flows.launchers.recover.put_back", late)
    found = recover(bench.pad, bench.store, None)
    assert kinds(found) == []
    assert found[0].mend == module.CHANGED


def test_of_two_repairs_of_one_workflow_one_is_made(bench):
    part = bench.part("a", CHAIN)
    bench.finish(part["relax"])
    node = {"nodes": part["relax"]}
    bench.pad.workflows.update_one(node, {"$set": {f"fw_states.{part['relax']}": "RUNNING"}})
    scenes = [Scene(bench.pad, bench.store, None, snapshot=take_snapshot(bench.pad, None))]
    scenes.append(Scene(bench.pad, bench.store, None, snapshot=scenes[0].snapshot))

    def at_once(scene: Scene) -> bool:
        return repair._claim(scene.launchpad, scene.snapshot.parts["a"], {}, {})

    assert [at_once(scene) for scene in scenes] == [True, False]


def test_a_lock_is_dropped_by_one_of_two_and_the_next_holder_keeps_his(bench):
    part = bench.part("a", CHAIN)
    node = {"nodes": part["relax"]}
    bench.pad.workflows.update_one(node, {"$set": {"locked": True}})
    seen = take_snapshot(bench.pad, None).parts["a"]
    assert repair._drop_lock(bench.pad, seen)
    bench.pad.workflows.update_one(node, {"$set": {"locked": True}})  # a worker's own
    assert not repair._drop_lock(bench.pad, seen)
    assert bench.pad.workflows.find_one({"locked": True})
