"""FireWorks within one process: a LaunchPad of mongomock, and its jobs run one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mongomock
from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire


def mock_launchpad() -> LaunchPad:
    """An empty LaunchPad in memory."""
    launchpad = LaunchPad(strm_lvl="CRITICAL")  # connects to nothing before it is asked
    launchpad.connection.close()
    launchpad.connection = mongomock.MongoClient()
    launchpad.db = launchpad.connection["launchpad"]
    for name in ("fireworks", "launches", "offline_runs", "fw_id_assigner", "workflows"):
        setattr(launchpad, name, launchpad.db[name])
    launchpad.gridfs_fallback = None
    launchpad.reset("", require_password=False)
    return launchpad


def drain(launchpad: LaunchPad, folder: Path, **options: Any) -> None:
    """Run all that is ready, and all that becomes ready, with FireWorks' own ``rapidfire``."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"nlaunches": 0, "sleep_time": 0, "strm_lvl": "CRITICAL", **options}
    rapidfire(launchpad, FWorker("test"), str(folder), **options)
