"""A MongoDB server for the stores of jobflow's configuration."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from jobflow import JobStore


@dataclass
class Mongo:
    """A server and a database of its own for one test."""

    server: Any
    database: str

    @property
    def uri(self) -> str:
        return self.server.uri

    def specification(self, **common: Any) -> dict:
        """What users write below JOB_STORE."""
        where = {"database": self.database, "uri": self.uri, **common}
        if "host" in where:
            del where["uri"]
        return {
            "docs_store": {"type": "MongoStore", "collection_name": "outputs", **where},
            "additional_stores": {
                "data": {"type": "GridFSStore", "collection_name": "outputs_blobs", **where}
            },
        }

    def store(self) -> JobStore:
        """A JobStore as jobflow makes it of the specification, not connected."""
        return JobStore.from_dict_spec(self.specification())


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory) -> Iterator[Any]:
    module = pytest.importorskip("sse_flows.testing.mongo_server")
    with module.MongoServer(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture
def mongo(mongo_server) -> Iterator[Mongo]:
    """An empty database of a running server."""
    from pymongo import MongoClient

    mongo = Mongo(mongo_server, f"sse_test_{uuid.uuid4().hex[:8]}")
    yield mongo
    mongo_server.start()
    with MongoClient(mongo_server.uri) as client:
        client.drop_database(mongo.database)
