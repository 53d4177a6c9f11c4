"""The histogram DOS keeps the number and the mean energy of the modes, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_flows.phonons.dos import BIN_WIDTH, band_centers, projected_dos

modes = st.tuples(
    st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1), st.floats(0.1, 200)
)


def made_up(n_q: int, atoms: int, seed: int, scale: float):
    random = np.random.default_rng(seed)
    energies = np.sort(random.normal(0.5, 1, (n_q, 3 * atoms)) * scale, axis=1)
    weights = random.integers(1, 9, n_q).astype(float)
    shares = random.dirichlet(np.ones(atoms), (n_q, 3 * atoms)).transpose(0, 2, 1)
    return energies, shares, weights


@settings(max_examples=40, deadline=None)
@given(modes)
def test_norm_and_mean_are_those_of_the_modes(drawn):
    energies, shares, weights = made_up(*drawn)
    grid, dos = projected_dos(energies, shares, weights)
    share = shares * (weights / weights.sum())[:, None, None]
    assert dos.sum(axis=1) * BIN_WIDTH == pytest.approx(share.sum(axis=(0, 2)))
    expected = (share * energies[:, None, :]).sum(axis=(0, 2))
    assert dos @ grid * BIN_WIDTH == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert (dos >= 0).all()
    assert grid[0] < min(energies.min(), 0)
    assert grid[-1] > max(energies.max(), 0)


def test_bins_have_edges_at_zero_and_thirty():
    grid, _ = projected_dos(np.array([[3.0, 40.0, 50.0]]), np.ones((1, 1, 3)), np.ones(1))
    for edge in (0.0, 30.0):
        assert np.abs(grid - edge).min() == pytest.approx(BIN_WIDTH / 2)


def test_centres_leave_imaginary_modes_out():
    energies = np.array([[-5.0, 10.0, 20.0, 20.0, 30.0, 40.0]])
    shares = np.zeros((1, 2, 6))
    shares[0, 0, [0, 1, 5]] = 1
    shares[0, 1, [2, 3, 4]] = 1
    centers = band_centers(energies, shares, np.ones(1), ["Li", "O"])
    assert centers == pytest.approx({"Li": 25.0, "O": 70 / 3, "total": 24.0})
