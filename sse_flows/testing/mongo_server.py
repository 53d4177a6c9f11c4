"""A MongoDB server for tests: a real mongod where there is one, else one of our own.

No package index offers MongoDB, yet what matters of a queue of calculations shows only when many
processes share a server, and when it goes away and comes back. Ours talks MongoDB's wire protocol
over mongomock's collections (``python -m sse_flows.testing.mongo_server``). It serves 127.0.0.1
only, keeps everything in memory, writes a snapshot on SIGTERM, and loses what came after the
snapshot when killed. It is no place for results that matter.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bson

from sse_flows.testing.mongo_auth import User, write_users
from sse_flows.testing.ports import free_port

if TYPE_CHECKING:
    from sse_flows.testing.mongo_tls import Certificates

_ENDS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 120.0
"""Seconds a server may take to start or stop."""


class MongoServer:
    """A MongoDB server of a test, in a process of its own; a context manager.

    ``SSE_TEST_MONGODB_URI`` names a server to use instead; `controlled` is then False and it
    can be neither stopped nor killed.

    Parameters
    ----------
    folder
        Where data are kept between :meth:`stop` and :meth:`start`.
    users
        Who may log in; everybody may do everything where there are none.
    certificates
        Of a server that encrypts. A server with users or certificates is always ours.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        folder: str | os.PathLike,
        users: list[User] | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self.folder = Path(folder).resolve()
        self.users, self.certificates = users, certificates
        self.ours = bool(users or certificates)
        self.given = None if self.ours else os.environ.get("SSE_TEST_MONGODB_URI")
        self.port = free_port()
        self._process: subprocess.Popen | None = None
        if self.given:
            from pymongo.uri_parser import parse_uri

            self.host, self.port = parse_uri(self.given)["nodelist"][0]

    @property
    def uri(self) -> str:
        """Where clients find the server."""
        return self.given or f"mongodb://{self.host}:{self.port}"

    @property
    def controlled(self) -> bool:
        """Whether the server is ours to stop and to kill."""
        return not self.given

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return not self.controlled or (self._process is not None and self._process.poll() is None)

    def __enter__(self) -> MongoServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.controlled:
            self.stop()

    def start(self) -> None:
        """Start the server on its port, with the data it held when it stopped.

        Raises
        ------
        RuntimeError
            It did not answer in time.
        """
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        self._wait_for_answer()

    def _command(self) -> list[str]:
        port, mongod = str(self.port), shutil.which("mongod")
        if mongod and not self.ours:
            options = ["--bind_ip", self.host, "--nounixsocket", "--dbpath", str(self.folder)]
            return [mongod, "--port", port, *options]
        snapshot = str(self.folder / "snapshot.bson")
        module = [sys.executable, "-m", "sse_flows.testing.mongo_server"]
        command = [*module, "--port", port, "--data", snapshot, "--until-stdin-closes"]
        if self.users:
            write_users(self.folder / "users.json", self.users)
            command += ["--users", str(self.folder / "users.json")]
        if self.certificates:
            command += ["--certificate", str(self.certificates.server)]
        return command

    def client_options(self) -> dict[str, Any]:
        """What clients need to encrypt as this server does."""
        if self.certificates is None:
            return {}
        return {"tls": True, "tlsCAFile": str(self.certificates.authority)}

    def _wait_for_answer(self) -> None:
        from pymongo import MongoClient
        from pymongo.errors import PyMongoError

        end = time.monotonic() + PATIENCE
        options = {"serverSelectionTimeoutMS": 250, **self.client_options()}
        if self.certificates:  # a test may want one of a wrong name
            options["tlsAllowInvalidHostnames"] = True
        client: MongoClient = MongoClient(self.uri, **options)
        with client:
            while self.running and time.monotonic() < end:
                with contextlib.suppress(PyMongoError):
                    client.admin.command("ping")
                    return
        self.kill()
        raise RuntimeError(f"no MongoDB server at {self.uri}; see {self.folder / 'server.log'}")

    def stop(self) -> None:
        """Stop the server in good order: all data are kept."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a power cut would; ours forgets what came after its last start."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if not self.controlled:
            raise RuntimeError("the server of SSE_TEST_MONGODB_URI is not ours to stop")
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(PATIENCE)
        if self._process.stdin:
            self._process.stdin.close()
        self._process = None


def save(client: Any, path: Path) -> None:
    """Write all databases to a file, whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as stream:
        for database in client.list_database_names():
            for name in client[database].list_collection_names():
                collection = client[database][name]
                indexes = collection.index_information()
                indexes.pop("_id_", None)
                stream.write(bson.encode({"in": [database, name], "indexes": indexes}))
                for document in collection._store.documents:
                    stream.write(bson.encode({"document": document}))
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def load(client: Any, path: Path) -> None:
    """Read what :func:`save` wrote into an empty server."""
    from sse_flows.testing.mongo_wire import CODEC

    collection: Any = None
    with path.open("rb") as stream:
        for record in bson.decode_file_iter(stream, CODEC):
            if "document" in record:
                collection._store[record["document"]["_id"]] = record["document"]
                continue
            database, name = record["in"]
            collection = client[database].create_collection(name)
            for index, options in record["indexes"].items():
                options.pop("v", None)
                keys = [tuple(key) for key in options.pop("key")]
                collection.create_index(keys, name=index, **options)


def main() -> None:
    """Serve until SIGTERM or SIGINT, or until the process that started us is gone."""
    from sse_flows.testing.mongo_auth import Login, read_users
    from sse_flows.testing.mongo_commands import Commands
    from sse_flows.testing.mongo_tls import server_context
    from sse_flows.testing.mongo_wire import WireServer

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, help="snapshot, read at the start, written at the end")
    parser.add_argument("--until-stdin-closes", action="store_true")
    parser.add_argument("--users", type=Path, help="who may log in")
    parser.add_argument("--certificate", type=Path, help="key and certificate, to encrypt")
    arguments = parser.parse_args()
    gc.set_threshold(200_000)  # documents stay, and hold no circles
    commands = Commands()
    if arguments.data and arguments.data.exists():
        load(commands.client, arguments.data)
    # blocked in all threads and waited for below: a handler may never run if the system gives the
    # signal to another thread while the first one sleeps
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    if arguments.until_stdin_closes:
        threading.Thread(target=_wait_for_end_of_input, daemon=True).start()
    users = read_users(arguments.users) if arguments.users else []
    server = WireServer(
        arguments.port,
        (lambda: Login(users, commands.run).run) if users else (lambda: commands.run),
        server_context(arguments.certificate) if arguments.certificate else None,
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    signal.sigwait(_ENDS)
    with commands.lock:  # held to the end: nobody writes after the snapshot
        if arguments.data:
            save(commands.client, arguments.data)
        os._exit(0)


def _wait_for_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
