"""Phonons that others computed become documents of the store, as if a campaign had made them.

Plain functions write documents in the shape of jobflow's, not jobs: an import has one step, its
inputs are files that a job on another machine would not find, and a job would load back from the
store the arrays that are at hand here. The id is a content key of the entry's files, so an entry
whose documents are stored is skipped, wherever it lies.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sse_flows.campaign.keys import content_key
from sse_flows.errors import SSEError, one_line
from sse_flows.processes import map_surviving

if TYPE_CHECKING:
    from jobflow import JobStore

    from sse_flows.descriptors.document import DescriptorSet
    from sse_flows.phonons.document import LatticeDynamics
    from sse_flows.phonons.entries import Entry, Origin, Source

Watch = Callable[[int, int, "Imported"], None]


@dataclass(frozen=True)
class Imported:
    """What became of one entry.

    Attributes
    ----------
    compound_id
        Of the entry.
    state
        ``imported``, ``found`` (stored before) or ``failed``.
    error, mend
        Why it failed and how to mend it.
    """

    compound_id: str
    state: str
    error: str | None = None
    mend: str | None = None


def import_entries(
    sources: Iterable[Source],
    store: JobStore,
    *,
    mobile_ion: str = "Li",
    processes: int | None = None,
    watch: Watch | None = None,
) -> list[Imported]:
    """Import entries in parallel; what fails is reported and the rest go on.

    Parameters
    ----------
    sources
        Entries; the second of two with one id is refused.
    store
        Connected, one that other processes can open too.
    mobile_ion
        Element that the descriptors take as the mobile ion.
    processes
        Worker processes; by default one a core.
    watch
        Called after each entry with how many are done, how many there are, and the last one.

    Returns
    -------
    list of Imported
        One an entry, in the order they ended.
    """
    from sse_flows.campaign.run import available_cores
    from sse_flows.campaign.worker import worker_pool

    unique, outcomes = _unique(sources)
    total = len(unique) + len(outcomes)
    tell = watch or (lambda done, total, one: None)
    work = partial(import_entry, mobile_ion=mobile_ion)
    workers = min(processes or available_cores(), len(unique))
    if not unique:
        return outcomes
    for _, one in map_surviving(partial(worker_pool, store), work, unique, workers, _crashed):
        outcomes.append(one)
        tell(len(outcomes), total, one)
    return outcomes


def _crashed(source: Source) -> Imported:
    return Imported(
        source.compound_id,
        "failed",
        "a worker process died, perhaps for want of memory",
        "Import it on a machine with more memory, or with --processes 1",
    )


def _unique(sources: Iterable[Source]) -> tuple[list[Source], list[Imported]]:
    """Sources of different ids, and a failure for each of the others."""
    taken: dict[str, Source] = {}
    refused = []
    for source in sources:
        if source.compound_id in taken:
            reason = f"{source.path} has the id of {taken[source.compound_id].path}"
            mend = "Rename one of them, or import one alone"
            refused.append(Imported(source.compound_id, "failed", reason, mend))
        taken.setdefault(source.compound_id, source)
    return list(taken.values()), refused


def import_entry(source: Source, mobile_ion: str, store: JobStore | None = None) -> Imported:
    """Import one entry into a store, by default that of this worker process."""
    from sse_flows.campaign.worker import worker_store

    try:
        done = _import(source, mobile_ion, store or worker_store())
    except SSEError as error:
        return Imported(source.compound_id, "failed", error.message, error.mend)
    except Exception as error:  # one entry must not end the import of the others
        reason = one_line(error)
        return Imported(source.compound_id, "failed", reason)
    return Imported(source.compound_id, "imported" if done else "found")


def _import(source: Source, mobile_ion: str, store: JobStore) -> bool:
    """Store the two documents of an entry; False if they are there already."""
    from sse_flows.phonons.entries import read_entry

    entry = read_entry(source)
    phonons, descriptors = entry_keys(entry, mobile_ion)
    stored = stored_keys(store, [phonons, descriptors])
    if {phonons, descriptors} <= stored:
        return False
    _check_mobile(entry, mobile_ion)
    dynamics = (
        load_dynamics(store, phonons) if phonons in stored else _compute(store, phonons, entry)
    )
    found = describe_entry(dynamics, mobile_ion)
    write_document(store, descriptors, "describe entry", "descriptors", found, entry.origin)
    return True


def stored_keys(store: JobStore, keys: list[str]) -> set[str]:
    """Those of some ids whose documents are stored."""
    criteria = {"uuid": {"$in": keys}, "output": {"$ne": None}}
    return {doc["uuid"] for doc in store.query(criteria, ["uuid"])}


def entry_keys(entry: Entry, mobile_ion: str) -> tuple[str, str]:
    """Ids of the two documents: content keys of the files, the id and the mobile ion."""
    work = {"import": "phonons", "compound": entry.compound_id, "files": entry.digest}
    if entry.origin != "kyoto":
        work["origin"] = entry.origin
    phonons = key_of(work)
    return phonons, key_of({"import": "descriptors", "of": phonons, "mobile_ion": mobile_ion})


def key_of(work: dict[str, str]) -> str:
    """Content key in the form of jobflow's ids."""
    return str(uuid.UUID(content_key(work)[:32]))


def _check_mobile(entry: Entry, mobile_ion: str) -> None:
    """Refuse a crystal without the mobile ion before its phonons are computed."""
    from sse_flows.phonons.crystal import read_crystal

    symbols = list(dict.fromkeys(read_crystal(entry).unitcell.symbols))
    if mobile_ion not in symbols:
        raise SSEError(
            f"it holds no {mobile_ion}, only {', '.join(symbols)}",
            compound=entry.compound_id,
            mend="Name the mobile ion with --mobile-ion, or leave the entry out",
        )


def _compute(store: JobStore, key: str, entry: Entry) -> LatticeDynamics:
    from sse_flows.phonons.imported import entry_dynamics

    dynamics = entry_dynamics(entry)
    write_document(store, key, "import lattice dynamics", "phonons", dynamics, entry.origin)
    return dynamics


def load_dynamics(store: JobStore, key: str) -> LatticeDynamics:
    """Lattice dynamics that are stored, with their large arrays."""
    from sse_flows.campaign.results import parse_output
    from sse_flows.phonons.document import LatticeDynamics

    doc = store.query_one({"uuid": key}, ["output"], load=True)
    assert doc is not None
    return parse_output(doc["output"], LatticeDynamics)


def describe_entry(
    dynamics: LatticeDynamics, mobile_ion: str, properties: dict[str, float] | None = None
) -> DescriptorSet:
    """The 30 descriptors of an imported crystal, which is ordered.

    Parameters
    ----------
    dynamics
        Its lattice dynamics.
    mobile_ion
        Element of the mobile ion.
    properties
        What is known of `band_gap` (eV), `formation_energy` and `energy_above_hull` (eV/atom).

    Raises
    ------
    SSEError
        It holds no mobile ion or, as an alloy, no anion.
    """
    from sse_flows.descriptors.describe import describe
    from sse_flows.structures.compound import Compound

    compound = Compound(
        compound_id=dynamics.compound_id,
        formula=dynamics.formula,
        mobile_ion=mobile_ion,
        structure=dynamics.unitcell,
        source=f"{dynamics.provenance.get('entry', dynamics.compound_id)}, {dynamics.method}",
        **(properties or {}),  # type: ignore[arg-type]
    )
    return describe(compound, dynamics)


def write_document(
    store: JobStore, key: str, name: str, stage: str, document: Any, origin: Origin
) -> None:
    """Write a document as jobflow writes the output of a job, saying where it was imported from.

    Parameters
    ----------
    store
        Connected.
    key, name, stage
        Id, name and stage of the job that it stands for.
    document
        With a ``compound_id``; large arrays of a LatticeDynamics go to the additional store.
    origin
        Who computed the phonons.
    """
    from monty.json import jsanitize

    from sse_flows.phonons.flow import BIG_ARRAYS
    from sse_flows.store.jobstore import BLOB_STORE

    record = {
        "uuid": key,
        "index": 1,
        "output": jsanitize(document, strict=True, enum_values=True, allow_bson=True),
        "completed_at": datetime.now(UTC).isoformat(),
        "metadata": {"stage": stage, "compound": document.compound_id, "imported": origin},
        "hosts": [],
        "name": name,
    }
    save: Any = {BLOB_STORE: BIG_ARRAYS} if stage == "phonons" else None
    store.update(record, key=["uuid", "index"], save=save)
