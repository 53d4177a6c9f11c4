"""Phonons of the Materials Project become documents of the store.

The published DOS of every material is stored, stage ``phonon_dos``. Where force constants are given
and the crystal holds the mobile ion, its lattice dynamics and descriptors are stored as well, as
those of any import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sse_flows.campaign.importing import (
    Imported,
    Watch,
    describe_entry,
    key_of,
    load_dynamics,
    stored_keys,
    write_document,
)
from sse_flows.errors import SSEError
from sse_flows.phonons.materials_project import (
    Listing,
    Method,
    dynamics_of,
    fetch_task,
    get_field,
    list_phonons,
    phonon_dos,
)
from sse_flows.structures.materials_project import Access

if TYPE_CHECKING:
    from jobflow import JobStore

    from sse_flows.phonons.document import LatticeDynamics, PhononDOS

DYNAMICS = "lattice dynamics"
"""Entry in the provenance of a stored DOS: ``stored``, or why there is none."""

STORED = "stored"


def import_materials(
    store: JobStore,
    *,
    ids: Sequence[str] = (),
    chemsys: Sequence[str] = (),
    mobile_ion: str = "Li",
    method: Method | None = None,
    api_key: str | None = None,
    rester: Callable[..., Any] | None = None,
    watch: Watch | None = None,
) -> list[Imported]:
    """Import phonons of the Materials Project; what fails is reported and the rest go on.

    Parameters
    ----------
    store
        Connected.
    ids, chemsys
        Material ids such as ``"mp-1960"``, and chemical systems such as ``"Li-O"``.
    mobile_ion, watch
        As in :func:`sse_flows.campaign.importing.import_entries`, one material an entry.
    method
        Only phonons of this method; by default those with force constants before DFPT.
    api_key, rester
        Key, by default that of MP_API_KEY; stand-in for mp-api's ``MPRester``.

    Raises
    ------
    SSEError
        Nothing is asked for, there is no key or no mp-api, the Materials Project does not answer,
        or it holds no phonons of what is asked for.
    """
    if not ids and not chemsys:
        raise SSEError(
            "an import from the Materials Project needs ids or chemical systems",
            mend="Give --ids mp-1960,mp-841 or --chemsys Li-O",
        )
    access = Access.find(api_key, rester)
    try:
        with access.open() as session:
            listings, refused = list_phonons(session, ids, chemsys, method)
            outcomes = [
                Imported(name, "failed", error.message, error.mend)
                for name, error in refused.items()
            ]
            tell = watch or (lambda done, total, one: None)
            for done, listing in enumerate(listings, start=len(outcomes) + 1):
                outcomes.append(_import_one(session, access, listing, store, mobile_ion))
                tell(done, len(refused) + len(listings), outcomes[-1])
    except SSEError:
        raise
    except Exception as error:  # network, server and key: the client raises anything
        raise access.unanswered(error) from None
    if not outcomes:
        what = f"{method} phonons" if method else "phonons"
        raise SSEError(
            f"the Materials Project holds no {what} of {', '.join(chemsys)}",
            mend="Ask for other systems; * stands for any element, as in Li-*-O",
        )
    return outcomes


def _import_one(
    session: Any, access: Access, listing: Listing, store: JobStore, mobile_ion: str
) -> Imported:
    """Import one material; never raises."""
    name = listing.material_id
    try:
        done = _import(session, listing, store, mobile_ion)
    except SSEError as error:
        return Imported(name, "failed", error.message, error.mend)
    except Exception as error:  # one material must not end the import of the others
        problem = access.unanswered(error)
        return Imported(name, "failed", problem.message, problem.mend)
    return Imported(name, "imported" if done else "found")


def _import(session: Any, listing: Listing, store: JobStore, mobile_ion: str) -> bool:
    """Store what there is of a material; False if it is there already.

    The DOS is written last: where it is stored, nothing is missing.
    """
    task = fetch_task(session, listing)
    keys = _keys(listing, str(get_field(task, "last_updated")), mobile_ion)
    stored = stored_keys(store, list(keys.values()))
    if keys["dos"] in stored and (keys["phonons"] not in stored or keys["descriptors"] in stored):
        return False
    phonon = session.materials.phonon
    dos = phonon_dos(
        task, phonon.get_dos_from_phonon_id(listing.phonon_id, listing.method), listing
    )
    if keys["phonons"] in stored:
        dynamics: LatticeDynamics | None = load_dynamics(store, keys["phonons"])
        reason = STORED
    else:
        dynamics, reason = _dynamics(phonon, task, listing, dos, mobile_ion)
    if dynamics is not None:
        found = describe_entry(dynamics, mobile_ion, listing.properties)
        if keys["phonons"] not in stored:
            name = "import lattice dynamics"
            write_document(store, keys["phonons"], name, "phonons", dynamics, "mp")
        write_document(store, keys["descriptors"], "describe entry", "descriptors", found, "mp")
    dos.provenance[DYNAMICS] = reason
    write_document(store, keys["dos"], "import phonon DOS", "phonon_dos", dos, "mp")
    return True


def _keys(listing: Listing, updated: str, mobile_ion: str) -> dict[str, str]:
    """Ids of the documents of a material: the calculation, its date, and the mobile ion."""
    work = {
        "import": "materials project",
        "compound": listing.material_id,
        "phonon_id": listing.phonon_id,
        "method": listing.method,
        "updated": updated,
    }
    return {
        "dos": key_of({**work, "kind": "dos"}),
        "phonons": key_of({**work, "kind": "phonons"}),
        "descriptors": key_of({**work, "kind": "descriptors", "mobile_ion": mobile_ion}),
    }


def _dynamics(
    phonon: Any, task: Any, listing: Listing, dos: PhononDOS, mobile_ion: str
) -> tuple[LatticeDynamics | None, str]:
    """Lattice dynamics where the force constants allow it, else None and the reason."""
    if listing.method == "dfpt":
        return None, "DFPT is published without force constants"
    if mobile_ion not in dos.structure.symbol_set:
        return None, f"the crystal holds no {mobile_ion}"
    try:
        constants = phonon.get_forceconstants_from_phonon_id(listing.phonon_id, listing.method)
    except Exception as error:
        if "No phonon force constants" not in str(error):  # of mp-api's MPRestError
            raise
        return None, "no force constants are published"
    try:
        return dynamics_of(task, constants, listing, dos), STORED
    except SSEError as error:
        return None, error.message
