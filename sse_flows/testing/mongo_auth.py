"""Logins and rights of the MongoDB server for tests: SCRAM-SHA-256, and roles of databases.

The login is that of RFC 5802 and RFC 7677 in the commands that MongoDB's drivers send: saslStart
and saslContinue, or the first step within hello (speculativeAuthenticate). The server keeps what
the RFC lets it keep, a salted key, not the password. Refusals have MongoDB's own codes: 18 where a
login fails, 13 where a right is missing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sys
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import bson

from sse_flows.testing.mongo_wire import CommandError, Document

MECHANISM = "SCRAM-SHA-256"
ITERATIONS = 4096
"""Least number that RFC 7677 allows; MongoDB's own is 15,000."""

Role = Literal["read", "readWrite", "dbOwner"]

_HELLO = frozenset(["hello", "ismaster"])
_LOGIN = frozenset(["saslstart", "saslcontinue"])
_OPEN = _HELLO | _LOGIN | {"ping", "buildinfo", "connectionstatus"}
_ANY_USER = frozenset(["endsessions", "killsessions", "killcursors", "getmore", "listdatabases"])
_READ = frozenset(["find", "aggregate", "count", "distinct", "listindexes", "listcollections"])
_CHANGE = "insert update delete findandmodify createindexes dropindexes create drop"
_WRITE = _READ | frozenset(_CHANGE.split())
_RIGHTS: dict[str, frozenset[str]] = {
    "read": _READ,
    "readWrite": _WRITE,
    "dbOwner": _WRITE | {"dropdatabase"},
}


def _hash(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True)
class User:
    """A user as the server knows it; made by :meth:`with_password`.

    Attributes
    ----------
    name, source
        Name, and the database that knows it (``authSource`` of clients).
    roles
        Role by name of a database.
    salt, stored_key, server_key
        Of RFC 5802, hexadecimal.
    """

    name: str
    source: str
    roles: dict[str, Role]
    salt: str
    stored_key: str
    server_key: str

    @classmethod
    def with_password(
        cls, name: str, password: str, roles: dict[str, Role], source: str = "admin"
    ) -> User:
        """User with salted keys of a password."""
        salt, text = secrets.token_bytes(28), unicodedata.normalize("NFKC", password).encode()
        salted = hashlib.pbkdf2_hmac("sha256", text, salt, ITERATIONS)
        stored = hashlib.sha256(_hash(salted, b"Client Key")).hexdigest()
        return cls(name, source, roles, salt.hex(), stored, _hash(salted, b"Server Key").hex())

    def may(self, command: str, database: str) -> bool:
        """Whether a command, in lower case, is allowed on a database."""
        return command in _RIGHTS[self.roles[database]] if database in self.roles else False


def write_users(path: Path, users: list[User]) -> None:
    """Write the users of a server; none of them can be told from the file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump([asdict(user) for user in users], stream)


def read_users(path: Path) -> list[User]:
    """Read what :func:`write_users` wrote."""
    return [User(**values) for values in json.loads(path.read_text())]


class _Exchange:
    """One login on its way: from the client's first message to the server's last."""

    def __init__(self, users: list[User], source: str, first: bytes) -> None:
        head, self._first = first.decode().split(",,", 1)
        parts = dict(part.split("=", 1) for part in self._first.split(","))
        name = parts["n"].replace("=2C", ",").replace("=3D", "=")
        found = [user for user in users if (user.name, user.source) == (name, source)]
        # to somebody unknown the exchange looks as to everybody else, up to its end
        self.known = bool(found)
        self.user = found[0] if found else User.with_password(name, secrets.token_hex(), {}, source)
        self._channel = b64encode(f"{head},,".encode()).decode()
        self._nonce = parts["r"] + secrets.token_urlsafe(18)
        salt = b64encode(bytes.fromhex(self.user.salt)).decode()
        self.answer = f"r={self._nonce},s={salt},i={ITERATIONS}"

    def finish(self, final: bytes) -> str | None:
        """Signature for the client if its proof is right, else None."""
        bare, _, proof = final.decode().rpartition(",p=")
        if bare != f"c={self._channel},r={self._nonce}":
            return None
        text = f"{self._first},{self.answer},{bare}".encode()
        stored = bytes.fromhex(self.user.stored_key)
        client_key = _xor(b64decode(proof), _hash(stored, text))
        right = hmac.compare_digest(hashlib.sha256(client_key).digest(), stored)
        signature = _hash(bytes.fromhex(self.user.server_key), text)
        return f"v={b64encode(signature).decode()}" if right and self.known else None


class Login:
    """What one connection may do: nothing but log in, then what its user may.

    Parameters
    ----------
    users
        All of the server.
    run
        Encoded answer to a command that is allowed.
    """

    def __init__(self, users: list[User], run: Callable[[Document], bytes]) -> None:
        self._users, self._allowed = users, run
        self._exchange: _Exchange | None = None
        self._user: User | None = None

    def run(self, command: Document) -> bytes:
        """Encoded answer to one command, or the refusal of it."""
        name = next(iter(command), "").lower()
        try:
            if name in _LOGIN:
                step = self._start if name == "saslstart" else self._continue
                return bson.encode({**step(command, command["$db"]), "ok": 1.0})
            self._check(name, command)
        except CommandError as error:
            refusal = {"errmsg": str(error), "code": error.code, "codeName": error.name}
            return bson.encode({"ok": 0.0, **refusal})
        if name == "connectionstatus" and self._user is not None:
            return bson.encode({"authInfo": _shown(self._user), "ok": 1.0})
        answer = self._allowed(command)
        return self._with_first_step(command, answer) if name in _HELLO else answer

    def _check(self, name: str, command: Document) -> None:
        database = command.get("$db", "")
        if name in _OPEN:
            return
        if self._user is None:
            raise CommandError(13, "Unauthorized", f"Command {name} requires authentication")
        writes = any({"$out", "$merge"} & set(stage) for stage in command.get("pipeline", ()))
        if name not in _ANY_USER and not self._user.may("insert" if writes else name, database):
            spelt = next(iter(command))
            said = f"not authorized on {database} to execute command {{ {spelt}: ... }}"
            print(f"refused to {self._user.name}: {spelt} in {database}", file=sys.stderr)  # noqa: T201
            raise CommandError(13, "Unauthorized", said)

    def _with_first_step(self, command: Document, answer: bytes) -> bytes:
        """Hello's answer with the mechanisms, and the first step of a login that came with it."""
        more: Document = {}
        if "saslSupportedMechs" in command:
            more["saslSupportedMechs"] = [MECHANISM]
        first = command.get("speculativeAuthenticate")
        if first and first.get("mechanism") == MECHANISM:
            more["speculativeAuthenticate"] = self._start(first, first["db"])
        return bson.encode({**bson.decode(answer), **more}) if more else answer

    def _start(self, command: Document, source: str) -> Document:
        if command["mechanism"] != MECHANISM:
            said = f"Received authentication for mechanism {command['mechanism']} which is unknown"
            raise CommandError(334, "MechanismUnavailable", said)
        try:
            self._exchange = _Exchange(self._users, source, bytes(command["payload"]))
        except (ValueError, KeyError):
            raise _failed() from None
        return _reply(self._exchange.answer)

    def _continue(self, command: Document, source: str) -> Document:
        exchange, payload = self._exchange, bytes(command["payload"])
        if exchange is None:
            raise CommandError(17, "ProtocolError", "No SASL session state found")
        if self._user is exchange.user:  # the empty last message of clients that send one
            return _reply("", done=True)
        try:
            signature = exchange.finish(payload)
        except ValueError:
            signature = None
        if signature is None:
            self._exchange = None
            raise _failed()
        self._user = exchange.user
        return _reply(signature, done=True)


def _shown(user: User) -> Document:
    """What a user is told of himself, with MongoDB's names for what he may do."""
    privileges = [
        {"resource": {"db": name, "collection": ""}, "actions": sorted(_RIGHTS[role])}
        for name, role in user.roles.items()
    ]
    roles = [{"role": role, "db": name} for name, role in user.roles.items()]
    return {
        "authenticatedUsers": [{"user": user.name, "db": user.source}],
        "authenticatedUserRoles": roles,
        "authenticatedUserPrivileges": privileges,
    }


def _failed() -> CommandError:
    return CommandError(18, "AuthenticationFailed", "Authentication failed.")


def _reply(text: str, done: bool = False) -> Document:
    return {"conversationId": 1, "done": done, "payload": text.encode()}
