"""Cells written as six numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice

from sse_flows.descriptors.crystal.cells import lattice_vectors
from sse_flows.errors import SSEError


@given(
    st.tuples(*[st.floats(1, 50)] * 3),
    st.tuples(*[st.floats(60, 115)] * 3),
)
def test_cells_have_the_parameters_given(lengths, angles):
    found = Lattice(lattice_vectors([*lengths, *angles])).parameters
    assert np.allclose(found, [*lengths, *angles])


@pytest.mark.parametrize(
    "cell", [[3.6, 3.6, 0, 90, 90, 90], [3.6, 3.6, 3.6, 10, 150, 90], [3.6, 3.6, 3.6, 90, 90, 180]]
)
def test_what_is_no_cell_is_refused(cell):
    with pytest.raises(SSEError, match="is no cell"):
        lattice_vectors(cell)
