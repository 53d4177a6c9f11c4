"""Periodic neighbours from bins against a plain search of all images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_flows.descriptors.crystal.neighbors import (
    TOO_CLOSE,
    neighbors_within,
    sort_into_bins,
)


def found(lattice, positions, site, cutoff):
    spacing = np.sqrt(np.sum(np.linalg.inv(lattice) ** 2, axis=0))
    bins = sort_into_bins(lattice, positions)
    return neighbors_within(lattice, spacing, bins, positions[site], cutoff, 8)


def plain(lattice, positions, site, cutoff):
    """Sites and images within the cutoff."""
    span = np.arange(-6, 7)
    images = np.stack(np.meshgrid(span, span, span), axis=-1).reshape(-1, 3)
    vectors = (positions[:, None] + images - positions[site]) @ lattice
    apart = np.linalg.norm(vectors, axis=2)
    j, t = np.nonzero((apart < cutoff) & (apart > 1e-6))
    return {(int(a), *map(int, images[b])) for a, b in zip(j, t, strict=True)}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), sites=st.integers(1, 40))
def test_all_neighbours_are_found_nearest_first(seed, sites):
    rng = np.random.default_rng(seed)
    lattice = 8.0 * np.eye(3) * rng.uniform(0.4, 1.6, 3) + rng.uniform(-1, 1, (3, 3))
    positions = rng.random((sites, 3))
    positions[0] = 1.0, 0.0, 0.5  # wrapping can round up to 1
    apart = (positions[:, None] - positions) @ lattice
    if np.any(np.linalg.norm(apart, axis=2) + 10 * np.eye(sites) < 0.05):
        return
    status, site, image, vector, square = found(lattice, positions, 0, 7.0)
    expected = plain(lattice, positions, 0, 7.0)
    assert status == len(expected)
    assert {(int(j), *map(int, t)) for j, t in zip(site, image, strict=True)} == expected
    np.testing.assert_allclose(
        vector, (positions[site] + image - positions[0]) @ lattice, atol=1e-9
    )
    assert np.all(np.diff(square) >= 0)


def test_every_site_is_in_one_bin():
    shape, starts, order, places = sort_into_bins(
        5.0 * np.eye(3), np.random.default_rng(1).random((50, 3))
    )
    assert starts[0] == 0
    assert starts[-1] == len(places) == 50
    assert len(starts) == np.prod(shape) + 1
    assert sorted(order) == list(range(50))


@pytest.mark.parametrize("x", [0.5, 0.5 + 1e-4])
def test_two_sites_at_one_place(x):
    positions = np.array([[0.5, 0.5, 0.5], [x, 0.5, 0.5]])
    assert found(4.0 * np.eye(3), positions, 0, 4.0)[0] == TOO_CLOSE
