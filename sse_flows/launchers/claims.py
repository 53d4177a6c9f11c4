"""A part of a campaign is on the LaunchPad once, however many submit it at the same moment.

The workflow of a part says so itself: ``metadata.sse.claim`` holds the key of the part until the
workflow is archived, and a unique index lets the database refuse a second one. There is nothing
that a killed submission could leave behind to block others: what it wrote is on the LaunchPad, and
the next submission adds what is missing of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pymongo.errors import BulkWriteError

if TYPE_CHECKING:
    from fireworks import LaunchPad

CLAIM = "metadata.sse.claim"
"""Field of a workflow's document."""

RELEASE = {"$unset": {CLAIM: ""}}
"""To be done with a workflow that is archived."""

_DUPLICATE = 11000


def ensure_claims(launchpad: LaunchPad) -> None:
    """Make the index that refuses a part which is there; workflows without a claim are free."""
    launchpad.workflows.create_index([(CLAIM, 1)], unique=True, sparse=True)


def insert_parts(
    launchpad: LaunchPad, workflows: list[dict[str, Any]], fireworks: list[dict[str, Any]]
) -> set[str]:
    """Insert parts that are not on the LaunchPad: workflows first, then their fireworks in order.

    Parameters
    ----------
    launchpad
        The LaunchPad, with :func:`ensure_claims`.
    workflows, fireworks
        Documents as of :func:`sse_flows.launchers.specs.documents_of`.

    Returns
    -------
    set of str
        Keys of the parts that somebody else has just added; of these nothing was inserted.
    """
    refused = _insert_workflows(launchpad, workflows)
    if refused and _release_archived(launchpad, refused):
        again = [doc for doc in workflows if doc["metadata"]["sse"]["claim"] in refused]
        refused = _insert_workflows(launchpad, again)
    wanted = [doc for doc in fireworks if doc["spec"]["sse"]["part"] not in refused]
    insert_fireworks(launchpad, wanted)
    return refused


def insert_fireworks(launchpad: LaunchPad, fireworks: list[dict[str, Any]]) -> None:
    """Insert fireworks in order, less those that another submission has added meanwhile."""
    left = fireworks
    while left:
        try:
            launchpad.fireworks.insert_many(left)
        except BulkWriteError as error:
            _refused(error)
            known = _known(launchpad, left)
            left = [doc for doc in left if doc["fw_id"] not in known]
        else:
            return


def _insert_workflows(launchpad: LaunchPad, workflows: list[dict[str, Any]]) -> set[str]:
    try:
        launchpad.workflows.insert_many(workflows, ordered=False)
    except BulkWriteError as error:
        return {workflows[place]["metadata"]["sse"]["claim"] for place in _refused(error)}
    return set()


def _refused(error: BulkWriteError) -> list[int]:
    """Places of the documents that were there already; raises what is another error."""
    details = error.details or {}
    problems = details.get("writeErrors", [])
    if details.get("writeConcernErrors") or {one["code"] for one in problems} != {_DUPLICATE}:
        raise error
    return [one["index"] for one in problems]


def _release_archived(launchpad: LaunchPad, parts: Iterable[str]) -> bool:
    """Release what was archived by other means, such as ``lpad archive_wflows``."""
    query = {CLAIM: {"$in": sorted(parts)}, "state": "ARCHIVED"}
    return bool(launchpad.workflows.update_many(query, RELEASE).modified_count)


def _known(launchpad: LaunchPad, fireworks: list[dict[str, Any]]) -> set[int]:
    query = {"fw_id": {"$in": [doc["fw_id"] for doc in fireworks]}}
    return {doc["fw_id"] for doc in launchpad.fireworks.find(query, {"fw_id": 1})}
