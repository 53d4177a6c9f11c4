"""The space group that a relaxation must keep.

VASP keeps the symmetry that it finds at SYMPREC, 1e-5: a structure from a file with four digits is
made symmetric first, or it would lose its space group.
"""

from __future__ import annotations

import numpy as np
from ase.spacegroup.symmetrize import refine_symmetry
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from sse_flows.codes.spin import has_order
from sse_flows.codes.vasp.magnetism import told_apart
from sse_flows.errors import SSEError

TOLERANCE = 1e-2
"""Å; within it a structure has a symmetry."""


def symmetrised(structure: Structure) -> Structure:
    """The same cell with cell and sites exactly as its space group wants them."""
    atoms = structure.to_ase_atoms()
    refine_symmetry(atoms, symprec=TOLERANCE, verbose=False)
    return Structure(
        Lattice(atoms.cell[:]),
        structure.species,
        atoms.get_scaled_positions(wrap=False),
        site_properties=structure.site_properties,
    )


def right_handed(structure: Structure) -> Structure:
    """The same crystal with the same atoms at the same places, in a cell that VASP takes.

    VASP refuses cell vectors with a negative triple product. All three are turned round, so that a
    mesh of k points keeps its directions; custodian would exchange two of them and keep the mesh.
    """
    if structure.lattice.matrix[0] @ np.cross(*structure.lattice.matrix[1:]) > 0:
        return structure
    return Structure(
        Lattice(-structure.lattice.matrix),
        structure.species_and_occu,
        -structure.frac_coords,
        site_properties=structure.site_properties,
    )


def check_symmetry(before: Structure, after: Structure) -> str | None:
    """Refuse a relaxation that lost symmetry; say if it found more.

    Of a magnetic order it is the symmetry of atoms up and atoms down as different ones that VASP
    keeps. A cubic crystal whose layers stand against each other is strained on relaxing.

    Returns
    -------
    str or None
        What changed: more symmetry than before, within `TOLERANCE`.

    Raises
    ------
    SSEError
        The space group is another one, without containing that of the start.
    """
    if has_order(before):
        before, after = (told_apart(one, before) for one in (before, after))
    first, last = (SpacegroupAnalyzer(one, symprec=TOLERANCE) for one in (before, after))
    names = [
        f"{one.get_space_group_symbol()} ({one.get_space_group_number()})" for one in (first, last)
    ]
    if names[0] == names[1]:
        return None
    numbers = [len(one.get_symmetry_operations()) for one in (first, last)]
    if numbers[1] > numbers[0]:
        return f"space group {names[0]} became {names[1]}"
    raise SSEError(
        f"the space group changed from {names[0]} to {names[1]} on relaxing",
        mend="Set code.incar.ISYM: 2 or another SYMPREC; custodian may have switched symmetry off "
        "after an error",
    )
