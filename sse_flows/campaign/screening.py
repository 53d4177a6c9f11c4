"""Screen the descriptors that a store holds, by the published equation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sse_flows.descriptors.document import DESCRIPTORS, DescriptorSet
from sse_flows.errors import SSEError
from sse_flows.screening.document import Filters, ScreeningResult
from sse_flows.screening.properties import with_properties

if TYPE_CHECKING:
    import pandas as pd


def screen_sets(
    sets: list[DescriptorSet],
    properties: dict[str, dict[str, float]],
    filters: dict[str, Any],
) -> tuple[ScreeningResult, pd.DataFrame]:
    """Filter and rank compounds by the equation of Kim et al. (2024).

    Parameters
    ----------
    sets
        Descriptors of the pool.
    properties
        Band gaps (eV) and energies above hull (eV/atom) by id, in place of the sets' own.
    filters
        Fields of :class:`sse_flows.screening.Filters`.

    Returns
    -------
    result, table
        The screening; and its ranked rows with `material_id` as index, `formula`, `probability`,
        `superionic`, the descriptors, `energy_above_hull` and `flags`.

    Raises
    ------
    SSEError
        A filter is not possible.
    """
    from sse_flows.descriptors.table import descriptor_table
    from sse_flows.models.kim2024 import Kim2024
    from sse_flows.screening.rank import screen

    try:
        wanted = Filters(**filters)
    except ValidationError as error:
        reason = "; ".join(one["msg"] for one in error.errors())
        raise SSEError(f"the filters are wrong: {reason}", mend="Mend the options") from error
    pool = with_properties(descriptor_table(sets), properties)
    result = screen(pool, Kim2024(), wanted)
    return result, _ranked_table(result, pool, {one.compound_id: one.flags for one in sets})


def _ranked_table(
    result: ScreeningResult, pool: pd.DataFrame, flags: dict[str, list[str]]
) -> pd.DataFrame:
    """Ranked rows with the descriptors they rest on; flags joined by semicolons."""
    table = result.to_frame()[["rank", "formula", "probability_kim2024", "superionic", "flags"]]
    table = table.rename(columns={"probability_kim2024": "probability"})
    remarks = [
        "; ".join(dict.fromkeys([*row, *flags[name]]))
        for name, row in zip(table.index, table.pop("flags"), strict=True)
    ]
    values = pool.loc[table.index, [*DESCRIPTORS, "energy_above_hull"]]
    joined = table.join(values)
    joined["flags"] = remarks
    joined.index.name = "material_id"
    return joined
