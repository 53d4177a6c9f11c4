"""Writing files so that a kill at any moment leaves the old one or the new one."""

from __future__ import annotations

from pathlib import Path


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
