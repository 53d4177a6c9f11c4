"""Where FireWorks' and jobflow's files are, and what they open; secrets are never shown.

FireWorks' own rules hold. ``FW_config.yaml`` is that of the working folder, else that of
``~/.fireworks``, else the one that ``FW_CONFIG_FILE`` names. The other files are those that its
``*_LOC`` keys name, else those in its ``CONFIG_FILE_DIR``, the working folder or ``~/.fireworks``;
and, for our own commands only, those beside it.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from fireworks import FWorker, LaunchPad
    from jobflow import JobStore

    from sse_flows.launchers.adapter import SlurmAdapter

_LOG = logging.getLogger(__name__)

SET_UP = "Run `sse init cluster` and follow its last lines"
FIRST_ANSWER_MS = 8000
"""How long a command waits for the first answer, ms; afterwards the limits of the file hold."""


@dataclass(frozen=True)
class Files:
    """Configuration files that are there; None where there is none.

    Attributes
    ----------
    config, launchpad, fworker, qadapter
        FireWorks' files.
    profiles
        Our queue resources by category.
    jobflow
        jobflow's settings with the store.
    """

    config: Path | None
    launchpad: Path | None
    fworker: Path | None
    qadapter: Path | None
    profiles: Path | None
    jobflow: Path | None

    def __bool__(self) -> bool:
        """Whether FireWorks is set up at all."""
        return self.launchpad is not None

    def existing(self) -> list[Path]:
        """All files that are there."""
        return [path for one in fields(self) if (path := getattr(self, one.name)) is not None]


def find_files() -> Files:
    """Find the configuration files by FireWorks' and jobflow's own rules.

    Raises
    ------
    SSEError
        A variable or key names a file that is not there.
    """
    folders = [Path.cwd(), Path.home() / ".fireworks"]
    named = _named(os.environ.get("FW_CONFIG_FILE"), "FW_CONFIG_FILE")
    config = _first("FW_config.yaml", folders) or named
    values = {} if config is None else read_yaml(config)
    if values.get("CONFIG_FILE_DIR"):
        folders.insert(0, Path(values["CONFIG_FILE_DIR"]).expanduser())
    if config is not None:
        folders.append(config.parent)
    found = {
        kind: _named(values.get(f"{key}_LOC"), f"{key}_LOC in {config}")
        or _first(f"my_{kind}.yaml", folders)
        for kind, key in (
            ("launchpad", "LAUNCHPAD"),
            ("fworker", "FWORKER"),
            ("qadapter", "QUEUEADAPTER"),
        )
    }
    beside = [path.parent for path in (found["qadapter"], found["launchpad"], config) if path]
    profiles = _named(os.environ.get("SSE_PROFILES"), "SSE_PROFILES")
    jobflow = _named(os.environ.get("JOBFLOW_CONFIG_FILE"), "JOBFLOW_CONFIG_FILE")
    return Files(
        config=config,
        **found,
        profiles=profiles or _first("profiles.yaml", [*beside, *folders]),
        jobflow=jobflow or _first(".jobflow.yaml", [Path.home()]),
    )


def open_launchpad(create: bool = True, patience: float = 0.0) -> LaunchPad:
    """FireWorks' LaunchPad of ``my_launchpad.yaml``, after it has answered once.

    Parameters
    ----------
    create
        Whether an empty database is made ready for use; one with anything in it never is touched.
    patience
        How long to ask again where no connection can be made, s.

    Raises
    ------
    SSEError
        There is no such file, it is wrong, or the database does not answer.
    """
    path = find_files().launchpad
    if path is None:
        raise SSEError("no my_launchpad.yaml was found", mend=SET_UP)
    values = read_yaml(path)
    launchpad = launchpad_from(values, path)
    probe = launchpad_from(_impatient(values), path)
    try:
        ready = _is_ready(probe, patience)
    except Exception as error:
        # from None: the original names hosts, and with some drivers more
        raise _unusable(error, path, values) from None
    finally:
        probe.connection.close()
    if not ready and create:
        _make_ready(launchpad, path, values)
    return launchpad


def _make_ready(launchpad: LaunchPad, path: Path, values: dict[str, Any]) -> None:
    from pymongo.errors import OperationFailure

    try:
        _create(launchpad)
    except OperationFailure as error:
        raise _unusable(error, path, values) from None


def _unusable(error: Exception, path: Path, values: dict[str, Any]) -> SSEError:
    """What to tell of a database that cannot be used."""
    from sse_flows.store.refusals import explain, refused

    place, why = f"the database of {path} ({address(values)})", explain(error)
    return refused(error, place) or SSEError(
        f"{place} does not answer: {why.reason if why else type(error).__name__}",
        mend=why.mend if why else "Check that file and that the database runs",
    )


def launchpad_from(values: dict[str, Any], path: Path) -> LaunchPad:
    """LaunchPad of the values of a file; not connected yet."""
    from fireworks import LaunchPad

    try:
        return LaunchPad.from_dict({"host": None, **values})
    except OSError as error:  # of the certificates
        raise _unusable(error, path, values) from None
    except Exception as error:
        raise SSEError(
            f"{path} is no valid LaunchPad file ({type(error).__name__})", mend=SET_UP
        ) from None


def address(values: dict[str, Any]) -> str:
    """Host, port and database of a LaunchPad file, without user and password."""
    host = str(values.get("host") or "localhost")
    if "://" in host:
        host = host.split("://", 1)[1].rpartition("@")[2].split("?")[0]
        return f"{host.rstrip('/')}, database {values.get('name')}"
    return f"{host}:{values.get('port') or 27017}, database {values.get('name') or 'fireworks'}"


def load_fworker() -> FWorker:
    """FireWorks' worker of ``my_fworker.yaml``; one for every category where there is none.

    Raises
    ------
    SSEError
        The file lacks a key that ``qlaunch`` and ``rlaunch`` need, too.
    """
    from fireworks import FWorker

    path = find_files().fworker
    if path is None:
        return FWorker("sse")
    values = read_yaml(path)
    for key, text in (("name", "sse"), ("category", "''"), ("query", "'{}'")):
        if key not in values:
            raise SSEError(f"{path} lacks the key {key!r}", mend=f"Add a line `{key}: {text}`")
    try:
        return FWorker.from_dict(values)
    except Exception as error:
        raise SSEError(f"{path} is wrong ({type(error).__name__})", mend=SET_UP) from error


def load_qadapter() -> SlurmAdapter | Any:
    """Queue adapter of ``my_qadapter.yaml``, looked at as far as possible.

    Raises
    ------
    SSEError
        There is no such file, or something in it is wrong.
    """
    from fireworks.utilities.fw_serializers import load_object

    from sse_flows.launchers.adapter import SlurmAdapter

    path = find_files().qadapter
    if path is None:
        raise SSEError("no my_qadapter.yaml was found", mend=SET_UP)
    try:
        adapter = load_object(read_yaml(path))
    except SSEError:
        raise
    except Exception as error:
        raise SSEError(
            f"{path} is no queue adapter ({type(error).__name__}: {error})", mend=SET_UP
        ) from error
    if isinstance(adapter, SlurmAdapter):
        adapter.check()
    if "singleshot" not in adapter.get("rocket_launch", ""):
        raise SSEError(
            f"{path}: rocket_launch has no singleshot, which `qlaunch -r` insists on",
            mend="Write `rocket_launch: sse worker singleshot`",
        )
    return adapter


def shared_store() -> JobStore:
    """Configured store of jobflow, if several machines can use it.

    Raises
    ------
    SSEError
        None is configured, or it lives in memory or on a file of one machine.
    """
    from sse_flows.store.jobstore import configured_store

    store = configured_store()
    if store is None:
        raise SSEError("jobflow has no store that the jobs of a cluster could share", mend=SET_UP)
    parts: dict[str, Any] = {"docs_store": store.docs_store}
    parts |= vars(store)["additional_stores"]  # a method shadows the attribute for mypy
    for name, part in parts.items():
        if not _is_shared(part):
            raise SSEError(
                f"the store {name} is a {type(part).__name__}, which jobs on several machines "
                "cannot share",
                mend="Use a MongoStore with a GridFSStore; `sse init cluster` writes them",
            )
    return store


def _is_shared(store: Any) -> bool:
    """Whether a maggma store is a database server or an object store."""
    from maggma.stores import GridFSStore, MemoryStore, MongoStore, S3Store

    if isinstance(store, MemoryStore):  # and its children in files: JSONStore, MontyStore
        return False
    return isinstance(store, (MongoStore, GridFSStore, S3Store))


def read_yaml(path: Path) -> dict[str, Any]:
    """Mapping of a YAML file, read as FireWorks does (YAML 1.2: ``24:00:00`` stays text).

    Raises
    ------
    SSEError
        It cannot be read or is no mapping; of its content only the line is named.
    """
    from ruamel.yaml import YAML, YAMLError

    try:
        values = YAML(typ="safe", pure=True).load(path.read_text())
    except OSError as error:
        raise SSEError(f"cannot read {path}: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise SSEError(f"{path} is no valid YAML{where}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SSEError(f"{path} holds no keys", mend=SET_UP)
    return values


def _is_ready(launchpad: LaunchPad, patience: float) -> bool:
    """Whether the database has FireWorks' counters; raises what the driver does."""
    from pymongo.errors import ConnectionFailure

    from sse_flows.store.refusals import brief, is_for_good

    end, told = time.monotonic() + patience, False
    while True:
        try:
            return launchpad.fw_id_assigner.find_one({}) is not None
        except ConnectionFailure as error:
            if time.monotonic() >= end or is_for_good(error):
                raise
            if not told:
                told = True
                _LOG.error("no database, waiting up to %.0f s: %s", patience, brief(error))
        time.sleep(2.0)


def _impatient(values: dict[str, Any]) -> dict[str, Any]:
    limits = {"serverSelectionTimeoutMS": FIRST_ANSWER_MS, "connectTimeoutMS": FIRST_ANSWER_MS}
    return {**values, "mongoclient_kwargs": {**(values.get("mongoclient_kwargs") or {}), **limits}}


def _create(launchpad: LaunchPad) -> None:
    """Begin an empty database as ``lpad reset`` does, but never touch one that has anything."""
    if launchpad.fireworks.find_one({}) is None and launchpad.workflows.find_one({}) is None:
        launchpad.fw_id_assigner.update_one(  # the fixed _id: two at once make one counter
            {"_id": "fw_id_assigner"},
            {"$setOnInsert": {"next_fw_id": 1, "next_launch_id": 1}},
            upsert=True,
        )
        launchpad.tuneup()


def _named(value: str | None, name: str) -> Path | None:
    """File that a variable or key names."""
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.is_file():
        raise SSEError(f"{name} names {path}, which does not exist", mend=SET_UP)
    return path


def _first(name: str, folders: list[Path]) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
