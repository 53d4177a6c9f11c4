"""Where the crystals of a screen come from, read in batches that travel to worker processes.

A batch is small and unread: lines of a file, names of files, or atomic numbers on a prototype. The
process that predicts also reads, so that both cores read and no crystal is held for long.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from sse_flows.errors import SSEError, one_line
from sse_flows.screening.light import LightCrystal, parse_line
from sse_flows.structures.library import Library
from sse_flows.structures.substitution import Children, Substitution

LINES = 256
"""Crystals in a batch of lines or files."""
CHILDREN = 2048
"""Children of a prototype in a batch; a table of the rows of more is allotted anew every time."""

_LINE_FILES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class Lines:
    """Lines of a JSON-lines file, the first of which is number `start` (from 1)."""

    path: str
    start: int
    lines: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def name(self) -> str:
        """For messages."""
        return f"{Path(self.path).name}, lines {self.start} to {self.start + len(self) - 1}"

    def crystals(self) -> Iterator[LightCrystal | SSEError]:
        """What is in them, one for each line that holds a crystal."""
        for number, line in enumerate(self.lines, start=self.start):
            try:
                found = parse_line(line, f"{Path(self.path).name}:{number}")
            except SSEError as error:
                yield error
            else:
                if found is not None:
                    yield found


@dataclass(frozen=True)
class Files:
    """Structure files: CIF, POSCAR, JSON."""

    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.paths[0]} to {self.paths[-1]}" if len(self) > 1 else self.paths[0]

    def crystals(self) -> Iterator[LightCrystal | SSEError]:
        """What is in them."""
        for path in self.paths:
            yield from _read_file(Path(path))


@dataclass(frozen=True)
class Decorations:
    """Children of one prototype, which stand on one geometry."""

    children: Children
    start: int

    def __len__(self) -> int:
        return len(self.children)

    @property
    def name(self) -> str:
        """For messages."""
        last = self.start + len(self) - 1
        return f"children {self.start} to {last} of {self.children.prototype.id}"


Batch = Lines | Files | Decorations


class PoolSource(Protocol):
    """A pool that can be read again and again, always in the same order."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def digest(self) -> str:
        """Changes when the pool does."""

    def as_plain(self) -> dict[str, Any]:
        """What `pool_from_plain` makes it of."""

    def batches(self) -> Iterator[Batch]:
        """All of it."""

    def find(self, ids: Collection[str]) -> Iterator[LightCrystal]:
        """The crystals of these ids."""


@dataclass(frozen=True)
class LineFiles:
    """JSON-lines files, perhaps compressed."""

    paths: tuple[Path, ...]
    size: int = LINES

    @property
    def name(self) -> str:
        """For people."""
        return self.paths[0].name if len(self.paths) == 1 else f"{len(self.paths)} files"

    @property
    def digest(self) -> str:
        """SHA-256 of the files."""
        return _digest(self.paths)

    def as_plain(self) -> dict[str, Any]:
        """Kind, files, crystals in a batch."""
        paths = [str(path.resolve()) for path in self.paths]
        return {"kind": "lines", "paths": paths, "size": self.size}

    def batches(self) -> Iterator[Lines]:
        """All lines."""
        for path in self.paths:
            start = 1
            for lines in _line_groups(path, self.size):
                yield Lines(str(path), start, lines)
                start += len(lines)

    def find(self, ids: Collection[str]) -> Iterator[LightCrystal]:
        """Crystals of some ids; only lines that contain one are parsed."""
        yield from _find(self.batches(), ids)


@dataclass(frozen=True)
class FolderFiles:
    """Structure files of a folder and the folders in it."""

    paths: tuple[Path, ...]
    size: int = LINES

    @property
    def name(self) -> str:
        """For people."""
        return f"{len(self.paths)} files"

    @property
    def digest(self) -> str:
        """SHA-256 of the files."""
        return _digest(self.paths)

    def as_plain(self) -> dict[str, Any]:
        """Kind, files, crystals in a batch."""
        paths = [str(path.resolve()) for path in self.paths]
        return {"kind": "files", "paths": paths, "size": self.size}

    def batches(self) -> Iterator[Batch]:
        """All files; those with a crystal on every line by lines."""
        plain = [path for path in self.paths if not path.name.endswith(_LINE_FILES)]
        for start in range(0, len(plain), self.size):
            yield Files(tuple(str(path) for path in plain[start : start + self.size]))
        lined = tuple(path for path in self.paths if path.name.endswith(_LINE_FILES))
        yield from LineFiles(lined, self.size).batches()

    def find(self, ids: Collection[str]) -> Iterator[LightCrystal]:
        """Crystals of some ids."""
        yield from _find(self.batches(), ids)


@dataclass(frozen=True)
class PrototypeChildren:
    """The children of a library of prototypes."""

    library: Library
    size: int = CHILDREN

    @property
    def name(self) -> str:
        """For people."""
        return ", ".join(one.prototype.id for one in self.library.substitutions)

    @property
    def digest(self) -> str:
        """SHA-256 of prototypes and choices."""
        plain = self.as_plain()["substitutions"]
        text = json.dumps(plain, sort_keys=True, default=float)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_plain(self) -> dict[str, Any]:
        """Kind, prototypes with their choices, children in a batch."""
        return {
            "kind": "prototypes",
            "size": self.size,
            "substitutions": [one.as_plain() for one in self.library.substitutions],
        }

    def batches(self) -> Iterator[Decorations]:
        """All children."""
        start, last = 1, ""
        for chunk in self.library.chunks(self.size):
            start = start if chunk.prototype.id == last else 1
            last = chunk.prototype.id
            yield Decorations(chunk, start)
            start += len(chunk)

    def find(self, ids: Collection[str]) -> Iterator[LightCrystal]:
        """Crystals of some ids."""
        from sse_flows.descriptors.crystal.arrays import read_crystal

        for name in ids:
            yield LightCrystal(name, read_crystal(self.library.structure(name)))


def pool_from_plain(data: Mapping[str, Any]) -> PoolSource:
    """The pool that `as_plain` describes."""
    if data["kind"] == "prototypes":
        made = [Substitution.from_plain(one) for one in data["substitutions"]]
        return PrototypeChildren(Library(made), data["size"])
    kind = LineFiles if data["kind"] == "lines" else FolderFiles
    return kind(tuple(Path(path) for path in data["paths"]), data["size"])


def open_pool(path: str | Path) -> PoolSource:
    """A pool of crystals in a file or folder.

    Parameters
    ----------
    path
        JSON-lines file (``.jsonl``, ``.jsonl.gz``), a structure file, or a folder of such.

    Raises
    ------
    SSEError
        There is nothing to read.
    """
    place = Path(path).expanduser()
    if place.is_file():
        known = place.name.endswith(_LINE_FILES)
        return LineFiles((place,)) if known else FolderFiles((place,))
    if not place.is_dir():
        raise SSEError(
            f"no pool called {str(path)!r}",
            mend="Give mp, prototypes, a JSON-lines file, a structure file, or a folder of those",
        )
    found = {file for pattern in _patterns() for file in place.rglob(pattern) if file.is_file()}
    if not found:
        raise SSEError(
            f"no structure file in {str(path)!r}",
            mend=f"Give a folder with files like {', '.join(_patterns())}",
        )
    return FolderFiles(tuple(sorted(found)))


def _patterns() -> Sequence[str]:
    from sse_flows.structures.intake import STRUCTURE_FILES

    return (*STRUCTURE_FILES, "*.jsonl.gz")


def _line_groups(path: Path, size: int) -> Iterator[tuple[bytes, ...]]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as handle:
            while lines := tuple(islice(handle, size)):
                yield lines
    except (OSError, EOFError) as error:
        raise SSEError(f"cannot read {path}: {error}", mend="Fetch the file again") from error


def _read_file(path: Path) -> Iterator[LightCrystal | SSEError]:
    """Crystals of one structure file, or why it has none."""
    from sse_flows.descriptors.crystal.arrays import read_crystal
    from sse_flows.structures.checks import check_structure
    from sse_flows.structures.readers import read_records

    try:
        for record in read_records(path):
            if isinstance(record, SSEError):
                yield record
                continue
            try:
                check_structure(record.structure, record.id)
                known = record.properties
                yield LightCrystal(
                    record.id,
                    read_crystal(record.structure),
                    known.get("energy_above_hull"),
                    known.get("band_gap"),
                )
            except SSEError as error:
                yield SSEError(error.message, compound=record.id, mend=error.mend)
    except Exception as error:  # parsers fail in too many ways to list them
        reason = error.message if isinstance(error, SSEError) else one_line(error)
        mend = "Open it in a structure viewer and export it anew, or leave it out"
        yield SSEError(f"cannot be read ({reason})", compound=path.name, mend=mend)


def _find(batches: Iterator[Batch], ids: Collection[str]) -> Iterator[LightCrystal]:
    wanted = set(ids)
    for batch in batches:
        if isinstance(batch, Decorations):
            continue
        part = _lines_with(batch, wanted) if isinstance(batch, Lines) else batch
        for found in part.crystals():
            if isinstance(found, LightCrystal) and found.id in wanted:
                wanted.discard(found.id)
                yield found


def _lines_with(batch: Lines, wanted: set[str]) -> Lines:
    """The lines that name one of the ids; the place of a line may be its id, so it is kept."""
    here = Path(batch.path).name
    texts = [name.encode() for name in wanted if not name.startswith(f"{here}:")]
    kept = tuple(
        line if f"{here}:{number}" in wanted or any(text in line for text in texts) else b""
        for number, line in enumerate(batch.lines, start=batch.start)
    )
    return Lines(batch.path, batch.start, kept)


def _digest(paths: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as handle:
            while block := handle.read(1 << 20):
                total.update(block)
    return total.hexdigest()
