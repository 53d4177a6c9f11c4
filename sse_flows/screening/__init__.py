"""Screening of a pool: filters, predictions, a ranked table."""

from sse_flows.screening.document import FilteredOut, Filters, ScreeningResult, ScreeningRow
from sse_flows.screening.filters import apply_filters
from sse_flows.screening.rank import screen

__all__ = [
    "FilteredOut",
    "Filters",
    "ScreeningResult",
    "ScreeningRow",
    "apply_filters",
    "screen",
]
