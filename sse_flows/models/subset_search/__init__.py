"""Exhaustive search of the best subset of columns of a logistic regression by leave-one-out.

J. Kim et al. (2024) scored all 2^30 - 1 subsets of 30 descriptors of 45 compounds. One fit of a
subset to all rows bounds what happens when a row is left out, so only the subsets that may win, and
of them only the rows in doubt, are fitted again. Method, proof and speed: docs/subset_search.md.
"""

from sse_flows.models.subset_search.kernels import available_kernels
from sse_flows.models.subset_search.margins import fit_margins, leave_one_out_margins
from sse_flows.models.subset_search.problem import SubsetProblem
from sse_flows.models.subset_search.results import SizeWinners, SubsetSearch, merge_searches
from sse_flows.models.subset_search.search import (
    SearchProgress,
    estimate_seconds,
    search_subsets,
)

__all__ = [
    "SearchProgress",
    "SizeWinners",
    "SubsetProblem",
    "SubsetSearch",
    "available_kernels",
    "estimate_seconds",
    "fit_margins",
    "leave_one_out_margins",
    "merge_searches",
    "search_subsets",
]
