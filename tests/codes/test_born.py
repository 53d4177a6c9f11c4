"""What is refused of Born charges."""

from __future__ import annotations

import numpy as np
import pytest

from sse_flows.codes.born import check_neutral, is_metal
from sse_flows.errors import SSEError


def test_charges_that_do_not_add_up_are_refused():
    born = np.array([np.eye(3), -np.eye(3)])
    check_neutral(born)
    born[0] *= 1.5
    with pytest.raises(SSEError, match=r"0\.25 e per atom") as caught:
        check_neutral(born)
    assert "k points" in caught.value.mend


def test_what_has_a_known_gap_of_nothing_is_a_metal():
    assert [is_metal(gap) for gap in (0.0, 1e-4, 0.5, None)] == [True, True, False, False]
