"""Descriptors of made-up compounds in a store, as a campaign or an import leaves them."""

from __future__ import annotations

import uuid
from datetime import datetime
from pathlib import Path

import numpy as np
from monty.json import jsanitize

from sse_flows.campaign.keys import content_key
from sse_flows.descriptors.document import DESCRIPTORS, DescriptorSet
from sse_flows.store.jobstore import embedded_store


def make_sets(n: int, seed: int = 0, start: int = 0) -> list[DescriptorSet]:
    """Documents of compounds `start` to `start + n`, each the same whatever the others are.

    Parameters
    ----------
    n, start
        How many, and the number of the first.
    seed
        Of the values; another seed gives the same compounds other descriptors.
    """
    return [_one(number, seed) for number in range(start, start + n)]


def measured(sets: list[DescriptorSet]) -> dict[str, float]:
    """Conductivities, S/cm, that follow one descriptor."""
    return {
        one.compound_id: float(10 ** (-4 + 2 * (one.values["low_energy_ratio_mobile"] or 0.0)))
        for one in sets
    }


def _one(number: int, seed: int) -> DescriptorSet:
    rng = np.random.default_rng([seed, number])
    values: dict[str, float | None] = dict(
        zip(DESCRIPTORS, rng.normal(size=30).tolist(), strict=True)
    )
    values["band_gap"] = None
    return DescriptorSet(
        compound_id=f"x-{number:02d}",
        formula="Li2O",
        mobile_ion="Li",
        anions=["O"],
        values=values,
        missing={"band_gap": "not computed"},
        method="made up",
    )


def write_sets(folder: Path, sets: list[DescriptorSet]) -> None:
    """Write the documents into the embedded store of a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    store = embedded_store(folder)
    store.connect()
    for one in sets:
        record = {
            "uuid": str(uuid.UUID(content_key(one.model_dump())[:32])),
            "index": 1,
            "output": jsanitize(one, strict=True, enum_values=True, allow_bson=True),
            "completed_at": datetime.now().isoformat(),
            "metadata": {"stage": "descriptors", "compound": one.compound_id},
            "hosts": [],
            "name": "describe",
        }
        store.update(record, key=["uuid", "index"])
    store.close()
