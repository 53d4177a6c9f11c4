"""Which imaginary modes count, and whose they are."""

from __future__ import annotations

import numpy as np
import pytest

from sse_flows.phonons.modes import Modes
from sse_flows.phonons.soft_modes import SOFT_THRESHOLD, find_soft_modes

SPECIES = ["Li", "O"]


def made(points, energies, lithium=None, long_wave=None, weights=None) -> Modes:
    """Modes of a crystal of two atoms; `lithium` is the share of Li in each band."""
    energies = np.array(energies, dtype=float)
    share = np.full(energies.shape, 0.5) if lithium is None else np.array(lithium, dtype=float)
    points = np.array(points, dtype=float)
    at_gamma = ~points.any(axis=1)
    return Modes(
        points,
        np.ones(len(points)) if weights is None else np.array(weights, dtype=float),
        energies,
        np.stack([share, 1 - share], axis=1),
        at_gamma if long_wave is None else np.array(long_wave),
    )


STABLE = made([[0, 0, 0]], [[-0.9, -0.6, 0.4, 10, 11, 12]])


def test_acoustic_modes_at_gamma_do_not_count():
    found = find_soft_modes(STABLE, STABLE, SPECIES)
    assert found.count == 0
    assert found.lowest_energy == 10


def test_optical_modes_at_gamma_count():
    soft = made([[0, 0, 0]], [[-8, 0.01, 0.02, 0.03, 10, 11]], [[0.9, 0.5, 0.5, 0.5, 0.5, 0.5]])
    found = find_soft_modes(soft, STABLE, SPECIES)
    assert (found.count, found.commensurate_count) == (1, 1)
    assert found.leading_species == "Li"
    assert found.species_weights == pytest.approx({"Li": 0.9, "O": 0.1})


def test_noise_above_the_threshold_is_not_soft():
    mesh = made([[0.5, 0, 0]], [[0.9 * SOFT_THRESHOLD, 2, 3, 4, 5, 6]])
    found = find_soft_modes(STABLE, mesh, SPECIES)
    assert found.count == 0
    assert found.lowest_energy == pytest.approx(0.9 * SOFT_THRESHOLD)


def test_interpolated_acoustic_dips_near_gamma_do_not_count_but_optical_ones_do():
    near = [[0.05, 0, 0]]
    dip = made(near, [[-2, -1, 1, 10, 11, 12]], long_wave=[True])
    assert find_soft_modes(STABLE, dip, SPECIES).count == 0
    optical = made(near, [[-9, -1, 1, 2, 11, 12]], long_wave=[True])
    assert find_soft_modes(STABLE, optical, SPECIES).lowest_energy == -9


def test_mesh_points_count_as_often_as_they_stand_for_others():
    mesh = made([[0.5, 0, 0]], [[-3, -2, 3, 4, 5, 6]], weights=[6])
    found = find_soft_modes(STABLE, mesh, SPECIES)
    assert (found.count, found.commensurate_count) == (12, 0)
    assert found.lowest_qpoint == [0.5, 0, 0]


def test_a_degenerate_pair_is_averaged():
    shares = [[1.0, 0.0, 0.5, 0.5, 0.5, 0.5]]
    pair = made([[0.5, 0, 0]], [[-3, -3, 3, 4, 5, 6]], shares)
    found = find_soft_modes(pair, pair, SPECIES)
    assert found.species_weights == pytest.approx({"Li": 0.5, "O": 0.5})
