"""What Slurm is asked and what is made of its answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sse_flows.launchers import queue
from sse_flows.launchers.queue import ask_slurm, parse_squeue_line


def test_one_call_tells_of_all_jobs(slurm):
    slurm.set(j5="RUNNING", j6="PENDING", j7="TIMEOUT")
    found = ask_slurm(["5", "6", "7", "8", "6"])
    assert found.answers
    assert found.jobs["5"].active
    assert found.jobs["5"].node == "n1"
    assert found.jobs["5"].elapsed == 30
    assert found.jobs["5"].left == 3600
    assert found.jobs["6"].pending
    assert found.jobs["6"].reason == "Priority"
    assert not found.jobs["7"].active
    assert not found.jobs["7"].pending
    assert "8" not in found.jobs
    assert len(slurm.calls) == 1
    assert "5,6,7,8" in slurm.calls[0]


def test_nothing_is_asked_about_no_jobs(slurm):
    assert ask_slurm([]).answers
    assert ask_slurm(["pbs.12"]).answers
    assert slurm.calls == []


def test_a_controller_that_is_down_is_no_answer(slurm):
    slurm.stop()
    found = ask_slurm(["5"])
    assert not found.answers
    assert "Unable to contact slurm controller" in found.why


def test_an_unknown_job_alone_is_an_answer(slurm):
    slurm.set()
    (slurm.folder / "down").write_text("slurm_load_jobs error: Invalid job id specified\n")
    found = ask_slurm(["5"])
    assert found.answers
    assert found.jobs == {}


def test_a_host_without_slurm_is_no_answer(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = ask_slurm(["5"])
    assert not found.answers
    assert "not installed" in found.why


def test_a_command_that_hangs_is_no_answer(slurm, monkeypatch):
    monkeypatch.setattr(queue, "TIMEOUT", 0.2)
    (slurm.folder / "squeue").write_text("#!/bin/sh\nexec sleep 5\n")
    assert not ask_slurm(["5"]).answers


def test_filters_that_a_user_has_set_are_not_applied(slurm, monkeypatch):
    monkeypatch.setenv("SQUEUE_PARTITION", "other")
    monkeypatch.setenv("SLURM_CLUSTERS", "other")
    script = '#!/bin/sh\necho "5|RUNNING|$SQUEUE_PARTITION$SLURM_CLUSTERS|n1|0:1|0:1|1|None"\n'
    (slurm.folder / "squeue").write_text(script)
    assert ask_slurm(["5"]).jobs["5"].partition == ""


def test_a_very_long_list_is_not_put_on_the_command_line(slurm):
    slurm.set(j5="RUNNING")
    found = ask_slurm(str(number) for number in range(1, queue.MAX_LISTED + 2))
    assert list(found.jobs) == ["5"]
    assert "-j" not in slurm.calls[0].split()


def test_accounting_tells_how_jobs_ended(slurm):
    accounts = "8|CANCELLED by 1000|debug|n1\n9|RUNNING|debug|n2\n"
    slurm.configure(accounts, AccountingStorageType="accounting_storage/slurmdbd")
    found = ask_slurm(["8", "9"])
    assert found.jobs["8"].state == "CANCELLED"
    assert not found.jobs["9"].active  # squeue, which knows, does not have it


def test_the_completion_log_is_the_last_resort(slurm, tmp_path):
    log = tmp_path / "jobcomp.log"
    log.write_text("JobId=8 UserId=a(1) JobState=NODE_FAIL Partition=debug NodeList=n2 X=\n")
    slurm.configure(JobCompType="jobcomp/filetxt", JobCompLoc=str(log))
    assert ask_slurm(["8", "9"]).jobs["8"].state == "NODE_FAIL"
    log.unlink()
    assert ask_slurm(["8"]).jobs == {}


def test_what_hides_the_jobs_of_others_is_known(slurm):
    assert not ask_slurm(["8"]).private
    slurm.configure(PrivateData="accounts,jobs")
    assert ask_slurm(["8"]).private
    assert ask_slurm(["8"]).cluster == "test"


@pytest.mark.parametrize("line", ["", "garbage", "a|b|c|d|e|f|g|h", "slurm_load: retrying"])
def test_lines_that_are_none_are_passed_over(line):
    assert parse_squeue_line(line) is None


def test_times_in_words_are_unknown():
    job = parse_squeue_line("7|PENDING|long||0:00|UNLIMITED|N/A|(Resources)")
    assert job is not None
    assert (job.elapsed, job.left, job.started) == (0, None, None)


@pytest.mark.slurm
def test_real_slurm_tells_the_same(cluster):
    running = cluster.submit("sleep 600")
    waiting = cluster.submit("sleep 1", "--begin=now+1hour")
    cluster.wait_for_state(running, "RUNNING")
    found = ask_slurm([running, waiting, "999999"])
    assert found.answers
    assert found.cluster
    assert found.jobs[running].active
    assert found.jobs[running].node.startswith("n")
    age = datetime.now(UTC) - (found.jobs[running].started or datetime(1970, 1, 1, tzinfo=UTC))
    assert abs(age.total_seconds()) < 300
    assert found.jobs[waiting].pending
    assert found.jobs[waiting].reason == "BeginTime"
    assert "999999" not in found.jobs
    only = ask_slurm(["999999"])  # which squeue calls an invalid job id
    assert only.answers
    assert only.jobs == {}
    cluster.run("scancel", running)
    cluster.wait_for_state(running, "CANCELLED")
    assert not ask_slurm([running]).jobs[running].active
    cluster.stop_controller()
    assert not ask_slurm([running]).answers
    cluster.start_controller()


@pytest.mark.slurm
def test_the_completion_log_of_real_slurm_is_read(cluster):
    job = cluster.submit("true")
    cluster.wait_for_state(job, "COMPLETED")
    found = queue._from_completion_log({job}, cluster.completed_jobs)
    assert found[job].state == "COMPLETED"
    assert found[job].node
