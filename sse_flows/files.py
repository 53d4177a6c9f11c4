"""Writing files so that a kill at any moment leaves the old one or the new one."""

from __future__ import annotations

from pathlib import Path

from sse_flows.errors import SSEError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; its folder is made.

    Parameters
    ----------
    path
        The file.
    content
        Text, which is written as UTF-8, or bytes.

    Raises
    ------
    OSError
        It cannot be written; one that was there is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)  # half a file on a full disk
        raise


def write_or_tell(path: Path, content: str | bytes, mend: str) -> None:
    """As :func:`write_whole`, for a place that the user has chosen.

    Raises
    ------
    SSEError
        It cannot be written; `mend` says what to choose instead.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise SSEError(f"cannot write {path}: {error.strerror}", mend=mend) from error
