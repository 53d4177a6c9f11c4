"""The part of MongoDB's wire protocol that pymongo speaks: OP_MSG, and OP_QUERY to say hello.

Layout after the MongoDB manual, "Wire Protocol": little-endian headers of four 32-bit integers
(length, request, response to, code), then BSON.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
from collections.abc import Callable
from typing import Any

import bson
from bson import CodecOptions

CODEC: CodecOptions = CodecOptions(document_class=dict, tz_aware=False)
"""How documents of the server are read: plain dictionaries, naive times of UTC."""

Document = dict[str, Any]

MAX_MESSAGE = 48_000_000
MAX_DOCUMENT = 16 * 1024 * 1024
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_CHECKSUM, _MORE_TO_COME = 1, 2
_HEADER = struct.Struct("<iiii")


class Sequence(list):
    """Documents of one section of a message; none is larger than `size`, in bytes."""

    size = MAX_MESSAGE


class CommandError(Exception):
    """A refusal, with MongoDB's number and name for it."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.code, self.name = code, name


def parse_message(body: bytes) -> tuple[int, Document]:
    """Flags and command of the body of an OP_MSG; document sequences become lists.

    Raises
    ------
    ValueError
        A section of a kind that the protocol does not name.
    """
    (flags,) = struct.unpack_from("<I", body, 0)
    end = len(body) - (4 if flags & _CHECKSUM else 0)
    command: Document = {}
    sequences: Document = {}
    at = 4
    while at < end:
        kind, at = body[at], at + 1
        (length,) = struct.unpack_from("<i", body, at)
        if kind == 0:
            command = bson.decode(body[at : at + length], CODEC)
        elif kind == 1:
            name_end = body.index(b"\0", at + 4)
            name = body[at + 4 : name_end].decode()
            documents = Sequence(bson.decode_all(body[name_end + 1 : at + length], CODEC))
            documents.size = length
            sequences[name] = documents
        else:
            raise ValueError(f"unknown kind of section: {kind}")
        at += length
    return flags, {**command, **sequences}


def parse_query(body: bytes) -> Document:
    """Command of the body of an OP_QUERY, which drivers send once to say hello."""
    name_end = body.index(b"\0", 4)
    at = name_end + 9  # number to skip, number to return
    (length,) = struct.unpack_from("<i", body, at)
    command: Document = bson.decode(body[at : at + length], CODEC)
    command["$db"] = body[4:name_end].decode().split(".")[0]
    return command


class _Connection(socketserver.BaseRequestHandler):
    """One client; commands are answered in their order."""

    server: WireServer

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        self._run = self.server.connect()
        with contextlib.suppress(OSError):  # the client went away, or does not encrypt
            if self.server.tls is not None:
                self.request = self.server.tls.wrap_socket(self.request, server_side=True)
            while self._answer_one():
                pass

    def _answer_one(self) -> bool:
        length, request, _, code = _HEADER.unpack(self._read(_HEADER.size))
        if not _HEADER.size <= length <= MAX_MESSAGE or code not in (_OP_MSG, _OP_QUERY):
            return False
        body = self._read(length - _HEADER.size)
        if code == _OP_QUERY:
            reply = self._run(parse_query(body))
            self._send(struct.pack("<iqii", 8, 0, 0, 1) + reply, request, _OP_REPLY)
            return True
        flags, command = parse_message(body)
        reply = self._run(command)
        if not flags & _MORE_TO_COME:
            self._send(b"\0\0\0\0\0" + reply, request, _OP_MSG)
        return True

    def _read(self, size: int) -> bytes:
        held = bytearray()
        while len(held) < size:
            block = self.request.recv(min(1 << 20, size - len(held)))
            if not block:
                raise ConnectionError
            held += block
        return bytes(held)

    def _send(self, payload: bytes, request: int, code: int) -> None:
        header = _HEADER.pack(_HEADER.size + len(payload), 0, request, code)
        self.request.sendall(header + payload)


class WireServer(socketserver.ThreadingTCPServer):
    """Listens on 127.0.0.1, one thread per client.

    Parameters
    ----------
    port
        Where.
    connect
        Gives for every connection what answers its commands.
    tls
        Encrypts the connections, if given.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        connect: Callable[[], Callable[[Document], bytes]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.connect, self.tls = connect, tls
