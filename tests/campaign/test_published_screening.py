"""The published screening of the Kyoto database on its real entries, as docs/imports.md tells it.

J. Kim et al. (2024) found 11 candidates among the Li compounds of the database. The entries
(A. Togo, CC-BY 4.0) and the properties (Materials Project, CC-BY 4.0) are not part of the project.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from pymatgen.core import Composition

from sse_flows.campaign.importing import import_entry
from sse_flows.campaign.screening import screen_sets
from sse_flows.campaign.stored import read_pool_sets
from sse_flows.phonons.entries import Source
from sse_flows.roles import assign_roles
from sse_flows.screening.document import Filters
from sse_flows.screening.filters import apply_filters
from sse_flows.screening.properties import read_properties
from sse_flows.store.jobstore import embedded_store

FOUND = {
    "mp-4527", "mp-6844", "mp-8610", "mp-16055", "mp-17208", "mp-504806", "mp-504810",
    "mp-753546", "mp-774749",
}  # fmt: skip
MISSED = {"mp-18711": "LiNd(PO3)4", "mp-14364": "Cs2LiAsO4"}
OTHERS = {"mp-23122", "mp-18274", "mp-16792", "mp-759849", "mp-557456", "mp-554395"}
NOT_SUPERIONIC = {"mp-1960", "mp-1153"}  # Li2O and Li2S
DROPPED = {"mp-1138": "anion", "mp-4226": "band gap", "mp-8001": "energy above hull"}
FILTERS = {
    "require_elements": ["Li"],
    "anions": ["O", "S"],
    "min_band_gap": 1.0,
    "max_energy_above_hull": 1e-6,
    "missing": "drop",
}


@pytest.fixture(scope="module")
def properties(shared_data) -> dict[str, dict[str, float]]:
    file = shared_data / "mp_li_pool.jsonl.gz"
    if not file.is_file():
        pytest.skip(f"no {file.name} among the reference data")
    return read_properties(file)


@pytest.fixture(scope="module")
def entries(shared_data) -> dict[str, Path]:
    folder = shared_data / "kyoto_phonondb_li"
    found = {"-".join(path.name.split("-")[:2]): path for path in folder.glob("*.tar.lzma")}
    if not found:
        pytest.skip(f"no entries in {folder}")
    return found


@pytest.mark.slow
def test_nine_of_eleven_are_found_and_the_two_missed_have_soft_modes(entries, properties, tmp_path):
    store = embedded_store(tmp_path)
    store.connect()
    wanted = {*FOUND, *MISSED, *OTHERS, *NOT_SUPERIONIC, *DROPPED}
    for name in sorted(wanted):
        outcome = import_entry(Source(name, entries[name]), "Li", store)
        assert outcome.state == "imported", outcome
    sets = {one.compound_id: one for one in read_pool_sets(tmp_path, "Li")}
    assert set(sets) == wanted
    result, table = screen_sets(list(sets.values()), properties, FILTERS)
    assert set(table.index) == wanted - set(DROPPED)
    assert len(result.rows) == len(table)
    assert set(table.index[table["superionic"]]) == FOUND | OTHERS
    for name, formula in MISSED.items():
        assert sets[name].formula == formula
        assert table.loc[name, "probability"] < 0.15
        assert sets[name].values["soft_mode_flag"] == 2  # led by another ion than Li
        assert "soft modes" in table.loc[name, "flags"]
        assert "interpolated" in table.loc[name, "flags"]


def test_the_filter_keeps_252_of_873_by_composition_and_properties(
    shared_data, entries, properties
):
    rows = []
    with gzip.open(shared_data / "kyoto_band_centers.jsonl.gz", "rt") as handle:
        next(handle)
        for record in map(json.loads, handle):
            if "Li" in record["species"]:
                composition = Composition(" ".join(record["species"]))
                anions = list(assign_roles(composition, "Li").anions)
                known = properties.get(record["id"], {})
                row = {"formula": composition.reduced_formula, "anions": anions}
                rows.append(
                    {
                        "id": record["id"],
                        **row,
                        "band_gap": known.get("band_gap"),
                        "energy_above_hull": known.get("energy_above_hull"),
                    }
                )
    table = pd.DataFrame(rows).set_index("id")
    assert set(table.index) == set(entries)
    assert len(table) == 873
    verdicts = apply_filters(table, Filters(**FILTERS))
    kept = {name for name, verdict in verdicts.items() if not verdict.reasons}
    assert len(kept) == 252
    assert {*FOUND, *MISSED, *OTHERS} <= kept
    for name, reason in DROPPED.items():
        (why,) = verdicts[name].reasons
        assert reason in why
