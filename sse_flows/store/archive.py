"""One file that holds files and records, with checksums: written in a stream, trusted by nobody.

An archive is a tar, plain or gzipped. Its last member, ``manifest.json``, names all others with
size and SHA-256, so that a file cut short has none. Records are lines of extended JSON, never
pickle. Reading an archive of others writes no file by itself: members are handed out one by one,
and only plain files with plain names are taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any

from bson import json_util
from bson.errors import BSONError

from sse_flows.errors import SSEError

FORMAT = 1
"""Raise this when archives change so that older versions cannot read them."""

MANIFEST = "manifest.json"
RECORDS = "records"
"""Folder of the members that hold records."""

PART_BYTES = 64 * 1024 * 1024
"""Size at which a member of records is closed and another begun."""

LONGEST_LINE = 2 * 1024**3
_BLOCK = 1024 * 1024
_OPTIONS = json_util.RELAXED_JSON_OPTIONS.with_options(tz_aware=False, tzinfo=None)
_DAMAGES = (tarfile.TarError, EOFError, zlib.error, OSError)


class ArchiveWriter:
    """Writes an archive; under its final name it appears whole or not at all.

    Parameters
    ----------
    path
        ``*.tar``, ``*.tar.gz`` or ``*.tgz``.

    Raises
    ------
    SSEError
        Another ending, or the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._mode = _mode(self.path)
        self._members: list[dict[str, Any]] = []
        self._part: IO[bytes] | None = None
        self._parts = 0

    def __enter__(self) -> ArchiveWriter:
        """Begin the draft, and remove those of writers that were killed."""
        try:
            _remove_left_drafts(self.path)
            self._file = self._draft.open("wb")
            _try_lock(self._file)  # held to the end: others see that the draft is in use
        except OSError as error:
            raise _unwritable(self.path, error) from error
        options = {"compresslevel": 5} if self._mode == "w:gz" else {}
        self._tar = tarfile.open(fileobj=self._file, mode=self._mode, **options)  # type: ignore[call-overload]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove a draft that was not finished."""
        if self._part is not None:
            self._part.close()
        self._file.close()
        self._draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(self.path, error) from error

    def add_file(self, name: str, source: Path) -> None:
        """Add the content of a file under a name of its own.

        Raises
        ------
        SSEError
            It cannot be read.
        """
        try:
            stream = source.open("rb")
        except OSError as error:
            raise SSEError(f"cannot read {source}: {error.strerror}") from error
        with stream:
            self._add(name, stream)

    def add_text(self, name: str, text: str) -> None:
        """Add a text as a file."""
        with tempfile.TemporaryFile() as stream:
            stream.write(text.encode())
            self._add(name, stream)

    def add_record(self, kind: str, record: dict[str, Any]) -> None:
        """Add a record of some kind; records keep their order."""
        if self._part is None:
            self._part = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
        self._part.write(_line(kind, record))
        if self._part.tell() > PART_BYTES:
            self._end_part()

    def _end_part(self) -> None:
        if self._part is not None:
            self._parts += 1
            self._add(f"{RECORDS}/{self._parts:05d}.jsonl", self._part)
            self._part.close()
            self._part = None

    def _add(self, name: str, stream: IO[bytes]) -> None:
        stream.seek(0)
        digest = _digest(stream)
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = stream.tell(), int(time.time()), 0o644
        stream.seek(0)
        self._tar.addfile(info, stream)
        self._members.append({"name": name, "size": info.size, "sha256": digest})

    def finish(self, about: dict[str, Any]) -> None:
        """Add the manifest and give the file its name.

        Parameters
        ----------
        about
            What the manifest says beside the members.
        """
        self._end_part()
        manifest = {"format": FORMAT, **about, "members": list(self._members)}
        manifest["sha256"] = _checksum(manifest)
        self.add_text(MANIFEST, json.dumps(manifest, indent=1) + "\n")
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._draft.replace(self.path)


class Member:
    """Content of one file of an archive, to be read before the next one is asked for."""

    def __init__(self, name: str, stream: IO[bytes], archive: Archive):
        self._name, self._stream, self._archive = name, stream, archive

    def read(self, size: int = -1) -> bytes:
        """The next bytes, by default all."""
        return self._checked(self._stream.read, size)

    def readline(self, size: int) -> bytes:
        """The next line of at most `size` bytes."""
        return self._checked(self._stream.readline, size)

    def _checked(self, read: Callable[[int], bytes], size: int) -> bytes:
        try:
            return read(size)
        except _DAMAGES as error:
            raise self._archive._refusal(f"cannot be read within {self._name}") from error


class Archive:
    """An archive whose members were checked against its manifest.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    SSEError
        It is no archive, is cut short or damaged, or a member is not what the manifest says, is no
        plain file, or has a name that leads elsewhere. The message names the member.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        found: dict[str, dict[str, Any]] = {}
        text = b""
        for info, stream in self._members():
            if info.name in found:
                raise self._refusal(f"holds {info.name} twice")
            if MANIFEST in found:
                raise self._refusal(f"has {info.name} behind its manifest")
            if info.name == MANIFEST:
                text = stream.read(_BLOCK * 64)
            digest = _digest(stream)
            found[info.name] = {"name": info.name, "size": info.size, "sha256": digest}
        if not text:
            raise self._refusal("has no manifest: it is cut short, or no archive of sse-flows")
        self.about = self._checked(text, found)

    def _checked(self, text: bytes, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
        try:
            about = json.loads(text)
            self._check_format(about.get("format"))  # the rest may mean something else in others
            if about.pop("sha256") != _checksum(about):
                raise ValueError("not as it was written")
            wanted = {one["name"]: one for one in about["members"]}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._refusal("has a manifest that cannot be read") from error
        for name in [*wanted, *found]:
            if name == MANIFEST:
                continue
            if name not in found or name not in wanted:
                where = "its manifest" if name in wanted else "the file"
                raise self._refusal(f"has {name} in {where} only")
            if found[name] != wanted[name]:
                raise self._refusal(f"holds a damaged {name}")
        return about

    def _check_format(self, number: Any) -> None:
        if isinstance(number, int) and number != FORMAT:
            raise SSEError(
                f"{self.path} is of format {number}, this version reads {FORMAT}",
                mend="Update sse-flows here" if number > FORMAT else "Export it anew",
            )

    def files(self, below: str) -> Iterator[tuple[str, Member]]:
        """Files of a folder of the archive: names within it and contents."""
        for info, stream in self._members():
            if info.name.startswith(f"{below}/"):
                yield info.name[len(below) + 1 :], stream

    def records(self) -> Iterator[tuple[str, bytes]]:
        """Kind and line of every record, in order; :func:`read_record` reads a line."""
        for info, stream in self._members():
            if info.name.startswith(f"{RECORDS}/"):
                while line := stream.readline(LONGEST_LINE):
                    yield line.split(b" ", 1)[0].decode(errors="replace"), line

    def _members(self) -> Iterator[tuple[tarfile.TarInfo, Member]]:
        """Members as they come; only plain files with plain names."""
        last = "the beginning"
        try:
            with tarfile.open(self.path, mode="r|*") as tar:
                for info in tar:
                    self._check_name(info)
                    stream = tar.extractfile(info)
                    assert stream is not None
                    yield info, Member(info.name, stream, self)
                    last = info.name
        except FileNotFoundError as error:
            raise SSEError(f"there is no file {self.path}") from error
        except _DAMAGES as error:
            raise self._refusal(f"cannot be read behind {last}") from error

    def _check_name(self, info: tarfile.TarInfo) -> None:
        parts = PurePosixPath(info.name).parts
        regular = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse()
        plain = regular and info.name == "/".join(parts) and ".." not in parts
        if not plain or "\\" in info.name or info.name.startswith("/") or "\0" in info.name:
            kind = "that is no plain file" if not regular else "whose name leads elsewhere"
            raise SSEError(
                f"{self.path} holds {info.name!r}, {kind}",
                mend="Nothing was imported; do not trust this file",
            )

    def _refusal(self, problem: str) -> SSEError:
        return SSEError(f"{self.path} {problem}", mend="Nothing was imported; copy the file again")


def _line(kind: str, record: dict[str, Any]) -> bytes:
    """``kind {...}``: the kind in front, so that what is not wanted need not be parsed."""
    try:
        text = json.dumps(record, default=_extended, allow_nan=False, separators=(",", ":"))
    except ValueError:  # not a number, or infinite
        text = json_util.dumps(record, json_options=_OPTIONS, separators=(",", ":"))
    return f"{kind} {text}\n".encode()


def _checksum(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _digest(stream: IO[bytes] | Member) -> str:
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _extended(value: Any) -> Any:
    return json_util.default(value, _OPTIONS)


def read_record(line: bytes) -> dict[str, Any]:
    """The record in a line of :meth:`Archive.records`.

    Raises
    ------
    SSEError
        It is none: an archive whose checksums are right, yet that no export wrote.
    """
    try:
        record = json_util.loads(line[line.index(b" ") + 1 :], json_options=_OPTIONS)
        if isinstance(record, dict):
            return record
        problem: object = "no object of JSON"
    except (ValueError, TypeError, KeyError, RecursionError, BSONError) as error:
        problem = error
    raise SSEError(
        f"the archive holds a record that cannot be read ({problem})", mend="Do not trust this file"
    )


def _remove_left_drafts(path: Path) -> None:
    """Remove drafts of an archive that nobody writes any more: they may be large, and hidden."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError), draft.open("rb+") as file:
            if _try_lock(file):
                draft.unlink()


def _try_lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed, if nobody else holds it and the disk knows locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _mode(path: Path) -> str:
    if path.name.endswith((".tar.gz", ".tgz")):
        return "w:gz"
    if path.suffix == ".tar":
        return "w"
    raise SSEError(f"{path} is no name of an archive", mend="End it with .tar or .tar.gz")


def _unwritable(path: Path, error: OSError) -> SSEError:
    return SSEError(
        f"cannot write {path}: {error.strerror or error}",
        mend="Free some space, or name a file elsewhere",
    )
