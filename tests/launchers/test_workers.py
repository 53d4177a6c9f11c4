"""What the process that starts several workers hands on to them."""

from __future__ import annotations

import signal
from types import SimpleNamespace

from sse_flows.launchers import workers
from sse_flows.launchers.stop import Stop
from sse_flows.launchers.worker import Limits
from sse_flows.launchers.workers import Request


class Child:
    """A process that ends once it was told often enough."""

    pid, exitcode = 4711, None

    def __init__(self, **options):
        self.told = []

    def start(self):
        pass

    def is_alive(self):
        return len(self.told) < 2


def test_a_kill_after_the_call_to_end_is_handed_on_too(monkeypatch):
    children: list[Child] = []

    def process(**options):
        children.append(Child())
        return children[-1]

    stop = Stop()
    stop.requested = True  # SIGUSR1, some minutes before the end of the job
    context = SimpleNamespace(Process=process)
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda name: context)
    monkeypatch.setattr(workers.os, "kill", lambda pid, number: children[0].told.append(number))
    rounds = iter(range(100))

    def sleep(seconds):
        stop.killed = next(rounds) > 2

    monkeypatch.setattr(workers.time, "sleep", sleep)
    assert workers._run_processes(Request(processes=1), Limits(), stop, print)
    assert children[0].told == [signal.SIGUSR1, signal.SIGTERM]
