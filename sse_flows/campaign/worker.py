"""One worker process of a local campaign: runs jobs one at a time, with the model kept loaded."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_flows.campaign.finished import note_nothing
from sse_flows.errors import SSEError, one_line, without_secrets
from sse_flows.processes import THREAD_VARIABLES, end_with, fresh_processes

if TYPE_CHECKING:
    from jobflow import JobStore

_store: Any = None


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Attributes
    ----------
    uuid, index
        The job.
    seconds
        Wall time it took.
    more
        JSON of the flows it asks for: ``replace``, ``detour``, ``addition``.
    error, mend
        Why it failed, in one line, and how to mend it; None if it did not.
    details
        Traceback for the log, where the failure was not one a user can mend.
    """

    uuid: str
    index: int
    seconds: float
    more: dict[str, str]
    error: str | None = None
    mend: str | None = None
    details: str | None = None


def prepare_worker(store: str, parent: int) -> None:
    """Connect to the store (JSON) once, and end with the parent process."""
    global _store  # noqa: PLW0603 - one store a process
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    end_with(parent)
    from monty.json import MontyDecoder

    _store = json.loads(store, cls=MontyDecoder)
    _store.connect()


def worker_pool(store: JobStore, processes: int) -> ProcessPoolExecutor:
    """Fresh worker processes, each connected to the store and with one thread."""
    from monty.json import MontyEncoder

    text = json.dumps(store, cls=MontyEncoder)
    return fresh_processes(processes, prepare_worker, text, os.getpid())


def worker_store() -> Any:
    """The store that this worker process is connected to."""
    return _store


def run_job(text: str, folder: str) -> Outcome:
    """Run one job (JSON) in a folder of its own and store its output.

    The folder is removed if the job left nothing in it.
    """
    from monty.json import MontyDecoder, MontyEncoder

    job = json.loads(text, cls=MontyDecoder)
    start = time.monotonic()
    Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.chdir(folder), _quiet():
            response = job.run(_store)
            note_nothing(_store, job, response)
        flows = {name: getattr(response, name) for name in ("replace", "detour", "addition")}
        more = {k: json.dumps(v, cls=MontyEncoder) for k, v in flows.items() if v is not None}
        return Outcome(job.uuid, job.index, time.monotonic() - start, more)
    except Exception as error:
        return _failure(job, time.monotonic() - start, error)
    finally:
        _remove_if_empty(Path(folder))


def _failure(job: Any, seconds: float, error: Exception) -> Outcome:
    if isinstance(error, SSEError):
        return Outcome(job.uuid, job.index, seconds, {}, error.message, error.mend)
    reason = one_line(error)
    details = without_secrets(traceback.format_exc())
    return Outcome(job.uuid, job.index, seconds, {}, reason, details=details)


@contextlib.contextmanager
def _quiet() -> Any:
    # libraries print progress that would garble the campaign's own
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        shutil.rmtree(folder, ignore_errors=True)
