"""Find and read phonon calculations on disk: archives of the Kyoto database, folders, phonopy.yaml.

An archive is read in memory: its members are looked at one after the other, only files of known
names are kept, nothing is unpacked, and what a damaged or hostile archive may take is bounded.
Large files of a user's own calculations (vasprun.xml, force_constants.hdf5) stay where they lie.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

from sse_flows.errors import SSEError, one_line

Origin = Literal["kyoto", "phonopy", "mp"]
"""Who computed the phonons: the Kyoto database, the user with phonopy, the Materials Project."""

MAX_BYTES: int = 500_000_000
"""Most that an entry may hold unpacked; the largest of the Kyoto database has 7 MB."""

MAX_RUN_BYTES: int = 4_000_000_000
"""Most that one vasprun.xml or force_constants.hdf5 may hold unpacked."""

ARCHIVES: tuple[str, ...] = (".tar.lzma", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".tar")
"""Endings of archives."""

PHONOPY_YAML: tuple[str, ...] = ("phonopy.yaml", "phonopy_params.yaml", "phonopy_disp.yaml")
"""phonopy's own files, the first that is there is read."""

FILES: tuple[str, ...] = (
    "POSCAR-unitcell",
    "FORCE_SETS",
    "FORCE_CONSTANTS",
    "BORN",
    "phonopy.conf",
    "INCAR-force",
    "KPOINTS-force",
    "PAW_dataset.txt",
    *PHONOPY_YAML,
)
"""All that is read of an entry."""

HDF5 = "force_constants.hdf5"
"""Force constants in phonopy's binary form."""

HESSIAN_RUN = "vasprun.xml"
"""Output of one VASP run that computed all force constants itself (IBRION 5 to 8)."""

_HEADS = {"POSCAR-unitcell", "phonopy.conf", *PHONOPY_YAML}  # a folder with one is an entry
_FORCES = {"FORCE_SETS", "FORCE_CONSTANTS", HDF5}  # or, if it is the user's own, one of these
_RUN = re.compile(
    r"(?:disp[-_]?(\d+)/vasprun\.xml|vasprun\.xml[-_.](\d+)|vasprun[-_.](\d+)\.xml"
    r"|(perfect)/vasprun\.xml|vasprun\.xml[-_.](perfect))"
)
_MP_ID = re.compile(r"(?:mp|mvc)-\d+(?=-|$)")


@dataclass(frozen=True)
class Source:
    """Where an entry is, before it is read.

    Attributes
    ----------
    compound_id
        The Materials Project id that its name begins with, else the name.
    path
        Archive, folder, or a phonopy.yaml.
    origin
        Who computed it.
    """

    compound_id: str
    path: Path
    origin: Origin = "kyoto"


@dataclass(frozen=True)
class Entry:
    """The files of one phonon calculation.

    Attributes
    ----------
    compound_id
        Id of the compound.
    name
        Name of the folder in the archive, or of the folder itself.
    files
        Text by name of the file.
    paths
        Large files by their name within the folder, without ``.gz``.
    origin
        Who computed it.
    """

    compound_id: str
    name: str
    files: dict[str, str]
    paths: dict[str, Path] = field(default_factory=dict)
    origin: Origin = "kyoto"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names and contents, the same for an archive and its unpacked folder.

        Raises
        ------
        SSEError
            A large file cannot be read, or unpacks to more than ``MAX_RUN_BYTES``.
        """
        sums = [(k, hashlib.sha256(v.encode()).hexdigest()) for k, v in sorted(self.files.items())]
        sums += [(name, _checksum(self, name)) for name in sorted(self.paths)]
        return hashlib.sha256(repr(sums).encode()).hexdigest()


def run_number(name: str) -> int | None:
    """Number of the displacement that a vasprun.xml is of, by its name; 0 is the undisplaced one.

    Known are ``disp-001/vasprun.xml``, ``vasprun.xml-001`` and ``vasprun-001.xml``, with 0 or
    ``perfect`` for the undisplaced supercell; None for any other name.
    """
    match = _RUN.fullmatch(name)
    if match is None:
        return None
    found = next(group for group in match.groups() if group)
    return 0 if found == "perfect" else int(found)


def _checksum(entry: Entry, name: str) -> str:
    """SHA-256 of a large file, unpacked."""
    path, size, digest = entry.paths[name], 0, hashlib.sha256()
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as handle:
            while block := handle.read(1 << 20):
                size += len(block)
                if size > MAX_RUN_BYTES:
                    raise EOFError(f"it unpacks to more than {MAX_RUN_BYTES / 1e9:g} GB")
                digest.update(block)
    except (OSError, EOFError, zlib.error) as error:
        raise malformed(entry, name, error) from error
    return digest.hexdigest()


def find_entries(paths: Iterable[str | Path], origin: Origin = "kyoto") -> list[Source]:
    """Entries at some paths: archives, folders of an entry, phonopy.yaml files, folders of those.

    Parameters
    ----------
    paths
        Where to look.
    origin
        Who computed them. In folders of ``"phonopy"`` a vasprun.xml or force_constants.hdf5 counts.

    Raises
    ------
    SSEError
        A path does not exist, or holds no entry.
    """
    found: dict[Path, Source] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise SSEError(f"{path} does not exist", mend="Name archives, folders or phonopy.yaml")
        before = len(found)
        for one in _entries_below(path, origin):
            found.setdefault(one.resolve(), Source(_compound_id(one), one, origin))
        if len(found) == before and not any(_entries_below(path, origin)):
            raise SSEError(
                f"{path} holds no phonon entry",
                mend=f"Name archives ({', '.join(ARCHIVES)}) or folders with POSCAR-unitcell, "
                "phonopy.conf and FORCE_SETS, or with a phonopy.yaml",
            )
    return list(found.values())


def _entries_below(path: Path, origin: Origin) -> Iterator[Path]:
    if path.is_file():
        if path.name.endswith(ARCHIVES) or path.suffix == ".yaml":
            yield path
    elif _is_entry(path, origin):
        yield path
    else:
        for child in sorted(path.iterdir()):
            if child.is_dir() or child.name.endswith(ARCHIVES):
                yield from _entries_below(child, origin)


def _is_entry(folder: Path, origin: Origin) -> bool:
    """Whether a folder is an entry; one of the user's own that lacks its cell is told of later."""
    heads = _HEADS | (_FORCES if origin == "phonopy" else set())
    if any((folder / name).is_file() for name in heads):
        return True
    return origin == "phonopy" and any(run_number(name) is not None for name in _runs(folder))


def _runs(folder: Path) -> dict[str, Path]:
    """The vasprun.xml of a folder by their name in it, without ``.gz``."""
    near = [*folder.glob("vasprun*"), *folder.glob("disp*/vasprun.xml*")]
    near += folder.glob("perfect/vasprun.xml*")
    found = {}
    for path in sorted(near, key=lambda path: path.suffix != ".gz"):  # the unpacked one counts
        name = path.relative_to(folder).as_posix().removesuffix(".gz")
        if path.is_file() and (name == HESSIAN_RUN or run_number(name) is not None):
            found[name] = path
    return found


def _compound_id(path: Path) -> str:
    """Materials Project id, else the name of the folder or file."""
    name = path.name
    if path.is_file():
        ending = next((end for end in ARCHIVES if name.endswith(end)), path.suffix)
        name = name.removesuffix(ending)
        if path.name in PHONOPY_YAML:
            name = path.resolve().parent.name
    else:
        name = path.resolve().name
    match = _MP_ID.match(name)
    return match.group() if match else name


def read_entry(source: Source, max_bytes: int = MAX_BYTES) -> Entry:
    """Read the files of an entry.

    Parameters
    ----------
    source
        Where it is.
    max_bytes
        Most that it may hold unpacked.

    Raises
    ------
    SSEError
        It cannot be read, is damaged, too large, or holds names that lead out of it.
    """
    try:
        if source.path.is_dir() or source.path.suffix == ".yaml":
            return _read_folder(source, max_bytes)
        return _read_archive(source, max_bytes)
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SSEError(
            f"{source.path.name} cannot be read: {reason}",
            compound=source.compound_id,
            mend="Download or unpack it again",
        ) from error


def _read_folder(source: Source, max_bytes: int) -> Entry:
    path = source.path
    folder = path if path.is_dir() else path.parent
    wanted = {name: folder / name for name in FILES if (folder / name).is_file()}
    if path.is_file():  # a named file is the phonopy.yaml, whatever others lie there
        wanted = {name: file for name, file in wanted.items() if name not in PHONOPY_YAML}
        wanted["phonopy.yaml"] = path
    size = sum(file.stat().st_size for file in wanted.values())
    _check_size(source, size, max_bytes)
    texts = {name: file.read_text() for name, file in wanted.items()}
    paths = _runs(folder) if source.origin == "phonopy" else {}
    if source.origin == "phonopy" and (folder / HDF5).is_file():
        paths[HDF5] = folder / HDF5
    return Entry(source.compound_id, folder.resolve().name, texts, paths, source.origin)


def _read_archive(source: Source, max_bytes: int) -> Entry:
    found: dict[PurePosixPath, str] = {}
    size = 0
    with _open_archive(source.path) as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts:
                raise SSEError(
                    f"the archive holds a name that leads out of it: {member.name!r}",
                    compound=source.compound_id,
                    mend="Do not trust this archive; download it from the database",
                )
            size += member.size
            _check_size(source, size, max_bytes)
            if member.isfile() and name.name in FILES:
                handle = tar.extractfile(member)
                assert handle is not None
                found[name] = handle.read().decode()
    folders = sorted({str(name.parent) for name in found})
    if len(folders) != 1:
        raise SSEError(
            f"the archive holds {len(folders) or 'no'} phonon entries",
            compound=source.compound_id,
            mend="Pack one entry an archive",
        )
    texts = {name.name: text for name, text in found.items()}
    return Entry(source.compound_id, folders[0], texts, origin=source.origin)


def _check_size(source: Source, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise SSEError(
            f"{source.path.name} holds more than {max_bytes / 1e6:g} MB",
            compound=source.compound_id,
            mend="Keep only the phonon entry in it, or unpack it yourself",
        )


@contextmanager
def _open_archive(path: Path) -> Iterator[tarfile.TarFile]:
    """The archive as a stream; tarfile alone does not know the older form of lzma."""
    if path.suffix in (".lzma", ".xz"):
        with lzma.open(path) as raw, tarfile.open(fileobj=raw, mode="r|") as tar:
            yield tar
    else:
        with tarfile.open(path, mode="r|*") as tar:
            yield tar


def malformed(entry: Entry, name: str, error: Exception) -> SSEError:
    """What to raise when the reader of a file failed."""
    return SSEError(
        f"{name} cannot be read ({one_line(error, 200)})",
        compound=entry.compound_id,
        mend="Download or write the entry again"
        if name not in entry.paths
        else "Look at this calculation, and run it again if it was cut off",
    )
