"""Screen the descriptors that a store holds, by the published equation or trained models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sse_flows.descriptors.document import DESCRIPTORS, DescriptorSet
from sse_flows.errors import SSEError
from sse_flows.screening.document import Filters, ScreeningResult
from sse_flows.screening.properties import with_properties

if TYPE_CHECKING:
    import pandas as pd

    from sse_flows.models.document import TrainedModels


def screen_sets(
    sets: list[DescriptorSet],
    properties: dict[str, dict[str, float]],
    filters: dict[str, Any],
    models: TrainedModels | None = None,
    level: float | None = None,
) -> tuple[ScreeningResult, pd.DataFrame]:
    """Filter and rank compounds by the equation of Kim et al. (2024) or by trained models.

    Parameters
    ----------
    sets
        Descriptors of the pool.
    properties
        Band gaps (eV) and energies above hull (eV/atom) by id, in place of the sets' own.
    filters
        Fields of :class:`sse_flows.screening.Filters`.
    models
        Trained models; None for the published equation.
    level
        Of the conformal intervals and sets of trained models; 0.9 by default.

    Returns
    -------
    result, table
        The screening; and its ranked rows with `material_id` as index, `formula`, `probability`,
        `superionic`, what trained models say more, the descriptors, `energy_above_hull` and
        `flags`.

    Raises
    ------
    SSEError
        A filter or the level is not possible.
    """
    from sse_flows.descriptors.table import descriptor_table
    from sse_flows.models.kim2024 import Kim2024
    from sse_flows.models.uncertainty import LEVEL
    from sse_flows.screening.rank import screen

    pool = with_properties(descriptor_table(sets), properties)
    wanted = checked_filters(filters)
    result = screen(pool, models or Kim2024(), wanted, level=LEVEL if level is None else level)
    return result, _ranked_table(result, pool, {one.compound_id: one.flags for one in sets})


def checked_filters(filters: dict[str, Any]) -> Filters:
    """Filters of their fields.

    Raises
    ------
    SSEError
        One of them is not possible.
    """
    try:
        return Filters(**filters)
    except ValidationError as error:
        reason = "; ".join(one["msg"] for one in error.errors())
        raise SSEError(f"the filters are wrong: {reason}", mend="Mend the options") from error


PUBLISHED = ("formula", "probability", "superionic")
TRAINED = (
    *PUBLISHED,
    "log10_conductivity",
    "log10_conductivity_low",
    "log10_conductivity_high",
    "prediction_set",
    "outside_domain",
    "in_training",
    "imputed",
    "probability_kim2024",
)
"""Columns before the descriptors, of the published equation and of trained models."""


def _ranked_table(
    result: ScreeningResult, pool: pd.DataFrame, flags: dict[str, list[str]]
) -> pd.DataFrame:
    """Ranked rows with the descriptors they rest on; lists joined by semicolons."""
    table = result.to_frame()
    trained = result.ranked_by == "probability"
    if not trained:
        table["probability"] = table["probability_kim2024"]
    remarks = [
        "; ".join(dict.fromkeys([*row, *flags[name]]))
        for name, row in zip(table.index, table["flags"], strict=True)
    ]
    for column in ("prediction_set", "outside_domain", "imputed"):
        table[column] = ["; ".join(row or ()) for row in table[column]]
    table = table[["rank", *(TRAINED if trained else PUBLISHED)]]
    values = pool.loc[table.index, [*DESCRIPTORS, "energy_above_hull"]]
    joined = table.join(values)
    joined["flags"] = remarks
    joined.index.name = "material_id"
    return joined
