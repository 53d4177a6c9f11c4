"""Band gaps and hull energies that a user brings, by compound id."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    import pandas as pd

NAMES: dict[str, str] = {
    "id": "id",
    "material_id": "id",
    "compound_id": "id",
    "gap": "band_gap",
    "band_gap": "band_gap",
    "ehull": "energy_above_hull",
    "energy_above_hull": "energy_above_hull",
}
"""Columns or keys that are read, and what they hold: an id, eV, eV/atom."""

_MEND = (
    'Write CSV with columns id, band_gap, energy_above_hull, or JSON lines {"id", "gap", "ehull"}'
)


def read_properties(path: str | Path) -> dict[str, dict[str, float]]:
    """Band gap (eV) and energy above hull (eV/atom) by id; only what is known.

    Parameters
    ----------
    path
        CSV, or JSON lines (a line without an id, such as a header, is passed over); ``.gz`` too.

    Raises
    ------
    SSEError
        The file cannot be read, names no id or property, or a value is no number.
    """
    path = Path(path)
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as handle:
            text = handle.read()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SSEError(f"cannot read {path}: {error}", mend="Check the name of the file") from error
    found: dict[str, dict[str, float]] = {}
    for number, record in _records(text, path):
        known = {NAMES[key]: value for key, value in record.items() if key in NAMES}
        name = known.pop("id", None)
        if name not in (None, ""):
            values = {key: _number(value, path, number) for key, value in known.items()}
            found[str(name)] = {k: v for k, v in values.items() if v is not None}
    if not any(found.values()):
        raise SSEError(f"{path} holds no band gap or hull energy with an id", mend=_MEND)
    return found


def with_properties(table: pd.DataFrame, given: dict[str, dict[str, float]]) -> pd.DataFrame:
    """The table with the given values in place of its own, where there are any."""
    import pandas as pd

    changed = table.copy()
    for column in ("band_gap", "energy_above_hull"):
        values = {name: known[column] for name, known in given.items() if column in known}
        new = [values.get(str(name), old) for name, old in table[column].items()]
        changed[column] = pd.Series(new, index=table.index, dtype=float)
    return changed


def _records(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number of the line and its fields."""
    if not text.lstrip().startswith("{"):
        yield from enumerate(csv.DictReader(text.splitlines()), start=2)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise SSEError(f"{path}, line {number} is not JSON: {error}", mend=_MEND) from error
        if not isinstance(record, dict):
            raise SSEError(f"{path}, line {number} is no JSON object", mend=_MEND)
        yield number, record


def _number(value: Any, path: Path, line: int) -> float | None:
    """None where empty or NaN."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise SSEError(
            f"{path}, line {line}: {value!r} is no number",
            mend="Give eV for gaps and eV/atom for hull energies; leave unknown values empty",
        ) from error
    return None if math.isnan(number) else number
