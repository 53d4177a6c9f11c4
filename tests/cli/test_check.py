"""`sse check`: what is here, what is missing, how to mend each."""

from __future__ import annotations

import pytest

from sse_flows.campaign import environment
from sse_flows.campaign.environment import Finding, inspect_environment


def test_it_looks_at_packages_store_programs_and_keys(sse):
    result = sse("check")
    for subject in ("atomate2", "torch", "force field SevenNet", "store", "sbatch", "pw.x"):
        assert subject in result.out
    assert "embedded: a SQLite file in each results folder" in result.out


def test_whatever_is_not_ok_has_a_mend(sse):
    assert all(one.mend for one in inspect_environment() if one.state != "ok")


def test_missing_parts_show_how_to_mend_them_and_are_no_failure(sse, monkeypatch):
    findings = [Finding("a", "ok", "1.0"), Finding("long name", "missing", "gone", "get it")]
    monkeypatch.setattr(environment, "inspect_environment", lambda: findings)
    result = sse("check")
    assert result.code == 0
    assert result.out.splitlines() == [
        "ok       a          1.0",
        "missing  long name  gone",
        "                    -> get it",
    ]


def test_broken_parts_are_a_failure(sse, monkeypatch):
    findings = [Finding("store", "broken", "OperationalError", "check the file")]
    monkeypatch.setattr(environment, "inspect_environment", lambda: findings)
    result = sse("check")
    assert result.code == 1
    assert "BROKEN" in result.out


def test_keys_are_never_shown(sse, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", "this-is-secret")
    assert "this-is-secret" not in sse("check").out


def test_an_absent_program_is_missing_and_a_present_one_has_its_path(sse, monkeypatch, tmp_path):
    program = tmp_path / "sbatch"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = sse("check").out.splitlines()
    assert any(line.startswith("ok") and str(program) in line for line in lines)
    assert any(line.startswith("missing  pw.x") for line in lines)


def test_a_store_that_does_not_answer_is_broken_without_its_secrets(monkeypatch, tmp_path):
    from jobflow import SETTINGS, JobStore
    from maggma.stores import MemoryStore

    class Unreachable(MemoryStore):
        def connect(self, force_reset: bool = False):
            raise ConnectionError("mongodb://me:password@host refused")

    monkeypatch.setattr(SETTINGS, "JOB_STORE", JobStore(Unreachable(), {"data": MemoryStore()}))
    found = {one.subject: one for one in inspect_environment()}["store"]
    assert found.state == "broken"
    assert "ConnectionError" in found.detail
    assert "password" not in f"{found.detail} {found.mend}"


def test_a_mongodb_is_shown_by_its_place_and_without_its_password(monkeypatch, sse):
    from jobflow import SETTINGS, JobStore

    uri = "mongodb://me:this-is-secret@127.0.0.1:9/sse?authSource=admin"
    where = {"uri": uri, "database": "sse", "collection_name": "x"}
    stores = {"data": {"type": "GridFSStore", **where}}
    spec = {"docs_store": {"type": "MongoStore", **where}, "additional_stores": stores}
    monkeypatch.setattr(SETTINGS, "JOB_STORE", JobStore.from_dict_spec(spec))
    monkeypatch.setattr("sse_flows.store.jobstore.ANSWER_WITHIN", 0.3)
    away = sse("check")
    assert "no answer from the store mongodb://127.0.0.1:9/sse" in away.out
    monkeypatch.setattr("sse_flows.store.jobstore.connect", lambda store: None)
    there = sse("check")
    assert "MongoStore of jobflow's configuration: mongodb://127.0.0.1:9/sse sse/x" in there.out
    for result in (away, there):
        assert "this-is-secret" not in result.out + result.err


def test_an_embedded_store_on_a_shared_disk_is_said(monkeypatch, sse):
    monkeypatch.setattr("sse_flows.store.sqlite.network_file_system", lambda folder: "nfs4")
    result = sse("check")
    assert "here on nfs4: for one machine at a time" in result.out
    assert "configure MongoDB" in result.out


@pytest.mark.parametrize(("slurm", "state"), [(False, "broken"), (True, "missing")])
@pytest.mark.parametrize(
    ("code", "name", "command"),
    [
        ("{name: espresso, command: mpirrun -np 2 pw.x}", "pw.x", "mpirrun -np 2 pw.x"),
        ("{name: vasp, command: srunn vasp_std}", "vasp_std", "srunn vasp_std"),
    ],
)
def test_what_a_campaign_starts_must_be_here_unless_nodes_have_it(
    monkeypatch, tmp_path, code, name, command, slurm, state
):
    monkeypatch.setenv("PATH", str(tmp_path))
    if slurm:
        (tmp_path / "sbatch").write_text("#!/bin/sh\n")
        (tmp_path / "sbatch").chmod(0o755)
    file = tmp_path / "c.yaml"
    file.write_text(f"name: c\ntrain: {{table: builtin}}\ncode: {code}\n")
    found = [one for one in inspect_environment(file) if one.subject == name]
    assert found[-1].state == state
    assert command in found[-1].detail
