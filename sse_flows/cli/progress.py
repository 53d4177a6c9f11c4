"""Progress of a run: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sse_flows.campaign.graph import Graph, Node

_QUIET_SECONDS = 15.0


class Progress:
    """Shows how far a campaign is; a context manager."""

    def __init__(self, unit: str = "jobs") -> None:
        self.unit = unit
        self.bar: Any = None
        self.task: Any = None
        self.last = time.monotonic()
        self.start = self.last

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn("{task.description:<34}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(self.unit),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self.bar.start()
            self.task = self.bar.add_task("starting", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def note(self, text: str) -> None:
        """Say that a new step begins."""
        if self.bar is None:
            print(f"[{self._elapsed()}] {text}", file=sys.stderr, flush=True)  # noqa: T201
        else:
            self.bar.update(self.task, description=text[:34])

    def update(self, graph: Graph, node: Node | None) -> None:
        """Take in a change of a job's state."""
        counts = graph.counts()
        ended = counts["done"] + counts["failed"] + counts["blocked"]
        name = _label(node)
        if self.bar is not None:
            self.bar.update(self.task, total=len(graph.nodes), completed=ended, description=name)
        elif time.monotonic() - self.last > _QUIET_SECONDS or _is_long(node):
            self.last = time.monotonic()
            failed = f", {counts['failed']} failed" if counts["failed"] else ""
            line = f"[{self._elapsed()}] {ended} of {len(graph.nodes)} jobs{failed}; {name}"
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    def advance(self, ended: int, total: int, name: str) -> None:
        """Say how many of `total` have ended, and the last of them."""
        if self.bar is not None:
            self.bar.update(self.task, total=total, completed=ended, description=name[:34])
        elif time.monotonic() - self.last > _QUIET_SECONDS:
            self.last = time.monotonic()
            line = f"[{self._elapsed()}] {ended} of {total} {self.unit}; {name}"
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        return f"{minutes:3d}:{seconds:02d}"


def _is_long(node: Node | None) -> bool:
    """Whether a job has just begun that alone keeps everything waiting for minutes."""
    return (
        node is not None and node.state == "running" and node.job.metadata.get("stage") == "models"
    )


def _label(node: Node | None) -> str:
    if node is None:
        return ""
    metadata = node.job.metadata
    parts = [metadata.get("compound"), metadata.get("stage")]
    return " ".join(str(part) for part in parts if part)[:34]
