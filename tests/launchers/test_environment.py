"""What `sse check` says of a cluster."""

from __future__ import annotations

import pytest

from sse_flows.launchers import settings
from sse_flows.launchers.environment import PASSWORD, inspect_cluster

SECRET = "hunter2-secret"


def found():
    return {one.subject: one for one in inspect_cluster()}


def test_nothing_is_said_where_fireworks_is_not_set_up(tmp_path, monkeypatch):
    monkeypatch.delenv("FW_CONFIG_FILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert inspect_cluster() == []


def test_a_variable_that_names_no_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("FW_CONFIG_FILE", str(tmp_path / "gone.yaml"))
    monkeypatch.chdir(tmp_path)
    (one,) = inspect_cluster()
    assert one.state == "broken"
    assert "FW_CONFIG_FILE names" in one.detail


def test_what_init_wrote_is_fine(site, mongo, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    says = found()
    assert says.pop("Slurm").state == "missing"
    assert {one.state for one in says.values()} == {"ok"}, says
    assert f"localhost:{mongo.port}" in says["LaunchPad"].detail.replace("127.0.0.1", "localhost")
    assert says["shared store"].detail == "MongoStore and GridFSStore"
    assert "at most 20 jobs" in says["queue adapter"].detail


@pytest.mark.slurm
def test_with_slurm_its_partitions_are_named_and_an_unknown_one_is_told(cluster, site):
    assert "debug* (2), short (2)" in found()["Slurm"].detail
    site.edit("my_qadapter.yaml", 'queue: "debug"', "queue: fast")
    one = found()["queue adapter"]
    assert (one.state, one.mend) == ("broken", "There are debug, short")
    site.edit("profiles.yaml", 'walltime: "04:00:00"', "queue: slow")
    assert "postprocess: no partition slow" in found()["profiles"].detail


def test_every_fault_has_a_mend_and_shows_no_password(site, monkeypatch):
    monkeypatch.setattr(settings, "FIRST_ANSWER_MS", 300)
    site.edit("my_launchpad.yaml", "port: ", f"password: {SECRET}\nport: 1 #")
    site.edit("my_fworker.yaml", "query", "qery")
    site.edit("my_qadapter.yaml", "nodes", "noodes")
    site.edit("profiles.yaml", "relax", "relaxes")
    (site.folder / "my_launchpad.yaml").chmod(0o644)
    says = found()
    for subject in ("LaunchPad", "FireWorker", "queue adapter", "profiles"):
        assert says[subject].state == "broken", subject
        assert says[subject].mend
    assert says["my_launchpad.yaml"].mend == f"chmod 600 {site.folder / 'my_launchpad.yaml'}"
    assert SECRET not in str(says)


def test_the_command_shows_them(site, monkeypatch, capsys):
    from typer.testing import CliRunner

    from sse_flows.cli.main import app

    site.edit("profiles.yaml", "relax", "relaxes")
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 1
    assert "BROKEN   profiles" in result.output
    assert "Did you mean relax?" in result.output


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password: x", True),
        ("password: null", False),
        ("password: ''", False),
        ("password:\nport: 1", False),
        ('{"password": "a"}', True),
        ("uri: mongodb://u:p@h/db", True),
        ("host: mongodb+srv://h/db", False),
    ],
)
def test_a_password_in_a_file_is_seen(text, secret):
    assert bool(PASSWORD.search(text)) == secret
