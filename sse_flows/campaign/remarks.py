"""What was doubtful or corrected in the calculations of a campaign's compounds, for its report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from jobflow import JobStore

    from sse_flows.campaign.flow import Plan

MOST = 6
"""Most remarks of a compound; the rest is only counted."""

_STAGES = ("relax", "phonons")
_KINDS = ("corrections", "warnings")
_LENGTH = 200
_NUMBER = re.compile(r" \d+/\d+$")  # of a displaced supercell among all


def read_remarks(store: JobStore, plan: Plan) -> dict[str, list[str]]:
    """Warnings of calculations and what custodian changed in them, in short, by compound.

    Parameters
    ----------
    store
        Connected.
    plan
        Of the campaign. Displaced supercells are no part of it: they are known by their compound
        and by the flows that the planned jobs ran in, so that those of other campaigns in the
        store are left out.
    """
    flows = _flows(store, plan)
    found: dict[str, Counter[str]] = {}
    for some in chunks(list(plan.jobs)):
        criteria = {
            "metadata.compound": {"$in": some},
            "metadata.stage": {"$in": list(_STAGES)},
            "$or": [{f"output.{kind}.0": {"$exists": True}} for kind in _KINDS],
        }
        for doc in store.query(criteria, ["name", "hosts", "metadata", "output"]):
            compound = doc["metadata"]["compound"]
            if flows.get(compound, set()) & set(doc.get("hosts") or []):
                found.setdefault(compound, Counter()).update(_words(doc))
    return {compound: _short(counted) for compound, counted in found.items() if counted}


def _flows(store: JobStore, plan: Plan) -> dict[str, set[str]]:
    """Ids of the flows that each compound's jobs ran in."""
    owner = {uuid: compound for compound, jobs in plan.jobs.items() for uuid in jobs.values()}
    found: dict[str, set[str]] = {}
    for some in chunks(list(owner)):
        for doc in store.query({"uuid": {"$in": some}}, ["uuid", "hosts"]):
            found.setdefault(owner[doc["uuid"]], set()).update(doc.get("hosts") or [])
    return found


def _words(doc: dict[str, Any]) -> Iterable[str]:
    name, output = _NUMBER.sub("", str(doc["name"])), doc["output"]
    if output.get("corrections"):
        yield f"{name}: mended by {'; '.join(map(str, output['corrections']))}"
    for text in output.get("warnings") or []:
        yield str(text)


def _short(counted: Counter[str]) -> list[str]:
    texts = [
        text[:_LENGTH] + ("..." if len(text) > _LENGTH else "") + (f" ({n} jobs)" if n > 1 else "")
        for text, n in counted.items()
    ]
    more = len(texts) - MOST
    return texts if more <= 0 else [*texts[:MOST], f"and {more} more remarks"]
