"""The 14 phonon descriptors on DOS whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_flows.descriptors.document import PHONON_DESCRIPTORS
from sse_flows.descriptors.phonon import (
    RoleDOS,
    dos_of_role,
    hybrid_dos,
    low_energy_peak,
    low_energy_ratio,
    phonon_descriptors,
    soft_mode_flag,
)
from sse_flows.phonons.document import SoftModes
from sse_flows.phonons.dos import dos_band_center

STEP = 0.1
GRID = (np.arange(-50, 1000) + 0.5) * STEP


def gaussian(center: float, width: float = 0.6) -> np.ndarray:
    """Integrates to 1."""
    values = np.exp(-0.5 * ((GRID - center) / width) ** 2)
    return values / (values.sum() * STEP)


def soft(count: int = 0, leading: str = "Li") -> SoftModes:
    return SoftModes(
        count=count,
        threshold=-0.5,
        lowest_energy=-1,
        lowest_qpoint=[0, 0, 0],
        species_weights={leading: 1.0},
        leading_species=leading,
    )


def described(projected: np.ndarray, species: list[str], **options):
    keywords = {
        "mobile": "Li",
        "anions": ["O"],
        "soft_modes": soft(),
        "entropy": 40.0,
        **options,
    }
    return phonon_descriptors(GRID, projected, species, **keywords)


# Li peaks at 10 and 50 meV, O at 10 and 20, Ti at 25 alone
KNOWN = np.stack(
    [
        gaussian(10.05) + 2 * gaussian(50.05),
        2 * gaussian(10.05) + gaussian(20.05),
        3 * gaussian(25.05),
    ]
)


def test_known_dos():
    values = described(KNOWN, ["Li", "O", "Ti"])
    assert list(values) == list(PHONON_DESCRIPTORS)
    top = gaussian(10.05).max()
    expected = {
        "phonon_band_center_mobile": (10.05 + 2 * 50.05) / 3,
        "phonon_band_center_anion": (2 * 10.05 + 20.05) / 3,
        "phonon_band_center_total": (3 * 10.05 + 2 * 50.05 + 20.05 + 3 * 25.05) / 9,
        "peak_energy_mobile": 10.05,
        "peak_energy_anion": 10.05,
        "peak_energy_hybrid": 10.05,
        "peak_dos_mobile": top,
        "peak_dos_anion": 2 * top,
        "peak_dos_hybrid": top / 2,
        "soft_mode_flag": 0,
        "low_energy_ratio_mobile": 1 / 7,
        "low_energy_ratio_anion": 3 / 7,
        "low_energy_ratio_hybrid": 1 / 7,
        "vibrational_entropy": 40.0,
    }
    assert values == pytest.approx(expected, rel=1e-6)


def test_imaginary_modes_count_nowhere():
    shifted = KNOWN + gaussian(-3.0, 0.3)
    assert described(shifted, ["Li", "O", "Ti"]) == pytest.approx(
        described(KNOWN, ["Li", "O", "Ti"]), rel=1e-6
    )


def test_the_window_ends_at_thirty():
    dos = np.zeros_like(GRID)
    dos[np.isclose(GRID, 29.95)] = 1.0
    dos[np.isclose(GRID, 30.05)] = 5.0
    assert low_energy_peak(GRID, RoleDOS(dos, 1)) == (pytest.approx(29.95), 1.0)
    assert low_energy_ratio(GRID, dos, 2 * dos) == pytest.approx(0.5)


def test_no_modes_in_the_window_is_none_not_zero():
    values = described(np.stack([gaussian(80), gaussian(60)]), ["Li", "O"])
    missing = {name for name, value in values.items() if value is None}
    assert missing == {
        *(f"peak_energy_{kind}" for kind in ("mobile", "anion", "hybrid")),
        *(f"low_energy_ratio_{kind}" for kind in ("mobile", "anion", "hybrid")),
    }
    assert values["peak_dos_mobile"] == 0
    assert dos_band_center(GRID, gaussian(-3.0, 0.3)) is None


@pytest.mark.parametrize(("count", "leading", "flag"), [(0, "Li", 0), (3, "Li", 1), (3, "O", 2)])
def test_soft_mode_flag(count, leading, flag):
    assert soft_mode_flag(soft(count, leading), "Li") == flag


dos_arrays = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).gamma(0.3, 1.0, (4, len(GRID)))
)
SPECIES = ["Li", "O", "Ti", "O"]


@settings(max_examples=25, deadline=None)
@given(dos_arrays, st.permutations(range(4)), st.integers(1, 4))
def test_order_of_atoms_and_size_of_the_cell_do_not_matter(dos, order, copies):
    expected = described(dos, SPECIES)
    again = described(np.tile(dos[list(order)], (copies, 1)), [SPECIES[i] for i in order] * copies)
    assert again == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(dos_arrays)
def test_ratios_are_shares_and_the_hybrid_is_the_smallest(dos):
    values = described(dos, SPECIES)
    mobile, anion, hybrid = (
        values[f"low_energy_ratio_{kind}"] for kind in ("mobile", "anion", "hybrid")
    )
    assert 0 <= hybrid <= min(mobile, anion)
    assert mobile + anion <= 1
    parts = [dos_of_role(dos, SPECIES, [s]) for s in ("Li", "O")]
    assert hybrid_dos(*parts).atoms == 3
    for kind in ("mobile", "anion", "hybrid"):
        assert 0 < values[f"peak_energy_{kind}"] <= 30
