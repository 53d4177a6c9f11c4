"""`sse status` from the log alone: what is done, what failed and why, across restarts."""

from __future__ import annotations

import json

import pytest

from sse_flows.campaign.events import EVENTS_FILE, EventLog, read_events
from sse_flows.campaign.flow import Plan
from sse_flows.campaign.run import lock
from sse_flows.campaign.status import Problem, read_status

PLAN = Plan(
    name="test",
    roles={"a": ["train"], "b": ["screen"]},
    jobs={
        "a": {"order": "a1", "relax": "a2", "phonons": "a3", "descriptors": "a4"},
        "b": {"order": "b1", "relax": "b2", "phonons": "b3", "descriptors": "b4"},
    },
    models="m",
    screening="s",
    failures={"broken.cif": "cannot be read"},
)
START = {"state": "start"}


def event(state: str, uuid: str, compound: str | None, stage: str, index: int = 1, **more) -> dict:
    return {
        "state": state,
        "uuid": uuid,
        "index": index,
        "name": stage,
        "compound": compound,
        "stage": stage,
        **more,
    }


def chain(compound: str, state: str = "done") -> list[dict]:
    return [event(state, uuid, compound, stage) for stage, uuid in PLAN.jobs[compound].items()]


@pytest.fixture
def status_of(tmp_path):
    def status_of(events: list[dict], tail: str = ""):
        text = "".join(json.dumps(one) + "\n" for one in events)
        (tmp_path / EVENTS_FILE).write_text(text + tail)
        return read_status(tmp_path, PLAN)

    return status_of


def test_before_any_run_everything_waits(tmp_path):
    status = read_status(tmp_path, PLAN)
    assert status.stages["a"] == dict.fromkeys(PLAN.jobs["a"], "waiting")
    assert status.tail == {"models": "waiting", "screening": "waiting"}
    assert status.problems == [Problem("broken.cif", "structures", "cannot be read")]
    assert not status.complete
    assert not status.running


def test_done_and_found_jobs_end_their_stage(status_of):
    status = status_of(
        [START, event("done", "a1", "a", "order"), event("found", "a2", "a", "relax")]
    )
    assert list(status.stages["a"].values()) == ["done", "done", "waiting", "waiting"]
    assert set(status.stages["b"].values()) == {"waiting"}


def test_a_stage_of_many_jobs_is_done_when_its_last_one_is(status_of):
    parts = [event("done", f"part {n}", "a", "phonons") for n in range(3)]
    assert status_of([START, *parts]).stages["a"]["phonons"] == "waiting"
    status = status_of([START, *parts, event("done", "a3", "a", "phonons")])
    assert status.stages["a"]["phonons"] == "done"


def test_running_is_shown_only_while_a_process_runs(status_of, tmp_path):
    events = [START, event("running", "a1", "a", "order")]
    assert status_of(events).stages["a"]["order"] == "waiting"
    with lock(tmp_path):
        status = status_of(events)
    assert status.running
    assert status.stages["a"]["order"] == "running"


def test_a_failure_blocks_later_stages_and_says_why(status_of):
    status = status_of(
        [
            START,
            event("done", "a1", "a", "order"),
            event("failed", "a2", "a", "relax", reason="no convergence", mend="Raise steps"),
        ]
    )
    assert list(status.stages["a"].values()) == ["done", "failed", "blocked", "blocked"]
    assert Problem("a", "relax", "no convergence", "Raise steps") in status.problems
    assert status.counts()["relax"] == {"failed": 1, "waiting": 1}


def test_failures_of_models_and_references_are_reported_too(status_of):
    status = status_of(
        [
            START,
            event("failed", "m", None, "models", reason="two rows only"),
            event("failed", "r", "Li", "references", reason="no convergence"),
        ]
    )
    assert status.tail == {"models": "failed", "screening": "blocked"}
    assert Problem("test", "models", "two rows only") in status.problems
    assert Problem("Li", "references", "no convergence") in status.problems


def test_a_new_run_forgets_failures_and_keeps_what_is_done(status_of):
    events = [
        START,
        event("done", "a1", "a", "order"),
        event("failed", "a2", "a", "relax", reason="no convergence"),
        START,
    ]
    status = status_of(events)
    assert list(status.stages["a"].values()) == ["done", "waiting", "waiting", "waiting"]
    assert [problem.compound for problem in status.problems] == ["broken.cif"]
    again = status_of([*events, event("done", "a2", "a", "relax")])
    assert again.stages["a"]["relax"] == "done"


def test_another_campaign_in_the_same_folder_does_not_show(status_of):
    status = status_of([START, event("failed", "z9", "z", "relax", reason="other campaign")])
    assert [problem.compound for problem in status.problems] == ["broken.cif"]


def test_complete_means_all_done_and_nothing_refused(status_of):
    events = [
        START,
        *chain("a"),
        *chain("b"),
        event("done", "m", None, "models"),
        event("done", "s", None, "screening"),
    ]
    status = status_of(events)
    assert {state for row in status.stages.values() for state in row.values()} == {"done"}
    assert not status.complete  # a file was refused
    status.problems.clear()
    assert status.complete


def test_a_line_cut_short_by_a_kill_is_left_out(status_of, tmp_path):
    status = status_of([START, event("done", "a1", "a", "order")], tail='{"state": "done", "uu')
    assert status.stages["a"]["order"] == "done"
    assert len(read_events(tmp_path)) == 2


def test_a_line_cut_short_does_not_swallow_the_start_of_the_next_run(status_of, tmp_path):
    failed = event("failed", "a2", "a", "relax", reason="old")
    status_of([START, failed], tail='{"state": "done", "uu')
    EventLog(tmp_path).start()
    assert [one["state"] for one in read_events(tmp_path)] == ["start", "failed", "start"]
    assert read_status(tmp_path, PLAN).stages["a"]["relax"] == "waiting"


def test_a_folder_without_a_log_has_no_events(tmp_path):
    assert read_events(tmp_path) == []


def test_the_plan_is_written_whole_and_read_back(tmp_path):
    PLAN.write(tmp_path)
    assert Plan.read(tmp_path) == PLAN
    assert [path.name for path in tmp_path.iterdir()] == ["campaign.json"]
