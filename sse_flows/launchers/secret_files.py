"""Files with passwords: readable by their owner from the first byte on."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PASSWORD_VARIABLE = "SSE_MONGODB_PASSWORD"  # noqa: S105  its name
"""Variable of the environment with MongoDB's password, for `sse init cluster` alone."""


def write_private(path: Path, text: str, replace: bool = False) -> None:
    """Write a file of mode 0600 that never had another mode.

    Parameters
    ----------
    path
        Where to.
    text
        Content.
    replace
        Whether a file that is there is replaced; its mode is not kept.

    Raises
    ------
    FileExistsError
        It is there, and `replace` is false.
    """
    _write(path, text, 0o600, replace)


def write_public(path: Path, text: str, replace: bool = False) -> None:
    """Write a file without secrets, with the modes of other files; as :func:`write_private`."""
    _write(path, text, 0o666, replace)


def _write(path: Path, text: str, mode: int, replace: bool) -> None:
    target = path.with_name(f".{path.name}.{secrets.token_hex(4)}") if replace else path
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    if replace:
        target.replace(path)
