"""Band edges, and results that are not there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_flows.codes.espresso.outputs import band_edges, read_ph, read_pw
from sse_flows.errors import SSEError

FIELD = """\
     Program PHONON v.6.7MaX starts on 22Nov2026 at  4: 9:20

          Calculation of q =    0.0000000   0.0000000   0.0000000

          Dielectric constant in cartesian axis

          (       4.000000000       0.100000000      -0.000000000 )
          (       0.100000000       4.000000000       0.000000000 )
          (      -0.000000000       0.000000000       5.000000000 )

          Effective charges (d Force / dE) in cartesian axis

           atom      1   O
      Ex  (       -2.40000        0.30000       -0.00000 )
      Ey  (        0.00000       -2.40000        0.00000 )
      Ez  (        0.00000        0.00000       -2.50000 )
           atom      2   Mg
      Ex  (        2.40000       -0.30000       -0.00000 )
      Ey  (        0.00000        2.40000       -0.00000 )
      Ez  (        0.00000       -0.00000        2.50000 )

"""


@given(
    gap=st.floats(0.1, 8.0),
    shift=st.floats(-20.0, 20.0),
    order=st.permutations(range(4)),
    seed=st.integers(0, 1000),
)
def test_the_gap_does_not_depend_on_the_zero_of_energy_or_the_order_of_k_points(
    gap, shift, order, seed
):
    rng = np.random.default_rng(seed)
    below = np.sort(-rng.random((4, 3)), axis=1)
    below[0, -1] = 0.0
    above = gap + np.sort(rng.random((4, 2)), axis=1)
    above[1, 0] = gap
    energies = np.hstack([below, above])[list(order)] + shift
    occupied = np.repeat([[1.0, 1.0, 1.0, 0.0, 0.0]], 4, axis=0)
    bands = band_edges(energies[None], occupied[None])
    assert bands.gap == pytest.approx(gap, abs=1e-9)
    assert bands.vbm == pytest.approx(shift, abs=1e-9)
    assert bands.cbm == pytest.approx(gap + shift, abs=1e-9)
    assert bands.direct is False


def test_partial_occupations_and_overlapping_bands_are_a_metal():
    energies = np.array([[[-1.0, 0.0, 1.0]]])
    assert band_edges(energies, np.array([[[1.0, 0.5, 0.0]]]), 0.0).gap == 0.0
    overlapping = np.array([[[-1.0, 0.0, 2.0], [-1.0, -0.5, -0.2]]])
    assert band_edges(overlapping, np.array([[[1.0, 1.0, 0.0]] * 2])).gap == 0.0


def test_a_band_that_is_full_at_some_k_points_only_is_a_metals():
    energies = np.array([[[-5.0, 1.0, 2.0], [-4.0, -1.0, 3.0]]])
    occupied = np.array([[[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]])
    assert band_edges(energies, occupied).gap == 0.0


def test_spins_may_have_different_numbers_of_electrons():
    energies = np.array([[[-2.0, -1.0, 3.0]] * 2, [[-2.0, 1.0, 4.0]] * 2])
    occupied = np.array([[[1.0, 1.0, 0.0]] * 2, [[1.0, 0.0, 0.0]] * 2])
    assert band_edges(energies, occupied).gap == pytest.approx(2.0)


def test_without_empty_bands_the_gap_is_unknown_and_not_zero():
    bands = band_edges(np.array([[[-1.0, 0.5]]]), np.ones((1, 1, 2)))
    assert bands.gap is None
    assert bands.vbm == 0.5


def test_the_response_to_a_field_is_read(tmp_path):
    (tmp_path / "ph.out").write_text(FIELD)
    result = read_ph(tmp_path / "ph.out")
    assert result.born.shape == (2, 3, 3)
    assert result.born[0, 0, 1] == 0.3  # field along x, displacement along y
    assert result.born[1, 2, 2] == 2.5
    np.testing.assert_allclose(result.born.sum(axis=0), 0.0)
    np.testing.assert_allclose(np.diag(result.dielectric), [4.0, 4.0, 5.0])


@pytest.mark.parametrize("text", [None, "", FIELD.partition("Effective")[0], "no numbers"])
def test_a_response_that_is_not_there_is_an_error(tmp_path, text):
    if text is not None:
        (tmp_path / "ph.out").write_text(text)
    with pytest.raises(SSEError, match="no Born charges"):
        read_ph(tmp_path / "ph.out")


@pytest.mark.parametrize("text", [None, "", "<qes><output>", "<qes><output></output></qes>"])
def test_a_file_without_results_is_an_error_with_a_mend(tmp_path, text):
    path = tmp_path / "data-file-schema.xml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SSEError, match="missing or truncated") as caught:
        read_pw(path)
    assert "disk" in caught.value.mend
