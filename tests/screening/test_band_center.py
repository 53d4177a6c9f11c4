"""The trained model in a screen: decorations are predicted like the crystals that they are."""

from __future__ import annotations

import numpy as np
import pytest

from sse_flows.descriptors.crystal.tessellation import tessellate
from sse_flows.errors import SSEError
from sse_flows.models.site_environments import element_environments
from sse_flows.screening.band_center import load_centers
from sse_flows.screening.environments import decorated_environments
from sse_flows.structures.prototypes import load_prototypes
from sse_flows.structures.substituents import choices_for
from sse_flows.structures.substitution import Substitution
from sse_flows.testing.models import small_band_center


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_centers(small_band_center(tmp_path_factory.mktemp("model")))


def some_children(name, count=12):
    prototype = load_prototypes([name])[0]
    substitution = Substitution(prototype, choices_for(prototype), scale_volume=True)
    chunk = next(substitution.chunks())
    return chunk[np.linspace(0, len(chunk) - 1, count).astype(int)]


def geometry(structure):
    return tessellate(structure.lattice.matrix, structure.frac_coords)


@pytest.mark.parametrize("name", ["li3ps4", "li10gep2s12", "li6ps5cl"])
def test_decorations_have_the_surroundings_of_their_crystals(name):
    chunk = some_children(name)
    rows, owners = decorated_environments(
        geometry(chunk.prototype.structure), chunk.site_numbers, chunk.volume_ratio
    )
    for child in range(len(chunk)):
        crystal = chunk.structure(child)
        expected = element_environments(geometry(crystal), chunk.site_numbers[child])
        assert rows[owners == child] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_decorations_are_predicted_like_crystals(model):
    chunk = some_children("li10gep2s12")
    prototype = geometry(chunk.prototype.structure)
    fast = model.decorations(prototype, chunk.site_numbers, chunk.volume_ratio)
    rows = [
        model.row(geometry(chunk.structure(child)), chunk.site_numbers[child])
        for child in range(len(chunk))
    ]
    slow = model.centers(rows)
    assert fast.center == pytest.approx(slow.center, rel=1e-6)
    assert fast.low == pytest.approx(slow.low, rel=1e-6)
    assert fast.high == pytest.approx(slow.high, rel=1e-6)
    assert (fast.outside == slow.outside).all()
    assert (fast.low < fast.center).all()
    assert (fast.center < fast.high).all()


def test_the_screen_agrees_with_the_model_itself(model):
    chunk = some_children("li3ps4", 5)
    crystals = {str(k): chunk.structure(k) for k in range(len(chunk))}
    table, failures = model.model.predict_table(crystals)
    found = model.decorations(
        geometry(chunk.prototype.structure), chunk.site_numbers, chunk.volume_ratio
    )
    assert not failures
    assert found.center == pytest.approx(table["band_center"].to_numpy(), rel=1e-6)


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(SSEError, match=r"holds no band_center\.json"):
        load_centers(tmp_path)
