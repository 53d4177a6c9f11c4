"""Settings that the library, campaigns and the command line share; imports nothing."""

from __future__ import annotations

MAX_FEATURES = 4
"""Largest subset of descriptors of the classifier, docs/models.md says why."""
