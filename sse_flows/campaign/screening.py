"""Screen the descriptors that a store holds, by the published equation or trained models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sse_flows.campaign.places import IMPORTED_KYOTO
from sse_flows.descriptors.document import DESCRIPTORS, DescriptorSet
from sse_flows.errors import SSEError
from sse_flows.screening.document import Filters, ScreeningResult
from sse_flows.screening.properties import with_properties

if TYPE_CHECKING:
    import pandas as pd

    from sse_flows.models.document import TrainedModels


def read_pool_sets(pool: str | Path, mobile_ion: str) -> list[DescriptorSet]:
    """Descriptors in the store of a results folder, the newest of every compound.

    Parameters
    ----------
    pool
        Results folder of an import or a campaign; ``"kyoto"`` is the import's default.
    mobile_ion
        Only those described with this mobile ion.

    Raises
    ------
    SSEError
        There is no store, or nothing in it.
    """
    from sse_flows.store.jobstore import STORE_FILE, configured_store, open_store

    folder = Path(pool)
    if pool == "kyoto" and not (folder / STORE_FILE).exists():
        folder = Path(IMPORTED_KYOTO)
    mend = "Import it with `sse import kyoto PATH... --results FOLDER`, or name its folder"
    if configured_store() is None and not (folder / STORE_FILE).is_file():
        raise SSEError(f"{folder} holds no store", mend=mend)
    criteria = {"metadata.stage": "descriptors", "output.mobile_ion": mobile_ion}
    found: dict[str, tuple[str, dict]] = {}
    for doc in open_store(folder).query(criteria, ["output", "completed_at"]):
        name, when = doc["output"]["compound_id"], str(doc["completed_at"])
        if name not in found or when > found[name][0]:
            found[name] = (when, doc["output"])
    if not found:
        raise SSEError(f"{folder} holds no descriptors of {mobile_ion} compounds", mend=mend)
    return [_parse(output) for _, (_, output) in sorted(found.items())]


def _parse(output: dict[str, Any]) -> DescriptorSet:
    return DescriptorSet.model_validate({k: v for k, v in output.items() if k[0] != "@"})


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


def pool_folder(pool: str | Path) -> Path:
    """Results folder of a pool; ``"kyoto"`` is that of the import unless it is a folder here."""
    from sse_flows.store.jobstore import STORE_FILE

    folder = Path(pool).expanduser()
    if str(pool) == "kyoto" and not (folder / STORE_FILE).exists():
        return Path(IMPORTED_KYOTO)
    return folder


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
