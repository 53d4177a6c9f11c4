"""Folders that commands use unless told otherwise; imports nothing, so that help stays quick."""

from __future__ import annotations

IMPORTED_KYOTO = "runs/kyoto"
"""Results folder of `sse import kyoto`, the pool ``kyoto`` of `sse screen`."""
