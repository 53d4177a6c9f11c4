"""Kinds of sites: those that symmetry makes equal, told apart by what they carry."""

from __future__ import annotations

import numpy as np
import pytest
import spglib

from sse_flows.descriptors.crystal.tessellation import tessellate
from sse_flows.models.site_environments import element_environments
from sse_flows.screening.environments import decorated_environments, site_kinds
from sse_flows.structures.prototypes import load_prototypes


def geometry(cell):
    return tessellate(cell.lattice.matrix, cell.frac_coords)


@pytest.mark.parametrize("prototype", load_prototypes(), ids=lambda one: one.id)
def test_kinds_are_the_orbits_of_the_crystal(prototype):
    cell = prototype.structure
    numbers = prototype.numbers[prototype.labels][None]
    kinds = site_kinds(geometry(cell), numbers)
    data = (cell.lattice.matrix, cell.frac_coords, numbers[0])
    orbits = spglib.get_symmetry_dataset(data, symprec=1e-2).equivalent_atoms
    pairs = {(int(kind), int(orbit)) for kind, orbit in zip(kinds, orbits, strict=True)}
    assert len({orbit for _, orbit in pairs}) == len(pairs)  # never two orbits of one kind
    assert len(pairs) == len(set(kinds.tolist()))


def test_an_atom_of_its_own_makes_its_surroundings_differ():
    cell = load_prototypes(["li6ps5cl"])[0].structure
    plain = np.array([[site.specie.Z for site in cell]])
    changed = plain.copy()
    changed[0, 0] = 11
    assert len(set(site_kinds(geometry(cell), changed))) > len(
        set(site_kinds(geometry(cell), plain))
    )
    rows, owners = decorated_environments(geometry(cell), np.vstack([plain, changed]), np.ones(2))
    for child, numbers in enumerate((plain[0], changed[0])):
        expected = element_environments(geometry(cell), numbers)
        assert rows[owners == child] == pytest.approx(expected, rel=1e-6, abs=1e-6)
