"""Working folders of jobs, and how one is taken over from a launch that may be alive.

A calculation resumes from the files of the one before, which as a rule is dead. Where it never said
that it ended, nobody knows: so its successor gets a copy under another name, and the old folder is
removed. Then a process that lives on finds no file any more, by whatever path or handle it looks,
and writes into none that its successor reads.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from sse_flows.errors import SSEError, one_line
from sse_flows.launchers.fence import Launch

_TAKEN_OVER = re.compile(r"\.(\d+)$")


@contextlib.contextmanager
def working_folder(name: str) -> Iterator[None]:
    """Work in a job's folder, removed if nothing is left in it; here where it cannot be made."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        yield
        return
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # which refuses where there is something in it


def take_over(launch: Launch, name: str) -> str:
    """Folder in which a launch works: that of the one before, or a copy if that may be alive.

    Parameters
    ----------
    launch
        The launch.
    name
        Folder of the launch before; one that was taken over ends with a dot and the number of the
        launch that did so.

    Returns
    -------
    str
        The folder, which the firework names from now on.

    Raises
    ------
    Superseded
        The job was given to another meanwhile.
    SSEError
        The files cannot be copied.
    """
    number = _TAKEN_OVER.search(name)
    first = int(number.group(1)) if number else 0
    if not any(one >= first for one in launch.lost_before()):
        return name
    old, new = Path(name), Path(f"{_TAKEN_OVER.sub('', name)}.{launch.launch_id}")
    _copy(old, new)
    try:
        launch.note_folder(str(new))
    except Exception:
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return str(new)


def _copy(old: Path, new: Path) -> None:
    """Copy a folder; nothing of it where somebody still writes there: the job then begins anew."""
    shutil.rmtree(new, ignore_errors=True)  # of a LaunchPad before this one
    before = _listing(old)
    failure: OSError | None = None
    try:
        if before:
            shutil.copytree(old, new, symlinks=True)
    except OSError as error:  # shutil.Error too
        failure = error
    changed = _listing(old) != before
    if changed or failure is not None:
        shutil.rmtree(new, ignore_errors=True)
    if changed:
        warnings.warn(f"the job begins anew: somebody still writes into {old}", stacklevel=2)
    elif failure is not None:
        raise SSEError(
            f"cannot copy {old}: {one_line(failure)}",
            mend="Make room; or remove that folder, and the job begins anew",
        ) from failure


def _listing(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every file below a folder."""
    found = {}
    for place, _, names in os.walk(folder):
        for path in (Path(place) / name for name in names):
            with contextlib.suppress(OSError):
                status = path.lstat()
                found[path] = (status.st_size, status.st_mtime_ns)
    return found
