"""Where a submitted campaign stands, put together from LaunchPad, Slurm and store."""

from __future__ import annotations

import json

from sse_flows.campaign.flow import Plan
from sse_flows.campaign.status import Problem
from sse_flows.cli.cluster_tables import cluster_table, findings_text, status_json, sum_lines
from sse_flows.launchers import watch as module
from sse_flows.launchers.scene import Finding
from sse_flows.launchers.submission import Submission
from sse_flows.launchers.watch import watch
from sse_flows.testing.launchpad_states import Bench, memory_launchpad, memory_store

CHAIN = {
    "order": [],
    "relax": ["order"],
    "phonons-1": ["relax"],
    "phonons-2": ["relax"],
    "phonons": ["phonons-1", "phonons-2"],
    "descriptors": ["phonons"],
}
STAGES = ("order", "relax", "phonons", "descriptors")


class Campaign:
    """Compounds a, b, ... on a LaunchPad, with models at the end."""

    def __init__(self, compounds: str, tail: bool = True):
        self.bench = Bench(memory_launchpad(), memory_store())
        self.jobs = {name: self.bench.part(name, CHAIN) for name in compounds}
        if tail:
            needs = list(compounds)
            self.jobs["tail"] = self.bench.part("tail", {"models": []}, "tail", needs)
        ids = self.bench.ids
        self.plan = Plan(
            name="test",
            roles={name: ["train"] for name in compounds},
            jobs={name: {stage: ids[name][stage] for stage in STAGES} for name in compounds},
            models=ids["tail"]["models"] if tail else None,
            failures={"broken.cif": "cannot be read"},
        )
        self.submission = Submission(
            campaign="test",
            host="localhost:27017",
            database="fireworks",
            compounds={name: name for name in compounds},
            tail="tail" if tail else None,
            submitted_at="2030-01-01",
        )

    def status(self):
        return watch(self.plan, self.submission, self.bench.pad, self.bench.store)

    def finish(self, compound: str, *jobs: str) -> None:
        for job in jobs:
            self.bench.finish(self.jobs[compound][job])


def row(status, compound: str) -> list[str]:
    return list(status.stages[compound].values())


def test_before_anything_runs_the_first_stage_is_ready(slurm):
    status = Campaign("ab").status()
    assert row(status, "a") == ["ready", "waiting", "waiting", "waiting"]
    assert status.tail == {"models": "waiting"}
    assert status.notes["test"] == {"models": "waits for other parts"}
    assert status.problems == [Problem("broken.cif", "structures", "cannot be read")]
    assert not status.running
    assert not status.ended
    assert slurm.calls == []


def test_what_was_finished_before_it_was_submitted_was_not_computed_by_it(slurm):
    campaign = Campaign("ab")
    campaign.finish("a", "order", "relax")
    ends = campaign.plan.jobs["a"]
    assert campaign.status().computed == {ends["order"], ends["relax"]}
    campaign.submission.submitted_at = "2031-01-01"
    assert campaign.status().computed == set()


def test_every_state_is_told(slurm):
    campaign = Campaign("abcdefg")
    bench, jobs = campaign.bench, campaign.jobs
    campaign.finish("a", "order", "relax", "phonons-1")
    bench.start(jobs["a"]["phonons-2"], 5)
    bench.age(jobs["a"]["phonons-2"], 0.01)
    bench.reserve(jobs["b"]["order"], 6)
    campaign.finish("c", "order")
    bench.fail(jobs["c"]["relax"], "did not converge", "mix less")
    campaign.finish("d", *CHAIN)
    bench.start(jobs["e"]["order"], 7)
    bench.fail(jobs["f"]["order"], "", trace="Traceback\n  File x\nMemoryError: 3 GiB\n")
    bench.reserve(jobs["g"]["order"], 8)
    slurm.set(j5="RUNNING", j6="PENDING")
    status = campaign.status()
    assert row(status, "a") == ["done", "done", "running", "waiting"]
    assert status.notes["a"]["phonons"] == "n1, 0 min, 1 of 2 calculations"
    assert row(status, "b") == ["queued", "waiting", "waiting", "waiting"]
    assert status.notes["b"]["order"] == "job 6 in debug (Priority)"
    assert row(status, "c") == ["done", "failed", "blocked", "blocked"]
    assert row(status, "d") == ["done", "done", "done", "done"]
    assert row(status, "e") == ["lost", "waiting", "waiting", "waiting"]
    assert row(status, "g")[0] == "lost"
    assert row(status, "f") == ["failed", "blocked", "blocked", "blocked"]
    assert status.problems[1:] == [
        Problem("c", "relax", "did not converge", "mix less"),
        Problem("f", "order", "MemoryError: 3 GiB", module.RECOVER),
    ]
    assert [(one.compound, one.stage) for one in status.lost] == [("e", "order"), ("g", "order")]
    assert all("sse recover" in (one.mend or "") for one in status.lost)
    assert status.running
    assert len(slurm.calls) == 1
    text = cluster_table(status)
    assert "failed: c (relax): did not converge -> mix less" in text
    assert "lost: e (order): job 7 is not in the queue any more -> Put it back" in text
    assert "phonons: 1 running, 3 waiting, 2 blocked, 1 done" in text
    assert "models: waiting (waits for other parts)" in text


def test_watching_changes_nothing(slurm):
    campaign = Campaign("ab")
    campaign.bench.start(campaign.jobs["a"]["order"], 5)
    campaign.bench.fail(campaign.jobs["b"]["order"], "MemoryError")
    pad = campaign.bench.pad

    def everything() -> list:
        return [list(one.find()) for one in (pad.fireworks, pad.launches, pad.workflows)]

    before = everything()
    campaign.status()
    assert everything() == before


def test_nothing_is_lost_while_slurm_does_not_answer(slurm):
    campaign = Campaign("a")
    campaign.bench.start(campaign.jobs["a"]["order"], 5)
    slurm.stop()
    status = campaign.status()
    assert row(status, "a")[0] == "running"
    assert status.lost == []
    assert "Unable to contact" in status.slurm
    assert "Slurm does not answer" in cluster_table(status)


def test_a_job_that_ends_while_slurm_is_asked_is_not_lost(slurm, monkeypatch):
    campaign = Campaign("a")
    bench, first = campaign.bench, campaign.jobs["a"]["order"]
    launch = bench.start(first, 5)
    asked = module.ask_slurm

    def ask(job_ids):
        bench.finish(first, launch)
        return asked(job_ids)

    monkeypatch.setattr(module, "ask_slurm", ask)
    status = campaign.status()
    assert status.lost == []
    assert row(status, "a")[0] == "done"


def test_a_part_whose_results_were_there_is_done_without_the_launchpad(slurm):
    campaign = Campaign("a", tail=False)
    campaign.finish("a", *CHAIN)
    campaign.bench.pad.workflows.delete_many({})
    campaign.plan.failures.clear()
    status = campaign.status()
    assert status.complete
    assert status.ended


def test_a_part_that_is_neither_stored_nor_on_the_launchpad_is_told_of(slurm):
    campaign = Campaign("a", tail=False)
    campaign.bench.pad.workflows.delete_many({})
    status = campaign.status()
    assert "submit again" in status.notes["a"]["order"]


def test_what_was_defused_by_hand_is_told(slurm):
    campaign = Campaign("a", tail=False)
    campaign.bench.pad.defuse_fw(campaign.jobs["a"]["order"])
    status = campaign.status()
    assert row(status, "a") == ["blocked"] * 4
    assert status.notes["a"]["order"] == "defused by hand"


def test_equal_reasons_of_one_stage_are_told_once(slurm):
    campaign = Campaign("a", tail=False)
    campaign.finish("a", "order", "relax")
    for job in ("phonons-1", "phonons-2"):
        campaign.bench.fail(campaign.jobs["a"][job], "too few bands")
    assert len(campaign.status().problems) == 2


def test_the_table_can_be_cut_to_what_matters(slurm):
    campaign = Campaign("abcdef", tail=False)
    campaign.bench.start(campaign.jobs["f"]["order"], 5)
    slurm.set(j5="RUNNING")
    status = campaign.status()
    text = cluster_table(status, rows=2)
    assert "f " in text.splitlines()[1]
    assert "(4 more compounds)" in text
    assert sum_lines(status)[-1] == "running; jobs: 5 READY, 1 RUNNING, 30 WAITING"


def test_the_status_as_json(slurm):
    found = json.loads(status_json(Campaign("a").status()))
    assert found["stages"]["a"]["order"] == "ready"
    assert found["counts"]["order"] == {"ready": 1}
    assert found["jobs"] == {"READY": 1, "WAITING": 5, "PAUSED": 1}
    assert not found["complete"]


def test_findings_are_told_with_sums():
    found = [Finding("lost run", f"c{n} relax", "job 1 is gone", "put back") for n in range(25)]
    found.append(Finding("lost run", "d relax", "job 1 is gone", mend="it has changed just now"))
    lines = findings_text(found, dry_run=False).splitlines()
    assert lines[0] == "lost run: c0 relax: job 1 is gone -> put back"
    assert lines[-2:] == ["lost run: 6 more", "lost run: 26 found, 25 put right, 1 left alone"]
    assert "would have: put back" in findings_text(found, dry_run=True)
    assert findings_text([], dry_run=False) == "nothing to recover"


def queries(campaign: Campaign, monkeypatch) -> int:
    """How often the LaunchPad and the store are asked for one status."""
    asked: list[str] = []
    find = type(campaign.bench.pad.fireworks).find

    def counted(self, *arguments, **keywords):
        asked.append(self.name)
        return find(self, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(type(campaign.bench.pad.fireworks), "find", counted)
        campaign.status()
    return len(asked)


def test_the_number_of_queries_does_not_grow_with_the_campaign(slurm, monkeypatch):
    counts = []
    for names in ("ab", "abcdefghijkl"):
        campaign = Campaign(names)
        for number, name in enumerate(names):
            if number % 2:
                campaign.bench.fail(campaign.jobs[name]["order"], "a reason of its own")
            else:
                campaign.finish(name, "order", "relax")
                campaign.bench.start(campaign.jobs[name]["phonons-1"], number + 10)
        counts.append(queries(campaign, monkeypatch))
    assert counts[0] == counts[1] <= 6
