"""The whole chain on a server with TLS and logins, each command in a process of its own.

The server is the tests' own, the client pymongo's; certificates, users and roles are real.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from typer.testing import CliRunner

from sse_flows.cli.main import app, main
from sse_flows.errors import SSEError
from sse_flows.launchers import settings
from sse_flows.launchers.environment import inspect_cluster
from sse_flows.launchers.settings import open_launchpad, shared_store
from sse_flows.store.jobstore import connect, open_store
from sse_flows.testing import jobs
from sse_flows.testing.fault_runs import FaultRun
from sse_flows.testing.launchpads import drain
from sse_flows.testing.mongo_server import MongoServer
from sse_flows.testing.mongo_tls import make_certificates
from sse_flows.testing.servers import MARK

SHORT = 1.0
"""Seconds for the first answer of a server that will never give one."""


def program(name: str, *words: str, check: bool = True) -> str:
    """What a command of the environment prints."""
    command = [str(Path(sys.executable).parent / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def submitted(folder: Path) -> FaultRun:
    """A trivial campaign on the LaunchPad of this process."""
    store = shared_store()
    connect(store)
    adding = {"a": lambda number, gate, log: jobs.add(number, 1, log)}
    run = FaultRun(open_launchpad(), store, folder, adding)
    run.submit()
    return run


@pytest.fixture
def quick(monkeypatch):
    """Little patience with servers that do not answer."""
    monkeypatch.setattr(settings, "FIRST_ANSWER_MS", int(1000 * SHORT))
    monkeypatch.setattr("sse_flows.store.jobstore.ANSWER_WITHIN", SHORT)


def test_a_campaign_goes_through_with_every_command(secure, secure_site, tmp_path):
    secure_site("writer")
    run = submitted(tmp_path / "campaign")
    assert "ready" in program("sse", "status", str(run.file))
    program("rlaunch", "-s", "rapidfire", "--nlaunches", "2")
    assert program("lpad", "get_fws", "-s", "COMPLETED", "-d", "count").split() == ["2"]
    assert "ended: nothing left" in program("sse", "worker", "rapidfire", "--idle", "0")
    assert run.is_complete()
    assert run.differences() == {}
    assert "complete" in run.command("status")
    assert run.command("recover") == "nothing to recover\n"


def test_so_it_does_with_an_address_instead_of_a_host(secure, secure_site, tmp_path):
    uri = ("--uri", f"mongodb://localhost:{secure.server.port}")
    secure_site("writer", "--tls-ca-file", secure.authority, *uri)
    run = submitted(tmp_path / "campaign")
    program("rlaunch", "-s", "rapidfire")
    assert run.is_complete()
    assert run.differences() == {}


def refusals() -> list[str]:
    """What LaunchPad and store say of their database."""
    said = []
    for ask in (open_launchpad, lambda: connect(shared_store())):
        with pytest.raises(SSEError) as raised:
            ask()
        said.append(str(raised.value))
        assert raised.value.mend
        assert raised.value.__cause__ is None
    return said


def edit_both(site, old: str, new: str) -> None:
    """Change both files with credentials, and what this process has read of them."""
    from jobflow.settings import JobflowSettings

    for name in ("my_launchpad.yaml", "jobflow.yaml"):
        site.edit(name, old, new)
    import jobflow

    jobflow.SETTINGS.JOB_STORE = JobflowSettings().JOB_STORE


@pytest.mark.parametrize(
    ("old", "new", "said", "mend"),
    [
        ("username: writer", "username: other", "wrong user or password", "init cluster --force"),
        ("authSource: admin", "authSource: x", "wrong user or password", "authSource"),
        ("  tlsCAFile: ", "  appname: ", "nothing here vouches for its certificate", "--tls-ca-fi"),
        ("tls/ca.pem", "tls/gone.pem", "gone.pem: No such file or directory", "--tls-ca-file"),
        ("tls/ca.pem", "tls/names", "the certificate to trust holds none", "--tls-ca-file"),
        ("  tls: true", "  tls: false\n  #", "it closed the connection", "Pass --tls"),
    ],
)
def test_what_is_wrong_is_told_with_its_mend(
    secure, secure_site, quick, tmp_path, monkeypatch, old, new, said, mend
):
    uri = ("--uri", f"mongodb://localhost:{secure.server.port}")
    site = secure_site("writer", "--tls-ca-file", secure.authority, *uri)
    if "tls: false" in new:
        ca = f"tlsCAFile: {secure.authority}"
        edit_both(site, ca, "appname: x")
    edit_both(site, old, new)
    for text in refusals():
        assert said in text
        assert mend in text
        assert "\n" not in text
        assert secure.password("writer") not in text


def test_a_server_that_does_not_encrypt_is_told(secure, secure_site, quick, mongo):
    site = secure_site()
    edit_both(site, f"port: {secure.server.port}", f"port: {mongo.port}")
    for text in refusals():
        assert "it does not encrypt, or not as we do. Leave out --tls" in text


def test_a_certificate_of_another_name_is_told(secure_site, quick, tmp_path):
    certificates = make_certificates(tmp_path / "tls", "DNS:db.example.org")
    with MongoServer(tmp_path / "db", certificates=certificates) as server:
        uri = ("--uri", f"mongodb://localhost:{server.port}")
        secure_site("writer", "--tls-ca-file", str(certificates.authority), *uri)
        begun = time.monotonic()
        with pytest.raises(SSEError, match="of another host name"):
            open_launchpad(patience=60)  # a worker does not wait for what cannot mend itself
        assert time.monotonic() - begun < 30
        for text in refusals():
            assert "its certificate is of another host name. Connect by a name that is" in text


def test_a_user_without_rights_is_told_which(secure_site):
    secure_site("stranger")
    for text, right in zip(refusals(), ("find", "aggregate"), strict=True):
        assert f"the user has no right to {right} in the database sse_secure" in text
        assert "Ask its keeper for the role readWrite" in text


@pytest.mark.parametrize("kind", ["gone", "empty"])
def test_a_certificate_file_that_is_none_is_refused_before_anything_is_written(tmp_path, kind):
    file = tmp_path / "ca.pem"
    if kind == "empty":
        file.touch()
    words = ["init", "cluster", str(tmp_path / "site"), "--tls-ca-file", str(file)]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, SSEError)
    assert str(file) in str(result.exception)
    assert not (tmp_path / "site").exists()


def test_who_may_only_read_sees_everything_and_changes_nothing(secure, secure_site, tmp_path):
    secure_site("writer")
    run = submitted(tmp_path / "campaign")
    drain(run.launchpad, tmp_path / "launches", nlaunches=3)
    assert open_store(tmp_path).count() == 3
    before, log = secure.everything(), secure.server.folder / "server.log"
    tried = log.read_text().count("refused to reader")
    secure_site("reader")
    assert "ready" in program("sse", "status", str(run.file))
    assert program("lpad", "get_fws", "-d", "count").strip().isdigit()
    for words in (
        ["results"],
        ["report", "-o", str(tmp_path / "page.html")],
        ["recover", "--dry-run"],
    ):
        run.command(*words)
    assert (tmp_path / "page.html").stat().st_size > 5000
    assert secure.everything() == before
    assert log.read_text().count("refused to reader") == tried  # nor was it tried


@pytest.mark.parametrize("kind", ["MongoStore", "MongoURIStore"])
def test_all_of_it_in_an_address(secure, tmp_path, monkeypatch, quick, kind):
    from jobflow import SETTINGS, JobStore

    login = f"writer:{quote_plus(secure.password('writer'))}"
    options = f"authSource=admin&tls=true&tlsCAFile={quote_plus(secure.authority)}"
    uri = f"mongodb://{login}@localhost:{secure.server.port}/{secure.name}?{options}"
    where = {"database": secure.name, "uri": uri}
    blobs = {"type": "GridFSStore", "collection_name": "blobs", **where}
    spec = {"docs_store": {"type": kind, "collection_name": "outputs", **where}}
    spec["additional_stores"] = {"data": blobs}
    monkeypatch.setattr(SETTINGS, "JOB_STORE", JobStore.from_dict_spec(spec))
    store = open_store(tmp_path)
    document = {"uuid": "a", "index": 1, "output": {"x": [1.0, 2.0]}}
    store.update(document, save={"data": ["x"]})
    assert store.get_output("a", load=True) == {"x": [1.0, 2.0]}
    assert secure.everything()["blobs.files"][1:]
    wrong = json.loads(json.dumps(spec).replace("writer:", "writer:x"))
    monkeypatch.setattr(SETTINGS, "JOB_STORE", JobStore.from_dict_spec(wrong))
    with pytest.raises(SSEError, match="wrong user or password") as raised:
        open_store(tmp_path)
    assert MARK not in str(raised.value)


@pytest.mark.parametrize(("user", "only"), [("reader", True), ("writer", False)])
def test_the_check_says_who_may_only_read(secure_site, user, only):
    secure_site(user)
    found = {one.subject: one for one in inspect_cluster()}
    assert found["LaunchPad"].state == found["shared store"].state == "ok"
    assert ("this user may only read" in found["LaunchPad"].detail) == only


def test_a_store_without_indexes_can_be_read_without_the_right_to_make_them(
    secure, secure_site, tmp_path
):
    with secure.client() as client:
        client[secure.name].outputs.insert_one({"uuid": "z", "index": 1, "output": 1})
    secure_site("reader")
    assert open_store(tmp_path).get_output("z") == 1


@pytest.mark.parametrize("processes", [(), ("--processes", "2")])
def test_who_may_only_read_is_told_so_by_what_writes(
    secure, secure_site, tmp_path, monkeypatch, capsys, processes
):
    secure_site("writer")
    run = submitted(tmp_path / "campaign")
    before = secure.everything()
    secure_site("reader")
    said = program("sse", "worker", "rapidfire", "--idle", "0", *processes, check=False)
    monkeypatch.setattr(sys, "argv", ["sse", "submit", str(run.file)])
    with pytest.raises(SystemExit):
        main()
    for text in (said, capsys.readouterr().err):
        told = [line for line in text.splitlines() if line.startswith("error: ")]
        assert told, text
        assert all("the user has no right to " in line for line in told)
        assert all("role readWrite" in line for line in told)
        assert "Traceback" not in text
    assert secure.everything() == before
