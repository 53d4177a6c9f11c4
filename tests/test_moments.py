"""Times of documents, written and read on machines of different zones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sse_flows.campaign.finished import FinishedJobs
from sse_flows.moments import in_utc, local
from sse_flows.store.jobstore import embedded_store

CALM = settings(deadline=None, suppress_health_check=list(HealthCheck))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=zones)


@CALM
@given(moments, moments)
def test_times_as_text_are_in_the_order_of_time(one, other):
    texts = in_utc(one.isoformat()), in_utc(other.isoformat())
    assert (texts[0] < texts[1]) == (one < other)
    assert (texts[0] == texts[1]) == (one == other)


@CALM
@given(moments)
def test_a_time_in_utc_stays(one):
    text = in_utc(one.isoformat())
    assert in_utc(text) == text
    assert datetime.fromisoformat(local(text)) == one


@pytest.mark.parametrize(("text", "same"), [("", ""), (None, ""), ("yesterday", "yesterday")])
def test_what_is_no_time_stays(text, same):
    assert in_utc(text) == same


RUN = """
import sys
from jobflow import Flow
from sse_flows.campaign.keys import with_content_keys
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing import jobs

store = embedded_store(sys.argv[1])
store.connect()
first = jobs.add(1, 2)
flow = Flow([first, jobs.add(first.output, 3)])
jobs = with_content_keys(flow).jobs
jobs[int(sys.argv[2])].run(store)
print([job.uuid for job in jobs][int(sys.argv[2])])
"""


def run(zone: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", RUN, *arguments]
    environment = {**os.environ, "TZ": zone, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def test_a_job_that_ran_further_west_is_not_older_than_its_input(tmp_path):
    places = enumerate(("Asia/Seoul", "America/New_York"))
    uuids = [run(zone, str(tmp_path), str(number)) for number, zone in places]
    store = embedded_store(tmp_path)
    store.connect()
    finished = FinishedJobs(store)
    finished.look_up(uuids)
    assert finished.is_current(uuids[1], [uuids[0]])
    assert not finished.is_current(uuids[0], [uuids[1]])
    stored = {doc["uuid"]: doc["completed_at"] for doc in store.query()}
    assert all(stored[uuid].endswith("+00:00") for uuid in uuids), json.dumps(stored)
    store.close()
