"""Screening of a pool: filters, predictions, a ranked table."""

from typing import TYPE_CHECKING

from sse_flows.screening.document import FilteredOut, Filters, ScreeningResult, ScreeningRow

if TYPE_CHECKING:
    from sse_flows.screening.rank import screen

__all__ = ["FilteredOut", "Filters", "ScreeningResult", "ScreeningRow", "screen"]


def __getattr__(name: str) -> object:
    if name == "screen":  # scikit-learn is imported only where something is predicted
        from sse_flows.screening.rank import screen

        return screen
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
