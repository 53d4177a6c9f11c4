"""What surrounds the elements of a crystal: invariants, limits, a case done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from sse_flows.models.band_center_rows import ROW_LABELS, element_rows
from sse_flows.models.site_environments import ELEMENT_LABELS

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def rock_salt(a: float = 5.64) -> Structure:
    return Structure(Lattice.cubic(a), ["Na"] * 4 + ["Cl"] * 4, [*FCC, *(FCC + 0.5)])


def value(rows, row: int, name: str) -> float:
    return rows.features[row, ROW_LABELS.index(name)]


def features(structure) -> np.ndarray:
    rows, failures = element_rows({"x": structure})
    assert not failures
    return rows.features


def test_rock_salt_by_hand():
    rows, _ = element_rows({"NaCl": rock_salt()})
    assert rows.numbers.tolist() == [11, 17]
    assert rows.shares.tolist() == [0.5, 0.5]
    d, covalent = 5.64 / 2, 1.66 + 1.02
    bond = np.exp((covalent - d) / 0.37) / 1.1  # a face as large as the largest counts 1/1.1
    assert value(rows, 0, "mean log stiffest bond") == pytest.approx(np.log(bond), abs=1e-6)
    assert value(rows, 0, "mean log frequency bond valence") == pytest.approx(
        0.5 * np.log(6 * bond / 22.98976928), abs=1e-6
    )
    assert value(rows, 1, "mean held log mass") == pytest.approx(np.log(22.98976928), abs=1e-6)
    assert value(rows, 0, "mean shortest bond") == pytest.approx(d)
    assert value(rows, 0, "mean coordination") == pytest.approx(6)
    assert value(rows, 0, "mean share of the same element") == pytest.approx(0, abs=1e-9)


def test_a_stiffer_crystal_has_higher_frequencies():
    soft, hard = features(rock_salt(6.0)), features(rock_salt(5.0))
    for law in ("d^-3", "d^-6", "bond valence", "polar valence", "solid angle d^-3"):
        column = ROW_LABELS.index(f"mean log frequency {law}")
        assert np.all(hard[:, column] > soft[:, column])
    power = ROW_LABELS.index("mean log frequency d^-6")
    assert hard[:, power] - soft[:, power] == pytest.approx(3 * np.log(6 / 5))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_the_cell_its_rotation_origin_and_order_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    lattice = Lattice(np.diag([4.1, 5.2, 6.3]) + rng.uniform(-0.5, 0.5, (3, 3)))
    positions = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    positions = positions + rng.uniform(-0.05, 0.05, (4, 3))
    species = ["Li", "P", "O", "O"]
    expected = features(Structure(lattice, species, positions))
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(4)
    moved = Structure(
        lattice.matrix @ turned,
        [species[k] for k in order],
        positions[order] + rng.uniform(-2, 2, 3),
    )
    assert features(moved) == pytest.approx(expected, abs=1e-6)
    moved.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    assert features(moved) == pytest.approx(expected, abs=1e-6)


def test_totals_are_means_over_atoms_and_groups_are_compositions():
    positions = [*FCC, *(FCC + 0.25), *(FCC + 0.75)]
    li2o = Structure(Lattice.cubic(4.6), ["O"] * 4 + ["Li"] * 8, positions)
    rows, _ = element_rows({"a": li2o, "b": li2o.get_primitive_structure(), "c": rock_salt()})
    assert rows.totals(np.array([30.0, 60.0, 30.0, 60.0, 10.0, 20.0])) == pytest.approx(
        [40.0, 40.0, 15.0]
    )
    groups = rows.groups()
    assert groups[0] == groups[1] != groups[2]
    part = rows.take(np.array([False, True, True]))
    assert part.ids == ["b", "c"]
    assert part.owners.tolist() == [0, 0, 1, 1]
    assert np.array_equal(part.features, rows.features[2:])


def test_a_crystal_that_fails_does_not_stop_the_others():
    rows, failures = element_rows({"bad": ("no", "crystal"), "NaCl": rock_salt()})
    assert rows.ids == ["NaCl"]
    assert failures["bad"].compound == "bad"


def test_labels_are_distinct():
    assert len(set(ELEMENT_LABELS)) == len(ELEMENT_LABELS)
    assert len(set(ROW_LABELS)) == len(ROW_LABELS)
