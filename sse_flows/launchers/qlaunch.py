"""FireWorks' ``qlaunch -r rapidfire`` beside workers that take jobs of their own accord.

FireWorks looks whether something is READY, and then reserves it. Where a worker takes it between
the two, FireWorks' loop calls that a failed submission and ends, and with it the campaign's supply
of Slurm jobs. And it reserves before the queue has room, so that a job waits for a ``qlaunch`` that
waits. :func:`install` mends both for the loop of this process; other adapters than ours see
FireWorks as it is.
"""

from __future__ import annotations

from typing import Any

from fireworks.queue import queue_launcher

_launch_rocket_to_queue = queue_launcher.launch_rocket_to_queue


def install() -> None:
    """Let the loop of ``qlaunch`` in this process submit with :func:`launch_rocket_to_queue`."""
    queue_launcher.launch_rocket_to_queue = launch_rocket_to_queue


def launch_rocket_to_queue(
    launchpad: Any, fworker: Any, qadapter: Any, *args: Any, **kwargs: Any
) -> Any:
    """Submit one job as FireWorks does, once the queue has room for it.

    Returns
    -------
    The job's id; None where nothing is left to be submitted, which the loop takes calmly; False
    where a job could not be submitted, which ends it.

    Raises
    ------
    RuntimeError
        The queue does not say how full it is.
    """
    wait_for_room = getattr(qadapter, "wait_for_room", None)
    if wait_for_room is None:
        return _launch_rocket_to_queue(launchpad, fworker, qadapter, *args, **kwargs)
    wait_for_room()
    watched = _Watched(launchpad)
    done = _launch_rocket_to_queue(watched, fworker, qadapter, *args, **kwargs)
    return None if watched.lost_race and not done else done


class _Watched:
    """A LaunchPad that remembers whether somebody else was quicker."""

    def __init__(self, launchpad: Any) -> None:
        self._launchpad = launchpad
        self.lost_race = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._launchpad, name)

    def reserve_fw(self, *args: Any, **kwargs: Any) -> Any:
        """Reserve the next firework."""
        firework, launch = self._launchpad.reserve_fw(*args, **kwargs)
        self.lost_race = firework is None
        return firework, launch
