"""Fixtures of the launchers; servers for all stages come from sse_flows.testing.servers."""

from __future__ import annotations
