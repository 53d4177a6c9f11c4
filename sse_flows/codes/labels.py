"""Where a calculation was done and by which job, for its document."""

from __future__ import annotations

from pathlib import Path

from atomate2.utils.path import get_uri
from jobflow import CURRENT_JOB


def run_labels(folder: Path) -> dict[str, str]:
    """Fields ``dir_name`` and ``uuid`` of a document; without a job the id is empty.

    Parameters
    ----------
    folder
        Of the calculation.
    """
    current = CURRENT_JOB.job
    return {"dir_name": get_uri(folder), "uuid": "" if current is None else str(current.uuid)}
