"""The force model: derivatives, invariants, and crystals that are stable in it."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from pymatgen.core import Lattice, Structure

from sse_flows.testing.vasp_double.charges import oxidation_states
from sse_flows.testing.vasp_double.crystal import Crystal
from sse_flows.testing.vasp_double.library import made_up
from sse_flows.testing.vasp_double.model import Evaluated, PairModel
from sse_flows.testing.vasp_double.relax import Freedom, steps
from sse_flows.testing.vasp_double.symmetry import find_symmetry

_ROCKSALT = [[0, 0, 0], [0.5, 0.5, 0.5]]
_FLUORITE = [[0, 0, 0], [0.25, 0.25, 0.25]]


def _cubic(group: str, a: float, species: list[str], sites: list[list[float]]) -> Structure:
    return Structure.from_spacegroup(group, Lattice.cubic(a), species, sites)


STRUCTURES = {
    "Li2O": _cubic("Fm-3m", 4.6, ["O", "Li"], _FLUORITE),
    "Li2S": _cubic("Fm-3m", 5.7, ["S", "Li"], _FLUORITE),
    "LiF": _cubic("Fm-3m", 4.03, ["F", "Li"], _ROCKSALT),
    "NaCl": _cubic("Fm-3m", 5.6, ["Cl", "Na"], _ROCKSALT),
    "MgO": _cubic("Fm-3m", 4.2, ["O", "Mg"], _ROCKSALT),
    "Li3N": Structure.from_spacegroup(
        "P6/mmm",
        Lattice.hexagonal(3.65, 3.88),
        ["N", "Li", "Li"],
        [[0, 0, 0], [0, 0, 0.5], [1 / 3, 2 / 3, 0]],
    ),
    "SrTiO3": _cubic("Pm-3m", 3.9, ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]),
    "Si": _cubic("Fd-3m", 5.43, ["Si"], [[0, 0, 0]]),
    "C": _cubic("Fd-3m", 3.56, ["C"], [[0, 0, 0]]),
    "Li": _cubic("Im-3m", 3.5, ["Li"], [[0, 0, 0]]),
    "Na": _cubic("Im-3m", 4.2, ["Na"], [[0, 0, 0]]),
    "Al": _cubic("Fm-3m", 4.05, ["Al"], [[0, 0, 0]]),
    "Cu": _cubic("Fm-3m", 3.6, ["Cu"], [[0, 0, 0]]),
    "Mg": Structure.from_spacegroup(
        "P6_3/mmc", Lattice.hexagonal(3.2, 5.2), ["Mg"], [[1 / 3, 2 / 3, 0.25]]
    ),
}


def crystal_of(lattice, fractional, species) -> Crystal:
    counts = tuple(len(list(block)) for _, block in groupby(species))
    return Crystal(np.array(lattice), np.array(fractional), tuple(species), counts)


def from_structure(structure: Structure) -> Crystal:
    names = [site.specie.symbol for site in structure]
    return crystal_of(structure.lattice.matrix, structure.frac_coords, names)


def evaluate(crystal: Crystal) -> Evaluated:
    potentials = [made_up(element) for element, _ in crystal.blocks]
    return PairModel(potentials, crystal.counts).evaluate(crystal)


def rattled(name: str, seed: int = 0) -> Crystal:
    crystal = from_structure(STRUCTURES[name])
    noise = np.random.default_rng(seed).normal(scale=0.1, size=crystal.fractional.shape)
    return crystal.moved(crystal.positions + noise)


def relaxed(name: str) -> Crystal:
    start = from_structure(STRUCTURES[name])
    symmetry = find_symmetry(start, 1e-5)
    walk = steps(start, lambda c: symmetry.symmetrized(c, evaluate(c)), Freedom.of(3))
    for _, (crystal, _, largest) in zip(range(60), walk, strict=False):
        if largest < 1e-4:
            return crystal
    raise AssertionError(f"{name} does not relax")


@pytest.mark.parametrize("name", ["Li2O", "Li3N", "Si", "Li", "SrTiO3"])
def test_forces_are_derivatives_of_the_energy(name):
    crystal, step = rattled(name), 1e-4
    forces = evaluate(crystal).forces
    scale = np.abs(forces).max()
    for atom, axis in [(0, 0), (1, 2), (len(forces) - 1, 1)]:
        move = np.zeros_like(forces)
        move[atom, axis] = step
        ahead, back = (evaluate(crystal.moved(crystal.positions + s * move)) for s in (1, -1))
        slope = (ahead.energy - back.energy) / (2 * step)
        assert -slope == pytest.approx(forces[atom, axis], abs=1e-6 * scale)


@pytest.mark.parametrize("name", ["Li2O", "Si", "Mg"])
def test_stress_is_the_derivative_by_strain(name):
    crystal, step = rattled(name), 1e-5
    numeric = np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        strain = np.zeros((3, 3))
        strain[i, j] = step
        ahead, back = (
            evaluate(crystal_of(crystal.lattice @ (np.eye(3) + s * strain), *_sites(crystal)))
            for s in (1, -1)
        )
        numeric[i, j] = (ahead.energy - back.energy) / (2 * step * crystal.volume)
    np.testing.assert_allclose(evaluate(crystal).stress, numeric, atol=1e-7)


def _sites(crystal: Crystal) -> tuple:
    return crystal.fractional, crystal.species


@given(seed=st.integers(0, 10_000), name=st.sampled_from(["Li2O", "Li3N", "Si", "Na"]))
@settings(max_examples=15, deadline=None)
def test_energy_knows_no_frame(seed, name):
    """Turning, shifting and renumbering change nothing but the frame of the forces."""
    rng = np.random.default_rng(seed)
    crystal = rattled(name, seed)
    before = evaluate(crystal)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    blocks = np.split(np.arange(len(crystal.species)), np.cumsum(crystal.counts)[:-1])
    order = np.concatenate([rng.permutation(block) for block in blocks])
    after = evaluate(
        crystal_of(
            crystal.lattice @ turn,
            (crystal.fractional + rng.random(3) + rng.integers(-2, 3, 3))[order],
            crystal.species,
        )
    )
    assert after.energy == pytest.approx(before.energy, abs=1e-9)
    np.testing.assert_allclose(after.forces, (before.forces @ turn)[order], atol=1e-9)
    np.testing.assert_allclose(before.forces.sum(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(after.stress, turn.T @ before.stress @ turn, atol=1e-9)


@pytest.mark.parametrize("name", ["Li2O", "Si", "SrTiO3"])
def test_supercells_have_the_energy_per_atom(name):
    structure = STRUCTURES[name].copy().perturb(0.05)
    large = structure.make_supercell([[2, 0, 0], [1, 1, 0], [0, 0, 1]], in_place=False)
    one, two = evaluate(from_structure(structure)), evaluate(from_structure(large))
    assert two.energy == pytest.approx(2 * one.energy, abs=1e-8)
    np.testing.assert_allclose(two.stress, one.stress, atol=1e-9)


@pytest.mark.parametrize("name", STRUCTURES)
def test_simple_crystals_are_stable(name):
    """Relaxed within 8 % of their real lattice constants they have no soft modes."""
    crystal = relaxed(name)
    ratio = np.linalg.norm(crystal.lattice, axis=1) / STRUCTURES[name].lattice.abc
    assert (np.abs(ratio - 1) < 0.08).all()
    cell = PhonopyAtoms(crystal.species, cell=crystal.lattice, scaled_positions=crystal.fractional)
    repeats = np.ceil(9.0 / np.linalg.norm(crystal.lattice, axis=1)).astype(int)
    phonon = Phonopy(cell, np.diag(repeats), primitive_matrix="auto")
    phonon.generate_displacements(distance=0.01)
    phonon.forces = [
        evaluate(crystal_of(c.cell, c.scaled_positions, c.symbols)).forces
        for c in phonon.supercells_with_displacements
    ]
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    phonon.run_mesh([7, 7, 7], is_gamma_center=True)
    frequencies = phonon.get_mesh_dict()["frequencies"]
    assert frequencies.min() > -0.05  # THz; the sum rule leaves zero at Γ
    assert 4 < frequencies.max() < 60


@pytest.mark.parametrize(
    ("formula", "states"),
    [
        ({"Li": 2, "O": 1}, [1, -2]),
        ({"Li": 3, "P": 1, "S": 4}, [1, 5, -2]),
        ({"Li": 1, "Co": 1, "O": 2}, [1, 3, -2]),
        ({"Fe": 3, "O": 4}, [8 / 3, -2]),  # no one state is neutral: the anion rules
        ({"Li": 1, "Mg": 1}, [0, 0]),
        ({"Si": 8}, [0]),
    ],
)
def test_charges_of_ions(formula, states):
    potentials = [made_up(element) for element in formula]
    assert oxidation_states(potentials, list(formula.values())) == pytest.approx(states)
