"""What a pool of stored documents is: the imports of one source, a campaign, or a folder's store.

A store may hold many things, above all where one MongoDB serves all: campaigns, which find theirs
by their plan, and imports, which say in ``metadata.imported`` where they came from. Documents of
the first release say True there; they are of the Kyoto database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_flows.campaign.places import IMPORTED, PLAN_FILE
from sse_flows.descriptors.document import DescriptorSet
from sse_flows.errors import SSEError
from sse_flows.moments import in_utc
from sse_flows.phonons.document import PhononDOS
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    from jobflow import JobStore


@dataclass(frozen=True)
class StoredPool:
    """A pool of documents, its store open.

    Attributes
    ----------
    name
        For messages.
    store
        Connected.
    criteria
        Which of its documents belong to the pool.
    ids
        Their ids, where these are known.
    """

    name: str
    store: JobStore
    criteria: dict[str, Any]
    ids: list[str] | None = None

    def newest(self, stage: str, **more: Any) -> dict[str, dict[str, Any]]:
        """Newest output of every compound in a stage, by the compound's id.

        Parameters
        ----------
        stage
            Of the metadata.
        **more
            What fields of the output must be.
        """
        criteria = {**self.criteria, "metadata.stage": stage, "output": {"$ne": None}}
        criteria |= {f"output.{name}": value for name, value in more.items()}
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for doc in self._query(criteria):
            name, when = doc["output"]["compound_id"], in_utc(doc["completed_at"])
            if name not in found or when > found[name][0]:
                found[name] = (when, doc["output"])
        return {name: output for name, (_, output) in sorted(found.items())}

    def _query(self, criteria: dict[str, Any]) -> Iterator[dict[str, Any]]:
        fields = ["output", "completed_at"]
        if self.ids is None:
            yield from self.store.query(criteria, fields)
            return
        for some in chunks(self.ids):
            yield from self.store.query({**criteria, "uuid": {"$in": some}}, fields)


def open_pool(pool: str | Path) -> StoredPool:
    """Open a pool by its name or folder.

    Parameters
    ----------
    pool
        ``"kyoto"``, ``"phonopy"`` or ``"mp"``: all that was imported from there, into the store of
        jobflow's configuration where there is one, else into ``runs/NAME``. Or the results folder
        of a campaign: the compounds of its plan, no import. Or any other folder with a store of
        its own: all that the store holds.

    Raises
    ------
    SSEError
        There is no such store.
    """
    from sse_flows.store.jobstore import STORE_FILE, configured_store, embedded_store, open_store

    folder = Path(IMPORTED.get(str(pool), pool))
    if str(pool) in IMPORTED:
        if configured_store() is None and not (folder / STORE_FILE).is_file():
            raise SSEError(f"{folder} holds no store", mend=_mend(str(pool)))
        marks = [str(pool), True] if str(pool) == "kyoto" else [str(pool)]
        return StoredPool(str(pool), open_store(folder), {"metadata.imported": {"$in": marks}})
    if (folder / PLAN_FILE).is_file():
        from sse_flows.campaign.flow import Plan

        ids = [jobs["descriptors"] for jobs in Plan.read(folder).jobs.values()]
        return StoredPool(str(folder), open_store(folder), {}, ids)
    if not (folder / STORE_FILE).is_file():
        raise SSEError(f"{folder} holds no store", mend=_mend("kyoto"))
    store = embedded_store(folder)
    store.connect()
    return StoredPool(str(folder), store, {})


def _mend(name: str) -> str:
    names = ", ".join(IMPORTED)
    return (
        f"Import with `sse import {name} ... --results FOLDER` and name FOLDER, the results folder "
        f"of a campaign, or one of {names}"
    )


def read_pool_sets(pool: str | Path, mobile_ion: str) -> list[DescriptorSet]:
    """Descriptors of a pool, the newest of every compound.

    Parameters
    ----------
    pool
        As in :func:`open_pool`.
    mobile_ion
        Only those described with this mobile ion.

    Raises
    ------
    SSEError
        There is no store, or nothing in it.
    """
    opened = open_pool(pool)
    found = opened.newest("descriptors", mobile_ion=mobile_ion)
    if not found:
        raise SSEError(
            f"{opened.name} holds no descriptors of {mobile_ion} compounds",
            mend=_mend(opened.name if opened.name in IMPORTED else "kyoto"),
        )
    return [DescriptorSet.model_validate(_bare(output)) for output in found.values()]


def read_phonon_dos(pool: str | Path = "mp") -> list[PhononDOS]:
    """Phonon densities of states of a pool, the newest of every compound.

    Parameters
    ----------
    pool
        As in :func:`open_pool`.

    Raises
    ------
    SSEError
        There is no store, or nothing in it.
    """
    opened = open_pool(pool)
    found = opened.newest("phonon_dos")
    if not found:
        raise SSEError(f"{opened.name} holds no phonon DOS", mend=_mend("mp"))
    return [PhononDOS.model_validate(_bare(output)) for output in found.values()]


def _bare(output: dict[str, Any]) -> dict[str, Any]:
    """Without the marks that monty adds."""
    return {key: value for key, value in output.items() if key[0] != "@"}
