"""Folders and files that commands use unless told otherwise; imports nothing: help stays quick."""

from __future__ import annotations

IMPORTED: dict[str, str] = {"kyoto": "runs/kyoto", "phonopy": "runs/phonopy", "mp": "runs/mp"}
"""Results folder of `sse import NAME`, the pool NAME of `sse screen`."""

PLAN_FILE = "campaign.json"
"""Plan of a campaign within its results folder."""
