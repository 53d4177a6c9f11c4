"""The log of a local campaign: one JSON line an event, the source of `sse status`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sse_flows.campaign.graph import Node
from sse_flows.errors import SSEError

EVENTS_FILE = "events.jsonl"


class EventLog:
    """Appends events to a file of the results folder.

    Parameters
    ----------
    folder
        The results folder.
    """

    def __init__(self, folder: Path):
        self.path = Path(folder) / EVENTS_FILE

    def start(self) -> None:
        """Mark the start of a run: what ran before and did not end was interrupted."""
        self._append({"state": "start"})

    def write(
        self,
        node: Node,
        state: str,
        seconds: float | None = None,
        mend: str | None = None,
        details: str | None = None,
    ) -> None:
        """Append what became of a job."""
        event = {
            "state": state,
            "uuid": node.job.uuid,
            "index": node.job.index,
            "name": node.job.name,
            "compound": node.job.metadata.get("compound"),
            "stage": node.job.metadata.get("stage"),
            "seconds": None if seconds is None else round(seconds, 3),
            "reason": node.reason or None,
            "mend": mend,
            "details": details,
        }
        self._append({k: v for k, v in event.items() if v is not None})

    def found(self, uuid: str, stage: str, compound: str | None) -> None:
        """Append that the store holds the result of a job that no run of this folder computed."""
        self._append(
            {"state": "found", "uuid": uuid, "index": 1, "compound": compound, "stage": stage}
        )

    def _append(self, event: dict[str, Any]) -> None:
        event = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **event}
        # a line cut short by a kill must not swallow the first one of the next run
        begin = "\n" if event["state"] == "start" else ""
        try:
            with self.path.open("a") as file:
                file.write(begin + json.dumps(event) + "\n")
        except OSError as error:
            raise SSEError(
                f"cannot write to {self.path}: {error.strerror}",
                mend="Free some space or choose another results.folder, and run again",
            ) from error


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All events of a results folder, oldest first; a line cut short by a kill is left out."""
    path = Path(folder) / EVENTS_FILE
    if not path.is_file():
        return []
    events = []
    for line in path.read_text().splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return events
