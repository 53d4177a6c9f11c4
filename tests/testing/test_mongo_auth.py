"""TLS and logins of the MongoDB test server, through the real pymongo."""

from __future__ import annotations

import contextlib
import socket

import pytest
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from sse_flows.testing.mongo_auth import MECHANISM, User, read_users, write_users

SHORT = {"serverSelectionTimeoutMS": 600}


def connect(secure, **options) -> MongoClient:
    options = {**SHORT, "authSource": "admin", "tlsCAFile": secure.authority, **options}
    return MongoClient("localhost", secure.server.port, tls=True, **options)


def code_of(ask) -> int | None:
    with pytest.raises(OperationFailure) as raised:
        ask()
    return raised.value.code


def login(secure, user: str = "writer", **more) -> MongoClient:
    return connect(secure, **{"username": user, "password": secure.password(user), **more})


@pytest.mark.parametrize("mechanism", [None, MECHANISM])  # asked for in hello, or known before
def test_the_right_password_opens_the_door(secure, mechanism) -> None:
    more = {"authMechanism": mechanism} if mechanism else {}
    with login(secure, **more) as client:
        client[secure.name].rows.insert_one({"_id": 1})
        assert client[secure.name].rows.find_one() == {"_id": 1}


@pytest.mark.parametrize(
    "wrong", [{"password": "wrong"}, {"username": "nobody"}, {"authSource": "sse_secure"}]
)
def test_a_wrong_login_is_mongodbs_error_18(secure, wrong) -> None:
    with login(secure, **wrong) as client:
        assert code_of(client[secure.name].rows.find_one) == 18


def test_without_a_login_only_the_handshake_is_answered(secure) -> None:
    with connect(secure) as client:
        assert client.admin.command("ping")["ok"]
        assert client.server_info()["version"]
        rows = client[secure.name].rows
        for ask in (rows.find_one, lambda: rows.insert_one({}), client.list_database_names):
            assert code_of(ask) == 13


def test_another_mechanism_is_refused(secure) -> None:
    with login(secure, authMechanism="SCRAM-SHA-1") as client:
        assert code_of(client[secure.name].rows.find_one) == 334


def test_roles_say_who_may_read_and_write_where(secure) -> None:
    with login(secure) as writer, login(secure, "reader") as reader:
        writer[secure.name].rows.insert_many([{"n": n} for n in range(300)])
        assert len(list(reader[secure.name].rows.find(batch_size=50))) == 300
        assert reader[secure.name].rows.count_documents({}) == 300
        rows = reader[secure.name].rows
        for ask in (
            lambda: rows.insert_one({}),
            lambda: rows.update_one({}, {"$set": {"a": 1}}),
            lambda: rows.find_one_and_delete({}),
            lambda: rows.create_index("n"),
            lambda: list(rows.aggregate([{"$out": "more"}])),
            rows.drop,
            lambda: reader.drop_database(secure.name),
            reader.another.rows.find_one,
            lambda: writer.drop_database(secure.name),
        ):
            assert code_of(ask) == 13
        assert writer[secure.name].rows.count_documents({}) == 300
    with login(secure, "stranger") as stranger:
        assert code_of(stranger[secure.name].rows.find_one) == 13


def test_a_client_that_does_not_encrypt_is_not_served(secure) -> None:
    client = MongoClient("localhost", secure.server.port, **SHORT)
    with client, pytest.raises(ConnectionFailure):
        client.admin.command("ping")
    with socket.create_connection(("localhost", secure.server.port), 5) as plain:
        plain.sendall(b"\0" * 64)
        plain.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert b"ok" not in plain.recv(1000)


def test_a_certificate_that_nobody_vouches_for_is_refused_by_the_client(secure) -> None:
    with connect(secure, tlsCAFile=None) as client, pytest.raises(ConnectionFailure, match="CERT"):
        client.admin.command("ping")


def test_the_server_keeps_no_password(secure, tmp_path) -> None:
    for file in secure.server.folder.rglob("*"):
        assert not file.is_file() or secure.password("writer").encode() not in file.read_bytes()
    user = User.with_password("ä,=", "pÄ", {"x": "read"})
    write_users(tmp_path / "users", [user])
    assert read_users(tmp_path / "users") == [user]
    assert (tmp_path / "users").stat().st_mode & 0o777 == 0o600


def test_names_and_passwords_may_have_any_character(tmp_path) -> None:
    from sse_flows.testing.mongo_server import MongoServer

    users = [User.with_password("ä,=b", "pÄ ,=:@/", {"x": "readWrite"}, source="x")]
    with MongoServer(tmp_path, users) as server:
        login = {"username": "ä,=b", "password": "pÄ ,=:@/", "authSource": "x"}
        with MongoClient(server.uri, **login, **SHORT) as client:
            client.x.rows.insert_one({"_id": 1})
        server.stop()
        server.start()
        with MongoClient(server.uri, **login, **SHORT) as client:
            assert client.x.rows.find_one() == {"_id": 1}
