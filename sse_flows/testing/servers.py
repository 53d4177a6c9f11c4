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
