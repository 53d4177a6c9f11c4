"""Queue resources and worker settings for every category of jobs: ``profiles.yaml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypedDict

from sse_flows.errors import SSEError
from sse_flows.launchers.settings import find_files, read_yaml

CATEGORIES = ("relax", "supercell", "postprocess", "models")
"""What a firework's ``_category`` can be."""

WORKER_KEYS = ("processes", "threads", "min_seconds", "also")
"""Keys of a profile that the worker reads; all others go into the job script."""

WALLTIME = re.compile(r"\d+|\d+:\d\d(:\d\d)?|\d+-\d\d?(:\d\d){0,2}")
"""Slurm's time limits: minutes, [hours:]minutes:seconds, days-hours[:minutes[:seconds]]."""

NOT_IN_A_PROFILE = ("job_name", "launch_dir", "rocket_launch", "output")


class Profile(TypedDict):
    """Settings of one category.

    Keys
    ----
    queueadapter
        Keys of the job script; they go into a firework's ``_queueadapter``.
    processes
        Worker processes in a job.
    threads
        Threads of each process.
    min_seconds
        Remaining walltime below which no further firework is begun, s; None for the default.
    also
        Other categories whose fireworks these jobs run: unless named ``postprocess``, which needs
        no more than any other, and those with the same settings.
    """

    queueadapter: dict[str, Any]
    processes: int
    threads: int
    min_seconds: float | None
    also: list[str]


def load_profiles(folder: str | Path | None = None) -> dict[str, Profile]:
    """Profiles of all categories; those that the file does not name have no resources of their own.

    Parameters
    ----------
    folder
        Where ``profiles.yaml`` is; by default beside FireWorks' files, or what ``SSE_PROFILES``
        names. Without a file every category uses the resources of ``my_qadapter.yaml``.

    Raises
    ------
    SSEError
        With file and key: an unknown category or key, or a value that cannot be.
    """
    found = find_files().profiles if folder is None else Path(folder) / "profiles.yaml"
    path = found or Path("profiles.yaml")
    profiles: dict[str, Profile] = {name: _profile({}) for name in CATEGORIES}
    given = read_yaml(path) if found and path.is_file() else {}
    for category, values in given.items():
        if category not in CATEGORIES:
            raise _unknown(path, "category", category, CATEGORIES)
        profiles[category] = _checked(path, category, values)
    named = {category for category, values in given.items() if values and "also" in values}
    alike = {category: _also(category, profiles) for category in CATEGORIES}
    for category in set(CATEGORIES) - named:
        profiles[category]["also"] = alike[category]
    return profiles


def _also(category: str, profiles: dict[str, Profile]) -> list[str]:
    """The least demanding category, and those that ask for the very same."""
    own = {**profiles[category], "also": []}
    others = [one for one in CATEGORIES if one != category]
    return [one for one in others if one == "postprocess" or {**profiles[one], "also": []} == own]


def _profile(values: dict[str, Any]) -> Profile:
    return Profile(
        queueadapter={k: v for k, v in values.items() if k not in WORKER_KEYS},
        processes=values.get("processes", 1),
        threads=values.get("threads", 1),
        min_seconds=values.get("min_seconds"),
        also=list(values.get("also") or []),
    )


def _checked(path: Path, category: str, values: Any) -> Profile:
    if values is None:
        return _profile({})
    if not isinstance(values, dict):
        raise SSEError(f"{path}: {category} holds no keys")
    known = [*_script_keys(), *WORKER_KEYS]
    for key, value in values.items():
        if key not in known:
            raise _unknown(path, f"key in {category}", key, known)
        problem = _problem(key, value)
        if problem:
            raise SSEError(f"{path}: {category}.{key} is {value!r}", mend=problem)
    return _profile(values)


def _problem(key: str, value: Any) -> str | None:
    """How to mend a value, or None where it can stay."""
    if key == "walltime":
        good = isinstance(value, (str, int)) and bool(WALLTIME.fullmatch(str(value)))
        return None if good else "Write it as Slurm does, for example '24:00:00' or 1-12:00:00"
    if key in ("nodes", "ntasks", "ntasks_per_node", "cpus_per_task", "processes", "threads"):
        good = isinstance(value, int) and not isinstance(value, bool) and value > 0
        return None if good else "Write a whole number above 0"
    if key == "min_seconds":
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        return None if good else "Write seconds, for example 300"
    if key == "also":
        good = isinstance(value, list) and all(one in CATEGORIES for one in value)
        return None if good else f"Write a list of {', '.join(CATEGORIES)}; [] for no other"
    if isinstance(value, (dict, list)):
        return "Write one value"
    return None


def _script_keys() -> list[str]:
    from sse_flows.launchers.adapter import TEMPLATE, template_keys

    return sorted(template_keys(TEMPLATE.read_text()) - set(NOT_IN_A_PROFILE))


def _unknown(path: Path, kind: str, key: Any, known: Any) -> SSEError:
    from sse_flows.launchers.adapter import nearest

    return SSEError(f"{path}: unknown {kind}: {key}", mend=nearest(str(key), list(known)))
