"""Band centres that campaigns and imports have computed, as training data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from sse_flows.descriptors.crystal.arrays import read_crystal
from sse_flows.errors import SSEError
from sse_flows.models.band_center_data import TrainingCompound
from sse_flows.moments import in_utc
from sse_flows.phonons.document import PhononDOS

_FIELDS = ["output.compound_id", "output.primitive", "output.band_center", "completed_at"]
_DOS_FIELDS = ["output", "completed_at"]


def stored_training(results: str | Path) -> list[TrainingCompound]:
    """Compounds whose lattice dynamics or phonon DOS a store holds, the newest of each.

    Lattice dynamics come first: a DOS counts where there are none.

    Parameters
    ----------
    results
        Results folder of a campaign or an import.

    Raises
    ------
    SSEError
        If there is no store, or no phonons in it.
    """
    from sse_flows.store.jobstore import STORE_FILE, configured_store, open_store

    folder = Path(results)
    if configured_store() is None and not (folder / STORE_FILE).is_file():
        raise SSEError(f"{folder} holds no store", mend="Give the results folder of a campaign")
    store = open_store(folder)
    dynamics = _newest(store.query({"output.band_center": {"$exists": True}}, _FIELDS))
    dos = _newest(
        store.query({"metadata.stage": "phonon_dos", "output": {"$ne": None}}, _DOS_FIELDS)
    )
    found = {name: _from_dos(output, folder.name) for name, output in dos.items()}
    found |= {name: _compound(output, folder.name) for name, output in dynamics.items()}
    if not found:
        raise SSEError(f"{folder} holds no phonons", mend="Run its campaign first, or import some")
    return [one for _, one in sorted(found.items()) if one is not None]


def _newest(documents: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Newest output of each compound."""
    newest: dict[str, tuple[str, dict]] = {}
    for doc in documents:
        name, when = doc["output"]["compound_id"], in_utc(doc.get("completed_at"))
        if name not in newest or when > newest[name][0]:
            newest[name] = (when, doc["output"])
    return {name: output for name, (_, output) in newest.items()}


def _from_dos(output: dict[str, Any], source: str) -> TrainingCompound | None:
    """A compound of which others published the DOS; None where it has no stable modes."""
    dos = PhononDOS.model_validate({k: v for k, v in output.items() if k[0] != "@"})
    symbols = sorted({site.specie.symbol for site in dos.structure})
    centers = {symbol: dos.band_center(symbol) for symbol in symbols}
    known = {symbol: center for symbol, center in centers.items() if center is not None}
    total = dos.band_center()
    if total is None:
        return None
    whole = known if len(known) == len(symbols) else None
    return TrainingCompound(dos.compound_id, read_crystal(dos.structure), total, whole, source)


def _compound(output: dict, source: str) -> TrainingCompound:
    centers = dict(output["band_center"])
    total = float(centers.pop("total"))
    crystal = read_crystal(Structure.from_dict(output["primitive"]))
    return TrainingCompound(output["compound_id"], crystal, total, centers, source)
