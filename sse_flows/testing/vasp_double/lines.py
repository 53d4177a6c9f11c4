"""Files that are written line by line."""

from __future__ import annotations

from pathlib import Path

from sse_flows.testing.vasp_double.setup import Setup


class LineFile:
    """A file that others can read while it is written, such as a monitor.

    Parameters
    ----------
    path
        The file.
    setup
        Of the calculation that it tells of.
    """

    def __init__(self, path: Path, setup: Setup):
        self.file = path.open("w")
        self.setup = setup

    def write(self, *lines: str) -> None:
        """Add lines and let others read them."""
        self.file.write("\n".join(lines) + "\n")
        self.file.flush()

    def close(self) -> None:
        """No more to come."""
        self.file.close()
