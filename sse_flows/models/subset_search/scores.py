"""What a subset is scored by, and which subsets can still reach a score."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from sse_flows.errors import SSEError
from sse_flows.models.subset_search.problem import Floats

ScoreName = Literal["accuracy", "f1", "log_loss"]
LOSS_DECIMALS = 9
"""Mean log losses that agree to this many decimals tie."""
ROUNDING = 1e-6
"""Added to limits on counts, which differ by far more than this."""


def check_score(name: str) -> ScoreName:
    """The name of a score.

    Raises
    ------
    SSEError
        If there is no such score.
    """
    for known in get_args(ScoreName):
        if name == known:
            return known
    raise SSEError(
        f"'{name}' is not a score", mend=f"Choose one of {', '.join(get_args(ScoreName))}"
    )


def scores_of(
    name: ScoreName, counts: np.ndarray, loss: Floats, n_rows: int, n_positive: int
) -> Floats:
    """Scores, the larger the better, from error counts, shape (m, 2), or summed log losses."""
    missed, false = counts[:, 0].astype(float), counts[:, 1].astype(float)
    if name == "accuracy":
        return (n_rows - missed - false) / n_rows
    if name == "f1":
        found = n_positive - missed
        return 2.0 * found / (2.0 * found + missed + false)
    return -np.round(loss / n_rows, LOSS_DECIMALS)


def rule_of(name: ScoreName, best: Floats, n_rows: int, n_positive: int, ties: bool) -> Floats:
    """Costs of the errors and their limit for every size, so that none over it can win or tie.

    F1 = 2t / (2t + missed + false) with t = n_positive - missed reaches L if and only if
    ``(2 - L) missed + L false <= 2 n_positive (1 - L)``.

    Parameters
    ----------
    best
        Best score known of every size, minus infinity where there is none, shape (sizes + 1,).
    ties
        Whether subsets that only tie are wanted.

    Returns
    -------
    Cost of a missed positive, of a false positive, and the limit; shape (3, sizes + 1).
    """
    known = np.isfinite(best)
    rule = np.ones((3, len(best)))
    margin = ROUNDING if ties else -ROUNDING
    if name == "accuracy":
        margin = 0.5 if ties else -0.5
        rule[2] = np.where(known, np.round(n_rows * (1.0 - np.where(known, best, 0.0))), n_rows)
    elif name == "f1":
        reach = np.where(known, best, 0.0)
        rule[0], rule[1], rule[2] = 2.0 - reach, reach, 2.0 * n_positive * (1.0 - reach)
    else:
        step = 10.0**-LOSS_DECIMALS  # half of it is what rounding to the decimals may hide
        margin = n_rows * step * (1.0 if ties else -0.4)
        rule[2] = np.where(known, -n_rows * np.where(known, best, 0.0), 1e300)
    rule[2] = np.where(known, rule[2] + margin, rule[2] + ROUNDING)
    return rule
