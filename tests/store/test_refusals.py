"""Why a MongoDB cannot be used, told in words that say what to do."""

from __future__ import annotations

import pytest
from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from sse_flows.store.patience import is_outage
from sse_flows.store.refusals import brief, explain, is_for_good, refused

MONGOD = (
    'not authorized on sse to execute command { createIndexes: "outputs", indexes: [ { key: '
    '{ uuid: 1 } } ], lsid: { id: UUID("1") }, $db: "sse" }'
)
VERIFY = "db:1: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperationFailure("Authentication failed.", 18), "wrong user or password"),
        (OperationFailure(MONGOD, 13), "no right to createIndexes in the database sse"),
        (OperationFailure("command find requires authentication", 13), "it wants a login"),
        (ServerSelectionTimeoutError(VERIFY + "certificate has expired"), "at this time"),
        (ServerSelectionTimeoutError(VERIFY + "self-signed certificate"), "nothing here vouches"),
        (AutoReconnect(VERIFY + "Hostname mismatch, certificate"), "another host name"),
    ],
)
def test_what_waiting_cannot_mend(error, reason):
    found = explain(error)
    assert reason in found.reason
    assert not found.passing
    assert not is_outage(error)
    told = refused(error, "the database")
    assert str(told).startswith("the database cannot be used: ")
    assert told.mend


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("db:1: [Errno 111] Connection refused (configured timeouts: x)", "nothing answers"),
        ("db:1: [Errno -2] Name or service not known", "no such host"),
        ("db:1: connection closed", "it closed the connection"),
        ("SSL handshake failed: [SSL: UNEXPECTED_EOF_WHILE_READING]", "does not encrypt"),
        ("No servers found yet, Timeout: 1.0s, Topology", "No servers found yet"),
    ],
)
def test_what_may_be_over_later(said, reason):
    error = ServerSelectionTimeoutError(said)
    assert explain(error).reason.startswith(reason) or reason in explain(error).reason
    assert explain(error).passing
    assert refused(error, "x") is None
    assert is_outage(error)
    assert not is_for_good(error)


@pytest.mark.parametrize("error", [DuplicateKeyError("E11000", 11000), ValueError("x"), OSError()])
def test_other_errors_are_not_explained(error):
    assert explain(error) is None


def test_neither_addresses_nor_servers_are_repeated():
    error = InvalidURI("bad mongodb://me:secret@h/db (configured timeouts: 1), Timeout: 2s")
    assert brief(error) == "bad mongodb://h/db"
    assert "secret" not in explain(error).reason
