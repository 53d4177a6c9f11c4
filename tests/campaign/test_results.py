"""What the page of a campaign gathers from its documents."""

from __future__ import annotations

import pytest

from sse_flows.campaign.results import _explanations
from sse_flows.campaign.tables import read_any_table, table_path
from sse_flows.descriptors.table import descriptor_sets, read_descriptor_csv
from sse_flows.models.train import train


@pytest.fixture(scope="module")
def models():
    return train(read_any_table("builtin", "Li").iloc[::2], max_features=1, n_estimators=3)


@pytest.fixture(scope="module")
def sets():
    return descriptor_sets(read_descriptor_csv(table_path("builtin")))[:4]


def test_every_described_compound_is_explained(models, sets):
    found = _explanations(models, sets)
    assert [one.compound_id for one in found] == [one.compound_id for one in sets]
    for one in found:
        parts = [part.contribution for part in one.log10_conductivity_contributions]
        total = one.log10_conductivity_base + sum(parts) + one.log10_conductivity_rest
        assert total == pytest.approx(one.log10_conductivity)


def test_nothing_to_explain_is_no_error(models, sets):
    assert _explanations(None, sets) == []
    assert _explanations(models, []) == []
