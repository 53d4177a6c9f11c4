"""A pool of workers that is no pool: jobs run in the calling process, at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from sse_flows.campaign import worker


class InlinePool:
    """Stands in for the pool of :class:`sse_flows.campaign.run.LocalRunner`.

    Starting a worker process takes seconds of imports, which a test of many short flows can do
    without. It must not be used where a job may end its process.
    """

    def __init__(self, store: Any, processes: int = 1):
        worker._store = store

    def submit(self, function: Callable, *arguments: Any) -> Future:
        """Call the function now."""
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_: Any) -> None:
        """Nothing to stop."""
