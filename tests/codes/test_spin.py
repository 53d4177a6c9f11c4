"""Which crystals are computed with spins."""

from __future__ import annotations

from pymatgen.core import Lattice, Structure

from sse_flows.codes.spin import is_polarised

LITHIA = Structure(
    Lattice.cubic(4.6), ["O", "Li", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
)


def test_spin_is_treated_where_it_is_to_be_expected():
    iron = Structure(Lattice.cubic(2.9), ["Fe"], [[0, 0, 0]])
    oxygen = Structure(Lattice.cubic(12), ["O", "O"], [[0, 0, 0], [0, 0, 0.1]])
    moments = LITHIA.copy(site_properties={"magmom": [1.0, 0.0, 0.0]})
    assert [is_polarised(one, "auto") for one in (iron, oxygen, moments, LITHIA)] == [
        True,
        True,
        True,
        False,
    ]
    assert not is_polarised(iron, "none")
    assert is_polarised(LITHIA, "polarised")
