"""Structures and their band gaps and energies from the Materials Project, through mp-api."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sse_flows.errors import SSEError
from sse_flows.structures.checks import make_compound, one_line
from sse_flows.structures.intake import Intake
from sse_flows.structures.readers import Record

FIELDS = (
    "material_id",
    "structure",
    "band_gap",
    "formation_energy_per_atom",
    "energy_above_hull",
)
"""What is asked for of each material; energies in eV/atom, the gap in eV."""


def from_materials_project(
    ids: str | Sequence[str] | None = None,
    chemsys: str | Sequence[str] | None = None,
    energy_above_hull_max: float | None = None,
    api_key: str | None = None,
    mobile_ions: str | Sequence[str] = ("Li",),
    *,
    rester: Callable[..., Any] | None = None,
) -> Intake:
    """Query the Materials Project.

    Parameters
    ----------
    ids
        Material ids such as ``"mp-1234"``.
    chemsys
        Chemical systems such as ``"Li-P-S"``; ``*`` stands for any element.
    energy_above_hull_max
        Largest energy above the convex hull, eV/atom.
    api_key
        Key; the variable MP_API_KEY where not given. It is handed on and kept nowhere.
    mobile_ions
        Wanted mobile ions in order of preference.
    rester
        Stand-in for mp-api's ``MPRester``.

    Returns
    -------
    Intake
        One compound for each material; ids that do not exist are among the failures.

    Raises
    ------
    SSEError
        If there is neither id nor chemical system, no key, no mp-api, or the query fails.
    """
    if not ids and not chemsys:
        raise SSEError(
            "a query of the Materials Project needs ids or chemical systems",
            mend="Give ids such as mp-1234 or chemsys such as Li-P-S",
        )
    wanted = [ids] if isinstance(ids, str) else list(ids or [])
    access = Access.find(api_key, rester)
    documents: list[Mapping[str, Any]] = []
    for query in _queries(wanted, chemsys, energy_above_hull_max):
        documents += _ask(access, query)
    return _collect(documents, wanted, mobile_ions)


@dataclass(frozen=True)
class Access:
    """How the Materials Project is asked: mp-api's client and the key, which is never shown.

    Attributes
    ----------
    client
        mp-api's ``MPRester``, or a stand-in for it.
    key
        Handed on to the client and kept nowhere else.
    """

    client: Callable[..., Any]
    key: str = field(repr=False)

    @classmethod
    def find(cls, api_key: str | None = None, rester: Callable[..., Any] | None = None) -> Access:
        """Access with a key, by default that of the variable MP_API_KEY.

        Raises
        ------
        SSEError
            There is no key, or mp-api is not installed.
        """
        key = api_key or os.environ.get("MP_API_KEY", "")
        if not key and rester is None:
            raise SSEError(
                "the Materials Project asks for a key",
                mend="Set MP_API_KEY to the key from https://materialsproject.org/api",
            )
        return cls(rester or _client(), key)

    def open(self) -> Any:
        """The client as a context manager that gives plain data."""
        return self.client(self.key, use_document_model=False, mute_progress_bars=True)

    def unanswered(self, error: Exception) -> SSEError:
        """What to raise where the client failed with `error`, the key masked."""
        text = one_line(error)
        reason = text.replace(self.key, "***") if self.key else text
        return SSEError(
            f"the Materials Project did not answer ({type(error).__name__}: {reason})",
            mend="Check MP_API_KEY and the network, and try again",
        )


def _client() -> Callable[..., Any]:
    try:
        from mp_api.client import MPRester
    except ImportError as error:
        raise SSEError("mp-api is not installed", mend="Run pip install 'sse-flows[mp]'") from error
    return MPRester


def _queries(
    ids: list[str], chemsys: str | Sequence[str] | None, hull: float | None
) -> list[dict[str, Any]]:
    """Ids and systems are asked for one after the other: together they would be intersected."""
    # -1: the hull energy is never negative, but rounding may leave -0.0
    limit = {} if hull is None else {"energy_above_hull": (-1.0, hull)}
    queries: list[dict[str, Any]] = []
    if ids:
        queries.append({"material_ids": ids, **limit})
    if chemsys:
        systems = [chemsys] if isinstance(chemsys, str) else list(chemsys)
        queries.append({"chemsys": systems, **limit})
    return queries


def _ask(access: Access, query: dict[str, Any]) -> list[Mapping[str, Any]]:
    try:
        with access.open() as session:
            found = session.materials.summary.search(**query, fields=list(FIELDS))
    except Exception as error:  # network, server and key: the client raises anything
        raise access.unanswered(error) from None
    return [d if isinstance(d, Mapping) else d.model_dump() for d in found]


def _collect(
    documents: Sequence[Mapping[str, Any]], wanted: Sequence[str], mobile_ions: str | Sequence[str]
) -> Intake:
    result = Intake()
    seen: set[str] = set()
    for document in documents:
        name = str(document["material_id"])
        if name in seen:
            continue
        seen.add(name)
        try:
            found = _properties(document) | _moments(document["structure"])
            record = Record(name, _structure(document, name), found)
            result += Intake([make_compound(record, mobile_ions, f"Materials Project {name}")])
        except SSEError as error:
            result.failures[name] = str(error)
    for name in wanted:
        if name not in seen:
            result.failures[name] = str(
                SSEError(
                    "not found in the Materials Project, or above the hull energy asked for",
                    compound=name,
                    mend="Look the id up at https://materialsproject.org",
                )
            )
    return result


def _structure(document: Mapping[str, Any], name: str) -> Any:
    from pymatgen.core import Structure

    from sse_flows.structures.readers import structure_from_plain

    structure = document["structure"]
    if isinstance(structure, Structure):
        return structure.copy()
    return structure_from_plain({"@class": "Structure", **structure}, name)


def _moments(structure: Any) -> dict[str, Any]:
    from sse_flows.structures.readers import plain_moments

    return plain_moments(structure) if isinstance(structure, Mapping) else {}


def _properties(document: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "band_gap": "band_gap",
        "formation_energy_per_atom": "formation_energy",
        "energy_above_hull": "energy_above_hull",
    }
    return {ours: document[mp] for mp, ours in names.items() if document.get(mp) is not None}
