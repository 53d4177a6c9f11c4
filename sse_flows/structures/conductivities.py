"""Measured ionic conductivities by compound id, from a table of one's own or the one shipped.

The shipped table holds those that G. Krenzer (thesis, 2023) gathered for compounds of the Kyoto
phonon database. A number without a unit is refused: S/cm and mS/cm differ by as much as a good
conductor from a bad one.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sse_flows.errors import SSEError

BUILTIN = "measured"
"""Name of the shipped table."""

ROOM = 298.0
"""Temperature in K where a table names none."""

WARM, COLD = 313.15, 283.15
"""Between these temperatures, K, a measurement counts as one at room temperature."""

LARGEST = 10.0
"""S/cm; no ion in a solid conducts better at room temperature."""

_IDS = ("id", "compound_id", "material_id")
_UNITS = {"S/cm": 1.0, "mS/cm": 1e-3, "S/m": 1e-2}
_COLUMNS = {
    "conductivity_S_per_cm": 1.0,
    "conductivity_mS_per_cm": 1e-3,
    "conductivity_S_per_m": 1e-2,
}
_MEND = (
    "Name them id,conductivity_S_per_cm[,source]: the unit belongs to the name, or into a column "
    "unit beside conductivity"
)


@dataclass(frozen=True)
class Measured:
    """One measured conductivity.

    Attributes
    ----------
    conductivity
        S/cm.
    source
        Who measured or gathered it.
    temperature
        K.
    formula
        As the table gives it; empty without one.
    """

    conductivity: float
    source: str
    temperature: float = ROOM
    formula: str = ""


def read_conductivities(table: str | Path) -> dict[str, Measured]:
    """Read a table of measured conductivities.

    Parameters
    ----------
    table
        ``"measured"`` for the shipped one, or a CSV file with a column ``id``, a column
        ``conductivity_S_per_cm`` (or ``_mS_per_cm``, ``_S_per_m``; or ``conductivity`` with a
        column ``unit``) and, if wished, ``temperature_K``, ``source`` and ``formula``.

    Returns
    -------
    By id, in the order of the table.

    Raises
    ------
    SSEError
        If the file cannot be read, a column is missing or has no unit, an id comes twice, or a
        value is no conductivity at room temperature.
    """
    path = _path(table)
    found: dict[str, Measured] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            identity, column = _check_columns(list(reader.fieldnames or []), path)
            for row in reader:
                name = (row[identity] or "").strip()
                if not name or name in found:
                    raise SSEError(
                        f"{'repeated' if name else 'missing'} id in line {reader.line_num} of "
                        f"{path}",
                        compound=name or None,
                        mend="Give every line an id of its own",
                    )
                found[name] = _measured(row, column, name, path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not a CSV file"
        raise SSEError(
            f"cannot read {path}: {reason}", mend="Check the name of the file"
        ) from error
    if not found:
        raise SSEError(f"{path} holds no conductivity", mend=_MEND)
    return found


def _path(table: str | Path) -> Path:
    if str(table) == BUILTIN:
        return Path(str(files("sse_flows") / "data" / "measured_conductivities.csv"))
    return Path(table).expanduser()


def _check_columns(columns: list[str], path: Path) -> tuple[str, str]:
    """Columns of the id and of the conductivity."""
    identity = next((name for name in _IDS if name in columns), None)
    value = next((name for name in _COLUMNS if name in columns), None)
    if value is None and {"conductivity", "unit"} <= set(columns):
        value = "conductivity"
    if identity is None or value is None:
        lacking = [
            name
            for name, there in (("id", identity), ("conductivity_S_per_cm", value))
            if there is None
        ]
        raise SSEError(
            f"{path} has the columns {', '.join(columns) or '(none)'}, not {', '.join(lacking)}",
            mend=_MEND,
        )
    return identity, value


def _measured(row: Mapping[str, str | None], column: str, name: str, path: Path) -> Measured:
    def text(field: str) -> str:
        return (row.get(field) or "").strip()

    value = _number(row[column], name, path) * _factor(column, text("unit"), name, path)
    if value > LARGEST:
        raise SSEError(
            f"conductivity {value:g} S/cm in {path} is more than any solid has ({LARGEST:g})",
            compound=name,
            mend="Check the unit of the column",
        )
    return Measured(
        value,
        text("source") or path.name,
        _temperature(text("temperature_K"), name, path),
        text("formula"),
    )


def _factor(column: str, unit: str, name: str, path: Path) -> float:
    if column in _COLUMNS:
        return _COLUMNS[column]
    if unit not in _UNITS:
        raise SSEError(
            f"unit {unit!r} in {path} is not one of {', '.join(_UNITS)}",
            compound=name,
            mend="Convert the value to S/cm",
        )
    return _UNITS[unit]


def _number(text: str | None, name: str, path: Path) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise SSEError(
            f"conductivity {text!r} in {path} is no number of S/cm above 0",
            compound=name,
            mend="Give the measured value (not its logarithm), or remove the line",
        )
    return value


def _temperature(text: str, name: str, path: Path) -> float:
    if not text:
        return ROOM
    try:
        kelvin = float(text)
    except ValueError:
        kelvin = 0.0
    if not COLD <= kelvin <= WARM:
        raise SSEError(
            f"temperature {text!r} in {path} is not between {COLD:g} and {WARM:g} K",
            compound=name,
            mend="Give the conductivity at room temperature, in K, or remove the line",
        )
    return kelvin
