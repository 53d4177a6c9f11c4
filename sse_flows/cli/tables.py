"""All tables that the command line prints."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from sse_flows.campaign.status import Status
    from sse_flows.screening.document import ScreeningResult

_SHOWN = (
    "formula",
    "conductivity",
    "phonon_band_center_mobile",
    "phonon_band_center_total",
    "low_energy_ratio_mobile",
    "vibrational_entropy",
    "soft_mode_flag",
    "rank",
    "probability",
    "log10_conductivity_predicted",
)

_RANKED_BY = (
    "formula_units",
    "low_energy_ratio_mobile",
    "low_energy_ratio_hybrid",
    "vibrational_entropy",
)


def status_table(status: Status) -> str:
    """Compounds x stages, then what failed and why, then a line of sums."""
    stages = next(iter(status.stages.values()), {})
    rows = [["compound", *stages]]
    rows += [[compound, *row.values()] for compound, row in status.stages.items()]
    lines = [aligned(rows)] if status.stages else []
    lines += [f"{stage}: {state}" for stage, state in status.tail.items()]
    for problem in status.problems:
        mend = f" -> {problem.mend}" if problem.mend else ""
        lines.append(f"failed: {problem.compound} ({problem.stage}): {problem.reason}{mend}")
    sums = [
        f"{stage} {states.get('done', 0)}/{sum(states.values())}"
        for stage, states in status.counts().items()
    ]
    state = "running" if status.running else "complete" if status.complete else "not running"
    lines.append("; ".join([state, *sums]))
    return "\n".join(lines)


def results_table(table: pd.DataFrame) -> str:
    """The main columns; csv, json and parquet hold them all."""
    columns = [name for name in _SHOWN if name in table.columns]
    short = {name: name.replace("phonon_", "").replace("vibrational_", "") for name in columns}
    rows = [["compound", *short.values()]]
    for name, values in table[columns].iterrows():
        rows.append([str(name), *(_cell(value) for value in values)])
    text = aligned(rows)
    widest = max(len(line) for line in text.splitlines())
    if widest > shutil.get_terminal_size((200, 24)).columns:
        text += "\n(wider than this terminal: --format csv --output FILE holds every column)"
    return text


def screening_table(table: pd.DataFrame) -> str:
    """Ranked compounds with what the published equation reads; csv and json hold all."""
    columns = ["rank", "formula", "probability", "superionic", *_RANKED_BY, "soft_mode_flag"]
    short = [name.replace("low_energy_", "").replace("vibrational_", "") for name in columns]
    rows = [["material_id", *short, "flags"]]
    for name, values in table.iterrows():
        flags = str(values["flags"])
        cells = [_cell(values[column]) for column in columns]
        rows.append([str(name), *cells, flags if len(flags) <= 60 else flags[:57] + "..."])
    return aligned(rows)


def screening_summary(result: ScreeningResult) -> str:
    """How many there were, passed and are superionic, and what the others failed."""
    reasons = Counter(_kind(reason) for one in result.filtered_out for reason in one.reasons)
    superionic = sum(row.superionic for row in result.rows)
    total = len(result.rows) + len(result.filtered_out)
    failed = "; ".join(f"{reason}: {count}" for reason, count in reasons.most_common())
    text = f"{total} compounds, {len(result.rows)} pass the filters, {superionic} superionic"
    return f"{text}\nleft out: {failed}" if failed else text


def _kind(reason: str) -> str:
    """A reason without its numbers: what it has in common with others."""
    return re.sub(r" -?[\d.]+(e[-+]?\d+)?( eV(/atom)?)? is (above|below)", r" is \4", reason)


def aligned(rows: list[list[str]]) -> str:
    """Rows as text with columns of equal width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124 - NaN
            return "-"
        return f"{value:.2e}" if value and abs(value) < 1e-2 else f"{value:.4g}"
    return "-" if value is None else str(value)
