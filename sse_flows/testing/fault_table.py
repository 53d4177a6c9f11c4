"""The table of faults and outcomes that tests measure, as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HEAD = """\
# Faults on a cluster, as measured

Written by `SSE_WRITE_FAULT_TABLE=docs/faults.md pytest tests/launchers -k test_faults`: a real
Slurm, MongoDB's wire protocol, FireWorks' own `qlaunch`. Computed again are jobs that were running
when the fault came, or whose result was gone, with what builds on them. The documents (id, index,
output) are compared with those of a run without a fault.

| fault | what FireWorks alone is left with | `sse recover` | computed again | same documents |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Row:
    """What one fault did.

    Attributes
    ----------
    fault
        What was done.
    left
        States of FireWorks that it left behind.
    recover
        What recovering said and did.
    again
        Jobs that were computed again.
    same
        Whether the documents are those of a run without a fault.
    """

    fault: str
    left: str
    recover: str
    again: int
    same: bool

    def line(self) -> str:
        """The row in Markdown."""
        same = "yes" if self.same else "no"
        return f"| {self.fault} | {self.left} | {self.recover} | {self.again} | {same} |\n"


def write_table(path: Path, rows: list[Row]) -> None:
    """Write the whole page."""
    path.write_text(HEAD + "".join(row.line() for row in rows))
