"""Fixtures of pytest: a MongoDB server, a LaunchPad, a JobStore and a Slurm cluster."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from sse_flows.testing.mongo_server import MongoServer
from sse_flows.testing.slurm import SlurmCluster, why_no_slurm

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore


@dataclass(frozen=True)
class MongoDatabase:
    """A database of a test on a server that tests share."""

    server: MongoServer
    name: str

    @property
    def uri(self) -> str:
        """Where clients find the server."""
        return self.server.uri

    @property
    def host(self) -> str:
        """Host of the server."""
        return self.server.host

    @property
    def port(self) -> int:
        """Port of the server."""
        return self.server.port

    def client(self) -> Any:
        """Make a new client of the server."""
        from pymongo import MongoClient

        return MongoClient(self.uri, serverSelectionTimeoutMS=5000)


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """One MongoDB server for all tests of a session."""
    with MongoServer(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture
def mongo(mongo_server: MongoServer) -> Iterator[MongoDatabase]:
    """A fresh database; the server runs at the start, whatever the test before did to it."""
    mongo_server.start()
    database = MongoDatabase(mongo_server, f"sse_test_{uuid.uuid4().hex[:12]}")
    yield database
    mongo_server.start()
    with database.client() as client:
        client.drop_database(database.name)


@pytest.fixture
def stoppable_mongo(mongo: MongoDatabase) -> MongoDatabase:
    """As `mongo`, for tests that stop the server; skipped where it is not ours to stop."""
    if not mongo.server.controlled:
        pytest.skip("SSE_TEST_MONGODB_URI names a server that is not ours to stop")
    return mongo


MARK = "rd-7f3a"
CANARY = f"canary/pa ss:w@{MARK}"
"""Password of the user who may write. Its last part is written alike in YAML, JSON and addresses:
a test that finds it where it should not be has found a leak."""


@dataclass(frozen=True)
class SecureDatabase:
    """A database on a server with TLS and logins, empty.

    Its users, all known to the database admin: ``writer`` (password :data:`CANARY`), ``reader``
    who may only read, ``stranger`` without a right to it, ``owner``.

    Attributes
    ----------
    server
        The server.
    name
        Of the database.
    """

    server: MongoServer
    name: str

    @property
    def authority(self) -> str:
        """File of the certificate to trust."""
        return str(self.server.client_options()["tlsCAFile"])

    @staticmethod
    def password(user: str) -> str:
        """Password of a user."""
        return CANARY if user == "writer" else f"password of {user}"

    def client(self, user: str = "owner") -> Any:
        """Make a new client that has logged in."""
        from pymongo import MongoClient

        options: dict[str, Any] = {
            "username": user,
            "password": self.password(user),
            "authSource": "admin",
            "serverSelectionTimeoutMS": 5000,
            **self.server.client_options(),
        }
        return MongoClient("localhost", self.server.port, **options)

    def everything(self) -> dict[str, list[Any]]:
        """All documents and indexes, by collection."""
        with self.client() as client:
            return {
                name: [client[self.name][name].index_information(), *client[self.name][name].find()]
                for name in sorted(client[self.name].list_collection_names())
            }


@pytest.fixture(scope="session")
def secure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """One server with TLS and logins for all tests of a session."""
    from sse_flows.testing.mongo_auth import User
    from sse_flows.testing.mongo_tls import make_certificates, why_no_certificates

    missing = why_no_certificates()
    if missing:
        pytest.skip(missing)
    name = "sse_secure"
    roles: dict[str, dict[str, Any]] = {
        "writer": {name: "readWrite"},
        "reader": {name: "read"},
        "stranger": {"another": "readWrite"},
        "owner": {name: "dbOwner"},
    }
    users = [
        User.with_password(user, SecureDatabase.password(user), may) for user, may in roles.items()
    ]
    folder = tmp_path_factory.mktemp("secure")
    with MongoServer(folder, users, make_certificates(folder / "tls")) as server:
        yield server


@pytest.fixture
def secure(secure_server: MongoServer) -> SecureDatabase:
    """A server with TLS and logins, whose database is empty."""
    secure_server.start()
    database = SecureDatabase(secure_server, "sse_secure")
    with database.client() as client:
        client.drop_database(database.name)
    return database


@pytest.fixture
def launchpad(mongo: MongoDatabase) -> LaunchPad:
    """FireWorks' LaunchPad on the fresh database, reset."""
    from fireworks import LaunchPad

    pad = LaunchPad(host=mongo.host, port=mongo.port, name=mongo.name)
    pad.reset("", require_password=False)
    return pad


@pytest.fixture
def job_store(mongo: MongoDatabase) -> Iterator[JobStore]:
    """A JobStore of jobflow on the fresh database, connected: documents, and GridFS for arrays."""
    from jobflow import JobStore
    from maggma.stores import GridFSStore, MongoStore

    where: dict[str, Any] = {"host": mongo.host, "port": mongo.port}
    store = JobStore(
        MongoStore(mongo.name, "outputs", **where),
        additional_stores={"data": GridFSStore(mongo.name, "outputs_blobs", **where)},
    )
    store.connect()
    yield store
    store.close()


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """One private Slurm cluster of two nodes for all tests of a session."""
    missing = why_no_slurm()
    if missing:
        pytest.skip(missing)
    with (
        tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp") as folder,
        SlurmCluster(folder) as cluster,
    ):
        yield cluster


@pytest.fixture
def cluster(slurm_cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The Slurm cluster with idle nodes and an empty queue, known to this process."""
    for name, value in slurm_cluster.environment.items():
        monkeypatch.setenv(name, value)
    slurm_cluster.recover()
    yield slurm_cluster
    slurm_cluster.recover()
