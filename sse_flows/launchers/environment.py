"""What this machine has for campaigns on a cluster; passwords are never shown."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sse_flows.campaign.environment import Finding
from sse_flows.errors import SSEError, configuration_error, one_line
from sse_flows.launchers.discovery import Slurm, ask_slurm
from sse_flows.launchers.settings import (
    Files,
    address,
    find_files,
    load_fworker,
    load_qadapter,
    open_launchpad,
    read_yaml,
    shared_store,
)

PASSWORD = re.compile(r"password['\"]?: *(?!null|~|''|\"\"|#)\S|mongodb(\+srv)?://[^/\s]*:[^/\s]*@")
"""A password in a file of FireWorks or jobflow."""


def inspect_cluster() -> list[Finding]:
    """Look at database, Slurm, queue adapter, profiles and store, if FireWorks is set up here.

    Nothing is changed. Without a ``my_launchpad.yaml`` nothing is looked at: campaigns on one
    machine need none of this.
    """
    try:
        files = find_files()
    except SSEError as error:
        return [Finding("FireWorks", "broken", error.message, error.mend)]
    if not files:
        return []
    slurm = ask_slurm()
    looks: list[tuple[str, Callable[[], str]]] = [
        ("LaunchPad", lambda: _launchpad(files)),
        ("FireWorker", _fworker),
        ("queue adapter", lambda: _qadapter(files, slurm)),
        ("profiles", lambda: _profiles(files, slurm)),
        ("shared store", _shared_store),
    ]
    found = [_slurm(slurm), *(_look(subject, look) for subject, look in looks)]
    return found + [one for path in files.existing() if (one := _readable_by_others(path))]


def _look(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, "ok", look())
    except SSEError as error:
        return Finding(subject, "broken", error.message, error.mend or "Mend that file")
    except Exception as error:
        if wrong_file := configuration_error(error):
            return Finding(subject, "broken", wrong_file.message, wrong_file.mend)
        return Finding(subject, "broken", one_line(error), "Run `sse init cluster`")


def _launchpad(files: Files) -> str:
    launchpad = open_launchpad(create=False)
    waiting = launchpad.fireworks.count_documents({"state": "READY"})
    where = address(read_yaml(files.launchpad)) if files.launchpad else ""
    reads = "" if may_write(launchpad.db) else ", this user may only read"
    return f"{where}, {waiting} fireworks ready{reads}"


def may_write(database: Any) -> bool:
    """Whether the user who has logged in may write to a database, as far as MongoDB tells."""
    from pymongo.errors import PyMongoError

    try:
        status = database.client.admin.command("connectionStatus", showPrivileges=True)
    except PyMongoError:
        return True
    info = status["authInfo"]
    if not info.get("authenticatedUsers"):
        return True  # nobody needs to log in there
    return any(
        "insert" in one["actions"]
        and (one["resource"].get("anyResource") or one["resource"].get("db") in ("", database.name))
        for one in info.get("authenticatedUserPrivileges", ())
    )


def _fworker() -> str:
    fworker = load_fworker()
    named = fworker.category
    return f"{fworker.name}, {'all categories' if not named else f'category {named}'}"


def _slurm(slurm: Slurm) -> Finding:
    if slurm.version is None:
        mend = "Run on a login node of a Slurm cluster; `sse worker rapidfire` needs none"
        return Finding("Slurm", "missing", "sinfo does not answer", mend)
    if not slurm.partitions:
        return Finding("Slurm", "broken", f"{slurm.version}, no partition is up", "Ask its keeper")
    names = ", ".join(f"{p.name}{'*' if p.default else ''} ({p.nodes})" for p in slurm.partitions)
    return Finding("Slurm", "ok", f"{slurm.version}, partitions (nodes) {names}")


def _qadapter(files: Files, slurm: Slurm) -> str:
    adapter = load_qadapter()
    _known_partition(str(files.qadapter), adapter.get("queue"), slurm)
    most = adapter.get("max_queued")
    return f"{files.qadapter}, at most {most or 'any number of'} jobs in the queue"


def _profiles(files: Files, slurm: Slurm) -> str:
    from sse_flows.launchers.profiles import load_profiles

    for category, profile in load_profiles().items():
        partition = profile["queueadapter"].get("queue")
        _known_partition(f"{files.profiles}, {category}", partition, slurm)
    return str(files.profiles or "none: resources of the queue adapter")


def _known_partition(where: str, name: Any, slurm: Slurm) -> None:
    names = [partition.name for partition in slurm.partitions]
    unknown = [one for one in str(name or "").split(",") if one and names and one not in names]
    if unknown:
        raise SSEError(f"{where}: no partition {unknown[0]}", mend=f"There are {', '.join(names)}")


def _shared_store() -> str:
    store: Any = shared_store()
    kinds = [type(store.docs_store), *map(type, store.additional_stores.values())]
    return " and ".join(kind.__name__ for kind in kinds)


def _readable_by_others(path: Path) -> Finding | None:
    """A file with a password that others may read."""
    others = path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    if others and PASSWORD.search(path.read_text(errors="replace")):
        return Finding(
            path.name, "missing", "has a password and others can read it", f"chmod 600 {path}"
        )
    return None
