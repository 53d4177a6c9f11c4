"""The best of a screen as a campaign: structure files and a campaign file whose pool they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    import pandas as pd

    from sse_flows.screening.light import LightCrystal
    from sse_flows.screening.pools import PoolSource


def shortlisted(table: pd.DataFrame, top: int, *, inside_domain: bool = False) -> list[str]:
    """Ids of the softest crystals, taken in turn from all kinds of anions.

    Parameters
    ----------
    table
        Of a `CenterScreening`.
    top
        How many.
    inside_domain
        Pass over crystals unlike what the model was trained on.
    """
    rows = table[~table["outside_domain"].astype(bool)] if inside_domain else table
    rows = rows[rows["anions"] != "none"]
    ordered = rows.sort_values(["rank", "center", "id"])
    return [str(name) for name in ordered["id"].head(top)]


def write_campaign(
    path: str | Path,
    ids: list[str],
    pool: PoolSource,
    *,
    mobile_ion: str = "Li",
    source: str = "a screen by the band centre",
) -> list[Path]:
    """Write a campaign file and the structures it screens.

    The structures go to a folder beside it, named after it, as JSON with what the pool knows of
    each: id, structure, `energy_above_hull` (eV/atom), `band_gap` (eV).

    Parameters
    ----------
    path
        The campaign file to write.
    ids
        Crystals of the pool.
    pool
        Where they are.
    mobile_ion
        Of the campaign.
    source
        Said in the file's first line.

    Returns
    -------
    list of Path
        The structure files.

    Raises
    ------
    SSEError
        There is no id, the campaign file exists, or a file cannot be written.
    """
    path = Path(path)
    if not ids:
        raise SSEError("no crystal is left for a campaign", mend="Widen the criteria")
    if path.exists():
        raise SSEError(f"{path} exists already", mend="Choose another name, or move it away")
    folder = path.with_name(f"{path.stem}_structures")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [_write_structure(one, folder) for one in pool.find(ids)]
        path.write_text(_campaign(path, folder, mobile_ion, len(written), source))
    except OSError as error:
        raise SSEError(f"cannot write {path}: {error.strerror or error}") from error
    return written


def _write_structure(one: LightCrystal, folder: Path) -> Path:
    record = {
        "id": one.id,
        "structure": one.structure.as_dict(),
        "energy_above_hull": one.energy_above_hull,
        "band_gap": one.band_gap,
    }
    known = {key: value for key, value in record.items() if value is not None}
    target = folder / f"{re.sub(r'[^A-Za-z0-9_.+-]+', '_', one.id)}.json"
    target.write_text(json.dumps(known, default=float))
    return target


def _campaign(path: Path, folder: Path, mobile_ion: str, count: int, source: str) -> str:
    """The campaign file: the short-list as its pool, models by the built-in conductors."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-._") or "shortlist"
    told = " ".join(source.split())
    return f"""# {count} crystals from {told}; run it with: sse run {path.name}
name: {name}
mobile_ion: {mobile_ion}
train:
  table: builtin
screen:
  files: [{json.dumps(folder.name)}]
"""
