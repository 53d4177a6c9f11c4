"""A large pool from the Materials Project: in pages, kept on disk, taken up where it stopped.

The ids are asked for first and written down; the crystals follow in pages of a few hundred, each a
file of JSON lines that appears once it is whole. A query that was broken off asks only for the
pages that are missing.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sse_flows.errors import SSEError
from sse_flows.files import write_or_tell
from sse_flows.structures.materials_project import Access

PAGE = 500
"""Materials in a page."""
_FIELDS = ("material_id", "structure", "energy_above_hull", "band_gap")
_IDS = "query.ids"
_ELSEWHERE = "Choose another folder for the cache"

Watch = Callable[[int, int, str], None]


def fetch_pages(
    folder: str | Path,
    mobile_ion: str = "Li",
    energy_above_hull_max: float | None = None,
    *,
    api_key: str | None = None,
    rester: Callable[..., Any] | None = None,
    watch: Watch | None = None,
) -> Path:
    """Fetch all materials with an element, as far as they are not on disk.

    Parameters
    ----------
    folder
        The cache; each query has a folder of its own in it.
    mobile_ion
        Element that the materials must hold.
    energy_above_hull_max
        Largest energy above the convex hull, eV/atom.
    api_key
        Key; the variable MP_API_KEY where not given. It is handed on and kept nowhere. A query
        whose pages are all on disk needs none.
    rester
        Stand-in for mp-api's ``MPRester``.
    watch
        Called with pages done, their number, and what was done last.

    Returns
    -------
    Path
        Folder with the pages, ``page-00000.jsonl.gz`` and so on; give it to `open_pool`.

    Raises
    ------
    SSEError
        If there is no key, no mp-api, nothing was found, or a query fails.
    """
    query: dict[str, Any] = {"elements": [mobile_ion]}
    if energy_above_hull_max is not None:
        query["energy_above_hull"] = (-1.0, energy_above_hull_max)
    place = Path(folder) / _name(query)
    ask = _Asker(api_key, rester)
    ids = _ids(place, query, ask)
    pages = [ids[start : start + PAGE] for start in range(0, len(ids), PAGE)]
    for number, page in enumerate(pages):
        path = place / f"page-{number:05d}.jsonl.gz"
        if not path.is_file():
            found = ask({"material_ids": page}, _FIELDS)
            lines = "".join(_line(one) for one in found)
            write_or_tell(path, gzip.compress(lines.encode()), _ELSEWHERE)
        if watch is not None:
            watch(number + 1, len(pages), path.name)
    return place


class _Asker:
    """Asks the server; complains of a missing key only when there is something to ask."""

    def __init__(self, key: str | None, rester: Callable[..., Any] | None):
        self._given = (key, rester)

    def __call__(self, query: dict[str, Any], fields: tuple[str, ...]) -> list[Mapping[str, Any]]:
        access = Access.find(*self._given)
        try:
            with access.open() as session:
                found = session.materials.summary.search(**query, fields=list(fields))
        except Exception as error:  # network, server and key: the client raises anything
            failure = access.unanswered(error)
            mend = f"{failure.mend}; the same command goes on from here"
            raise SSEError(failure.message, mend=mend) from None
        return [one if isinstance(one, Mapping) else one.model_dump() for one in found]


def _ids(place: Path, query: dict[str, Any], ask: _Asker) -> list[str]:
    """Ids of the query, from disk or from the server."""
    path = place / _IDS
    if path.is_file():
        return [str(name) for name in json.loads(path.read_text())["ids"]]
    found = sorted({str(one["material_id"]) for one in ask(query, ("material_id",))})
    if not found:
        raise SSEError(
            f"the Materials Project knows nothing with {query['elements'][0]}",
            mend="Check the element and the largest energy above the hull",
        )
    write_or_tell(path, json.dumps({"query": query, "ids": found}), _ELSEWHERE)
    return found


def _line(document: Mapping[str, Any]) -> str:
    """A material as one line of the light form of `sse_flows.screening.light`."""
    from pymatgen.core import Structure

    structure = document["structure"]
    plain = structure.as_dict() if isinstance(structure, Structure) else dict(structure)
    record = {
        "id": str(document["material_id"]),
        "ehull": document.get("energy_above_hull"),
        "gap": document.get("band_gap"),
        "structure": {
            "@class": "Structure",
            "lattice": {"matrix": plain["lattice"]["matrix"]},
            "sites": [{"species": one["species"], "abc": one["abc"]} for one in plain["sites"]],
        },
    }
    return json.dumps(record, default=float) + "\n"


def _name(query: dict[str, Any]) -> str:
    """Folder of a query."""
    text = json.dumps(query, sort_keys=True)
    return f"{query['elements'][0]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
