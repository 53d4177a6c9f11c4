"""`sse run`, `status`, `results`, `report`: what a mistake looks like, and results before a run."""

from __future__ import annotations

import json

import pytest

from sse_flows.campaign.events import EVENTS_FILE
from sse_flows.campaign.flow import Plan, settings_of
from sse_flows.campaign.local import CampaignOutcome
from sse_flows.campaign.manifest import read_manifest
from sse_flows.campaign.places import PLAN_FILE
from sse_flows.campaign.run import lock
from sse_flows.campaign.status import Problem, Status
from sse_flows.launchers.submission import SUBMISSION_FILE

CAMPAIGN = """\
name: tiny
train: {{conductors: [{conductor}]}}
code: {{model: {model}}}
results: {{folder: {folder}}}
"""


@pytest.fixture
def campaign(tmp_path):
    def write(conductor="li2s", model="SevenNet-0", folder="runs/tiny", extra="") -> str:
        text = CAMPAIGN.format(conductor=conductor, model=model, folder=folder) + extra
        (tmp_path / "campaign.yaml").write_text(text)
        return "campaign.yaml"

    return write


def assert_one_line(result, *parts: str) -> None:
    assert result.code == 1
    assert len(result.errors) == 1, result.err
    assert result.errors[0].startswith("error: ")
    assert all(part in result.errors[0] for part in parts), result.errors[0]
    assert "Traceback" not in result.err


@pytest.mark.parametrize("command", ["run", "status", "results", "report"])
def test_a_missing_file_is_one_line(sse, command):
    assert_one_line(sse(command, "nothing.yaml"), "nothing.yaml", "No such file", "sse init")


@pytest.mark.parametrize("command", ["run", "status", "results", "report"])
def test_a_typo_is_one_line(sse, campaign, command):
    path = campaign(extra="phonons: {min_lenght: 9}\n")
    assert_one_line(sse(command, path), "campaign.yaml", "phonons.min_lenght", "min_length")


@pytest.mark.forcefield
def test_an_unknown_model_is_one_line_with_the_choices(sse, campaign, tmp_path):
    assert_one_line(
        sse("run", campaign(model="SevenNet-9")),
        "unknown force field 'SevenNet-9'",
        "SevenNet-0, SevenNet-l3i5",
        "CHGNet",
    )


def test_a_folder_that_cannot_be_written_is_one_line(sse, campaign, read_only_folder):
    path = campaign(folder=read_only_folder / "run")
    assert_one_line(sse("run", path), str(read_only_folder), "another results folder")


def test_a_file_where_the_folder_should_be_is_one_line(sse, campaign, tmp_path):
    (tmp_path / "runs").write_text("")
    assert_one_line(sse("run", campaign()), "cannot use the store", "another results folder")


def test_a_missing_table_is_one_line(sse, tmp_path):
    (tmp_path / "c.yaml").write_text("name: x\ntrain: {table: mine.csv}\n")
    assert_one_line(sse("run", "c.yaml"), "mine.csv does not exist", "sse results --format csv")


def test_missing_structures_are_one_line(sse, tmp_path):
    (tmp_path / "c.yaml").write_text("name: x\nscreen: {files: [pool/]}\n")
    assert_one_line(sse("run", "c.yaml"), "no structure file", "pool")


def test_a_misspelt_conductor_is_one_line(sse, campaign):
    assert_one_line(sse("run", campaign(conductor="li2z")), "li2z", "no compound is left")


@pytest.mark.parametrize("command", ["status", "results", "report"])
def test_before_any_run_a_command_says_to_run_and_leaves_no_store(sse, campaign, command, tmp_path):
    assert_one_line(sse(command, campaign()), "no results in", "Run the campaign first")
    assert not (tmp_path / "runs").exists()


PLAN = Plan(
    name="tiny",
    roles={"li2s": ["train"]},
    jobs={"li2s": {"order": "o", "relax": "r", "phonons": "p", "descriptors": "d"}},
    failures={"bad.cif": "cannot be read"},
)


@pytest.fixture
def begun(tmp_path):
    """A results folder of a campaign that ordered its compound and failed to relax it."""
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    PLAN.write(folder)
    shared = {"compound": "li2s", "index": 1}
    events = [
        {"state": "start"},
        {"state": "done", "uuid": "o", "stage": "order", **shared},
        {
            "state": "failed",
            "uuid": "r",
            "stage": "relax",
            "reason": "no convergence",
            "mend": "Raise relax.steps",
            **shared,
        },
    ]
    (folder / EVENTS_FILE).write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder


def test_status_shows_stages_reasons_and_mends(sse, campaign, begun):
    result = sse("status", campaign())
    assert result.code == 0
    assert result.out.splitlines() == [
        "compound  order  relax   phonons  descriptors",
        "li2s      done   failed  blocked  blocked",
        "failed: bad.cif (structures): cannot be read",
        "failed: li2s (relax): no convergence -> Raise relax.steps",
        "not running; order 1/1; relax 0/1; phonons 0/1; descriptors 0/1",
    ]


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_results_of_a_run_without_any_are_empty_not_an_error(sse, campaign, begun, form):
    result = sse("results", campaign(), "--format", form)
    assert result.code == 0, result.err
    assert "li2s" not in result.out


def test_results_without_any_name_the_store(sse, campaign, begun):
    said = sse("results", campaign()).err
    assert "no compound of tiny has descriptors in" in said
    assert "store.sqlite" in said


def test_leaving_a_watch_is_no_error(sse, campaign, begun, monkeypatch):
    def interrupted(*_: object):
        raise KeyboardInterrupt

    monkeypatch.setattr("sse_flows.cli.watching.show", interrupted)
    result = sse("status", campaign(), "--watch")
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("command", ["status", "results", "report"])
def test_a_campaign_file_changed_since_is_told(sse, campaign, begun, command):
    path = campaign()
    manifest = read_manifest(path)
    PLAN.model_copy(update={"settings": settings_of(manifest)}).write(begun)
    assert "has changed" not in sse(command, path).err
    path = campaign(extra="phonons: {min_length: 9}\n")
    result = sse(command, path)
    assert result.code == 0
    assert "campaign.yaml has changed since it was run or submitted (phonons)" in result.err


def test_the_report_shows_the_settings_that_were_run(sse, campaign, begun):
    settings = settings_of(read_manifest(campaign(extra="phonons: {min_length: 12.25}\n")))
    PLAN.model_copy(update={"settings": settings}).write(begun)
    assert sse("report", campaign(extra="phonons: {min_length: 9.75}\n")).code == 0
    page = (begun / "report.html").read_text()
    assert "12.25" in page
    assert "9.75" not in page


@pytest.mark.parametrize("command", [["results"], ["report"], ["export", "-o", "x.tar"]])
def test_a_submitted_campaign_without_its_store_is_refused(sse, campaign, begun, command):
    (begun / SUBMISSION_FILE).write_text("{}")
    assert_one_line(sse(command[0], campaign(), *command[1:]), "JOBFLOW_CONFIG_FILE")
    assert not (begun / "store.sqlite").exists()


@pytest.mark.parametrize(("states", "code"), [(["failed", "failed"], 1), (["failed", "done"], 0)])
def test_a_run_is_an_error_only_if_nothing_came_through(sse, monkeypatch, states, code):
    stages = {str(number): {"relax": state} for number, state in enumerate(states)}
    status = Status(stages=stages, problems=[Problem("0", "relax", "no convergence", "Mend it")])
    outcome = CampaignOutcome(status, None)
    monkeypatch.setattr("sse_flows.campaign.local.run_campaign", lambda *_: outcome)
    result = sse("run", "c.yaml")
    assert result.code == code
    assert result.errors[0] == "failed: 0 (relax): no convergence -> Mend it"
    assert ("error: no compound came through" in result.err) is (code == 1)


def test_a_second_run_leaves_the_plan_of_the_first(sse, campaign, begun):
    before = (begun / PLAN_FILE).read_text()
    with lock(begun):
        assert_one_line(sse("run", campaign()), "is running already")
    assert (begun / PLAN_FILE).read_text() == before


def test_parquet_needs_a_file(sse, campaign, begun, tmp_path):
    assert_one_line(sse("results", campaign(), "--format", "parquet"), "--output")
    assert sse("results", campaign(), "--format", "parquet", "-o", "t.parquet").code == 0
    assert (tmp_path / "t.parquet").is_file()


def test_a_table_that_cannot_be_written_is_one_line(sse, campaign, begun):
    for form in ("csv", "json", "parquet"):
        result = sse("results", campaign(), "--format", form, "-o", f"nowhere/t.{form}")
        assert_one_line(result, f"cannot write nowhere/t.{form}")


def test_an_unknown_format_lists_the_choices(sse, campaign):
    result = sse("results", campaign(), "--format", "xlsx")
    assert result.code == 2
    assert "xlsx" in result.err
    assert all(form in result.err for form in ("table", "csv", "json", "parquet"))


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_senseless_number_of_processes_is_refused(sse, campaign, number):
    result = sse("run", campaign(), "--processes", number)
    assert result.code == 2
    assert "--processes" in result.err


def test_a_store_of_another_version_is_one_line(sse, campaign, begun):
    import sqlite3

    with sqlite3.connect(begun / "store.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    assert_one_line(sse("results", campaign()), "layout 99", "sse-flows that wrote it")
    assert_one_line(sse("run", campaign()), "layout 99")


def test_a_damaged_plan_is_one_line(sse, campaign, begun):
    (begun / "campaign.json").write_text('{"name": "ti')
    assert_one_line(sse("status", campaign()), "campaign.json is damaged", "Run the campaign again")
