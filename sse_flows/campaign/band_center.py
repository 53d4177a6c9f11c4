"""Band centres that campaigns and imports have computed, as training data."""

from __future__ import annotations

from pathlib import Path

from pymatgen.core import Structure

from sse_flows.descriptors.crystal.arrays import read_crystal
from sse_flows.errors import SSEError
from sse_flows.models.band_center_data import TrainingCompound

_FIELDS = ["output.compound_id", "output.primitive", "output.band_center", "completed_at"]


def stored_training(results: str | Path) -> list[TrainingCompound]:
    """Compounds whose lattice dynamics a store holds, the newest of each.

    Parameters
    ----------
    results
        Results folder of a campaign or an import.

    Raises
    ------
    SSEError
        If there is no store, or no lattice dynamics in it.
    """
    from sse_flows.store.jobstore import STORE_FILE, configured_store, open_store

    folder = Path(results)
    if configured_store() is None and not (folder / STORE_FILE).is_file():
        raise SSEError(f"{folder} holds no store", mend="Give the results folder of a campaign")
    newest: dict[str, tuple[str, dict]] = {}
    for doc in open_store(folder).query({"output.band_center": {"$exists": True}}, _FIELDS):
        output, when = doc["output"], str(doc.get("completed_at"))
        name = output["compound_id"]
        if name not in newest or when > newest[name][0]:
            newest[name] = (when, output)
    if not newest:
        raise SSEError(f"{folder} holds no lattice dynamics", mend="Run its campaign first")
    return [_compound(output, folder.name) for _, (_, output) in sorted(newest.items())]


def _compound(output: dict, source: str) -> TrainingCompound:
    centers = dict(output["band_center"])
    total = float(centers.pop("total"))
    crystal = read_crystal(Structure.from_dict(output["primitive"]))
    return TrainingCompound(output["compound_id"], crystal, total, centers, source)
