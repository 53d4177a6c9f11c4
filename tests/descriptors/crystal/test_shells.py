"""Neighbour shells: both definitions against a plain enumeration of all walks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_flows.descriptors.crystal.arrays import read_crystal
from sse_flows.descriptors.crystal.geometry import face_weights
from sse_flows.descriptors.crystal.shells import shell_weights
from sse_flows.descriptors.crystal.tessellation import tessellate
from sse_flows.errors import SSEError


def walks(tessellation, labels, steps, ordering):
    """Weight of each label after so many steps, walk by walk."""
    weights = face_weights(tessellation) if ordering == "matminer" else tessellation.areas
    found = np.zeros((tessellation.n_sites, labels.max() + 1))

    def go_on(path, weight):
        if len(path) == steps + 1:
            found[path[0][0], labels[path[-1][0]]] += weight
            return
        site, *image = path[-1]
        faces = range(tessellation.offsets[site], tessellation.offsets[site + 1])
        places = {
            (tessellation.neighbors[f], *(tessellation.images[f] + image)): weights[f]
            for f in faces
        }
        allowed = {place: w for place, w in places.items() if place not in path}
        total = 1.0 if ordering == "matminer" else sum(allowed.values())
        for place, w in allowed.items():
            go_on([*path, place], weight * w / total)

    for i in range(tessellation.n_sites):
        go_on([(i, 0, 0, 0)], 1.0)
    return found


def check(crystal, ordering):
    lattice, numbers, positions = crystal
    tessellation = tessellate(lattice, positions)
    labels = np.unique(numbers, return_inverse=True)[1]
    shells = shell_weights(tessellation, labels, ordering=ordering)
    for steps in (1, 2, 3):
        expected = walks(tessellation, labels, steps, ordering)
        np.testing.assert_allclose(shells[steps - 1], expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("ordering", ["matminer", "magpie"])
def test_symmetric_crystals(symmetric, ordering):
    for name in ("fcc", "rock salt", "antifluorite", "perovskite"):
        check(read_crystal(symmetric[name]), ordering)


@pytest.mark.parametrize("ordering", ["matminer", "magpie"])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), sites=st.integers(1, 3))
def test_any_crystal(low_symmetry, ordering, seed, sites):
    check(low_symmetry(seed, sites, kinds=2), ordering)


def test_magpie_shells_are_shares(symmetric):
    _, numbers, _ = crystal = read_crystal(symmetric["spinel"])
    labels = np.unique(numbers, return_inverse=True)[1]
    shells = shell_weights(tessellate(crystal[0], crystal[2]), labels, ordering="magpie")
    np.testing.assert_allclose(shells.sum(axis=2), 1.0, rtol=1e-10)


def test_an_unknown_definition_is_refused(symmetric):
    lattice, _, positions = read_crystal(symmetric["fcc"])
    with pytest.raises(SSEError, match="random"):
        shell_weights(tessellate(lattice, positions), np.array([0]), ordering="random")
